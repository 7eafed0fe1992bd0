package proxy

import "nuthatch/internal/topology"

// Pause makes the clients of t's pool wait: no more requests are taken, and a client
// that has sent one is not read from, but for what it collects for an EXEC. Requests in
// flight go on. It must run on the
// loop.
func (ctx *Context) Pause(t *topology.Topology) {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		return
	}
	if !p.paused {
		p.paused, p.pausedAt = true, ctx.loop.Now()
	}
	for c := range p.clients.all() {
		if c.collects() { // up to its EXEC
			continue
		}
		c.pause()
		ctx.refuseInTime(c)
	}
	recallPaused(p)
}

// pause has the client wait until the pool goes on.
func (in *intake) pause() { in.waits |= waitsForPool }

// goOnWithPool has it wait no longer.
func (in *intake) goOnWithPool() { in.waits &^= waitsForPool }

// Resume undoes Pause. It must run on the loop.
func (ctx *Context) Resume(t *topology.Topology) {
	if p := ctx.poolOf(t.Lineage); p != nil {
		p.resume()
	}
}

// ResumeAll undoes Pause for all pools. It must run on the loop.
func (ctx *Context) ResumeAll() {
	for _, p := range ctx.pools {
		p.resume()
	}
}

func (p *ServerPool) resume() {
	if !p.paused {
		return
	}
	p.paused = false
	now := p.ctx.loop.Now()
	for c := p.clients.first; c != nil; c = c.next {
		c.goOnWithPool()
		c.blockAgain(now)
		c.countFrom(now, now-p.pausedAt)
		c.goOnToExec()
		c.resumeIfRoom()
	}
}

// InFlight is how many requests of t's pool have been taken and not yet answered.
// Requests that wait at servers (BLPOP) do not count. It must run on the loop.
func (ctx *Context) InFlight(t *topology.Topology) int {
	n := 0
	if p := ctx.poolOf(t.Lineage); p != nil {
		for c := p.clients.first; c != nil; c = c.next {
			if !c.blocked() {
				n += c.inFlight()
			}
		}
	}
	return n
}

// Kill closes the client with the given id, and reports whether the loop
// has it. It must run on the loop.
func (ctx *Context) Kill(id uint64) bool {
	for _, p := range ctx.pools {
		if c := p.byID[id]; c != nil {
			c.kill()
			return true
		}
	}
	return false
}

// Reconnect replaces the connections to the servers of t's pool, or only those to h if
// h is not nil. The old ones answer the requests that they have, until time by at the
// latest. Clients that listen move without a gap: all loops must be given the same m. It
// must run on the loop.
func (ctx *Context) Reconnect(t *topology.Topology, h *topology.Health, by int64, m *topology.Moving) {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		tellReady(ctx, m)
		return
	}
	for _, s := range p.servers {
		if h == nil || s.health == h {
			s.replaceConns(by)
		}
	}
	moveChannels(p, m)
}
