package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/topology"
)

// telling is the dialect of servers that tell clients of keys.
type telling struct{ rambling }

// answer implements dialect.
func (d telling) answer(s *stub, conn *stubConn, args []string) string {
	if args[0] == "CLIENT" && (args[1] == "TRACKING" || args[1] == "CACHING") {
		return "+OK\r\n"
	}
	return d.rambling.answer(s, conn, args)
}

// partEnds are what can happen to the part of a transaction that is on a connection, or
// waits until that is made.
var partEnds = map[string]func(c *conversation, s *stub, conn *stubConn){
	"closes":       func(_ *conversation, _ *stub, conn *stubConn) { conn.close() },
	"stops":        func(_ *conversation, _ *stub, conn *stubConn) { conn.stop() },
	"goes down":    func(_ *conversation, s *stub, _ *stubConn) { s.down() },
	"is silent":    func(c *conversation, _ *stub, _ *stubConn) { c.pass(time.Second) },
	"objects":      func(_ *conversation, _ *stub, conn *stubConn) { conn.refuse(); conn.say(1 << 20) },
	"babbles":      func(_ *conversation, _ *stub, conn *stubConn) { conn.nonsense(2) },
	"moves":        func(_ *conversation, s *stub, _ *stubConn) { s.move(false) },
	"is renewed":   func(c *conversation, _ *stub, _ *stubConn) { c.reconnect(time.Second) },
	"is off":       func(c *conversation, s *stub, _ *stubConn) { c.setService(s, topology.OffTheRing) },
	"is refused":   func(c *conversation, s *stub, _ *stubConn) { c.setService(s, topology.Refused) },
	"is renamed":   func(c *conversation, s *stub, _ *stubConn) { s.renamed++; c.replaced = true; c.reload(false) },
	"lost its ann": func(c *conversation, _ *stub, _ *stubConn) { c.parties[0].close() },
}

func (c *conversation) setService(s *stub, to topology.Service) {
	c.topo.SetService(c.topo.Servers()[s.place], to, int64(c.now))
}

// answerStubs has all stubs answer all that they are asked.
func (c *conversation) answerStubs() {
	for range 3 {
		for _, s := range c.stubs {
			s.answerAsked()
		}
	}
}

// lastConn is the connection to the stub that was made last and is open, or nil.
func (s *stub) lastConn() *stubConn {
	s.read()
	for _, conn := range slices.Backward(s.conns) {
		if !conn.closed && !conn.ended {
			return conn
		}
	}
	return nil
}

// answerAsked has the stub answer all that it is asked, until nothing comes any more.
func (s *stub) answerAsked() {
	for more := true; more; {
		more = false
		s.talk.calm()
		s.read()
		for _, conn := range s.conns {
			if len(conn.todo) > 0 && !conn.closed && !conn.spoilt {
				conn.answer(len(conn.todo))
				conn.say(len(conn.out))
				more = true
			}
		}
	}
}

// hearShown is what p hears, as stories have it, without pushes.
func (p *party) hearShown() (all []string) {
	for p.talk.calm(); !p.ended && !p.closed; p.talk.calm() {
		n, err := p.end.Read(p.talk.buf[:])
		if err != nil || n == 0 {
			break
		}
		p.in = append(p.in, p.talk.buf[:n]...)
	}
	for len(p.in) > 0 {
		shown, n := one(p.in)
		if n == 0 {
			break
		}
		if p.in = p.in[n:]; !strings.HasPrefix(shown, ">") {
			all = append(all, shown)
		}
	}
	return all
}

// A part of a transaction fails at each step of the way, over a shared connection or a
// private one, which may be in the making: its commands have an error, the others have
// their replies, each in its place, and nothing is left.
func TestPartsThatFail(t *testing.T) {
	for _, tracking := range []string{"", "ON", "ON BCAST", "ON OPTIN"} {
		for name, end := range partEnds {
			t.Run(strings.TrimSpace("tracking "+tracking)+"/"+name, func(t *testing.T) {
				for step := range 10 {
					partFails(t, "fake", tracking, step, end)
				}
				if name == "closes" {
					for step := range 10 {
						partFails(t, "completions", tracking, step, end)
					}
				}
			})
		}
	}
}

// partFails has a part fail when its server has answered so many requests.
func partFails(t *testing.T, in, tracking string, step int, end func(*conversation, *stub, *stubConn)) {
	t.Helper()
	c := converseIn(t, worlds[in](), "  redis: true\n  timeout: 400\n  transactions: per_server\n  server_retry_timeout: 100\n", telling{}, 1)
	c.cuts, c.upset = true, true
	a, b := c.stubs[0], c.stubs[1]
	p := c.join()
	ask := func(words ...string) {
		p.out = append(p.out, command(words...)...)
		p.say(len(p.out))
	}
	ask("HELLO", "3")
	if tracking != "" {
		ask(strings.Fields("CLIENT TRACKING " + tracking)...)
	}
	c.answerStubs()
	p.hearShown()
	for _, conn := range b.conns {
		conn.close() // with BCAST they were made
	}
	c.calm()

	keys := [2]string{c.keyLike("k0.%d.1", 0, 0), c.keyLike("k0.%d.1", 1, 0)}
	if tracking == "ON OPTIN" {
		ask("CLIENT", "CACHING", "YES")
	}
	ask("MULTI")
	ask("GET", keys[0])
	ask("GET", keys[1])
	ask("PING")
	ask("EXEC")
	ask("PING")
	a.answerAsked()
	for range step {
		if conn := b.lastConn(); conn != nil {
			conn.answer(1)
			conn.say(len(conn.out))
		}
		c.calm()
	}
	if conn := b.lastConn(); conn != nil {
		end(c, b, conn)
	}
	c.heal()
	for range 5 {
		c.answerStubs()
		c.pass(150 * time.Millisecond)
	}
	if !p.closed {
		judgeParts(t, fmt.Sprintf("%s, after %d answers", in, step), p.hearShown())
	}
	c.end(true)
}

// judgeParts fails unless the client has heard what it had to. The command of the second
// server may have failed.
func judgeParts(t *testing.T, when string, heard []string) {
	t.Helper()
	exec := len(heard) - 2
	if exec < 4 || !slices.Equal(heard[exec-4:exec], []string{"+OK", "+QUEUED", "+QUEUED", "+QUEUED"}) || heard[exec+1] != "+PONG" {
		t.Errorf("%s: heard %q", when, heard)
		return
	}
	got, before := strings.CutPrefix(heard[exec], `[ "k0.`)
	_, got, _ = strings.Cut(got, `=v" `)
	got, behind := strings.CutSuffix(got, " +PONG ]")
	if !before || !behind || !strings.HasPrefix(got, "-") && !strings.HasPrefix(got, `"k0.`) {
		t.Errorf("%s: EXEC brought %s", when, heard[exec])
	}
}
