package proxy_test

import (
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

// checkGauges fails unless the statistics say what is there: no client, nothing
// queued, and as many server connections as there are.
func (c *conversation) checkGauges() {
	c.t.Helper()
	for _, ctx := range c.loops {
		if n := proxy.Beside(ctx); n != 0 {
			c.t.Errorf("at the end %d bytes are counted for nothing", n)
		}
	}
	sum := c.sum()
	total := int64(1) // the listener
	for i, s := range c.stubs {
		got := &sum.Pools[0].Servers[s.place].Values
		for _, f := range []stats.ServerField{stats.InQueue, stats.InQueueBytes, stats.OutQueue, stats.OutQueueBytes, stats.PrivateConnections, stats.PrivateWaiting} {
			if got[f] != 0 {
				c.t.Errorf("at the end server %d has %s %d", i, stats.ServerFields[f].Name, got[f])
			}
		}
		if open := int64(s.open()); got[stats.ServerConnections] != open {
			c.t.Errorf("at the end server %d has %d connections, server_connections says %d", i, open, got[stats.ServerConnections])
		}
		total += got[stats.ServerConnections]
	}
	if got := sum.Pools[0].Values[stats.ClientConnections]; got != 0 {
		c.t.Errorf("at the end client_connections is %d", got)
	}
	if got := sum.Pools[0].Values[stats.ServerWaiting]; got != 0 {
		c.t.Errorf("at the end server_waiting is %d", got)
	}
	if sum.CurrConnections != total {
		c.t.Errorf("at the end curr_connections is %d, want %d", sum.CurrConnections, total)
	}
}

// sum are the statistics of all loops.
func (c *conversation) sum() *stats.Snapshot {
	var shards []*stats.Shard
	for _, ctx := range c.loops {
		s := stats.NewShard(c.layout())
		ctx.CopyStats(s)
		shards = append(shards, s)
	}
	return stats.Sum(c.layout(), shards)
}
