package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// answerRight serves a connection as a Redis server would that has, under every
// key, the key's own name.
func answerRight(k *testkit.Talk) {
	for args, ok := k.Command(); ok; args, ok = k.Command() {
		k.Reply(rightReply(args))
	}
}

func rightReply(args []string) string {
	switch strings.ToUpper(args[0]) {
	case "GET":
		return testkit.Bulk(args[1])
	case "MGET":
		reply := fmt.Sprintf("*%d\r\n", len(args)-1)
		for _, key := range args[1:] {
			reply += testkit.Bulk(key)
		}
		return reply
	default:
		return "+OK\r\n"
	}
}

// gets encodes pipelined GETs.
func gets(keys ...string) []byte {
	var b []byte
	for _, key := range keys {
		b = append(b, testkit.RESP("GET", key)...)
	}
	return b
}

// A server that answers late, or in the smallest pieces, is waited for.
func TestLateAndInPieces(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("v", 100_000)
	for name, script := range map[string]func(*testkit.Talk){
		"late": func(k *testkit.Talk) {
			for args, ok := k.Command(); ok && k.Late(50*time.Millisecond); args, ok = k.Command() {
				k.Reply(rightReply(args))
			}
		},
		"byte by byte": func(k *testkit.Talk) {
			for args, ok := k.Command(); ok; args, ok = k.Command() {
				k.ReplyPieces(rightReply(args), 1, 100*time.Microsecond)
			}
		},
		"all at the end": func(k *testkit.Talk) {
			var replies string
			for range 6 {
				args, ok := k.Command()
				if !ok {
					return
				}
				replies += rightReply(args)
			}
			k.Reply(replies)
			answerRight(k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, _ := scriptedStage(t, testkit.Redis, script)
			c := proxy.Dial(testkit.Redis)
			c.Send(append(gets("a", "b", "\r\n$1\r\n", ""), testkit.RESP("MGET", "x", "y")...))
			c.Send(testkit.RESP("SET", "k", big))
			c.Expect(testkit.Bulk("a"), testkit.Bulk("b"), testkit.Bulk("\r\n$1\r\n"), testkit.Bulk(""),
				"*2\r\n"+testkit.Bulk("x")+testkit.Bulk("y"), "+OK\r\n")
		})
	}
}

// nonsense is what no Redis server may say.
var nonsense = []string{
	"garbage\r\n", "\r\n", "\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "$x\r\n", "$-2\r\n", "$3\r\nabcdef", "*x\r\n", "*-2\r\n",
	"$99999999999999999999\r\n", "*99999999999999999999\r\n", ":12x\r\n", "$\r\n", "*\r\n", "*1\r\nx\r\n", "\x00\x01\x02\xff",
	"$3\r\nabc\rX",
}

// A server that answers nonsense: what it said before counts, every request that
// still waits gets an error in its turn, its connection is closed, and the next
// request goes over a new one. Another client's requests keep their own
// replies.
func TestNonsense(t *testing.T) {
	t.Parallel()
	for _, bad := range nonsense {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			t.Parallel()
			proxy, server := scriptedStage(t, testkit.Redis, func(k *testkit.Talk) {
				if k.N() > 1 {
					answerRight(k)
					return
				}
				first, _ := k.Command()
				for range 3 {
					k.Command()
				}
				k.Reply(rightReply(first) + bad)
				k.Drain()
			})
			c := proxy.Dial(testkit.Redis)
			c.Send(append(gets("a", "b", "c", "d"), testkit.RESP("PING")...))
			c.Expect(testkit.Bulk("a"))
			for range 3 {
				if got := c.Reply(); !strings.HasPrefix(got, "-ERR ") {
					t.Errorf("a waiting request gets %q", got)
				}
			}
			c.Expect("+PONG\r\n")
			c.Send(gets("e", "f"))
			c.Expect(testkit.Bulk("e"), testkit.Bulk("f"))
			if n := server.Accepted(); n != 2 {
				t.Errorf("the server saw %d connections, want 2", n)
			}
		})
	}
}

// A reply that nobody asked for, with the last one or by itself, is nobody's: it
// closes the server connection and answers no later request.
func TestStrayReply(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"with a reply": 0, "by itself": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, server := scriptedStage(t, testkit.Redis, func(k *testkit.Talk) {
				if k.N() > 1 {
					answerRight(k)
					return
				}
				args, _ := k.Command()
				if pause == 0 {
					k.Reply(rightReply(args) + testkit.Bulk("stray"))
				} else {
					k.Reply(rightReply(args))
					k.Late(pause)
					k.Reply(testkit.Bulk("stray"))
				}
				k.Drain()
			})
			c := proxy.Dial(testkit.Redis)
			c.Send(gets("a"))
			c.Expect(testkit.Bulk("a"))
			proxy.AwaitStat(0, "alpha", "scripted", "server_connections")
			c.Send(gets("b", "c"))
			c.Expect(testkit.Bulk("b"), testkit.Bulk("c"))
			if n := server.Accepted(); n != 2 {
				t.Errorf("the server saw %d connections, want 2", n)
			}
		})
	}
}

// A server that never answers: after the pool's timeout its requests get an
// error, and an answer that comes after all goes to nobody.
func TestTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 150 * time.Millisecond
	answered := make(chan struct{})
	proxy, _ := scriptedStage(t, testkit.Redis, func(k *testkit.Talk) {
		if k.N() > 1 {
			answerRight(k)
			return
		}
		first, _ := k.Command()
		k.Command()
		k.Late(2 * timeout)
		k.Reply(rightReply(first) + testkit.Bulk("late"))
		close(answered)
		k.Drain()
	}, fmt.Sprintf("timeout: %d", timeout.Milliseconds()))
	c, other := proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis)
	began := time.Now()
	c.Send(gets("a", "b"))
	c.Expect("-ERR Connection timed out\r\n", "-ERR Connection timed out\r\n")
	if waited := time.Since(began); waited < timeout {
		t.Errorf("timed out after %v, before the timeout of %v", waited, timeout)
	}
	other.Send(gets("x"))
	other.Expect(testkit.Bulk("x"))
	<-answered
	c.Send(gets("c", "d"))
	c.Expect(testkit.Bulk("c"), testkit.Bulk("d"))
	proxy.AwaitStat(1, "alpha", "scripted", "server_timedout")
}

// The parts of a multi-key reply that are not what the command answers. A part of
// another kind shows that the server is out of step: its connection is closed and
// what waits on it fails. Any other is an error for that request alone.
func TestWrongPart(t *testing.T) {
	t.Parallel()
	for part, outOfStep := range map[string]bool{
		"+OK\r\n": true, ":1\r\n": true, "$-1\r\n": true,
		"*0\r\n": false, "*19\r\n" + strings.Repeat("$-1\r\n", 19): false, "-ERR own words\r\n": false,
	} {
		t.Run(fmt.Sprintf("%q", part), func(t *testing.T) {
			t.Parallel()
			odd := testkit.StartScripted(t, func(k *testkit.Talk) {
				for args, ok := k.Command(); ok; args, ok = k.Command() {
					if args[0] == "MGET" || args[0] == "mget" {
						k.Reply(part)
					} else {
						k.Reply(rightReply(args))
					}
				}
			})
			well := testkit.StartScripted(t, answerRight)
			proxy := testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Servers: []string{
				testkit.Entry(odd.Addr(), 1, "odd"), testkit.Entry(well.Addr(), 1, "well"),
			}}.String())
			c := proxy.Dial(testkit.Redis)
			keys := spread(20)
			c.Send(append(testkit.RESP(append([]string{"MGET"}, keys...)...), gets(keys...)...))
			if got := c.Reply(); !strings.HasPrefix(got, "-") {
				t.Errorf("MGET gets %.80q", got)
			}
			failed := 0
			for _, key := range keys {
				got := c.Reply()
				if got == "-ERR Invalid argument\r\n" {
					failed++
				} else if got != testkit.Bulk(key) {
					t.Errorf("GET %s gets %q", key, got)
				}
			}
			if outOfStep != (failed > 0) || failed == len(keys) {
				t.Errorf("%d of %d requests fail with it", failed, len(keys))
			}
			c.Send(gets(keys...))
			for _, key := range keys {
				c.Expect(testkit.Bulk(key))
			}
		})
	}
}

// badRequests are no Redis protocol, whatever follows.
var badRequests = []string{
	"*x\r\n", "*1\r\n!3\r\nGET\r\n", "*2\r\n$3\r\nGET\r\n$x\r\n", "*2\r\n$3\r\nGET\r\n$-1\r\n", "*2\r\n$3\r\nGETxx$1\r\na\r\n",
	"*2\r\n$3\r\nGET\r\n:1\r\n", "*99999999999\r\n", "*2\r\n$3\r\nGET\r\n$99999999999\r\na", "*2\n$x\r\n",
	"*2\r\n$3\r\nGET\r\n$1\r\naXX",
	// Arrays within a request, and lengths that overflow what counts them.
	"*1\r\n*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n*1\r\n$1\r\na\r\n", "*2\r\n$4\r\nMGET\r\n%1\r\n",
	"*9223372036854775808\r\n", "*18446744073709551617\r\n", "*2147483648\r\n", "*4294967297\r\n", "*" + strings.Repeat("9", 100) + "\r\n",
	"*2\r\n$3\r\nGET\r\n$536870913\r\n", "*2\r\n$3\r\nGET\r\n$4294967297\r\na\r\n", "*2\r\n$3\r\nGET\r\n$18446744073709551617\r\na\r\n",
	"*2\r\n$3\r\nGET\r\n$-9223372036854775808\r\n", "*1\r\n$0000000000000000000004\r\nPING\r\n",
}

// Invalid bytes cost the client that sent them its connection, after an error
// and after the replies to what it asked before, and nobody else anything.
func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	good := s.proxy.Dial(testkit.Redis)
	for _, bad := range badRequests {
		c := s.proxy.Dial(testkit.Redis)
		c.Send(testkit.RESP("SET", "before", "1"))
		c.Expect("+OK\r\n")
		good.Send(gets("before"))
		c.Send(append(gets("before", "before"), bad...))
		c.Expect(testkit.Bulk("1"), testkit.Bulk("1"))
		if rest := c.ExpectEnd(); !strings.HasPrefix(rest, "-ERR Protocol error") || strings.Count(rest, "\r\n") != 1 {
			t.Errorf("%q gets %q", bad, rest)
		}
		good.Send(gets("before"))
		good.Expect(testkit.Bulk("1"), testkit.Bulk("1"))
	}
}

// Announced lengths are not memory: neither a request's nor a reply's bulk costs
// anything before it comes.
func TestAnnouncedLengths(t *testing.T) {
	t.Parallel()
	proxy, _ := scriptedStage(t, testkit.Redis, func(k *testkit.Talk) {
		k.Command()
		k.Reply("$536870000\r\nbeginning")
		k.Drain()
	})
	before := proxy.RSS()
	waiting := proxy.Dial(testkit.Redis)
	waiting.Send(gets("big"))
	for _, announced := range []string{
		"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870000\r\nbeginning", "*1000000\r\n$4\r\nMGET\r\n", "*3\r\n$3\r\nSET\r\n$536870000\r\nkey",
	} {
		for range 20 {
			c := proxy.Dial(testkit.Redis)
			c.Send([]byte(announced))
		}
	}
	c := proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("PING"))
	c.Expect("+PONG\r\n")
	if grown := proxy.RSS() - before; grown > 100<<20 {
		t.Errorf("its memory has grown by %d MB", grown>>20)
	}
}
