package daemon

import (
	"slices"
	"sync"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/hotkeys"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/topology"
)

// serversAtOnce is how many servers' histograms a loop copies in one turn, in about 100
// microseconds.
const serversAtOnce = 32

// measures is what the configuration asks to measure. It sizes the slow logs.
func (in *Instance) measures(g *generation) proxy.Measures {
	p := &g.conf.Process
	for _, t := range g.topo {
		t.SlowLog().Resize(p.SlowlogMaxLen)
	}
	m := proxy.Measures{
		Latency: p.Latency, HotKeys: p.HotKeys,
		SlowLog: p.SlowlogMaxLen > 0, SlowerThan: p.SlowlogSlowerThan, SlowKeys: p.SlowlogKeys,
		TurnTimes: p.TurnTimes,
	}
	in.traces.traced(p, &m)
	return m
}

// commandsOf are the commands of a pool's protocol, by msg.Type.
func commandsOf(p *config.Pool) []msg.Command {
	switch p.Protocol {
	case config.Redis:
		return redis.Commands()
	case config.Memcached:
	}
	return memcache.Commands()
}

// SlowLog returns the latest n entries of all pools' slow logs, or all if n is
// negative, the latest first.
// They are not changed any more.
func (v *view) SlowLog(n int) []*slowlog.Entry {
	var all []*slowlog.Entry
	for _, t := range v.current.Load().topo {
		all = append(all, t.SlowLog().Latest(n)...)
	}
	slices.SortStableFunc(all, func(a, b *slowlog.Entry) int { return b.Time.Compare(a.Time) })
	if n < 0 {
		return all
	}
	return all[:min(n, len(all))]
}

// latencies keeps the copies that loops have made, for their memory to be used
// again.
type latencies struct {
	mu     sync.Mutex
	copies map[latencyCopy]*proxy.PoolLatency
}

type latencyCopy struct {
	ctx *proxy.Context
	of  *topology.Members
}

// Latency asks the loops how long requests took. The error says that the instance
// ends.
func (v *view) Latency() ([]admin.PoolLatency, error) {
	g := v.current.Load()
	l := &v.latencies
	l.mu.Lock()
	defer l.mu.Unlock()
	copies := make(map[latencyCopy]*proxy.PoolLatency)
	all := make([]*topology.Members, len(g.topo))
	for i, t := range g.topo {
		all[i] = t.Snapshot().Members
	}
	for _, ctx := range v.loops.contexts {
		for _, of := range all {
			c := latencyCopy{ctx, of}
			if copies[c] = l.copies[c]; copies[c] == nil {
				copies[c] = new(proxy.PoolLatency)
			}
		}
	}
	l.copies = copies
	pools := make([]admin.PoolLatency, len(g.topo))
	for i, t := range g.topo {
		of := all[i]
		for first := 0; first < len(of.Servers); first += serversAtOnce {
			err := v.loops.onAll(func(ctx *proxy.Context) {
				ctx.CopyLatency(t, of, first, first+serversAtOnce, copies[latencyCopy{ctx, of}])
			})
			if err != nil {
				return nil, err
			}
		}
		pools[i] = admin.PoolLatency{Name: g.conf.Pools[i].Name, Servers: make([]admin.ServerLatency, len(of.Servers))}
		for j, name := range of.Names {
			pools[i].Servers[j].Name = name
		}
		for _, ctx := range v.loops.contexts {
			addLatency(&pools[i], copies[latencyCopy{ctx, of}])
		}
		nameCommands(&pools[i], commandsOf(&g.conf.Pools[i]))
	}
	return pools, nil
}

// addLatency merges what one loop has measured. Commands are by their number until
// nameCommands is called.
func addLatency(p *admin.PoolLatency, c *proxy.PoolLatency) {
	for len(p.Commands) < len(c.Commands) {
		p.Commands = append(p.Commands, admin.CommandLatency{})
	}
	for i := range c.Commands {
		p.Commands[i].Merge(&c.Commands[i])
	}
	for i := range c.Failures {
		p.Commands[i].Failures.Merge(&c.Failures[i])
	}
	for i, n := range c.Calls {
		p.Commands[i].Calls += n
	}
	for i := range min(len(c.Servers), len(p.Servers)) {
		for f := range c.Servers[i] {
			p.Servers[i].Families[f].Merge(&c.Servers[i][f])
		}
	}
}

// nameCommands gives the commands their names and drops those that were never sent.
func nameCommands(p *admin.PoolLatency, table []msg.Command) {
	kept := p.Commands[:0]
	for i := range p.Commands {
		if c := p.Commands[i]; c.Calls > 0 || c.Count() > 0 || c.Failures.Count() > 0 {
			c.Command = table[i]
			kept = append(kept, c)
		}
	}
	p.Commands = kept
}

// HotKeys asks the loops for the keys of each pool, the n hottest and the n
// largest. The error says that the instance ends.
func (v *view) HotKeys(n int) ([]admin.PoolKeys, error) {
	g := v.current.Load()
	// One place for each pool and loop: the loops write at the same time.
	found := make([][]proxy.Keys, len(g.topo))
	for i := range found {
		found[i] = make([]proxy.Keys, len(v.loops.contexts))
	}
	err := v.loops.onAll(func(ctx *proxy.Context) {
		for i, t := range g.topo {
			found[i][ctx.ID()] = ctx.HotKeys(t, 4*n)
		}
	})
	if err != nil {
		return nil, err
	}
	pools := make([]admin.PoolKeys, len(g.topo))
	for i, loops := range found {
		var hot [][]hotkeys.Key
		var requests, replies [][]hotkeys.Large
		for _, k := range loops {
			hot, requests, replies = append(hot, k.Hot), append(requests, k.Requests), append(replies, k.Replies)
		}
		commands := commandsOf(&g.conf.Pools[i])
		pools[i] = admin.PoolKeys{
			Name: g.conf.Pools[i].Name, Hot: hotkeys.Merge(n, hot...),
			Requests: v.large(hotkeys.MergeLargest(n, requests...), commands),
			Replies:  v.large(hotkeys.MergeLargest(n, replies...), commands),
		}
	}
	return pools, nil
}

func (v *view) large(list []hotkeys.Large, commands []msg.Command) []admin.Large {
	named := make([]admin.Large, len(list))
	for i, l := range list {
		named[i] = admin.Large{
			Key: l.Key, KeyLen: l.Len, Size: l.Size, Command: commands[l.Type].Name,
			At: v.epoch.Add(time.Duration(l.At)),
		}
	}
	return named
}
