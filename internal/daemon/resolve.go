package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
)

const (
	// resolveEvery is how often names are resolved again, so that a new
	// connection goes to where the name points now.
	resolveEvery = 5 * time.Second
	// resolveTimeout bounds one round of look-ups, the one before the proxy
	// listens included.
	resolveTimeout = 5 * time.Second
)

// A resolver turns the names of servers into addresses and publishes them to
// the loops. A name that cannot be resolved keeps the addresses that it had.
type resolver struct {
	log     *logging.Logger
	targets []*target
	cancel  context.CancelFunc
	done    chan struct{}
}

// A target is a server whose host is a name.
type target struct {
	topo  *proxy.Topology
	index int
	pool  string
	addr  config.Address
	known []string // the addresses last published, as text
	// failing: the last look-up failed, and that was logged.
	failing bool
}

// newResolver publishes the addresses that need no look-up.
func newResolver(cfg *config.Config, topo []*proxy.Topology, log *logging.Logger) *resolver {
	r := &resolver{log: log, done: make(chan struct{})}
	for i := range cfg.Pools {
		for j := range cfg.Pools[i].Servers {
			addr := cfg.Pools[i].Servers[j].Address
			if addr.Network == config.NetworkUnix {
				topo[i].SetAddrs(j, []unix.Sockaddr{&unix.SockaddrUnix{Name: addr.Path}})
				continue
			}
			t := &target{topo: topo[i], index: j, pool: cfg.Pools[i].Name, addr: addr}
			if _, err := netip.ParseAddr(addr.Host); err == nil {
				r.resolve(context.Background(), t)
				continue
			}
			r.targets = append(r.targets, t)
		}
	}
	return r
}

// start resolves all names once, and from then on regularly.
func (r *resolver) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if len(r.targets) == 0 {
		close(r.done)
		return
	}
	r.round(ctx)
	go func() {
		defer close(r.done)
		tick := time.NewTicker(resolveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.round(ctx)
			}
		}
	}()
}

// stop ends the look-ups and waits for the last.
func (r *resolver) stop() {
	r.cancel()
	<-r.done
}

// round resolves all names at once, so that one that hangs holds up no other.
func (r *resolver) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, t := range r.targets {
		wg.Go(func() { r.resolve(ctx, t) })
	}
	wg.Wait()
}

func (r *resolver) resolve(ctx context.Context, t *target) {
	addrs, err := socket.Resolve(ctx, t.addr.Host, t.addr.Port)
	if err != nil {
		if !t.failing && ctx.Err() == nil || t.known == nil && !t.failing {
			t.failing = true
			r.log.Warn("cannot resolve server", slog.String("pool", t.pool),
				slog.String("server", t.addr.String()), errAttr(err))
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
	if t.known != nil {
		r.log.Notice("server has new addresses", slog.String("pool", t.pool),
			slog.String("server", t.addr.String()), slog.Any("addresses", names))
	}
	t.known = names
	t.topo.SetAddrs(t.index, addrs)
}
