package proxy_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// The error of a request whose connection the server closed, in nutcracker's
// words.
const lostWords = "-ERR unknown\r\n"

// A closer answers keys with themselves and SET with OK. Told to, it takes so
// many requests, says something, and closes.
type closer struct {
	take atomic.Int64
	say  string
	got  chan []string
}

func (s *closer) serve(k *testkit.Talk) {
	for {
		args, ok := k.Command()
		if !ok {
			return
		}
		if n := s.take.Load(); n > 0 {
			taken := []string{strings.Join(args, " ")}
			for int64(len(taken)) < n {
				if args, ok = k.Command(); !ok {
					return
				}
				taken = append(taken, strings.Join(args, " "))
			}
			s.take.Store(0)
			s.got <- taken
			k.Reply(s.say)
			return
		}
		switch strings.ToLower(args[0]) {
		case "set":
			k.Reply("+OK\r\n")
		case "mget":
			reply := fmt.Sprintf("*%d\r\n", len(args)-1)
			for _, key := range args[1:] {
				reply += bulk(key)
			}
			k.Reply(reply)
		default:
			k.Reply(bulk(args[1]))
		}
	}
}

// earn makes so many requests that there may be as many retries as tests need.
func earn(u *user) {
	u.t.Helper()
	u.send(strings.Repeat(command("GET", "k"), 200))
	u.expect(strings.Repeat(bulk("k"), 200))
}

// What was sent and is lost with the connection: reads are sent again, in their
// order, unless their reply had begun or their client sent a write behind them;
// writes never.
func TestRetryOfWhatWasSent(t *testing.T) {
	for _, tt := range []struct {
		name, retry string
		send        []string
		say         string
		want        string
	}{
		{"reads", "idempotent", []string{"GET a", "GET b", "GET c"}, "", bulk("a") + bulk("b") + bulk("c")},
		{"reads, and nothing is sent again", "none", []string{"GET a", "GET b"}, "", lostWords + lostWords},
		{"reads, but only the unsent are sent again", "unsent", []string{"GET a", "GET b"}, "", lostWords + lostWords},
		{"a write", "idempotent", []string{"SET a v"}, "", lostWords},
		{"a write between reads", "idempotent", []string{"GET a", "SET b v", "GET c"}, "", lostWords + lostWords + bulk("c")},
		{"a reply that has begun", "idempotent", []string{"GET a", "GET b"}, "$1\r\n", lostWords + bulk("b")},
		{"one that is answered", "idempotent", []string{"GET a", "GET b"}, bulk("x"), bulk("x") + bulk("b")},
		{"a read of several keys", "idempotent", []string{"MGET a b c"}, "", "*3\r\n" + bulk("a") + bulk("b") + bulk("c")},
		{"a command that is not known", "idempotent", []string{"INCR a"}, "", lostWords},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := closer{say: tt.say, got: make(chan []string, 100)}
			s := testkit.StartScripted(t, server.serve)
			r := startRig(t, oneServer(s.Addr(), "  timeout: 5000\n  retry: "+tt.retry+"\n"))
			u := r.dial()
			earn(u)
			server.take.Store(int64(len(tt.send)))
			var requests string
			for _, request := range tt.send {
				requests += command(strings.Fields(request)...)
			}
			u.send(requests + command("GET", "later"))
			// What comes behind may have been sent, too, or come later.
			if got := u.replies(strings.Count(tt.want+"x", "\r\n")); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := <-server.got; strings.Join(got, ",") != strings.Join(tt.send, ",") {
				t.Errorf("the server got %q", got)
			}
			u.line("")
			r.awaitIdle()
		})
	}
}

// replies reads so many lines.
func (u *user) replies(lines int) string {
	u.t.Helper()
	var all string
	for range lines {
		line, err := u.in.ReadString('\n')
		if err != nil {
			u.t.Fatal(err)
		}
		all += line
	}
	return all
}

// Parts of a request for several servers are sent again like any read.
func TestRetryOfAPart(t *testing.T) {
	server := closer{got: make(chan []string, 100)}
	one := testkit.StartScripted(t, server.serve)
	two := testkit.StartScripted(t, (&closer{}).serve)
	r := startRig(t, twoServers(one.Addr(), two.Addr(), "  retry: idempotent\n"))
	u := r.dial()
	its, other := keysOf(r, serverOne(t, r))
	earn(u)
	server.take.Store(1)
	value := strings.Repeat("k", 10_000) // one that is kept by reference
	u.send(command("MGET", its, other))
	u.expect("*2\r\n" + bulk(its) + bulk(other))
	server.take.Store(1)
	u.send(command("GET", value) + command("MGET", its, other, value))
	u.expect(bulk(value) + "*3\r\n" + bulk(its) + bulk(other) + bulk(value))
	r.awaitIdle()
}

// What waits behind a handshake has not been sent: it is sent again, writes too,
// once, and after that its client has an error.
func TestRetryOfWhatWasNotSent(t *testing.T) {
	for retry, want := range map[string][2]string{
		"none":       {lostWords + lostWords, lostWords + lostWords},
		"unsent":     {"+OK\r\n" + bulk("a"), lostWords + lostWords},
		"idempotent": {"+OK\r\n" + bulk("a"), lostWords + lostWords},
	} {
		t.Run(retry, func(t *testing.T) {
			var refusing atomic.Int64 // how many handshakes are not answered
			s := testkit.StartScripted(t, func(k *testkit.Talk) {
				if args, ok := k.Command(); !ok || args[0] != "SELECT" || refusing.Add(-1) >= 0 {
					return
				}
				k.Reply("+OK\r\n")
				(&closer{}).serve(k)
			})
			r := startRig(t, oneServer(s.Addr(), "  redis_db: 1\n  retry: "+retry+"\n"))
			u := r.dial()
			earn(u)
			for i, lost := range []int64{1, 2} {
				refusing.Store(lost)
				r.on(0, func(ctx *proxy.Context) { ctx.Reconnect(r.topo, nil, 0, new(topology.Moving)) })
				u.send(command("SET", "a", "v") + command("GET", "a"))
				u.expect(want[i])
				refusing.Store(0)
				u.send(command("GET", "b"))
				u.expect(bulk("b"))
			}
			r.awaitIdle()
		})
	}
}

// At most one in ten requests is sent again, however many are lost.
func TestRetryBudget(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) { k.Command() })
	r := startRig(t, oneServer(s.Addr(), "  retry: idempotent\n"))
	u := r.dial()
	const requests = 200
	for range requests {
		u.send(command("GET", "a"))
		u.expect(lostWords)
	}
	got := r.stat().Servers[0].Values
	if n := got[stats.Retries]; n != requests/10 {
		t.Errorf("%d of %d requests were sent again, want %d", n, requests, requests/10)
	}
	if n := got[stats.RetriesRefused]; n != requests-requests/10 {
		t.Errorf("%d were not for want of budget, want %d", n, requests-requests/10)
	}
	if n := s.Accepted(); n != requests+requests/10 {
		t.Errorf("%d connections, want %d", n, requests+requests/10)
	}
	r.awaitIdle()
}
