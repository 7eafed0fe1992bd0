package proxy

// A Service is what an operator wants of a server.
type Service int32

const (
	// InService means that the server gets its requests.
	InService Service = iota
	// OffTheRing means that the other servers get its requests, as if it were ejected.
	OffTheRing
	// Refused means that its requests get an error.
	Refused
)

// String is the service in words.
func (s Service) String() string {
	switch s {
	case InService:
		return "in service"
	case OffTheRing:
		return "off the ring"
	case Refused:
		return "refused"
	}
	return "unknown"
}

func (h *Health) inService() Service { return Service(h.service.Load()) }

// SetService takes the i-th server out of service, or puts it back, at time now.
// It may be called from any goroutine.
func (t *Topology) SetService(i int, s Service, now int64) {
	if was := t.health[i].service.Swap(int32(s)); was != int32(s) {
		t.health[i].serviceSince.Store(now)
	}
	t.rebuild(now, nil)
}

// Service tells whether the i-th server is in service. It may be called from any
// goroutine.
func (t *Topology) Service(i int) Service { return t.health[i].inService() }

// Pause has clients of the pool of t wait: requests that come are not taken, and
// clients that sent some are not read from. What is in flight goes on. It must
// run on the loop.
func (ctx *Context) Pause(t *Topology) {
	p := ctx.poolOf(t.lineage)
	if p == nil {
		return
	}
	p.paused = true
	for c := range p.everyClient() {
		c.waits |= waitsForPool
		c.expireWaiting()
	}
}

// Resume undoes Pause. It must run on the loop.
func (ctx *Context) Resume(t *Topology) {
	if p := ctx.poolOf(t.lineage); p != nil {
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
	for c := p.clients; c != nil; c = c.next {
		c.waits &^= waitsForPool
		c.mayResume()
	}
}

// InFlight is how many requests of the pool of t have been taken and not yet
// answered. It must run on the loop.
func (ctx *Context) InFlight(t *Topology) int {
	n := 0
	if p := ctx.poolOf(t.lineage); p != nil {
		for c := p.clients; c != nil; c = c.next {
			n += c.inFlight()
		}
	}
	return n
}

// Kill closes the client with the given id at once, and reports whether the loop
// has it. It must run on the loop.
func (ctx *Context) Kill(id uint64) bool {
	for _, p := range ctx.pools {
		if c := p.byID[id]; c != nil {
			c.lastErr = byKill
			c.close()
			return true
		}
	}
	return false
}

// Reconnect has the servers of the pool of t, or only the i-th if i is not
// negative, use new connections. The old ones finish what they have, at most
// until by. It must run on the loop.
func (ctx *Context) Reconnect(t *Topology, i int, by int64) {
	p := ctx.poolOf(t.lineage)
	if p == nil {
		return
	}
	for _, s := range p.servers {
		// A reload may have given it another place meanwhile.
		if i < 0 || s.health == t.health[i] {
			s.renew(by)
		}
	}
}
