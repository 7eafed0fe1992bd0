package proxy_test

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// outages is the configuration of a pool in which so many failures eject a server.
func outages(limit, more string) string {
	return "  redis: true\n  timeout: 400\n  distribution: modula\n  auto_eject_hosts: true\n  server_retry_timeout: 20000\n" +
		"  server_failure_limit: " + limit + "\n" + more
}

// ends is how a stub ends a connection: it says no more, or breaks it.
var ends = map[string]func(*stubConn){"says no more": (*stubConn).stop, "breaks": (*stubConn).close}

// busy has new clients ask the first server, over as many connections as there are.
func (c *conversation) busy(clients int) (all []*party) {
	for range clients {
		p := c.join()
		c.calm()
		c.ask(p, command("GET", c.keyAt(0, 0)))
		all = append(all, p)
	}
	c.stubs[0].read()
	return all
}

// wantState fails unless the first server is in that state, after so many failures.
func (c *conversation) wantState(want topology.State, why msg.Reason, failures int64) {
	c.t.Helper()
	c.calm()
	got := c.topo.Servers()[0].State()
	if got.State != want || got.Reason != why || got.Failures != failures {
		c.t.Errorf("the server is %v for %q after %d failures, want %v for %q after %d",
			got.State, got.Reason, got.Failures, want, why, failures)
	}
}

// The end of a connection on which nothing is under way is no failure of its server:
// of one that was used, one that was made ahead and never used, of all at once.
func TestIdleConnectionEnds(t *testing.T) {
	for name, end := range ends {
		for kind, more := range map[string]string{"used": "", "made ahead": "  preconnect: true\n", "many": "  server_connections: 5\n"} {
			t.Run(kind+", "+name, func(t *testing.T) {
				c := converse(t, outages("1", more), resp{}, 2)
				if more == "" || kind == "many" {
					c.busy(10)
					c.answerAll(0)
				}
				s := c.stubs[0]
				s.read()
				if len(s.conns) == 0 {
					t.Fatal("there are no connections")
				}
				for _, k := range s.conns {
					end(k)
				}
				c.wantState(topology.Up, msg.OK, 0)
				c.over()
			})
		}
	}
}

// A connection that owes a reply when it ends is a failure, one that was never
// answered too, and one that ends in place of the handshake's reply.
func TestBusyConnectionEnds(t *testing.T) {
	for name, end := range ends {
		for kind, more := range map[string]string{"answered before": "", "fresh": "", "in the handshake": "  redis_auth: secret\n"} {
			t.Run(kind+", "+name, func(t *testing.T) {
				lang := resp{}
				if more != "" {
					lang.password = "secret"
				}
				c := converse(t, outages("1", more), lang, 1)
				p := c.join()
				if more != "" {
					c.ask(p, command("AUTH", "secret"))
				}
				if kind == "answered before" {
					c.ask(p, command("GET", c.keyAt(0, 0)))
					c.answerAll(0)
				}
				c.ask(p, command("GET", c.keyAt(0, 0)))
				c.stubs[0].read()
				end(c.stubs[0].conns[0])
				c.calm()
				if s := c.topo.Servers()[0].State(); s.State != topology.Ejected || s.Reason != msg.ServerEOF && s.Reason != msg.ConnReset && s.Reason != msg.BrokenPipe {
					t.Errorf("the server is %v for %q", s.State, s.Reason)
				}
				c.over()
			})
		}
	}
}

// Connections that fail together are one failure, whatever loops they belong to; what
// is connected to afterwards, and fails, is the next.
func TestConnectionsThatFailTogether(t *testing.T) {
	for name, end := range map[string]func(*conversation){
		"the server restarts": func(c *conversation) {
			for _, k := range c.stubs[0].conns {
				k.close()
				c.calm() // one after the other
			}
		},
		"it hangs": func(c *conversation) { c.wait(500 * time.Millisecond) },
		"some are killed, a little later": func(c *conversation) {
			for _, k := range c.stubs[0].conns {
				k.stop()
				c.wait(20 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := converse(t, outages("2", "  server_connections: 3\n"), resp{}, 2)
			c.busy(12)
			if n := len(c.stubs[0].conns); n < 3 {
				t.Fatalf("%d connections", n)
			}
			c.wait(time.Millisecond)
			end(c)
			c.wantState(topology.Up, msg.OK, 1)
			c.wait(time.Millisecond)
			c.busy(1)
			for _, k := range c.stubs[0].conns {
				k.close()
			}
			c.calm()
			if s := c.topo.Servers()[0].State(); s.State != topology.Ejected {
				t.Errorf("after another failure the server is %v", s.State)
			}
			c.over()
		})
	}
}

// A server that turns a connection away with an error in place of the first reply,
// and ends it, has failed, although it seems to have answered.
func TestTurnedAway(t *testing.T) {
	for _, tt := range []struct {
		line string
		why  msg.Reason
		lang dialect
	}{
		{"-ERR max number of clients reached\r\n", msg.NoDescriptors, resp{}},
		{"-DENIED Redis is running in protected mode\r\n", msg.AccessDenied, resp{}},
		{"ERROR Too many open connections\r\n", msg.NoDescriptors, text{}},
	} {
		t.Run(tt.line[:7], func(t *testing.T) {
			lines, get := outages("2", ""), func(key string) string { return command("GET", key) }
			if tt.lang == (text{}) {
				lines = strings.Replace(lines, "  redis: true\n", "", 1)
				get = func(key string) string { return "get " + key + "\r\n" }
			}
			c := converse(t, lines, tt.lang, 1)
			p := c.join()
			for i := range 2 {
				c.wait(time.Millisecond)
				c.ask(p, get(c.keyAt(0, 0)))
				c.stubs[0].read()
				k := c.stubs[0].conns[i]
				k.todo = nil
				k.out = []byte(tt.line)
				k.say(len(k.out))
				k.stop()
				c.calm()
				p.hears(tt.line)
			}
			c.wantState(topology.Ejected, tt.why, 0)
			c.over()

			// Nobody waits for one that was made ahead.
			c = converse(t, lines+"  preconnect: true\n", tt.lang, 1)
			s := c.stubs[0]
			s.read()
			s.conns[0].out = []byte(tt.line)
			s.conns[0].say(len(tt.line))
			s.conns[0].stop()
			c.wantState(topology.Up, msg.OK, 0)
			c.over()
		})
	}
}

// An error that is the server's answer to a request is not taken for that.
func TestErrorThenIdleEnd(t *testing.T) {
	c := converse(t, outages("1", ""), resp{}, 1)
	c.busy(1)
	k := c.stubs[0].conns[0]
	k.refuse()
	k.say(len(k.out))
	c.calm()
	k.stop()
	c.wantState(topology.Up, msg.OK, 0)
	c.over()
}

// Nor is an error in the words of a server that is full, of one that goes on to serve.
func TestNotTurnedAway(t *testing.T) {
	c := converse(t, outages("1", ""), resp{}, 1)
	p := c.busy(1)[0]
	k := c.stubs[0].conns[0]
	k.todo = nil
	k.out = []byte("-DENIED by a script\r\n")
	k.say(len(k.out))
	c.calm()
	c.ask(p, command("GET", c.keyAt(0, 0)))
	c.answerAll(0)
	k.close()
	c.wantState(topology.Up, msg.OK, 0)
	c.over()
}

// Where all that was lost is sent again, the fresh connection tells whether the server
// has failed.
func TestLostAndSentAgain(t *testing.T) {
	c := converse(t, outages("1", "  retry: idempotent\n"), resp{}, 1)
	p := c.join()
	for range 20 {
		c.ask(p, command("GET", c.keyAt(1, 0))) // which earns a retry
		c.answerAll(1)
	}
	c.ask(p, command("GET", c.keyAt(0, 0)))
	s := c.stubs[0]
	s.read()
	s.conns[0].close()
	c.wantState(topology.Up, msg.OK, 0)
	s.read()
	if len(s.conns) != 2 || len(s.conns[1].todo) != 1 {
		t.Fatal("the request was not sent again")
	}
	c.wait(time.Millisecond)
	s.conns[1].close()
	c.calm()
	if got := c.topo.Servers()[0].State(); got.State != topology.Ejected {
		t.Errorf("when it is lost again the server is %v", got.State)
	}
	c.over()
}

// A request that comes in the very turn in which its connection ends, and of which
// nothing is sent, says nothing against the server.
func TestEndBeforeARequestIsSent(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c := converse(t, outages("1", ""), resp{}, 1)
			p := c.busy(1)[0]
			c.answerAll(0)
			p.heard()
			p.out = append(p.out, command("GET", c.keyAt(0, 0))...)
			p.say(len(p.out))
			end(c.stubs[0].conns[0])
			c.calm()
			if s := c.topo.Servers()[0].State(); s.State != topology.Up {
				t.Errorf("the server is %v for %q", s.State, s.Reason)
			}
			c.over()
		})
	}
}

// over ends a conversation whose clients have heard what they are to hear.
func (c *conversation) over() {
	c.t.Helper()
	for _, p := range c.parties {
		p.close()
	}
	c.end(true)
}
