package proxy_test

import (
	"strings"
	"time"

	"nuthatch/internal/proxy"
)

// order is what an operator has the proxy do.
func (c *conversation) order(what, amount byte) {
	i := int(amount) % len(c.stubs)
	switch what % 8 {
	case 0:
		for _, ctx := range c.loops {
			ctx.Pause(c.topo)
		}
	case 1:
		c.resume()
	case 2, 3:
		c.renewed = true
		for _, ctx := range c.loops {
			ctx.Reconnect(c.topo, i-1, int64(c.now+time.Second))
		}
	case 4:
		c.upset = true
		c.topo.SetService(i, []proxy.Service{proxy.OffTheRing, proxy.Refused}[amount>>7], int64(c.now))
	case 5:
		c.topo.SetService(i, proxy.InService, int64(c.now))
	case 6, 7:
		c.renewed = true
		c.reload(amount&4 != 0)
	}
}

func (c *conversation) resume() {
	for _, ctx := range c.loops {
		ctx.Resume(c.topo)
	}
}

// reload has the loops use another configuration, or again the one that they began
// with.
func (c *conversation) reload(other bool) {
	lines := c.lines
	if other {
		lines = strings.Replace(lines, "  server_connections: 2\n", "", 1) + "  server_connections: 3\n"
		lines = strings.Replace(lines, "  timeout: 400\n", "  timeout: 300\n", 1)
	}
	c.pool = c.read(lines)
	c.topo = c.topo.Next(c.pool, int64(c.now))
	for _, ctx := range c.loops {
		ctx.Adopt(c.layout(), c.poolOptions(), int64(c.now+time.Second))
	}
	c.topo.Refresh(int64(c.now))
}
