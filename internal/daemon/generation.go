package daemon

import (
	"fmt"
	"slices"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/health"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A generation is what one configuration made: a reload makes the next one. It
// is not changed once it is current.
type generation struct {
	conf   *config.Config
	layout stats.Layout
	// In the order of conf.Pools. Of a pool that stays, the topology is made of
	// the one before; of an address that stays, the listener is the same.
	topo      []*topology.Topology
	learned   []*redis.Learned // what the loops know of a Redis pool's commands
	scripts   []*redis.Scripts // and what its servers were told
	listeners []*listener
	resolver  *resolver
	// tokens open the admin listener.
	tokens []config.Secret
	checks *health.Checks
}

func newGeneration(conf *config.Config) *generation {
	g := &generation{conf: conf}
	for i := range conf.Pools {
		g.layout = append(g.layout, layoutOf(&conf.Pools[i]))
	}
	return g
}

func layoutOf(p *config.Pool) stats.PoolLayout {
	l := stats.PoolLayout{Name: p.Name}
	for i := range p.Servers {
		l.Servers = append(l.Servers, p.Servers[i].StatsName())
	}
	return l
}

// follow makes the topologies of the generation that follows old at time now. It
// changes nothing of old.
// A pool that speaks another protocol than before is another pool.
func (g *generation) follow(old *generation, now int64) {
	for i := range g.conf.Pools {
		p := &g.conf.Pools[i]
		if at := old.pool(p.Name); at >= 0 && old.conf.Pools[at].Protocol == p.Protocol {
			g.add(old.topo[at].Next(p, now))
			g.learned = append(g.learned, old.learned[at])
			g.scripts = append(g.scripts, old.scripts[at])
		} else {
			g.add(topology.New(p))
			g.learned = append(g.learned, new(redis.Learned))
			g.scripts = append(g.scripts, redis.NewScripts())
		}
	}
}

// add adds a pool's topology. Its rings, if they are large, are made by a goroutine, of
// which a topology has one at a time.
func (g *generation) add(t *topology.Topology) {
	t.BuildAside(func(build func()) { go build() })
	g.topo = append(g.topo, t)
}

// startChecks begins the health checks of g. The first loop counts what they
// find.
func (in *Instance) startChecks(g *generation) {
	g.checks = health.Start(g.conf, g.topo, in.Now,
		func(t *topology.Topology, server int, why msg.Reason, changed topology.Verdict) {
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

// listenersWithout are those listeners of g that other does not have.
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

// server finds a server by its name in the statistics or by its address.
func (g *generation) server(pool, server string) (*topology.Topology, int, error) {
	p := g.pool(pool)
	if p < 0 {
		return nil, 0, fmt.Errorf("%w: %q", admin.ErrNoPool, pool)
	}
	servers := g.conf.Pools[p].Servers
	i := slices.IndexFunc(servers, func(s config.Server) bool { return s.StatsName() == server })
	if i < 0 {
		i = slices.IndexFunc(servers, func(s config.Server) bool { return s.Address.String() == server })
	}
	if i < 0 {
		return nil, 0, fmt.Errorf("%w in pool %q: %q", admin.ErrNoServer, pool, server)
	}
	return g.topo[p], i, nil
}
