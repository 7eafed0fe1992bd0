package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/proxy"
	"nuthatch/internal/topology"
)

// pausePoll is how often a pause looks whether the pool's requests are
// answered.
const pausePoll = 2 * time.Millisecond

// Pause has the clients of a pool wait, at most for limit: their requests are
// taken up again when the pool is resumed, by Resume or when the time is over. It
// returns when all requests that were under way are answered, and admin.ErrBusy if that
// is not so when ctx ends; the pool is paused all the same. by says who asked for
// it.
func (in *Instance) Pause(ctx context.Context, pool string, limit time.Duration, by string) error {
	t, err := in.topology(pool)
	if err != nil {
		return err
	}
	if in.ending() {
		return admin.ErrEnding
	}
	in.log.Always("pool paused", slog.String("pool", pool), slog.Duration("limit", limit), slog.String("by", by))
	if err := in.pause(t, pool, limit, by); err != nil {
		return err
	}
	return in.awaitAnswers(ctx, t)
}

func (in *Instance) pause(t *topology.Topology, pool string, limit time.Duration, by string) error {
	in.pauses.order.Lock()
	defer in.pauses.order.Unlock()
	if !in.current.Load().has(t) { // a reload took it away meanwhile
		return fmt.Errorf("%w: %q", admin.ErrNoPool, pool)
	}
	in.pauses.begin(t, limit, by, func() {
		in.log.Warn("pool resumed: the time of its pause is over", slog.String("pool", pool))
		in.tell(events.Event{Kind: events.PoolResumed, Pool: pool, Text: "pool resumed: the time of its pause is over", For: limit})
		// That the proxy ends resumes nothing, and needs not.
		_ = in.onLoops(func(ctx *proxy.Context) { ctx.Resume(t) })
	})
	err := in.onLoops(func(ctx *proxy.Context) { ctx.Pause(t) })
	if err != nil {
		in.pauses.end(t.SamePool)
		return err
	}
	in.tell(events.Event{Kind: events.PoolPaused, Pool: pool, Text: "pool paused: its requests wait", For: limit, By: by})
	return nil
}

// awaitAnswers waits until nothing of the pool is in flight.
func (in *Instance) awaitAnswers(ctx context.Context, t *topology.Topology) error {
	tick := time.NewTicker(pausePoll)
	defer tick.Stop()
	for {
		counts := make(chan int, len(in.contexts))
		if err := in.onLoops(func(ctx *proxy.Context) { counts <- ctx.InFlight(t) }); err != nil {
			return err
		}
		n := 0
		for range in.contexts {
			n += <-counts
		}
		if n == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d", admin.ErrBusy, n)
		}
	}
}

// Resume undoes Pause.
func (in *Instance) Resume(pool, by string) error {
	t, err := in.topology(pool)
	if err != nil {
		return err
	}
	in.pauses.order.Lock()
	defer in.pauses.order.Unlock()
	began := in.pauses.began(t)
	in.pauses.end(t.SamePool)
	in.log.Always("pool resumed", slog.String("pool", pool), slog.String("by", by))
	if !began.IsZero() {
		in.tell(events.Event{
			Kind: events.PoolResumed, Pool: pool, Text: "pool resumed", By: by, For: time.Since(began),
		})
	}
	return in.onLoops(func(ctx *proxy.Context) { ctx.Resume(t) })
}

// SetService takes a server out of service, or puts it back. Out of service its
// keys go to the other servers (topology.OffTheRing) or get an error
// (topology.Refused); its connections finish what they have. It lasts until it is
// undone, through reloads, or until the proxy ends.
func (in *Instance) SetService(pool, server string, s topology.Service, by string) error {
	in.changing.Lock()
	defer in.changing.Unlock()
	t, i, err := in.server(pool, server)
	if err != nil {
		return err
	}
	before := t.State(i)
	t.SetService(i, s, in.Now())
	in.tellService(pool, i, s, &before, by)
	text := "server is out of service"
	if s == topology.InService {
		text = "server is in service again"
	}
	in.log.Always(text, slog.String("pool", pool), slog.String("server", server),
		slog.String("service", s.String()), slog.String("by", by))
	if s == topology.InService {
		return nil
	}
	return in.reconnect(t, i)
}

// OutOfService is what becomes by default of a disabled server's keys: what
// becomes of an ejected one's.
func (in *Instance) OutOfService(pool string) topology.Service {
	g := in.current.Load()
	if i := g.pool(pool); i >= 0 && g.conf.Pools[i].AutoEjectHosts {
		return topology.OffTheRing
	}
	return topology.Refused
}

// Reconnect has the loops connect anew to a server of a pool, or to all if server
// is empty. The connections there are finish what they have.
func (in *Instance) Reconnect(pool, server, by string) error {
	in.changing.Lock()
	defer in.changing.Unlock()
	i := -1
	t, err := in.topology(pool)
	if err == nil && server != "" {
		t, i, err = in.server(pool, server)
	}
	if err != nil {
		return err
	}
	in.log.Always("connections to servers are replaced", slog.String("pool", pool), slog.String("server", server), slog.String("by", by))
	return in.reconnect(t, i)
}

func (in *Instance) reconnect(t *topology.Topology, i int) error {
	by := in.leaveBy(in.current.Load())
	return in.onLoops(func(ctx *proxy.Context) { ctx.Reconnect(t, i, by) })
}

// KillClient closes the connection of the client with the given id at once.
func (in *Instance) KillClient(id uint64, by string) error {
	found := make(chan bool, len(in.contexts))
	if err := in.onLoops(func(ctx *proxy.Context) { found <- ctx.Kill(id) }); err != nil {
		return err
	}
	close(found)
	for killed := range found {
		if killed {
			in.log.Always("client killed", slog.Uint64("client", id), slog.String("by", by))
			return nil
		}
	}
	return fmt.Errorf("%w: %d", admin.ErrNoClient, id)
}

func (in *Instance) topology(pool string) (*topology.Topology, error) {
	g := in.current.Load()
	i := g.pool(pool)
	if i < 0 {
		return nil, fmt.Errorf("%w: %q", admin.ErrNoPool, pool)
	}
	return g.topo[i], nil
}

// server finds a server by its name in the statistics or by its address.
func (in *Instance) server(pool, server string) (*topology.Topology, int, error) {
	g := in.current.Load()
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
