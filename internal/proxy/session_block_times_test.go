package proxy_test

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/latency"
	"nuthatch/internal/stats"
)

// waiting starts a conversation in which a client waits for an element of that key, which
// is at the first server.
func waiting(t *testing.T, lines string) (c *conversation, p *party, key string) {
	t.Helper()
	c, p = quick(t, lines)
	p.drain()
	key = c.keyAt(0, 0)
	c.ask(p, command("BLPOP", key, "0"))
	c.answerAll(0) // CLIENT ID
	return c, p, key
}

// longest is the longest time in h.
func longest(h *latency.Histogram) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return h.Quantile(1)
}

// How long a request waits at its server is in no histogram and not in the slow log, however
// the wait ends.
func TestWaitsAreNotMeasured(t *testing.T) {
	const long = time.Minute
	want := map[string]string{
		"an element": "*2", "CLIENT UNBLOCK": "-UNBLOCKED", "an error": "-ERR own words", "the loss of the connection": "-ERR the server closed the connection",
	}
	for name, end := range map[string]func(c *conversation){
		"an element": func(c *conversation) { c.answerAll(0) },
		"CLIENT UNBLOCK": func(c *conversation) {
			c.ask(c.join(), command("CLIENT", "UNBLOCK", "1", "ERROR"))
			s := c.stubs[0]
			s.lastConn().answer(1)
			for _, conn := range s.conns {
				conn.say(1 << 20)
			}
		},
		"an error": func(c *conversation) {
			c.stubs[0].lastConn().refuse()
			c.answerAll(0)
		},
		"the loss of the connection": func(c *conversation) {
			c.stubs[0].lastConn().close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, p, key := waiting(t, "")
			c.ask(p, command("PING")) // it waits, too
			slow := len(c.topo.SlowLog().Latest(-1))
			c.wait(long)
			end(c)
			c.calm()
			if heard := p.heard(); !strings.HasPrefix(heard, want[name]) || !strings.HasSuffix(heard, "\r\n+PONG\r\n") {
				t.Fatalf("heard %q", heard)
			}
			c.ask(p, command("GET", key)) // the times of the turn before are counted now
			c.answerAll(0)
			checkNotLong(t, c, long)
			if n := len(c.topo.SlowLog().Latest(-1)); n != slow {
				t.Errorf("%d requests are in the slow log", n-slow)
			}
		})
	}
}

// checkNotLong fails if a time in a histogram is as long as that.
func checkNotLong(t *testing.T, c *conversation, long time.Duration) {
	t.Helper()
	got := c.latencies()
	for i := range got.Commands {
		if d := longest(&got.Commands[i]); d >= long/2 {
			t.Errorf("command %d took clients %v", i, d)
		}
	}
	for family := range got.Servers[0] {
		if d := longest(&got.Servers[0][family]); d >= long/2 {
			t.Errorf("family %d took the server %v", family, d)
		}
	}
}

// WAIT is a wait like any other, at each of its servers.
func TestWaitForReplicasIsNotMeasured(t *testing.T) {
	const long = time.Minute
	c, p := quick(t, "")
	c.lang = rambling{}
	slow := len(c.topo.SlowLog().Latest(-1))
	p.drain()
	c.ask(p, command("WAIT", "1", "0")) // of the client's writes, to all servers
	for i := range c.stubs {
		c.answerAll(i) // CLIENT ID
	}
	c.wait(long)
	for i := range c.stubs {
		c.answerAll(i)
	}
	if heard := p.heard(); heard != ":1\r\n" {
		t.Errorf("heard %q", heard)
	}
	c.ask(p, command("GET", c.keyAt(0, 0)))
	c.answerAll(0)
	if got := c.latencies(); got.Commands[commandNamed("wait")].Count() != 1 {
		t.Errorf("WAIT was answered %d times", got.Commands[commandNamed("wait")].Count())
	}
	checkNotLong(t, c, long)
	if n := len(c.topo.SlowLog().Latest(-1)); n != slow {
		t.Errorf("%d requests are in the slow log", n-slow)
	}
}

// A connection on which a client waits is in use: server_idle_timeout does not close it.
func TestWaitIsNoIdlenessOfServers(t *testing.T) {
	c, p, _ := waiting(t, "  server_idle_timeout: 1s\n  client_idle_timeout: 1s\n")
	for range 100 {
		c.wait(300 * time.Millisecond)
	}
	if n := c.stubs[0].open(); n != 1 { // the shared one has been closed
		t.Errorf("the server has %d connections, want that of the client that waits", n)
	}
	c.answerAll(0)
	if heard := p.heard(); !strings.HasPrefix(heard, "*2\r\n") {
		t.Errorf("heard %q", heard)
	}
}

// The time for which a client waits is none in which it does not read: it has
// client_output_soft_time for what it gets then.
func TestWaitIsNoSlowReading(t *testing.T) {
	in := network(false)
	in.net.Window = 4 << 10
	c := converseIn(t, in, "  redis: true\n  client_output_soft_limit: 1kb\n  client_output_soft_time: 1s\n", resp{}, 1)
	t.Cleanup(c.stop)
	p := c.join()
	c.ask(p, command("BLPOP", p.key(20<<10, true), "0"))
	c.answerAll(0)
	c.answerAll(1)
	c.answerAll(2)
	c.wait(time.Hour)
	for range 10 {
		for i := range 3 {
			c.answerAll(i)
		}
	}
	c.wait(900 * time.Millisecond)
	if n := c.stats().Values[stats.ClientConnections]; n != 1 {
		t.Fatalf("there are %d clients 900 ms after the reply", n)
	}
	c.wait(300 * time.Millisecond)
	c.wait(300 * time.Millisecond)
	if n := c.stats().Values[stats.ClientConnections]; n != 0 {
		t.Errorf("there are %d clients 1.5 s after a reply that nobody reads", n)
	}
}
