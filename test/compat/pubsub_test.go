package compat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// listeners are conversations about channels: `s` is who listens, `p` another client, and
// the server by itself says what both hear. What comes to `s` for a line is known by what
// the server sends before the answer to a PING.
var listeners = []group{
	{"plain", `
		s SUBSCRIBE a
		p PUBLISH a hello
		p PUBLISH b nobody
		s SUBSCRIBE b a b
		p PUBLISH b hi
		p PUBSUB CHANNELS b*
		p PUBSUB NUMSUB a b c
		p PUBSUB NUMPAT
		s UNSUBSCRIBE a nosuch a
		p PUBLISH a gone
		s UNSUBSCRIBE
		s UNSUBSCRIBE
		s GET x`},
	{"patterns", `
		s PSUBSCRIBE n* h?llo
		p PUBLISH news 1
		p PUBLISH hello 2
		p PUBLISH hllo 3
		s PSUBSCRIBE n*
		p PUBSUB NUMPAT
		s PUNSUBSCRIBE n*
		p PUBLISH news 4
		s PUNSUBSCRIBE
		s PUNSUBSCRIBE
		s PUNSUBSCRIBE nosuch`},
	{"both", `
		s PSUBSCRIBE n*
		s SUBSCRIBE news
		p PUBLISH news twice
		s UNSUBSCRIBE
		p PUBLISH news once
		s PUNSUBSCRIBE`},
	{"shards", `
		s SSUBSCRIBE a
		s SSUBSCRIBE b
		s SUBSCRIBE a
		p SPUBLISH a shard
		p PUBLISH a plain
		p PUBSUB SHARDCHANNELS b
		p PUBSUB SHARDNUMSUB a b c
		p PUBSUB CHANNELS a
		s SUNSUBSCRIBE nosuch
		s SUNSUBSCRIBE a
		s SUNSUBSCRIBE
		s SUNSUBSCRIBE
		s UNSUBSCRIBE a`},
	{"what may be sent", `
		s SUBSCRIBE a
		s GET x
		s SET x 1
		s CLIENT ID
		s HELLO 2
		s MULTI
		s PING
		s PING hello
		s PING a b
		s SUBSCRIBE
		s GET
		s FROBNICATE
		s CLIENT FROBNICATE
		p PUBLISH a still
		s UNSUBSCRIBE a
		s GET x`},
	{"words", `
		s SUBSCRIBE
		s PSUBSCRIBE
		s SSUBSCRIBE
		s PUBSUB
		s PUBLISH a
		s SPUBLISH a
		s PUBLISH a b c
		s PUBSUB NUMSUB
		s PUBSUB SHARDNUMSUB
		s PUBSUB NUMPAT x`},
	{"RESET", `
		s SUBSCRIBE a b
		s PSUBSCRIBE c*
		s SSUBSCRIBE d
		s RESET
		p PUBLISH a gone
		p PUBLISH c gone
		p SPUBLISH d gone
		s PING
		s SUBSCRIBE a
		p PUBLISH a back
		s UNSUBSCRIBE`},
	{"events of keys", `
		p CONFIG SET notify-keyspace-events KEA
		s SUBSCRIBE __keyspace@0__:k __keyevent@0__:del
		p SET k v
		p DEL k
		s PSUBSCRIBE __key*@0__:*
		p SET k v
		s PUBLISH a b
		s UNSUBSCRIBE
		s PUNSUBSCRIBE
		p DEL k
		p CONFIG SET notify-keyspace-events ""`},
	{"in a transaction", `
		s SUBSCRIBE a
		p MULTI
		p SET x 1
		p PUBLISH a hello
		p PUBLISH a again
		p EXEC
		s UNSUBSCRIBE a`},
	{"empty and binary", `
		s SUBSCRIBE a$b*c
		p PUBLISH a$b*c ""
		s UNSUBSCRIBE a$b*c`},
}

// ofRESP3 are what a client may do while it listens in RESP3 alone.
var ofRESP3 = []group{
	{"what may be sent in RESP3", `
		s SUBSCRIBE a
		s SET x 1
		s GET x
		p PUBLISH a hello
		s PING
		s PING hello
		s WATCH x
		s UNWATCH
		p PUBLISH a hello
		s UNSUBSCRIBE
		s PING`},
	{"back to RESP2", `
		s SUBSCRIBE a
		p PUBLISH a hello
		s HELLO 2
		s GET x
		p PUBLISH a hello
		s PING
		s UNSUBSCRIBE a
		s GET x`},
}

// listenerPieces are what generated conversations consist of.
var listenerPieces = strings.Split(`s SUBSCRIBE a|s SUBSCRIBE b c|s PSUBSCRIBE a*|s PSUBSCRIBE [bc]*|s SSUBSCRIBE a|s UNSUBSCRIBE|s UNSUBSCRIBE a b|
s PUNSUBSCRIBE|s PUNSUBSCRIBE a*|s SUNSUBSCRIBE|s SUNSUBSCRIBE a|s PING|s PING x|s GET k|s RESET|s SUBSCRIBE|s EXEC|s DISCARD|s FROBNICATE|p PUBLISH a 1|p PUBLISH b 2|
p PUBLISH c 3|p PUBLISH d 4|p SPUBLISH a 5|p PUBSUB NUMSUB a b c|p PUBSUB NUMPAT|p PUBSUB SHARDNUMSUB a|p PUBLISH a ""`, "|")

// An audience is a listener and another client, at one server or behind one proxy.
type audience struct{ s, p *testkit.Client }

func newAudience(t *testing.T, at string, hello string) audience {
	t.Helper()
	w := audience{testkit.Dial(t, testkit.Redis, at), testkit.Dial(t, testkit.Redis, at)}
	if hello != "" {
		w.s.Do("HELLO", hello)
	}
	return w
}

// barrier is what a client hears before the answer to a PING. In whatever state it is, the
// answer is known by its word.
func (w audience) barrier(n int) (heard []string) {
	word := fmt.Sprintf("barrier-%d", n)
	w.s.Send(testkit.RESP("PING", word))
	for {
		r := w.s.Reply()
		if strings.Contains(r, word) {
			return heard
		}
		heard = append(heard, r)
	}
}

// plays has the server by itself say what is heard for each line, and the proxy say the same.
func plays(t *testing.T, plain, proxy audience, lines []string) {
	t.Helper()
	for i, line := range lines {
		who, words := line[:1], commands(line[2:])[0]
		var want, got []string
		if who == "p" {
			plain.p.Send(words)
			proxy.p.Send(words)
			if a, b := plain.p.Reply(), proxy.p.Reply(); a != b {
				t.Fatalf("line %d, %s: the other client hears %q, and %q of the server itself\n%s", i, line, b, a, strings.Join(lines[:i+1], "\n"))
			}
		} else {
			plain.s.Send(words)
			proxy.s.Send(words)
		}
		want = plain.barrier(i)
		for range want {
			got = append(got, proxy.s.Reply())
		}
		got = append(got, proxy.barrier(i)...)
		if line == "s RESET" {
			awaitNumbers(t, plain.p, proxy.p)
		}
		if strings.HasPrefix(line, "s HELLO") && len(want) == 1 && len(got) == 1 && want[0][0] == got[0][0] {
			continue // what HELLO says differs: of the server, and the client's id
		}
		if strings.HasSuffix(line, "UNSUBSCRIBE") { // of all, in no order
			want, got = inNoOrder(want), inNoOrder(got)
		}
		if a, b := strings.Join(want, ""), strings.Join(got, ""); a != b {
			t.Fatalf("line %d, %s: it hears %q, and %q of the server itself\n%s", i, line, b, a, strings.Join(lines[:i+1], "\n"))
		}
	}
}

// playsAlone is plays, and ends both listeners: who shares a connection with others would not count.
func playsAlone(t *testing.T, plain, proxy audience, lines []string) {
	t.Helper()
	plays(t, plain, proxy, lines)
	for _, w := range []audience{plain, proxy} {
		w.s.Close()
		for words, nobody := range map[string]string{"PUBSUB CHANNELS": "*0\r\n", "PUBSUB NUMPAT": ":0\r\n", "PUBSUB SHARDCHANNELS": "*0\r\n"} {
			testkit.Await(t, words+" to tell of nobody", func() error {
				if got := w.p.Do(strings.Fields(words)...); got != nobody {
					return fmt.Errorf("it tells %q", got)
				}
				return nil
			})
		}
		w.p.Close()
	}
}

// awaitNumbers waits until as many clients listen behind the proxy as at the server by
// itself. At RESET the proxy closes the connection on which its client listened, and the
// server behind sees that a moment later.
func awaitNumbers(t *testing.T, plain, proxy *testkit.Client) {
	t.Helper()
	for _, words := range []string{"PUBSUB NUMSUB a b c", "PUBSUB NUMPAT", "PUBSUB SHARDNUMSUB a"} {
		testkit.Await(t, words, func() error {
			if a, b := plain.Do(strings.Fields(words)...), proxy.Do(strings.Fields(words)...); a != b {
				return fmt.Errorf("behind the proxy %q, and %q of the server itself", b, a)
			}
			return nil
		})
	}
}

// inNoOrder are answers to UNSUBSCRIBE, with the channels apart from how many are left.
func inNoOrder(answers []string) []string {
	var names, rest []string
	for _, a := range answers {
		words := strings.Split(a, "\r\n")
		if len(words) < 5 {
			rest = append(rest, a)
			continue
		}
		names = append(names, strings.Join(words[3:len(words)-2], " "))
		rest = append(rest, strings.Join(words[:3], " ")+words[len(words)-2])
	}
	slices.Sort(names)
	return append(rest, names...)
}

// TestPubSubLikeRedis: what a client that listens hears is what it would hear of the server
// by itself, in either protocol, wherever messages are sent.
func TestPubSubLikeRedis(t *testing.T) {
	t.Parallel()
	plain, behind := testkit.StartRedis(t), testkit.StartRedis(t)
	for _, how := range []string{"publish: all", "publish: owner", "publish: all, connections: shared", "publish: owner, connections: shared"} {
		nuthatch := testkit.StartNuthatch(t, testkit.Pool{
			Protocol: testkit.Redis, Servers: []string{behind.Entry("s1")},
		}.String()+"  databases: 16\n  pubsub: {"+how+"}\n", testkit.Threads(2))
		for _, hello := range []string{"", "3"} {
			all := listeners
			if hello == "3" {
				all = slices.Concat(all, ofRESP3)
			}
			for _, g := range all {
				t.Run(g.name+" RESP"+hello+" "+how, func(t *testing.T) {
					if hello == "3" && g.name == "what may be sent" {
						return // it is about RESP2
					}
					lines := g.commands()
					if strings.Contains(lines[0], "CONFIG") {
						tellEvents := func(which string) {
							for _, s := range []*testkit.Server{plain, behind} {
								s.Dial().Do("CONFIG", "SET", "notify-keyspace-events", which)
							}
						}
						tellEvents("KEA")
						defer tellEvents("")
						lines = lines[1 : len(lines)-1]
					}
					playsAlone(t, newAudience(t, plain.Addr(), hello), newAudience(t, nuthatch.Addr(), hello), lines)
				})
			}
			rnd := rand.New(rand.NewPCG(17, 3))
			for range 30 {
				var lines []string
				for range 5 + rnd.IntN(30) {
					lines = append(lines, strings.TrimSpace(listenerPieces[rnd.IntN(len(listenerPieces))]))
				}
				playsAlone(t, newAudience(t, plain.Addr(), hello), newAudience(t, nuthatch.Addr(), hello), lines)
			}
		}
	}
}
