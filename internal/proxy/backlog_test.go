package proxy_test

import (
	"testing"

	"nuthatch/internal/proxy"
)

// TestBacklogOfLastingLoad: a backlog that is never empty takes no more room for that.
func TestBacklogOfLastingLoad(t *testing.T) {
	c, d := sharing(t, 60)
	conn := c.stubs[0].conns[0]
	most := 0
	for i := range 10_000 {
		d.said++
		conn.out = append(conn.out, "*3\r\n"+bulk("message")+bulk(c.keyAt(0, 0))+bulk("x")...)
		conn.say(len(conn.out))
		c.turn()
		if i%20 == 0 {
			for _, p := range c.parties {
				p.hear(1 << 20)
				p.in = nil
			}
		}
		most = max(most, proxy.BacklogPlaces(c.loops[0]))
	}
	if most > 2*proxy.KeptBacklog {
		t.Errorf("the backlog has had %d places", most)
	}
}
