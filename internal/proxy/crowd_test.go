package proxy_test

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/proxy"
)

// crowded is a conversation in which a turn does little, with that many clients that
// have come.
func crowded(t *testing.T, lines string, clients int, budget proxy.Amount) *conversation {
	t.Helper()
	c := converse(t, lines+"  redis: true\n", resp{}, 1)
	for range clients {
		c.join()
	}
	c.calm()
	c.loops[0].SetBudget(budget)
	c.loops[0].MostInTurn()
	return c
}

// wantMost fails unless a turn has done that much at the most, of what the field is,
// and not much less.
func (c *conversation) wantMost(what string, got, want, slack int) {
	c.t.Helper()
	if got > want+slack || got < want {
		c.t.Errorf("a turn did %d %s, want %d, and %d more at the most", got, what, want, slack)
	}
}

// Everything that was under way on a connection that ends fails, some of it in each
// turn, and in its order.
func TestManyFailuresAreToldInSlices(t *testing.T) {
	c := crowded(t, "", 4, proxy.Amount{Keys: 400, Clients: 100, Bytes: 1 << 20})
	for _, p := range c.parties {
		for range 200 {
			resp{}.ask(p, 0, 5)
		}
		p.say(len(p.out))
	}
	c.calm()
	for _, s := range c.stubs {
		s.read()
	}
	c.loops[0].MostInTurn()
	for _, s := range c.stubs {
		s.down()
	}
	c.calm()
	c.wantMost("keys", c.loops[0].MostInTurn().Keys, 400, 16*3)
	c.end(true)
}

// Many requests that have taken too long are answered some in each turn.
func TestManyExpiriesInSlices(t *testing.T) {
	c := crowded(t, "  request_timeout: 100ms\n", 10, proxy.Amount{Keys: 160, Clients: 100, Bytes: 1 << 20})
	for _, p := range c.parties {
		for range 40 {
			resp{}.ask(p, 0, 5)
		}
		p.say(len(p.out))
	}
	c.calm()
	c.pass(time.Second)
	c.calm()
	c.wantMost("keys", c.loops[0].MostInTurn().Keys, 160, 16)
	for _, p := range c.parties {
		if p.hear(1 << 20); len(p.expects) > 0 {
			t.Errorf("client %d waits for %d replies", p.id, len(p.expects))
		}
	}
	c.end(true)
}

// Many clients that are to leave, or have been idle for too long, go some in each
// turn; none stays.
func TestManyClientsGoInSlices(t *testing.T) {
	const clients, budget = 100, 8
	for name, leave := range map[string]func(c *conversation){
		"drain": func(c *conversation) { c.loops[0].Drain(int64(c.now + time.Minute)) },
		"drain, overdue": func(c *conversation) {
			for _, p := range c.parties {
				p.out = append(p.out, "*1\r\n"...) // a request that has begun
				p.say(len(p.out))
			}
			c.calm()
			c.loops[0].Drain(int64(c.now + 10*time.Millisecond))
			c.pass(time.Second)
		},
		"idle": func(c *conversation) { c.pass(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			c := crowded(t, "  client_idle_timeout: 2s\n", clients, proxy.Amount{Keys: 1000, Clients: budget, Bytes: 1 << 20})
			c.cuts = true
			leave(c)
			c.calm()
			c.wantMost("clients", c.loops[0].MostInTurn().Clients, budget, 0)
			for _, p := range c.parties {
				if p.hear(1 << 20); !p.ended {
					t.Errorf("client %d has not been closed", p.id)
				}
				p.lost = true
				p.close()
			}
			c.calm()
			c.pass(time.Minute)
			c.calm()
			if n := c.loops[0].Clients(); n != 0 {
				t.Errorf("%d clients are left", n)
			}
		})
	}
}

// Clients that waited for a paused pool are taken up some in each turn; all are
// served.
func TestPausedClientsResumeInSlices(t *testing.T) {
	const budget = 16 << 10
	c := crowded(t, "", 100, proxy.Amount{Keys: 10_000, Clients: 100, Bytes: budget})
	c.loops[0].Pause(c.topo)
	for _, p := range c.parties {
		resp{}.ask(p, 2, 190) // SET
		resp{}.ask(p, 0, 5)
		p.say(len(p.out))
	}
	c.calm()
	c.loops[0].MostInTurn()
	c.resume()
	turns := 0
	for c.turn() {
		turns++
	}
	most := c.loops[0].MostInTurn()
	c.wantMost("bytes", most.Bytes, budget/16, 400)
	if turns < 20 {
		t.Errorf("100 clients were taken up in %d turns", turns)
	}
	c.end(true)
}

// What is answered here is answered some in each turn, whoever asks: a pipeline of
// requests whose answers cost much does not hold up the loop. Whoever asks a server
// meanwhile is served.
func TestManyAnswersInSlices(t *testing.T) {
	const budget = 16 << 10
	c := crowded(t, "", 40, proxy.Amount{Keys: 10_000, Clients: 100, Bytes: budget})
	text := strings.Repeat("x", 300)
	for _, p := range c.parties {
		for range 20 {
			p.request(command("ECHO", text), is(bulk(text)))
			p.seq++
		}
		resp{}.ask(p, 0, 5)
		p.say(len(p.out))
	}
	turns := 0
	for c.turn() {
		turns++
	}
	// As much of what has just come, and as much of what came before.
	c.wantMost("bytes", c.loops[0].MostInTurn().Bytes, budget/16, budget/16+3000)
	if turns < 100 {
		t.Errorf("800 requests were answered in %d turns", turns)
	}
	c.end(true)
}
