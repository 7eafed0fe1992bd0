package compat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// joinPieces are what listeners say who come to a channel and leave it under messages: `p` says
// something, a number is a listener.
var joinPieces = strings.Split(`SUBSCRIBE a|SUBSCRIBE a b|SUBSCRIBE b|PSUBSCRIBE a*|PSUBSCRIBE [ab]|UNSUBSCRIBE|UNSUBSCRIBE a|UNSUBSCRIBE b a|PUNSUBSCRIBE|PUNSUBSCRIBE a*`, "|")

// A crowd is listeners and another client, at one server or behind one proxy.
type crowd struct {
	listeners []audience
	p         *testkit.Client
	// heard is what each listener has heard, by channel or pattern, and on those to which it
	// listens now.
	heard []map[string][]string
	on    []map[string]bool
}

func newCrowd(t *testing.T, at, hello string, n int) *crowd {
	t.Helper()
	c := &crowd{p: testkit.Dial(t, testkit.Redis, at)}
	for range n {
		c.listeners = append(c.listeners, newAudience(t, at, hello))
		c.heard = append(c.heard, map[string][]string{})
		c.on = append(c.on, map[string]bool{})
	}
	return c
}

// take notes what a listener has heard: by channel or pattern, since messages of others may come
// before an answer or behind it, without how many channels are left, and without answers that
// change nothing.
func (c *crowd) take(i int, frames []string) {
	for _, f := range frames {
		words := strings.Split(f, "\r\n")
		switch {
		case len(words) < 5: // it listened to nothing
		case strings.HasSuffix(words[2], "subscribe"):
			begins := !strings.Contains(words[2], "unsubscribe")
			if c.on[i][words[4]] != begins {
				c.heard[i][words[4]] = append(c.heard[i][words[4]], words[2])
			}
			c.on[i][words[4]] = begins
		default:
			c.heard[i][words[4]] = append(c.heard[i][words[4]], f)
		}
	}
}

// TestJoinsLikeRedis: who comes to a channel that others listen to, or leaves it, gets the messages
// that it would get of the server by itself: those of before its UNSUBSCRIBE, however late they
// come, and none of before its SUBSCRIBE.
func TestJoinsLikeRedis(t *testing.T) {
	t.Parallel()
	plain, behind := testkit.StartRedis(t), testkit.StartRedis(t)
	for _, how := range []string{"connections: own", "connections: shared", "publish: owner, connections: shared"} {
		nuthatch := testkit.StartNuthatch(t, testkit.Pool{
			Protocol: testkit.Redis, Servers: []string{behind.Entry("s1")},
		}.String()+"  pubsub: {"+how+"}\n", testkit.Threads(2))
		for _, hello := range []string{"", "3"} {
			t.Run(how+" RESP"+hello, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(17, 4))
				for range 20 {
					joins(t, rnd, newCrowd(t, plain.Addr(), hello, 4), newCrowd(t, nuthatch.Addr(), hello, 4))
				}
			})
		}
	}
}

// joins has both crowds say the same, and compares what they hear. Whoever publishes is answered
// before the next line. Who listens is not waited for until it says something itself.
func joins(t *testing.T, rnd *rand.Rand, plain, proxy *crowd) {
	t.Helper()
	var lines []string
	hear := func(i, n int) {
		want := plain.listeners[i].barrier(n)
		plain.take(i, want)
		var got []string
		for range want {
			got = append(got, proxy.listeners[i].s.Reply())
		}
		proxy.take(i, append(got, proxy.listeners[i].barrier(n)...))
	}
	for n := range 10 + rnd.IntN(60) {
		if rnd.IntN(3) > 0 {
			words := []string{"PUBLISH", string("ab"[rnd.IntN(2)]), fmt.Sprint(n)}
			lines = append(lines, strings.Join(words, " "))
			plain.p.Do(words...)
			proxy.p.Do(words...)
			continue
		}
		i := rnd.IntN(len(plain.listeners))
		line := joinPieces[rnd.IntN(len(joinPieces))]
		lines = append(lines, fmt.Sprint(i, " ", line))
		plain.listeners[i].s.Send(commands(line)[0])
		proxy.listeners[i].s.Send(commands(line)[0])
		hear(i, n)
	}
	for i := range plain.listeners {
		hear(i, 1000)
	}
	for i := range plain.heard {
		for _, of := range []string{"a", "b", "a*", "[ab]"} {
			if want, got := plain.heard[i][of], proxy.heard[i][of]; !slices.Equal(want, got) {
				t.Fatalf("listener %d hears of %s %q, and %q of the server itself\n%s", i, of, got, want, strings.Join(lines, "\n"))
			}
		}
	}
}
