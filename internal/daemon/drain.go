package daemon

import (
	"log/slog"
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/proxy"
	"nuthatch/internal/units"
)

// A drain of the process: the listeners, the wait, the end. What becomes of each client and
// connection on its loop is in proxy/drain.go.

// drainPoll is how often a draining proxy checks whether its clients are gone.
const drainPoll = 5 * time.Millisecond

// Drain ends the proxy without losing a request, and returns at once. The proxy
// says that it is not ready, has its peers take its slots, accepts no more clients after drain_delay, answers
// the requests that have begun to come, tells idle clients to leave, and ends
// when the last client is gone, or after drain_timeout. by says who asked for it.
func (in *Instance) Drain(by string) {
	if !in.life.drain() {
		return
	}
	conf := &in.current.Load().conf.Process
	in.log.Always("draining", slog.String("by", by), slog.Int("clients", in.loops.clients()),
		slog.Duration("delay", conf.DrainDelay), slog.Duration("timeout", conf.DrainTimeout))
	in.journal.addEvent(events.Event{
		Kind: events.Draining, Text: "draining: " + units.Count(in.loops.clients(), "client"),
		By: by, For: conf.DrainDelay + conf.DrainTimeout,
	})
	notify(in.log, "STOPPING=1")
	go in.drain(conf.DrainDelay)
}

func (in *Instance) drain(delay time.Duration) {
	defer in.Stop()
	if (membership{in.core}).leave(in.last(), delay) {
		return
	}
	g := in.stopAccepting()
	if g.conf.Process.DrainTimeout > 0 {
		in.emptyLoops(in.leaveBy(g))
	}
}

// stopAccepting waits for a change that is under way, and closes the listeners. No
// change can begin after that.
func (in *Instance) stopAccepting() *generation {
	defer in.lockGeneration()()
	g := in.current.Load()
	for i, l := range g.listeners {
		in.listeners.acceptRest(l, g.poolAt(i).Backlog+1)
	}
	in.listeners.close(g.listeners)
	return g
}

// emptyLoops asks all clients to leave, and returns when they have.
func (in *Instance) emptyLoops(by int64) {
	in.pauses.endAll()
	gone := in.loops.onAll(func(ctx *proxy.Context) {
		ctx.ResumeAll()
		ctx.Drain(by)
	})
	if gone != nil {
		return
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for in.loops.clients() > 0 {
		select {
		case <-tick.C:
		case <-in.life.stopping:
			return
		}
	}
}
