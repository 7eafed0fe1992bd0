package proxy_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// closed is how many of the pool's clients were closed for that reason.
func (r *rig) closed(why msg.Reason) int64 { return r.stat().Vectors[stats.ClosedClients][why] }

// The client above a limit is told so and closed; when another leaves there is
// room again.
func TestOneClientTooMany(t *testing.T) {
	s := testkit.StartScripted(t, echo)
	for _, c := range []struct {
		why   msg.Reason
		lines string
		max   int
	}{
		{msg.TooManyClients, "  client_connections: 2\n", 0},
		{msg.NoDescriptors, "", 2},
	} {
		t.Run(c.why.Name(), func(t *testing.T) {
			r := startRig(t, oneServer(s.Addr(), c.lines))
			r.identity.Limits().SetMaxClients(c.max)
			first, second := r.dial(), r.dial()
			first.send(command("GET", "a"))
			first.expect(bulk("a"))
			second.send(command("GET", "b"))
			second.expect(bulk("b"))
			if got, want := r.dial().rest(), "-ERR max number of clients reached\r\n"; got != want {
				t.Errorf("one too many is told %q, want %q", got, want)
			}
			if n := r.stat().Vectors[stats.RefusedClients][c.why]; n != 1 {
				t.Errorf("%d refusals are counted, want 1", n)
			}
			first.Close()
			await(t, "the first client to be gone", func() bool { return r.identity.Limits().Clients() == 1 })
			third := r.dial()
			third.send(command("GET", "c"))
			third.expect(bulk("c"))
		})
	}
}

// A client that sends nothing is closed; one that waits for a reply is not idle,
// and one that has only begun a request is.
func TestIdleClients(t *testing.T) {
	c := converse(t, "  redis: true\n  client_idle_timeout: 50ms\n", resp{}, 1)
	waits, silent, slow := c.join(), c.join(), c.join()
	c.ask(waits, command("GET", c.keyAt(0, 0)))
	slow.says("*2\r\n$3\r\nGE")
	c.wait(time.Second)
	silent.wants("silent", "", true)
	slow.wants("slow", "", true)
	if _, n := c.reasons(msg.ClientIdle); n != 2 {
		t.Errorf("%d idle clients are counted, want 2", n)
	}
	c.answerAll(0)
	waits.wants("it waits", "$4\r\nnone\r\n", false)
	c.wait(time.Second)
	waits.wants("it has its reply", "", true)
	c.stop()
}

// bigReplies answers every request with a megabyte.
func bigReplies(k *testkit.Talk) {
	reply := bulk(strings.Repeat("v", 1<<20))
	for _, ok := k.Command(); ok; _, ok = k.Command() {
		k.Reply(reply)
	}
}

// A client that does not read its replies is cut, by either limit, and one that
// reads them is not.
func TestClientThatDoesNotRead(t *testing.T) {
	for name, lines := range map[string]string{
		"hard": "  client_output_limit: 2mb\n",
		"soft": "  client_output_soft_limit: 100kb\n  client_output_soft_time: 200ms\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.StartScripted(t, bigReplies)
			r := startRig(t, oneServer(s.Addr(), "  client_max_queued: 64mb\n"+lines))
			reads, value := r.dial(), bulk(strings.Repeat("v", 1<<20))
			for range 10 {
				reads.send(command("GET", "a"))
				reads.expect(value)
			}
			r.dial().send(strings.Repeat(command("GET", "a"), 60))
			await(t, "the client to be cut", func() bool { return r.closed(msg.OutputLimit) == 1 })
			r.awaitIdle()
			reads.send(command("GET", "a"))
			reads.expect(value)
		})
	}
}

func TestTooManyKeys(t *testing.T) {
	one, two := testkit.StartScripted(t, echo), testkit.StartScripted(t, echo)
	r := startRig(t, twoServers(one.Addr(), two.Addr(), "  max_keys: 3\n"))
	u := r.dial()
	u.send(command("DEL", "a", "b", "c", "d") + command("GET", "a"))
	u.expect("-ERR too many keys in one request\r\n" + bulk("a"))
	if n := r.stat().Vectors[stats.FailedRequests][msg.TooManyKeys]; n != 1 {
		t.Errorf("%d requests with too many keys are counted, want 1", n)
	}
}

// Clients that send a byte now and then are no burden for others.
func TestManySlowClients(t *testing.T) {
	s := testkit.StartScripted(t, echo)
	r := startRig(t, oneServer(s.Addr(), ""))
	const clients = 200
	slow := make([]*user, clients)
	for i := range slow {
		slow[i] = r.dial()
	}
	u := r.dial()
	request := command("GET", "slowly")
	for i := range len(request) {
		for _, c := range slow {
			c.send(request[i : i+1])
		}
		key := fmt.Sprint("quick", i)
		u.send(command("GET", key))
		u.expect(bulk(key))
	}
	for _, c := range slow {
		c.expect(bulk("slowly"))
	}
	r.awaitIdle()
}

// Clients that send a request a byte now and then are cut when they hold the
// memory, so many at a time that others do not starve. One whose request ends is
// served.
func TestSlowRequestsFillMemory(t *testing.T) {
	s := testkit.StartScripted(t, echo)
	r := startRig(t, oneServer(s.Addr(), ""))
	const clients, begun = 200, 20_000
	slow := make([]*user, clients)
	for i := range slow {
		slow[i] = r.dial()
		slow[i].send(command("SET", "a", strings.Repeat("v", 1<<20))[:begun])
	}
	held := func() int64 { n, _, _ := r.identity.Limits().Memory(); return n }
	await(t, "the requests to have begun", func() bool { return held() > clients*begun })
	stop := make(chan struct{})
	var creeping sync.WaitGroup
	creeping.Go(func() {
		for {
			for _, c := range slow {
				_, _ = c.Write([]byte("v"))
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	honest, fast := r.dial(), r.dial()
	request := command("SET", "b", strings.Repeat("v", 60_000))
	honest.send(request[:40_000])
	await(t, "another one to have begun", func() bool { return r.stat().Values[stats.ClientConnections] == clients+2 })
	hard := held() * 3 / 4
	r.identity.Limits().SetMemory(hard*3/4, hard)
	honest.send(request[40_000:])
	honest.expect("+OK\r\n")
	fast.send(request)
	fast.expect("+OK\r\n")
	await(t, "memory again", func() bool { return held() < hard*3/4 })
	close(stop)
	creeping.Wait()
	if n := r.closed(msg.SlowRequest); n < clients/4 || n == clients {
		t.Errorf("%d of %d slow clients were cut", n, clients)
	}
	if n := r.closed(msg.NoMemory); n != 0 {
		t.Errorf("%d clients were cut for another reason", n)
	}
	for _, c := range slow {
		c.Close()
	}
	r.awaitIdle()
}

// A reply that is larger than all memory there is costs its client the
// connection, and nobody else anything. When it is gone all memory is free.
func TestReplyLargerThanMemory(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			if args[1] == "large" {
				k.Reply(bulk(strings.Repeat("v", 8<<20)))
				continue
			}
			k.Reply(bulk(args[1]))
		}
	})
	r := startRig(t, oneServer(s.Addr(), "  timeout: 9000\n"))
	u := r.dial()
	u.send(command("GET", "a"))
	u.expect(bulk("a"))
	r.identity.Limits().SetMemory(2<<20, 3<<20)
	greedy := r.dial()
	greedy.send(command("GET", "large"))
	await(t, "the client to be cut", func() bool { return r.closed(msg.NoMemory) == 1 })
	u.send(command("GET", "b"))
	u.expect(bulk("b"))
	r.awaitIdle()
	if held, _, _ := r.identity.Limits().Memory(); held > 1<<20 {
		t.Errorf("%d bytes are held when nothing is in flight", held)
	}
}

// Requests that together do not fit are served one after the other.
func TestRequestsLargerThanMemory(t *testing.T) {
	s := testkit.StartScripted(t, echo)
	r := startRig(t, oneServer(s.Addr(), ""))
	r.identity.Limits().SetMemory(2<<20, 3<<20)
	const clients = 16
	request := command("SET", "a", strings.Repeat("v", 1<<20))
	users := make([]*user, clients)
	for i := range users {
		users[i] = r.dial()
		go func() { _, _ = users[i].Write([]byte(request)) }()
	}
	for _, u := range users {
		u.expect("+OK\r\n")
	}
	if n := r.closed(msg.NoMemory); n != 0 {
		t.Errorf("%d clients were cut", n)
	}
	r.awaitIdle()
}

// What is known of the words of a request counts as memory as its bytes do: of one
// that is half sent, and of one that waits for its servers.
func TestMemoryOfManyWords(t *testing.T) {
	const words = 100_000
	silent := func(k *testkit.Talk) { k.Drain() }
	one, two := testkit.StartScripted(t, silent), testkit.StartScripted(t, silent)
	pool := twoServers(one.Addr(), two.Addr(), "")
	mget := fmt.Sprintf("*%d\r\n$4\r\nMGET\r\n", words+1) + strings.Repeat("$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n", words/4)
	for name, c := range map[string]struct {
		pool, request string
		least         int64
	}{
		"sent":      {pool, mget, 2 * words},
		"half sent": {strings.Replace(pool, "redis: true", "redis: false", 1), "get" + strings.Repeat(" a", words), 10 * words},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t, c.pool)
			r.identity.Limits().SetMemory(1<<30, 2<<30)
			held := func() int64 {
				n, _, _ := r.identity.Limits().Memory()
				return n
			}
			u := r.dial()
			u.send(c.request)
			await(t, "what is known to count", func() bool {
				chunks := 0
				r.on(0, func(ctx *proxy.Context) { _, chunks = ctx.Live() })
				r.on(0, func(*proxy.Context) {}) // a turn behind the one that was looked at
				return held() >= c.least && (name != "sent" || chunks == 0)
			})
			if name == "sent" {
				return // its client waits
			}
			u.Close()
			await(t, "its memory to be free", func() bool {
				r.on(0, func(*proxy.Context) {})
				return held() < 64<<10
			})
		})
	}
}
