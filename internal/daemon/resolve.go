package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/topology"
)

const (
	// resolveAgain is the least time between two look-ups of a name, even if its
	// server cannot be connected to.
	resolveAgain = time.Second
	// resolveTimeout bounds one round of look-ups, the one before the proxy
	// listens included.
	resolveTimeout = 5 * time.Second
)

// A resolver turns the names of servers into addresses and publishes them to
// the loops. A name that cannot be resolved keeps the addresses that it had.
//
//	every resolve_interval ──────────────► all names ─┐
//	a server that cannot be connected to,  its name  ─┼─► Health.SetAddrs, and
//	  has failed, or takes no writes ────►            │   every loop follows
//	sentinels: primaries.go ──────────────────────────┘
//	clusters: clusters.go ───────────────► Topology.PublishSlots
//
// Nothing is published before start.
type resolver struct {
	log      *logging.Logger
	tell     func(events.Event)
	interval time.Duration
	lookup   lookup
	targets  []*target // servers that are named
	fixed    []*target // servers that have an address
	// primaries are the servers that sentinels know, by pool; nil: a pool has none.
	primaries []*primaries
	// clusters are the pools that are clusters, by pool; nil: a pool is none.
	clusters []*clustered
	// replicated are the pools that read from replicas, by pool; nil: a pool does not.
	replicated []*replicated
	// now is the loops' time, and finish how long connections to servers that are gone may
	// take to finish their requests.
	now     func() int64
	finish  int64
	started bool
	// moved tells the loops that a server's addresses were published. It does not wait.
	moved func(*target)
	// wakeLoops has loops take over what was published, however little they have to do.
	wakeLoops func()
	cancel    context.CancelFunc
	done      chan struct{}
	// unreachable is not empty if a server could not be connected to.
	unreachable chan struct{}
}

// A lookup turns a name, or an address, into addresses: at least one, or an
// error.
type lookup func(ctx context.Context, host string, port int) ([]unix.Sockaddr, error)

// A target is a server whose addresses are to be found.
type target struct {
	topo   *topology.Topology
	server *topology.Health
	pool   string
	name   string // in the statistics
	addr   config.Address
	// subject names it in sentences.
	subject string
	known   []string        // the addresses last published, as text
	found   []unix.Sockaddr // found, and not published yet
	// failing: the last look-up failed, and that was logged.
	failing bool
}

// newResolver finds the addresses that need no look-up. ends are how the pools speak TLS, in
// the order of the configuration.
func newResolver(cfg *config.Config, topo []*topology.Topology, log *logging.Logger, tell func(events.Event), find lookup, ends []poolEnds) *resolver {
	r := &resolver{
		log: log, tell: tell, interval: cfg.Process.ResolveInterval, lookup: find,
		done: make(chan struct{}), unreachable: make(chan struct{}, 1),
	}
	if find == nil {
		r.lookup = socket.Resolve
	}
	for i := range cfg.Pools {
		r.replicated = append(r.replicated, newReplicated(r, topo[i], &cfg.Pools[i], ends[i]))
		r.clusters = append(r.clusters, newClustered(r, topo[i], &cfg.Pools[i], ends[i]))
		if cfg.Pools[i].Cluster.On {
			r.primaries = append(r.primaries, nil)
			continue
		}
		snap := topo[i].Snapshot() // as the configuration has them: nobody has used it yet
		var named []*target
		for j, h := range snap.Servers {
			if t := r.newTarget(topo[i], h, snap.Server(j), cfg.Pools[i].Name); t.addr.Network == config.NetworkSentinel {
				named = append(named, t)
			}
		}
		r.primaries = append(r.primaries, newPrimaries(r, &cfg.Pools[i], named, ends[i]))
	}
	return r
}

// newTarget finds the address of a server, or has it looked up. Sentinel has its own way.
func (r *resolver) newTarget(topo *topology.Topology, h *topology.Health, s *config.Server, pool string) *target {
	t := &target{topo: topo, server: h, pool: pool, name: s.StatsName(), addr: s.Address, subject: topology.Subject(s)}
	switch t.addr.Network {
	case config.NetworkSentinel:
	case config.NetworkUnix:
		t.found = []unix.Sockaddr{&unix.SockaddrUnix{Name: t.addr.Path}}
		r.fixed = append(r.fixed, t)
	default:
		if _, err := netip.ParseAddr(t.addr.Host); err != nil {
			r.targets = append(r.targets, t)
			break
		}
		r.resolve(context.Background(), t)
		r.fixed = append(r.fixed, t)
	}
	return t
}

// moveTime is the least time for connections to a name's old addresses to finish their
// requests.
const moveTime = 10 * time.Second

// resolver makes the resolver of g, which tells the loops of new addresses.
func (in *Instance) resolver(g *generation) *resolver {
	r := newResolver(g.conf, g.topo, in.log, in.journal.addEvent, in.opts.lookup, g.allEnds())
	r.now, r.finish = in.Now, int64(max(g.conf.Process.DrainTimeout, moveTime))
	r.moved = func(t *target) {
		t.topo.Moved(t.server, in.Now())
		by := in.Now() + r.finish
		if t.addr.Network == config.NetworkSentinel {
			t.server.Depose(in.Now())
		}
		moving := new(topology.Moving)
		for _, ctx := range in.loops.contexts {
			ctx.Loop().Post(func() { ctx.FollowAddrs(t.topo, t.server, by, moving) })
		}
	}
	r.wakeLoops = func() {
		for _, ctx := range in.loops.contexts {
			ctx.Loop().Post(func() {})
		}
	}
	return r
}

// lookUp resolves all names once, before start.
func (r *resolver) lookUp(ctx context.Context) {
	var asking sync.WaitGroup
	for _, p := range r.primaries {
		if p != nil {
			asking.Go(func() { p.lookUp(ctx) })
		}
	}
	for _, c := range r.clusters {
		if c != nil {
			asking.Go(func() { c.lookUp(ctx) })
		}
	}
	if len(r.targets) > 0 {
		r.round(ctx, r.targets)
	}
	asking.Wait()
}

// start publishes what was found, and resolves the names regularly from then on.
func (r *resolver) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.started = cancel, true
	for _, t := range r.fixed {
		t.publish()
	}
	for _, t := range r.targets {
		t.publish()
		r.judge(t)
		t.topo.OnUnreachable(r.wake)
	}
	for _, p := range r.primaries {
		if p != nil {
			p.start()
		}
	}
	for _, c := range r.clusters {
		if c != nil {
			c.start()
		}
	}
	for i, p := range r.replicated {
		if p != nil {
			p.finder = newReplicaFinder(p, r.primaries[i])
			p.start()
		}
	}
	if len(r.targets) == 0 {
		close(r.done)
		return
	}
	r.wake() // for what was found before anybody was there to be told
	go func() {
		defer close(r.done)
		tick := time.NewTicker(r.interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.round(ctx, r.targets)
			case <-r.unreachable:
				r.roundOfUnreachable(ctx)
			}
		}
	}()
}

// wake starts a look-up of the names of servers that could not be connected to.
func (r *resolver) wake() {
	select {
	case r.unreachable <- struct{}{}:
	default: // it is in there already
	}
}

// roundOfUnreachable resolves the names of servers that could not be connected
// to, and rests, so that none is resolved too often.
func (r *resolver) roundOfUnreachable(ctx context.Context) {
	var targets []*target
	for _, t := range r.targets {
		if t.server.WasUnreachable() {
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return // servers without a name
	}
	r.round(ctx, targets)
	rest := time.NewTimer(min(resolveAgain, r.interval))
	defer rest.Stop()
	select {
	case <-ctx.Done():
	case <-rest.C:
	}
}

// stop ends the look-ups and waits for the last. r may be nil, or not started.
func (r *resolver) stop() {
	if r == nil {
		return
	}
	for _, p := range r.primaries {
		if p != nil {
			p.watcher.Stop()
		}
	}
	for _, c := range r.clusters {
		if c != nil {
			c.watcher.Stop()
		}
	}
	for _, p := range r.replicated {
		if p != nil {
			p.stop()
		}
	}
	if r.cancel != nil {
		r.cancel()
		<-r.done
	}
}

// round resolves all names at the same time, so that a slow one does not delay
// others.
func (r *resolver) round(ctx context.Context, targets []*target) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, t := range targets {
		wg.Go(func() { r.resolve(ctx, t) })
	}
	wg.Wait()
}

func (r *resolver) resolve(ctx context.Context, t *target) {
	r.resolveAs(ctx, t, t.addr.Host, t.addr.Port)
}

// resolveAs gives the server the addresses of that host.
func (r *resolver) resolveAs(ctx context.Context, t *target, host string, port int) {
	addrs, err := r.lookup(ctx, host, port)
	if err != nil {
		if !t.failing && ctx.Err() == nil || t.known == nil && !t.failing {
			t.failing = true
			r.log.Warn("cannot resolve server", slog.String("pool", t.pool),
				slog.String("server", t.addr.String()), errAttr(err))
			r.tell(events.Event{
				Kind: events.NameUnresolved, Pool: t.pool, Server: t.name,
				Text: "cannot resolve server " + t.addr.String() + ": " + err.Error(),
			})
		}
		return
	}
	t.failing = false
	names := make([]string, len(addrs))
	for i, sa := range addrs {
		names[i] = socket.Name(sa)
	}
	slices.Sort(names)
	if slices.Equal(names, t.known) {
		return
	}
	if t.known != nil && t.addr.Network != config.NetworkSentinel { // that has its own lines
		r.log.Notice("server has new addresses", slog.String("pool", t.pool),
			slog.String("server", t.addr.String()), slog.Any("addresses", names))
		r.tell(events.Event{
			Kind: events.AddressesChanged, Pool: t.pool, Server: t.name,
			Text: "server " + t.addr.String() + " has new addresses: " + strings.Join(names, ", "),
		})
	}
	t.known, t.found = names, addrs
	if r.started {
		t.publish()
		r.moved(t)
		r.judge(t)
	}
}

// judge tells, once, that a server has no address and is none that requests could be sent to, and
// that it has one now.
func (r *resolver) judge(t *target) {
	about := func() []slog.Attr {
		return []slog.Attr{slog.String("pool", t.pool), slog.String("server", t.addr.String()), slog.String("name", t.name)}
	}
	switch at := r.now(); {
	case len(t.server.Addrs()) > 0:
		if !t.server.Resolved(at) {
			return
		}
		text, after := t.subject+" has an address now", t.server.Trouble().Round(time.Millisecond)
		r.log.Warn(text, append(about(), slog.Duration("after", after), slog.Any("addresses", t.known))...)
		r.tell(events.Event{Kind: events.ServerAnswers, Pool: t.pool, Server: t.name, Text: text + " after " + after.String(), For: after})
	case t.server.Unresolved(at):
		cause := msg.Unresolved
		t.server.Told(topology.Cause(nil, cause, false, 0))
		text := t.subject + " fails: its name cannot be resolved; requests for it fail until it can"
		r.log.Warn(text, append(about(), slog.String("reason", cause.String()))...)
		r.tell(events.Event{Kind: events.ServerFails, Pool: t.pool, Server: t.name, Reason: cause.Name(), Text: text})
	}
}

// publish publishes the addresses that were found since its last call.
func (t *target) publish() {
	if t.found != nil {
		t.server.SetAddrs(t.found)
		t.found = nil
	}
}
