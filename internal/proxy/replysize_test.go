package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// elements is an array of n bulks of that many bytes.
func elements(n, size int) string {
	return fmt.Sprintf("*%d\r\n", n) + strings.Repeat(bulk(strings.Repeat("v", size)), n)
}

// answers are replies by key; what has none is echoed.
func answers(byKey map[string]string) func(*testkit.Talk) {
	return func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			if reply, ok := byKey[args[len(args)-1]]; ok {
				k.Reply(reply)
				continue
			}
			k.Reply(bulk(args[1]))
		}
	}
}

// A reply that is too large costs its client an error that names the bound and
// what is known of the size, and is dropped: the connection to the server goes on,
// and the requests behind it are answered on it.
func TestReplyTooLarge(t *testing.T) {
	const bound = 256 << 10
	for name, c := range map[string]struct {
		reply string
		least int
	}{
		"one bulk":                {bulk(strings.Repeat("v", 40<<20)), 40 << 20},
		"many small elements":     {elements(100_000, 10), bound},
		"many large elements":     {elements(100, 1<<20), 1 << 20},
		"an array within arrays":  {strings.Repeat("*1\r\n", 200_000) + ":1\r\n", bound},
		"one byte more":           {bulk(strings.Repeat("v", bound-10)), bound},
		"an attribute before it":  {"|1\r\n+a\r\n" + bulk(strings.Repeat("v", 1<<20)) + bulk("x"), 1 << 20},
		"an error longer than it": {"-ERR " + strings.Repeat("x", 1<<19) + "\r\n", bound},
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.StartScripted(t, answers(map[string]string{"large": c.reply}))
			r := startRig(t, oneServer(s.Addr(), "  server_max_reply: 256kb\n"))
			u, other := r.dial(), r.dial()
			for range 2 {
				u.send(command("GET", "a") + command("GET", "large") + command("GET", "b"))
				u.expect(bulk("a"))
				line, err := u.in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				size, limit := 0, 0
				if _, err := fmt.Sscanf(line, "-ERR the reply has %d bytes or more, and server_max_reply allows %d\r\n", &size, &limit); err != nil ||
					limit != bound || size <= bound || size < c.least || size > len(c.reply) {
					t.Errorf("a reply of %d bytes: %q", len(c.reply), line)
				}
				u.expect(bulk("b"))
				other.send(command("GET", "c"))
				other.expect(bulk("c"))
			}
			st := r.stat()
			if n := st.Vectors[stats.FailedRequests][msg.ReplyTooLarge]; n != 2 {
				t.Errorf("%d failed requests are counted, want 2", n)
			}
			if v := st.Servers[0].Values; v[stats.ServerErr] != 0 || v[stats.ServerConnections] != 1 {
				t.Errorf("the server has %d errors and %d connections", v[stats.ServerErr], v[stats.ServerConnections])
			}
			r.awaitIdle()
		})
	}
}

// A reply of just the bound passes.
func TestReplyAsLargeAsAllowed(t *testing.T) {
	const bound = 256 << 10
	value := strings.Repeat("v", bound-len("$262133\r\n\r\n"))
	s := testkit.StartScripted(t, answers(map[string]string{"large": bulk(value)}))
	r := startRig(t, oneServer(s.Addr(), "  server_max_reply: 256kb\n"))
	u := r.dial()
	u.send(command("GET", "large"))
	u.expect(bulk(value))
}

// The bound of the process holds for every pool.
func TestReplyLargerThanTheProcessAllows(t *testing.T) {
	s := testkit.StartScripted(t, answers(map[string]string{"large": bulk(strings.Repeat("v", 2<<20))}))
	r := startRig(t, oneServer(s.Addr(), ""))
	r.identity.Limits().SetMaxReply(1 << 20)
	u := r.dial()
	u.send(command("GET", "large"))
	u.expect("-ERR the reply has 2097164 bytes or more, and server_max_reply allows 1048576\r\n")
}

// What the servers of one request answer together has the same bound, whichever
// answers last, and nothing of it is kept meanwhile.
func TestRepliesTooLargeTogether(t *testing.T) {
	const bound, size = 256 << 10, 60 << 10
	for name, c := range map[string]struct {
		each int
		lost bool
	}{
		"within":    {1, false},
		"too large": {3, true},
		"by far":    {400, true},
	} {
		t.Run(name, func(t *testing.T) {
			value := strings.Repeat("v", size)
			mget := func(k *testkit.Talk) {
				for args, ok := k.Command(); ok; args, ok = k.Command() {
					if args[0] == "MGET" || args[0] == "mget" {
						k.Reply(elements(len(args)-1, size))
						continue
					}
					k.Reply(bulk(args[1]))
				}
			}
			one, two := testkit.StartScripted(t, mget), testkit.StartScripted(t, mget)
			r := startRig(t, twoServers(one.Addr(), two.Addr(), "  server_max_reply: 256kb\n  partial_results: nulls\n"))
			u := r.dial()
			owned := keysOfBoth(r)
			keys := []string{"MGET"}
			for range c.each {
				keys = append(keys, owned...)
			}
			u.send(command(keys...) + command("GET", "a"))
			if c.lost {
				line, err := u.in.ReadString('\n')
				if err != nil || !strings.HasPrefix(line, "-ERR the reply has ") || !strings.HasSuffix(line, "server_max_reply allows 262144\r\n") {
					t.Fatalf("got %q, %v", line, err)
				}
			} else {
				u.expect(fmt.Sprintf("*%d\r\n", 2*c.each) + strings.Repeat(bulk(value), 2*c.each))
			}
			u.expect(bulk("a"))
			r.awaitIdle()
			if n := r.stat().Vectors[stats.FailedRequests][msg.ReplyTooLarge]; (n == 1) != c.lost {
				t.Errorf("%d failed requests are counted", n)
			}
		})
	}
}

// keysOfBoth are a key of each of two servers.
func keysOfBoth(r *rig) []string {
	ring := r.topo.Ring()
	first := ring.Server([]byte("a"), 0)
	for i := range 100 {
		if key := fmt.Sprint("b", i); ring.Server([]byte(key), 0) != first {
			return []string{"a", key}
		}
	}
	r.t.Fatal("all keys have one owner")
	return nil
}

// A list of values is a reply like any other.
func TestValuesTooLarge(t *testing.T) {
	value := strings.Repeat("v", 900_000)
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for line, ok := k.Line(); ok; line, ok = k.Line() {
			var b strings.Builder
			for _, key := range strings.Fields(line)[1:] {
				fmt.Fprintf(&b, "VALUE %s 0 %d\r\n%s\r\n", key, len(value), value)
			}
			k.Reply(b.String() + "END\r\n")
		}
	})
	r := startRig(t, strings.Replace(oneServer(s.Addr(), "  server_max_reply: 2mb\n"), "redis: true", "redis: false", 1))
	u := r.dial()
	u.send("get" + strings.Repeat(" a", 40) + "\r\nget b\r\n")
	line, err := u.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "SERVER_ERROR the reply has ") || !strings.HasSuffix(line, "server_max_reply allows 2097152\r\n") {
		t.Fatalf("got %q, %v", line, err)
	}
	u.expect("VALUE b 0 900000\r\n" + value + "\r\nEND\r\n")
	r.awaitIdle()
}

// What the proxy asks for itself has a bound of its own, and nobody waits for ever.
func TestAnswerTooLarge(t *testing.T) {
	s := testkit.StartScripted(t, answers(map[string]string{"large.command": elements(1000, 1<<20), "2": elements(1000, 1<<20)}))
	t.Run("to a question", func(t *testing.T) {
		book := newLogBook(t, logging.Warn)
		r := startLoggedRig(t, oneServer(s.Addr(), ""), book.log)
		u := r.dial()
		u.send(command("LARGE.COMMAND", "a") + command("GET", "a"))
		u.expect("-ERR the servers do not say what this command is: their answer has more than 1048576 bytes\r\n" + bulk("a"))
		var held int64
		r.on(0, func(*proxy.Context) { held, _, _ = r.identity.Limits().Memory() })
		if held > 4<<20 {
			t.Errorf("%d bytes are held", held)
		}
		r.awaitIdle()
		lines := book.lines()
		if len(with(lines, "answer to the proxy itself is too large")) != 1 || len(with(lines, "server_max_reply")) != 0 {
			t.Errorf("told %v", lines)
		}
	})
	t.Run("to the handshake", func(t *testing.T) {
		r := startRig(t, oneServer(s.Addr(), "  redis_db: 2\n"))
		u := r.dial()
		u.send(command("GET", "a"))
		u.expect("-ERR the server of this key sent a reply larger than server_max_reply\r\n")
	})
}
