package daemon

import (
	"time"

	"nuthatch/internal/stats"
)

// snapshot is the statistics of this moment. It is nil when the instance ends.
func (c *core) snapshot() *stats.Snapshot {
	layout := c.current.Load().layout()
	shards := make([]*stats.Shard, 0, len(c.loops.contexts))
	copies := make(chan *stats.Shard, len(c.loops.contexts))
	for _, ctx := range c.loops.contexts {
		dst := stats.NewShard(layout)
		ctx.Loop().Post(func() {
			ctx.CopyStats(dst)
			copies <- dst
		})
	}
	for range c.loops.contexts {
		select {
		case s := <-copies:
			shards = append(shards, s)
		case <-c.life.stopping:
			return nil
		}
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
