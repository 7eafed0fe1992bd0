package proxy_test

import (
	"testing"
	"time"

	"nuthatch/internal/stats"
)

// sentToServers is how many bytes of requests have gone to servers.
func (c *conversation) sentToServers() (n int64) {
	servers := c.stats().Servers
	for i := range servers {
		n += servers[i].Values[stats.RequestBytes]
	}
	return n
}

// A slow request has as many bytes as were sent to servers for it, for all its parts if
// it was split: when it is answered at once, when its reply waits for its turn, and when
// it takes too long.
func TestSlowLogCountsBytesOfParts(t *testing.T) {
	c, p := quick(t, "  request_timeout: 300ms\n")
	one, two, three := c.keyAt(0, 0), c.keyAt(1, 0), c.keyAt(2, 0)
	split := [][]string{{"MGET", one, two, three}, {"MSET", one, "v", two, "v"}, {"DBSIZE"}}
	for _, request := range split {
		before := c.sentToServers()
		c.ask(p, command(request...))
		c.later(20 * time.Millisecond)
		for i := range 3 {
			c.answerAll(i)
		}
		c.calm()
		if e, want := c.topo.SlowLog().Latest(1)[0], c.sentToServers()-before; e.Error != "" || int64(e.RequestBytes) != want || want == 0 {
			t.Errorf("%v: %+v, want %d bytes", request, e, want)
		}

		c.ask(p, command("GET", three))
		c.calm()
		before = c.sentToServers()
		c.ask(p, command("MGET", one, two))
		c.later(20 * time.Millisecond)
		c.answerAll(0)
		c.answerAll(1)
		c.calm()
		want := c.sentToServers() - before
		c.later(20 * time.Millisecond)
		c.answerAll(2)
		c.calm()
		if e := c.topo.SlowLog().Latest(1)[0]; e.Command != "mget" || e.Turn == 0 || int64(e.RequestBytes) != want {
			t.Errorf("MGET out of turn: %+v, want %d bytes", e, want)
		}

		before = c.sentToServers()
		c.ask(p, command(request...))
		c.calm()
		c.answerAll(0)
		c.later(320 * time.Millisecond)
		c.calm()
		if e, want := c.topo.SlowLog().Latest(1)[0], c.sentToServers()-before; e.Error != "request_timed_out" || int64(e.RequestBytes) != want {
			t.Errorf("%v that takes too long: %+v, want %d bytes", request, e, want)
		}
		c.answerAll(1)
		c.answerAll(2)
		c.calm()
	}
}
