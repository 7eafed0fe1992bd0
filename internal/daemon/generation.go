package daemon

import (
	"fmt"
	"slices"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/health"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/sentinelport"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A generation is what one configuration made: a reload makes the next one. It
// is not changed once it is current.
type generation struct {
	conf *config.Config
	// In the order of conf.Pools. A pool that stays has a topology made from the
	// old one.
	topo    []*topology.Topology
	learned []*redis.Learned // what the loops know of a Redis pool's commands
	scripts []*redis.Scripts // and what its servers were told
	logins  []*redis.Logins  // and who is logged in to them
	users   []poolUsers
	// emulations are what clients are told of clusters that pools look like; nil: a pool looks
	// like one server.
	emulations []*emulation
	// listeners are in the order of conf.Listeners(): the first is the first pool's, and so
	// on. An address that stays keeps its listener.
	listeners []*listener
	// sentinels are where pools answer as Sentinels, in the order of conf.Pools; nil: a pool
	// does not.
	sentinels []*sentinelport.Port
	resolver  *resolver
	tls       security
	// tokens are accepted by the admin listener.
	tokens adminTokens
	checks *health.Checks
}

func newGeneration(conf *config.Config) *generation {
	g := &generation{conf: conf}
	for i := range conf.Pools {
		g.emulations = append(g.emulations, newEmulation(&conf.Pools[i]))
	}
	return g
}

// layout is the layout of the statistics.
func (g *generation) layout() stats.Layout {
	layout := make(stats.Layout, len(g.topo))
	for i, t := range g.topo {
		layout[i] = stats.PoolLayout{Name: g.conf.Pools[i].Name, Servers: t.Snapshot().Names}
	}
	return layout
}

// makeTopologies makes the topologies of the generation after old, at time now. It does
// not change old. A pool that speaks another protocol than before is another
// pool.
func (g *generation) makeTopologies(old *generation, now int64) {
	for i := range g.conf.Pools {
		p := &g.conf.Pools[i]
		if at := old.pool(p.Name); at >= 0 && old.conf.Pools[at].Protocol == p.Protocol {
			g.add(old.topo[at].Next(p, now))
			g.learned = append(g.learned, old.learned[at])
			g.scripts = append(g.scripts, old.scripts[at])
			g.logins = append(g.logins, old.logins[at])
		} else {
			g.add(topology.New(p))
			g.learned = append(g.learned, new(redis.Learned))
			g.scripts = append(g.scripts, redis.NewScripts())
			g.logins = append(g.logins, redis.NewLogins())
		}
	}
}

// add adds a pool's topology. Large rings are made by a goroutine, one at a time.
func (g *generation) add(t *topology.Topology) {
	t.BuildAside(func(build func()) { go build() })
	g.topo = append(g.topo, t)
}

// startChecks begins the health checks of g. The first loop counts what they
// find.
func (in *Instance) startChecks(g *generation) {
	g.checks = health.Start(g.conf, g.topo, g.serverEnds(), in.Now,
		func(t *topology.Topology, server *topology.Health, why msg.Reason, changed topology.Verdict) {
			if why == msg.OK && changed == topology.SameAsBefore {
				return
			}
			ctx := in.loops.contexts[0]
			ctx.Loop().Post(func() { ctx.Checked(t, server, why, changed) })
		})
}

// pool returns the index of the pool of that name, or -1.
func (g *generation) pool(name string) int {
	return slices.IndexFunc(g.conf.Pools, func(p config.Pool) bool { return p.Name == name })
}

// has reports whether the pool of t is one of g's.
func (g *generation) has(t *topology.Topology) bool { return slices.ContainsFunc(g.topo, t.SamePool) }

// listenerAt returns the listener at an address, or nil. g may be nil.
func (g *generation) listenerAt(addr config.Address) *listener {
	if g == nil {
		return nil
	}
	for _, l := range g.listeners {
		if l.addr.String() == addr.String() {
			return l
		}
	}
	return nil
}

// listenersWithout are the listeners of g that other does not have.
func (g *generation) listenersWithout(other *generation) []*listener {
	return slices.DeleteFunc(slices.Clone(g.listeners), func(l *listener) bool { return slices.Contains(other.listeners, l) })
}

func (g *generation) topology(pool string) (*topology.Topology, error) {
	i := g.pool(pool)
	if i < 0 {
		return nil, fmt.Errorf("%w: %q", admin.ErrNoPool, pool)
	}
	return g.topo[i], nil
}

// server finds a server by its name in the statistics or by its address, and returns its
// name.
func (g *generation) server(pool, server string) (*topology.Topology, *topology.Health, string, error) {
	t, err := g.topology(pool)
	if err != nil {
		return nil, nil, "", err
	}
	snap := t.Snapshot()
	i := slices.Index(snap.Names, server)
	for j := 0; i < 0 && j < len(snap.Servers); j++ {
		if snap.Server(j).Address.String() == server {
			i = j
		}
	}
	if i < 0 {
		return nil, nil, "", fmt.Errorf("%w in pool %q: %q", admin.ErrNoServer, pool, server)
	}
	return t, snap.Servers[i], snap.Names[i], nil
}
