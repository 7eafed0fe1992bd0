package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"nuthatch/internal/proxy"
	"nuthatch/internal/topology"
)

// A client's requests are carried out in its order when its connections to servers
// are replaced, whatever else it waits for at that moment.
func TestOrderAcrossConnections(t *testing.T) {
	reconnect := func(c *conversation) {
		moving := new(topology.Moving)
		for _, ctx := range c.loops {
			ctx.Reconnect(c.topo, nil, int64(c.now+time.Second), moving)
		}
	}
	pause := func(c *conversation) {
		for _, ctx := range c.loops {
			ctx.Pause(c.topo)
		}
	}
	for name, replace := range map[string]func(*conversation){
		"reconnect":            reconnect,
		"other connections":    func(c *conversation) { c.reload(true) },
		"pause, reconnect":     func(c *conversation) { pause(c); reconnect(c); c.resume() },
		"reconnect in a pause": func(c *conversation) { pause(c); c.calm(); reconnect(c); c.calm(); c.resume() },
		"another address": func(c *conversation) {
			for _, s := range c.stubs {
				s.read()
				s.move(false)
			}
		},
		"another name": func(c *conversation) {
			for _, s := range c.stubs {
				s.renamed++
			}
			c.reload(false)
		},
	} {
		for kind, wait := range map[string]string{
			"nothing": "", "an unknown command": command("NO.SUCH", "a"), "a known one": command("FOO.GET", "a"),
			"another lane": command("SELECT", "1"), "RESP3": command("HELLO", "3"),
		} {
			t.Run(name+" behind "+kind, func(t *testing.T) {
				c := converse(t, "  redis: true\n  timeout: 400\n  databases: 2\n", resp{}, 1)
				p := c.join()
				ask := func() {
					for range 5 { // enough for every server to get some, few enough for no bound
						c.lang.ask(p, 2, 10)
						c.lang.ask(p, 0, 10)
					}
				}
				ask()
				if wait != "" {
					p.request(wait, func(string) bool { return true })
				}
				p.say(len(p.out))
				c.calm()
				c.renewed = true
				replace(c)
				ask()
				p.say(len(p.out))
				c.calm()
				// One server answers, and with it the question if there is one. Then each of
				// the others sees what else it is asked before it has answered the first.
				for _, s := range c.stubs {
					s.read()
					for _, k := range s.conns {
						k.answer(len(k.todo))
						k.say(len(k.out))
						c.calm()
						for _, s := range c.stubs {
							s.read()
						}
					}
				}
				c.end(true)
			})
		}
	}
}

// A judge is a test whose failures are what is looked for.
type judge struct {
	testing.TB
	failures []string
}

func (j *judge) Errorf(format string, args ...any) {
	j.failures = append(j.failures, fmt.Sprintf(format, args...))
}

// The model sees when a request overtakes an earlier one of its client, on another
// connection and on the same, also after connections were replaced, and does not take
// for that what has failed.
func TestConversationSeesOvertaking(t *testing.T) {
	for name, tt := range map[string]struct {
		events func(c *conversation, old, fresh *stubConn, first, second string)
		seen   bool
	}{
		"in order": {events: func(_ *conversation, old, fresh *stubConn, first, second string) {
			old.hear(command("SET", first, valueOf(first)))
			old.answer(1)
			fresh.hear(command("GET", second))
		}},
		"the first waits on another connection": {events: func(_ *conversation, old, fresh *stubConn, first, second string) {
			old.hear(command("SET", first, valueOf(first)))
			fresh.hear(command("GET", second))
		}, seen: true},
		"a read waits there": {events: func(_ *conversation, old, fresh *stubConn, first, second string) {
			old.hear(command("GET", first))
			fresh.hear(command("SET", second, valueOf(second)))
		}, seen: true},
		"the first comes last": {events: func(_ *conversation, old, fresh *stubConn, first, second string) {
			fresh.hear(command("SET", second, valueOf(second)))
			old.hear(command("GET", first))
		}, seen: true},
		"it comes last on the same connection": {events: func(_ *conversation, old, _ *stubConn, first, second string) {
			old.hear(command("SET", second, valueOf(second)))
			old.hear(command("GET", first))
		}, seen: true},
		"the old connection has ended": {events: func(_ *conversation, old, fresh *stubConn, first, second string) {
			old.hear(command("SET", first, valueOf(first)))
			old.ended = true
			fresh.hear(command("GET", second))
		}},
		"the time of the first is over": {events: func(c *conversation, old, fresh *stubConn, first, second string) {
			old.hear(command("SET", first, valueOf(first)))
			c.pass(time.Second)
			fresh.hear(command("GET", second))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := converse(t, "  redis: true\n  request_timeout: 1s\n", resp{}, 1)
			j := &judge{TB: t}
			c.t, c.renewed = j, true
			p, s := c.join(), c.stubs[0]
			old, fresh := &stubConn{stub: s, end: unixEnd(-1)}, &stubConn{stub: s, end: unixEnd(-1)}
			s.conns = append(s.conns, old, fresh)
			first := p.key(0, true)
			tt.events(c, old, fresh, first, p.key(0, true))
			if seen := len(j.failures) > 0; seen != tt.seen {
				t.Errorf("the model found %q", j.failures)
			}
			s.conns = nil
			c.t = t
			c.end(true)
		})
	}
}

// hear has the stub read that on the connection.
func (k *stubConn) hear(request string) {
	k.in = append(k.in, request...)
	k.take()
}

// What is in flight when a reload gives servers other places names the server that it
// went to, in the slow log and in stats; so does what is about one that is removed.
func TestNamesThroughReload(t *testing.T) {
	move := func(c *conversation) {
		c.renewed = true
		c.stubs[0].renamed++ // which has the longest name now, and stands last
		c.reload(false)
		if c.stubs[1].place != 0 || c.stubs[0].place != 2 {
			t.Fatalf("servers have the places %d and %d", c.stubs[0].place, c.stubs[1].place)
		}
	}
	c := converse(t, "  redis: true\n", resp{}, 1)
	c.loops[0].SetMeasures(proxy.Measures{SlowLog: true, SlowerThan: time.Millisecond})
	p := c.join()
	for i := range c.stubs {
		c.ask(p, command("GET", c.keyAt(i, 0)))
	}
	c.ask(p, command("MGET", c.keyAt(0, 0), c.keyAt(1, 0)))
	c.wait(time.Second)
	move(c)
	for i := range c.stubs {
		c.answerAll(i)
	}
	got := ""
	for _, e := range c.topo.SlowLog().Latest(10) {
		got = e.ServerName + " " + got
	}
	if want := "a b c b "; got != want {
		t.Errorf("the slow log names %q, want %q", got, want)
	}
	p.heard()
	c.over()

	c = converse(t, "  distribution: modula\n", text{}, 1)
	p = c.join()
	c.ask(p, "stats slabs\r\n")
	for i, s := range c.stubs {
		s.read()
		s.conns[0].out = fmt.Appendf(nil, "STAT pid %d\r\nEND\r\n", i)
		s.conns[0].todo = nil
	}
	move(c)
	for _, s := range c.stubs {
		s.conns[0].say(1 << 10)
	}
	c.calm()
	p.hears("STAT a:pid 0\r\nSTAT b:pid 1\r\nSTAT c:pid 2\r\nEND\r\n")
	c.over()
}

// Who has found a server in one configuration means that server in the next, too.
func TestReconnectThroughReload(t *testing.T) {
	c := converse(t, "  redis: true\n  preconnect: true\n", resp{}, 1)
	before, b := c.topo, c.stubs[1].place
	c.renewed = true
	c.stubs[0].renamed++
	c.reload(false)
	c.calm()
	for _, s := range c.stubs {
		s.read()
	}
	conns := []int{len(c.stubs[0].conns), len(c.stubs[1].conns), len(c.stubs[2].conns)}
	c.loops[0].Reconnect(before, before.Servers()[b], int64(c.now), new(topology.Moving))
	c.calm()
	for i, s := range c.stubs {
		s.read()
		ended := 0
		for _, k := range s.conns[:conns[i]] {
			if k.ended {
				ended++
			}
		}
		// The first has lost the connection of its former name.
		if want := []int{1, 1, 0}[i]; ended != want {
			t.Errorf("of server %d %d connections have ended, want %d", i, ended, want)
		}
	}
	c.end(true)
}
