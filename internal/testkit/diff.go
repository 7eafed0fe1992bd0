package testkit

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
)

// A Side is what a transcript can be played to: a Proxy, or a Server without one.
type Side interface {
	// Name is how failures call it.
	Name() string
	// Addr is where it listens.
	Addr() string
}

// Diff plays a transcript to a and to b and fails the test, naming the request,
// where their replies differ in any byte, in number, or in how the connection
// ended. It returns a's replay.
func Diff(t testing.TB, protocol Protocol, a, b Side, transcript [][]byte, split Splitter) Replay {
	t.Helper()
	ra := Play(t, protocol, a.Addr(), transcript, split)
	rb := Play(t, protocol, b.Addr(), transcript, split)
	Compare(t, protocol, a.Name(), b.Name(), transcript, ra, rb)
	return ra
}

// shownDifferences is how many differing requests one comparison reports.
const shownDifferences = 5

// Compare is Diff's comparison of two replays of one transcript; an and bn name
// the sides.
func Compare(t testing.TB, protocol Protocol, an, bn string, transcript [][]byte, a, b Replay) {
	t.Helper()
	requests := answered(protocol, transcript)
	found := 0
	for i := range max(len(a.Replies), len(b.Replies)) {
		ra, rb := replyAt(a, i), replyAt(b, i)
		if ra == rb {
			continue
		}
		if found++; found <= shownDifferences {
			t.Errorf("request %d: %s\n%s%s", i, show(string(requests[i])),
				side(an, ra, rb), side(bn, rb, ra))
		}
	}
	if found > shownDifferences {
		t.Errorf("%d requests differ, %d shown", found, shownDifferences)
	}
	if ea, eb := a.ending(), b.ending(); ea != eb {
		t.Errorf("after %d of %d replies: %s %s\nafter %d of %d replies: %s %s",
			len(a.Replies), len(requests), an, ea, len(b.Replies), len(requests), bn, eb)
	}
}

// answered are the requests that get a reply, the sentinel among them.
func answered(protocol Protocol, transcript [][]byte) [][]byte {
	var requests [][]byte
	for _, r := range transcript {
		for range protocol.Replies(r) {
			requests = append(requests, r)
		}
	}
	return append(requests, protocol.Sentinel())
}

const noReply = "(no reply)"

func replyAt(r Replay, i int) string {
	if i < len(r.Replies) {
		return r.Replies[i]
	}
	return noReply
}

// side describes one side's reply around the place where it differs.
func side(name, reply, other string) string {
	at := 0
	for at < len(reply) && at < len(other) && reply[at] == other[at] {
		at++
	}
	if len(reply) <= shownBytes {
		return fmt.Sprintf("  %-11s %q\n", name, reply)
	}
	from, to := max(0, at-shownBytes/3), min(len(reply), at+shownBytes/3)
	return fmt.Sprintf("  %-11s (%d bytes, differing at %d) ...%q...\n", name, len(reply), at, reply[from:to])
}

// ending says in words how a replay ended, beyond its replies.
func (r Replay) ending() string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("fails: %v after %s", r.Err, show(r.Rest))
	case r.Closed:
		return fmt.Sprintf("closes the connection after %s", show(r.Rest))
	case r.Rest != "":
		return "sends more than replies: " + show(r.Rest)
	default:
		return "goes on"
	}
}

// barrierBatch is how many connections EverySplit keeps open at a time.
const barrierBatch = 100

// EverySplit plays a transcript to a proxy once for every offset of its bytes,
// cut in two there, each over its own connection, and fails the test where the
// replies are not want's. The transcript must get the same replies however many
// connections play it at the same time.
//
// A cut is a real one for a proxy with one event loop: the second halves are
// sent when a request sent after all the first halves has been answered.
func EverySplit(t testing.TB, protocol Protocol, p Side, transcript [][]byte, want Replay) {
	t.Helper()
	blob := append(bytes.Join(transcript, nil), protocol.Sentinel()...)
	barrier := Dial(t, protocol, p.Addr())
	defer barrier.Close()
	for from := 1; from < len(blob); from += barrierBatch {
		to := min(from+barrierBatch, len(blob))
		for i, got := range playCut(t, p, barrier, blob, from, to, len(want.Replies)) {
			if got.String() == want.String() {
				continue
			}
			cut := from + i
			t.Errorf("%s, cut at byte %d, between %s and %s:", p.Name(), cut,
				show(string(blob[max(0, cut-20):cut])), show(string(blob[cut:min(len(blob), cut+20)])))
			Compare(t, protocol, "uncut", "cut", transcript, want, got)
			return
		}
	}
}

// playCut plays blob, which gets the given number of replies, once for each cut
// from from to below to.
func playCut(t testing.TB, p Side, barrier *Client, blob []byte, from, to, replies int) []Replay {
	t.Helper()
	clients := make([]*Client, 0, to-from)
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for cut := from; cut < to; cut++ {
		c := Dial(t, barrier.protocol, p.Addr())
		clients = append(clients, c)
		c.Send(blob[:cut])
	}
	if err := barrier.pass(); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		c.Send(blob[from+i:])
	}
	replays := make([]Replay, len(clients))
	for i, c := range clients {
		replays[i] = c.replay(replies)
	}
	return replays
}

// A Difference is an intended difference from nutcracker. Both sides are
// asserted, so that the list stays true.
type Difference struct {
	Name     string
	Protocol Protocol
	Send     [][]byte
	// Nutcracker and Nuthatch are regular expressions for the whole of the
	// Replay's String, the sentinel's reply included.
	Nutcracker, Nuthatch string
	// Why nuthatch differs.
	Why string
}

// Check plays the difference to both sides.
func (d Difference) Check(t testing.TB, nutcracker, nuthatch Side) {
	t.Helper()
	if d.Why == "" {
		t.Errorf("%s: a difference needs a reason", d.Name)
	}
	d.check(t, nutcracker, d.Nutcracker)
	d.check(t, nuthatch, d.Nuthatch)
}

func (d Difference) check(t testing.TB, p Side, pattern string) {
	t.Helper()
	got := Play(t, d.Protocol, p.Addr(), d.Send, nil).String()
	if !regexp.MustCompile(`(?s)^(?:` + pattern + `)$`).MatchString(got) {
		t.Errorf("%s\n  sent      %s\n  %-9s %s\n  want      %s\n  because   %s",
			d.Name, show(string(bytes.Join(d.Send, nil))), p.Name(), show(got), pattern, d.Why)
	}
}
