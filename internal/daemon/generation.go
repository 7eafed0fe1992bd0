package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/health"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
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

// A listener is a listening socket.
type listener struct {
	addr config.Address
	fd   int
	once sync.Once // closes fd
	// accept is the accepting loop's, which alone may touch it.
	accept *proxy.Listener
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
		if at := old.pool(p.Name); at >= 0 && old.conf.Pools[at].Redis == p.Redis {
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
			ctx := in.contexts[0]
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

// openListeners gives g its listeners: those that old has at the same addresses,
// and new ones, which do not accept yet. On error, which tells all that could not
// be opened, none of the new ones is left.
func (in *Instance) openListeners(g, old *generation) error {
	var opened []*listener
	var faults []error
	for i := range g.conf.Pools {
		p := &g.conf.Pools[i]
		l := old.listenerAt(p.Listen)
		if l == nil {
			var err error
			if l, err = in.openListener(p); err != nil {
				faults = append(faults, fmt.Errorf("pool '%s': listen on '%s': %w", p.Name, p.Listen, in.takenBy(err, p.Listen)))
				continue
			}
			opened = append(opened, l)
		}
		g.listeners = append(g.listeners, l)
	}
	if len(faults) == 0 {
		return nil
	}
	g.listeners = nil
	in.closeListeners(opened)
	return errors.Join(faults...)
}

// takenBy adds to the error of a listener at addr that the port is taken by this
// proxy itself, at another host: the old listener closes when the new one is open.
func (in *Instance) takenBy(err error, addr config.Address) error {
	g := in.current.Load()
	if g == nil || addr.Port == 0 || !errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	var ours []config.Address
	for i := range in.admins {
		if h := in.admins[i].Load(); h != nil {
			ours = append(ours, h.Place())
		}
	}
	for _, l := range g.listeners {
		ours = append(ours, l.addr)
	}
	if in.statsPort != nil {
		ours = append(ours, statsAddress(in.opts))
	}
	for _, own := range ours {
		if own.Port == addr.Port {
			return fmt.Errorf("%w, by this proxy's own listener at '%s': change to another port first, or restart it", err, own)
		}
	}
	return err
}

// openListener opens a pool's listening socket and enters it into the first
// loop, which accepts for all.
func (in *Instance) openListener(p *config.Pool) (*listener, error) {
	spec := socket.ListenSpec{
		Path: p.Listen.Path, Mode: p.Listen.Mode,
		Host: p.Listen.Host, Port: p.Listen.Port,
		Backlog: p.Backlog, ReusePort: p.ReusePort,
	}
	fd, err := in.opts.inherited.listenOn(context.Background(), spec)
	if err != nil {
		return nil, err
	}
	l := &listener{addr: p.Listen, fd: fd}
	var refused error
	ended := in.onLoop(in.contexts[0], func(ctx *proxy.Context) {
		l.accept, refused = ctx.Listen(fd, in.contexts)
	})
	if err := errors.Join(ended, refused); err != nil {
		l.close(in)
		return nil, err
	}
	return l, nil
}

// closeListeners closes listening sockets and removes their paths. No loop
// accepts from them when it returns; nil is none.
func (in *Instance) closeListeners(list []*listener) {
	if len(list) == 0 {
		return
	}
	// That the loops have ended is as good.
	_ = in.onLoop(in.contexts[0], func(*proxy.Context) {
		for _, l := range list {
			l.accept.Close()
		}
	})
	// The second turn begins when the first, in which an event of a listener may
	// have been waiting, is over.
	_ = in.onLoop(in.contexts[0], func(*proxy.Context) {})
	for _, l := range list {
		l.close(in)
	}
}

// leavesPaths: the paths of unix sockets are another program's: the one that
// takes over, or, while this one starts and takes over itself, the one before.
func (in *Instance) leavesPaths() bool {
	return in.replaced.Load() || in.opts.inherited.handedOver() && !in.serving.Load()
}

// close closes the socket and removes its path. A second call does nothing.
func (l *listener) close(in *Instance) {
	l.once.Do(func() {
		unix.Close(l.fd)
		if l.addr.Path == "" || in.leavesPaths() {
			return
		}
		if err := unix.Unlink(l.addr.Path); err != nil && !errors.Is(err, unix.ENOENT) {
			in.log.Warn("cannot remove the listening socket", pathAttr(l.addr.Path), errAttr(err))
		}
	})
}
