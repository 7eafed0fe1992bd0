package daemon

import (
	"fmt"
	"log/slog"
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/proxy"
)

// drainPoll is how often a draining proxy looks whether its clients are gone.
const drainPoll = 5 * time.Millisecond

// leaveBy is when, in the loops' time, what is to end goes at the latest.
func (in *Instance) leaveBy(g *generation) int64 {
	return in.Now() + int64(g.conf.Process.DrainTimeout)
}

// Ready reports whether the proxy takes new clients and means to go on doing so.
func (in *Instance) Ready() bool {
	select {
	case <-in.stopping:
		return false
	default:
		return !in.draining.Load()
	}
}

// Drain ends the proxy without losing a request, and returns at once. The proxy
// says that it is not ready, accepts no more clients after drain_delay, answers
// the requests that have begun to come, tells idle clients to leave, and ends
// when the last client is gone, or after drain_timeout. by says who asked for it.
func (in *Instance) Drain(by string) {
	in.fate.Lock()
	first := in.draining.CompareAndSwap(false, true)
	if first {
		in.end()
	}
	in.fate.Unlock()
	if !first {
		return
	}
	conf := &in.current.Load().conf.Process
	in.log.Always("draining", slog.String("by", by), slog.Int("clients", in.clients()),
		slog.Duration("delay", conf.DrainDelay), slog.Duration("timeout", conf.DrainTimeout))
	in.tell(events.Event{
		Kind: events.Draining, Text: fmt.Sprintf("draining: %d clients", in.clients()),
		By: by, For: conf.DrainDelay + conf.DrainTimeout,
	})
	in.notify("STOPPING=1")
	go in.drain(conf.DrainDelay)
}

func (in *Instance) drain(delay time.Duration) {
	defer in.Stop()
	select {
	case <-time.After(delay):
	case <-in.stopping:
		return
	}
	g := in.stopAccepting()
	if g.conf.Process.DrainTimeout > 0 {
		in.emptyLoops(in.leaveBy(g))
	}
}

// stopAccepting closes the listeners, when a change that is under way has come
// to its end. There is none afterwards.
func (in *Instance) stopAccepting() *generation {
	defer in.lockGeneration()()
	g := in.current.Load()
	for i, l := range g.listeners {
		in.acceptRest(l, g.conf.Pools[i].Backlog+1)
	}
	in.closeListeners(g.listeners)
	return g
}

// acceptRest accepts the clients that wait in the kernel, but no more than can have
// waited when it began, however many come meanwhile.
func (in *Instance) acceptRest(l *listener, most int) {
	for more := true; more && most > 0; {
		var n int
		if in.onLoop(in.contexts[0], func(*proxy.Context) { n, more = l.accept.AcceptSome(most) }) != nil {
			return // that the loops have ended is as good
		}
		most -= n
	}
}

// emptyLoops has all clients leave, and returns when they have.
func (in *Instance) emptyLoops(by int64) {
	in.endAllPauses()
	gone := in.onLoops(func(ctx *proxy.Context) {
		ctx.ResumeAll()
		ctx.Drain(by)
	})
	if gone != nil {
		return
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for in.clients() > 0 {
		select {
		case <-tick.C:
		case <-in.stopping:
			return
		}
	}
}

// clients is how many clients there are.
func (in *Instance) clients() int {
	n := 0
	for _, ctx := range in.contexts {
		n += ctx.Clients()
	}
	return n
}
