package daemon

import (
	"time"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

// snapshot is the statistics of this moment. It is nil when the instance ends.
func (c *core) snapshot() *stats.Snapshot {
	layout := c.current.Load().layout()
	shards := make([]*stats.Shard, len(c.loops.contexts))
	for i := range shards {
		shards[i] = stats.NewShard(layout)
	}
	if c.loops.onAll(func(ctx *proxy.Context) { ctx.CopyStats(shards[ctx.ID()]) }) != nil {
		return nil
	}
	snap := stats.Sum(layout, shards)
	now := time.Now()
	snap.ErrorNames = c.identity.Errors().Names()
	snap.Source = hostname()
	snap.Version = c.opts.Version
	snap.Uptime = int64(now.Sub(c.epoch) / time.Second)
	snap.Timestamp = now.Unix()
	return snap
}
