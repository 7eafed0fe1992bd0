package daemon

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// A replicaFinder asks sentinels which replicas there are, and publishes them as servers of
// the pool. One goroutine at a time may use it.
type replicaFinder struct {
	of        *replicated
	primaries *primaries
	// places are where the primaries were when their replicas were asked for, by name, and
	// asked is when.
	places map[string]string
	asked  time.Time
	// known are the replicas, by the names of their primaries.
	known map[string][]string
	// named are the replicas whose hosts have names, which are looked up again.
	named map[*topology.Health]*target
}

// newReplicaFinder returns the finder of a pool; nil: no sentinel knows its servers.
func newReplicaFinder(of *replicated, p *primaries) *replicaFinder {
	if p == nil {
		return nil
	}
	f := &replicaFinder{of: of, primaries: p, places: make(map[string]string), known: make(map[string][]string), named: make(map[*topology.Health]*target)}
	snap := of.topo.Snapshot() // those that were known before a reload
	for i := range snap.Servers {
		if at := snap.PrimaryOf(i); at >= 0 && snap.Server(at).Address.Network == config.NetworkSentinel {
			name := snap.Server(at).Address.Host
			f.known[name] = append(f.known[name], snap.Server(i).Address.String())
		}
	}
	for _, addrs := range f.known {
		slices.Sort(addrs)
	}
	return f
}

// isDue reports whether it is time to ask: primaries are elsewhere, or it is long ago.
func (f *replicaFinder) isDue() bool {
	for _, t := range f.primaries.targets {
		if at := f.primaries.watcher.Place(t.addr.Host).Addr; at != f.places[t.addr.Host] {
			return true
		}
	}
	return time.Since(f.asked) >= min(sentinelPoll, f.of.resolver.interval)
}

// find asks the sentinels, if it is time, and publishes what has changed. f may be nil.
func (f *replicaFinder) find(ctx context.Context) {
	if f == nil || !f.isDue() {
		return
	}
	f.asked = time.Now()
	changed := false
	for _, t := range f.primaries.targets {
		name := t.addr.Host
		at := f.primaries.watcher.Place(name).Addr
		addrs, ok := f.primaries.watcher.Replicas(ctx, name)
		if !ok {
			continue // what was known stays
		}
		f.places[name] = at
		if before := f.known[name]; !slices.Equal(before, addrs) {
			f.of.resolver.log.Info("primary has other replicas", slog.String("pool", f.of.conf.Name), slog.String("primary", name),
				slog.String("old", strings.Join(before, ", ")), slog.String("new", strings.Join(addrs, ", ")))
			f.known[name], changed = addrs, true
		}
	}
	if changed && ctx.Err() == nil {
		f.publish(ctx)
	}
	f.lookUp(ctx)
}

// publish has the replicas be servers of the pool.
func (f *replicaFinder) publish(ctx context.Context) {
	conf := f.of.conf
	taken := make(map[string]bool)
	members := make([]topology.Member, len(conf.Servers))
	for i := range conf.Servers {
		members[i].Server = conf.Servers[i]
		taken[conf.Servers[i].StatsName()] = true
	}
	add := func(s config.Server, of *config.Server) {
		if !taken[s.StatsName()] { // a server has one primary
			taken[s.StatsName()] = true
			members = append(members, topology.Member{Server: s, Of: of.NodeName()})
		}
	}
	for i := range conf.Servers {
		s := &conf.Servers[i]
		for _, r := range conf.ReplicasOf(s) {
			add(r, s)
		}
		if s.Address.Network != config.NetworkSentinel {
			continue
		}
		for _, at := range f.known[s.Address.Host] {
			host, port, err := net.SplitHostPort(at)
			n, bad := strconv.Atoi(port)
			if err == nil && bad == nil && len(members) < config.MaxServers {
				add(topology.NodeServer(host, n), s)
			}
		}
	}
	f.resolve(ctx, members[len(conf.Servers):])
	now := f.of.resolver.now()
	f.of.topo.Publish(members, now, now+f.of.resolver.finish)
}

// resolve finds the addresses of replicas that are new.
func (f *replicaFinder) resolve(ctx context.Context, members []topology.Member) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	snap := f.of.topo.Snapshot()
	known := make(map[string]bool)
	for i, h := range snap.Servers {
		known[snap.Names[i]] = h.Addrs() != nil
	}
	for i := range members {
		if s := &members[i].Server; !known[s.StatsName()] && s.Address.Network == config.NetworkTCP {
			// If it fails, the name is looked up again below, which tells of it.
			members[i].Addrs, _ = f.of.resolver.lookup(ctx, s.Address.Host, s.Address.Port)
		}
	}
}

// lookUp looks the host names of replicas up again.
func (f *replicaFinder) lookUp(ctx context.Context) {
	snap := f.of.topo.Snapshot()
	maps.DeleteFunc(f.named, func(h *topology.Health, _ *target) bool { return snap.Place(h) < 0 })
	for i, h := range snap.Servers {
		at, s := snap.PrimaryOf(i), snap.Server(i)
		if at < 0 || snap.Server(at).Address.Network != config.NetworkSentinel || isNumeric(s.Address.Host) || f.named[h] != nil {
			continue
		}
		f.named[h] = &target{topo: f.of.topo, server: h, pool: f.of.conf.Name, name: s.StatsName(), addr: s.Address}
	}
	if len(f.named) > 0 {
		f.of.resolver.round(ctx, slices.Collect(maps.Values(f.named)))
	}
}
