package proxy_test

import (
	"strings"
	"testing"

	"nuthatch/internal/topology"
)

// unblocked is how many errors the servers have given to requests whose wait was ended, and
// how many other errors.
func unblocked(c *conversation) (n, others int64) {
	pool := c.stats()
	for prefix, count := range pool.ErrorReplies(c.identity.Errors().Names()) {
		if prefix == "UNBLOCKED" {
			n += count
		} else {
			others += count
		}
	}
	return n, others
}

// answerUnblock has the first server answer CLIENT UNBLOCK, and say that the wait is over.
func answerUnblock(c *conversation) {
	s := c.stubs[0]
	s.read()
	s.lastConn().answer(1)
	for _, conn := range s.conns {
		conn.say(1 << 20)
	}
	c.calm()
}

// A wait that the proxy itself ends, to begin it anew, is no error of the server's.
func TestOwnUnblockingIsNoError(t *testing.T) {
	for name, event := range map[string]struct{ begin, end func(c *conversation) }{
		"a pause": {
			begin: func(c *conversation) { c.loops[0].Pause(c.topo) },
			end:   func(c *conversation) { c.resume() },
		},
		"a reload": {
			begin: func(c *conversation) {
				c.topo.SetService(c.topo.Servers()[c.stubs[0].place], topology.OffTheRing, int64(c.now))
				c.reload(false)
			},
			end: func(c *conversation) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, p, _ := waiting(t, "")
			event.begin(c)
			c.calm()
			answerUnblock(c)
			event.end(c)
			c.calm()
			if n, others := unblocked(c); n+others != 0 {
				t.Errorf("%d errors count as those of requests that were unblocked, %d as others", n, others)
			}
			for i := range c.stubs { // CLIENT ID, and the wait
				c.answerAll(i)
				c.answerAll(i)
			}
			if heard := p.heard(); !strings.HasPrefix(heard, "*2\r\n") {
				t.Errorf("heard %q", heard)
			}
		})
	}
}

// The same words are an error if a client has asked for them, later on the same connection, too.
func TestUnblockingForAClientIsAnError(t *testing.T) {
	c, p := quick(t, "")
	c.lang = rambling{}
	p.drain()
	key := c.keyAt(0, 0)
	c.ask(p, command("WATCH", key)) // it keeps its connection
	for range 3 {                   // CLIENT ID, an empty transaction
		c.answerAll(0)
	}
	if heard := p.heard(); heard != "+OK\r\n" {
		t.Fatalf("heard %q", heard)
	}
	c.ask(p, command("BLPOP", key, "0"))
	its := c.stubs[0].lastConn()
	c.loops[0].Pause(c.topo)
	c.calm()
	answerUnblock(c)
	c.resume()
	c.calm()
	if n, _ := unblocked(c); n != 0 {
		t.Errorf("%d errors count as those of requests that were unblocked by the pause", n)
	}
	c.ask(c.join(), command("CLIENT", "UNBLOCK", "1", "ERROR"))
	answerUnblock(c)
	if heard := p.heard(); heard != "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n" {
		t.Fatalf("heard %q", heard)
	}
	if its.ended {
		t.Error("the client has got another connection")
	}
	if n, others := unblocked(c); n != 1 || others != 0 {
		t.Errorf("%d errors count as those of requests that were unblocked, %d as others", n, others)
	}
}
