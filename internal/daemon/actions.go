package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/events"
	"nuthatch/internal/proxy"
	"nuthatch/internal/topology"
)

// pausePoll is how often a pause checks whether the pool's requests are
// answered.
const pausePoll = 2 * time.Millisecond

// actions are what an operator does to the pools, servers and clients of a running
// proxy: the part of admin.Instance that changes no configuration.
type actions struct {
	*core
	// changing is held by whoever makes a change: one at a time.
	changing *sync.Mutex
	pauses   pauses
}

// Pause makes the clients of a pool wait, for limit at most. Their requests go on when
// the pool is resumed, by Resume or when the time is over. It returns when all requests
// in flight are answered. It returns admin.ErrBusy if some are still in flight when ctx
// ends; the pool stays paused. by says who asked for it.
func (a *actions) Pause(ctx context.Context, pool string, limit time.Duration, by string) error {
	t, err := a.beginPause(pool, limit, by)
	if err != nil {
		return err
	}
	return a.awaitAnswers(ctx, t)
}

// BeginPause is Pause without the wait for the requests in flight.
func (a *actions) BeginPause(pool string, limit time.Duration, by string) error {
	_, err := a.beginPause(pool, limit, by)
	return err
}

func (a *actions) beginPause(pool string, limit time.Duration, by string) (*topology.Topology, error) {
	t, err := a.current.Load().topology(pool)
	if err != nil {
		return nil, err
	}
	if a.life.ending() {
		return nil, admin.ErrEnding
	}
	a.log.Always("pool paused", slog.String("pool", pool), slog.Duration("limit", limit), slog.String("by", by))
	return t, a.pause(t, pool, limit, by)
}

func (a *actions) pause(t *topology.Topology, pool string, limit time.Duration, by string) error {
	a.pauses.order.Lock()
	defer a.pauses.order.Unlock()
	if !a.current.Load().has(t) { // a reload took it away meanwhile
		return fmt.Errorf("%w: %q", admin.ErrNoPool, pool)
	}
	a.pauses.begin(t, limit, by, func() {
		a.log.Warn("pool resumed: the time of its pause is over", slog.String("pool", pool))
		a.journal.addEvent(events.Event{Kind: events.PoolResumed, Pool: pool, Text: "pool resumed: the time of its pause is over", For: limit})
		// If the proxy ends, nothing has to be resumed.
		_ = a.loops.onAll(func(ctx *proxy.Context) { ctx.Resume(t) })
	})
	err := a.loops.onAll(func(ctx *proxy.Context) { ctx.Pause(t) })
	if err != nil {
		a.pauses.end(t.SamePool)
		return err
	}
	a.journal.addEvent(events.Event{Kind: events.PoolPaused, Pool: pool, Text: "pool paused: its requests wait", For: limit, By: by})
	return nil
}

// awaitAnswers waits until no request of the pool is in flight.
func (a *actions) awaitAnswers(ctx context.Context, t *topology.Topology) error {
	tick := time.NewTicker(pausePoll)
	defer tick.Stop()
	for {
		counts := make(chan int, len(a.loops.contexts))
		if err := a.loops.onAll(func(ctx *proxy.Context) { counts <- ctx.InFlight(t) }); err != nil {
			return err
		}
		n := 0
		for range a.loops.contexts {
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
func (a *actions) Resume(pool, by string) error {
	t, err := a.current.Load().topology(pool)
	if err != nil {
		return err
	}
	a.pauses.order.Lock()
	defer a.pauses.order.Unlock()
	began := a.pauses.began(t)
	a.pauses.end(t.SamePool)
	a.log.Always("pool resumed", slog.String("pool", pool), slog.String("by", by))
	if !began.IsZero() {
		a.journal.addEvent(events.Event{
			Kind: events.PoolResumed, Pool: pool, Text: "pool resumed", By: by, For: time.Since(began),
		})
	}
	return a.loops.onAll(func(ctx *proxy.Context) { ctx.Resume(t) })
}

// SetService takes a server out of service, or puts it back. Out of service its
// keys go to the other servers (topology.OffTheRing) or get an error
// (topology.Refused); its connections finish what they have. It lasts until it is
// undone, through reloads, or until the proxy ends.
func (a *actions) SetService(pool, server string, s topology.Service, by string) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	g := a.current.Load()
	t, h, name, err := g.server(pool, server)
	if err != nil {
		return err
	}
	before := h.State()
	t.SetService(h, s, a.Now())
	if s != before.Service {
		a.journal.service(pool, name, s, time.Duration(a.Now()-before.Since), by)
	}
	text := "server is out of service"
	if s == topology.InService {
		text = "server is in service again"
	}
	a.log.Always(text, slog.String("pool", pool), slog.String("server", server),
		slog.String("service", s.String()), slog.String("by", by))
	if s == topology.InService {
		return nil
	}
	return a.reconnect(t, h)
}

// OutOfService is the default for the keys of a disabled server: the same as
// for an ejected one.
func (a *actions) OutOfService(pool string) topology.Service {
	g := a.current.Load()
	if i := g.pool(pool); i >= 0 && g.conf.Pools[i].AutoEjectHosts {
		return topology.OffTheRing
	}
	return topology.Refused
}

// Reconnect replaces the connections to a server of a pool, or to all servers if
// server is empty. The old ones finish what they have.
func (a *actions) Reconnect(pool, server, by string) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	var h *topology.Health // nil: all
	t, err := a.current.Load().topology(pool)
	if err == nil && server != "" {
		t, h, _, err = a.current.Load().server(pool, server)
	}
	if err != nil {
		return err
	}
	a.log.Always("connections to servers are replaced", slog.String("pool", pool), slog.String("server", server), slog.String("by", by))
	return a.reconnect(t, h)
}

func (a *actions) reconnect(t *topology.Topology, h *topology.Health) error {
	by := a.leaveBy(a.current.Load())
	moving := new(topology.Moving)
	return a.loops.onAll(func(ctx *proxy.Context) { ctx.Reconnect(t, h, by, moving) })
}

// KillClient closes the connection of the client with the given id at once.
func (a *actions) KillClient(id uint64, by string) error {
	found := make(chan bool, len(a.loops.contexts))
	if err := a.loops.onAll(func(ctx *proxy.Context) { found <- ctx.Kill(id) }); err != nil {
		return err
	}
	close(found)
	for killed := range found {
		if killed {
			a.log.Always("client killed", slog.Uint64("client", id), slog.String("by", by))
			return nil
		}
	}
	return fmt.Errorf("%w: %d", admin.ErrNoClient, id)
}

// PausedUntil implements admin.Instance.
func (a *actions) PausedUntil(pool string) time.Time {
	until, _ := a.paused(pool)
	return until
}

// PausedSince implements admin.Instance.
func (a *actions) PausedSince(pool string) time.Time {
	t, err := a.current.Load().topology(pool)
	if err != nil {
		return time.Time{}
	}
	return a.pauses.began(t)
}

// PausedBy implements admin.Instance.
func (a *actions) PausedBy(pool string) string {
	_, by := a.paused(pool)
	return by
}

func (a *actions) paused(pool string) (until time.Time, by string) {
	t, err := a.current.Load().topology(pool)
	if err != nil {
		return time.Time{}, ""
	}
	return a.pauses.of(t)
}
