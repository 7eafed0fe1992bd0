package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// What a loop says about its clients: to requests about clients (inquiry.go), and to
// the admin listener.

// A clientScan is one loop's work for a block.
type clientScan struct {
	// static after construction
	g    *gathering // of which only what is static is used here
	part int
	id   *topology.Lineage
	ids  []uint64

	// owned by the loop that scans
	walk  *walk[*client]
	found []finding
	// asked is how many of the ids were looked up. killed is how many clients were
	// closed, or unblocked, or will be.
	asked, killed int
	self          bool
}

// step implements job.
func (l *clientScan) step(ctx *Context) (done bool) {
	p := ctx.poolOf(l.id)
	if l.ids == nil && l.walk.list == nil && p != nil {
		l.walk.begin(&p.clients)
	}
	for ctx.turn.hasBudget() {
		c, ended := l.next(ctx, p)
		switch {
		case ended:
			l.walk.end()
			l.handOver(ctx, true)
			return true
		case c != nil:
			l.see(ctx, c)
		}
		if l.ids == nil && len(l.found) == blockClients {
			l.handOver(ctx, false)
			return true
		}
	}
	return false
}

// next is the next client to look at, or nil if no client has the next id.
func (l *clientScan) next(ctx *Context, p *ServerPool) (c *client, ended bool) {
	if l.ids == nil {
		c = l.walk.next()
		ctx.turn.count(Amount{Clients: 1})
		return c, c == nil || c.session.ID > l.g.last
	}
	if p == nil || l.asked == len(l.ids) {
		return nil, true
	}
	c = p.byID[l.ids[l.asked]]
	l.asked++
	ctx.turn.count(Amount{Keys: 1})
	return c, false
}

// see notes the client if it matches the inquiry, or closes it, or ends its wait.
func (l *clientScan) see(ctx *Context, c *client) {
	f := c.facts()
	q := l.g.inquiry
	if yes, fails := q.Unblocks(); yes {
		if q.Matches(&f) && c.blocked() {
			c.own.block.unblock(fails)
			l.killed++
		}
		return
	}
	switch {
	case !q.Matches(&f):
		return
	case !q.Kills():
		place := f.ID
		if l.ids != nil {
			place = uint64(l.asked)
			ctx.turn.count(Amount{Clients: 1})
		}
		l.found = append(l.found, finding{f, place})
		return
	}
	l.killed++
	if c == l.g.client {
		l.self = true
		return
	}
	ctx.turn.count(Amount{Clients: closeCost})
	c.kill()
}

// handOver gives the block to the gathering.
func (l *clientScan) handOver(ctx *Context, ended bool) {
	g, n := l.g, l.killed+len(l.found)
	own := g.client.pool.ctx
	if own == ctx {
		g.receive(l.part, l.found, n, l.self, ended)
		return
	}
	// A loop that has ended, and its clients with it, needs no answer.
	own.loop.Post(func() { g.receive(l.part, l.found, n, l.self, ended) })
}

// NewestClients describes the newest clients of t's pool, at most most of them: to look
// at all of very many clients would take too long for one turn. It must run on the
// loop.
func (ctx *Context) NewestClients(t *topology.Topology, most int) []msg.ClientFacts {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		return nil
	}
	var newest []msg.ClientFacts
	for c := p.clients.last; c != nil && len(newest) < most; c = c.prev {
		f := c.facts()
		if p.proto.guard != nil {
			f.UserName = p.proto.guard.UserName(&c.session)
		}
		newest = append(newest, f)
	}
	return newest
}
