package proxy

import (
	"slices"
	"syscall"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A Listener accepts a pool's clients on one loop and deals them to all. All but
// Listen runs on that loop.
type Listener struct {
	// static after construction
	ctx   *Context // the accepting loop
	loops []*Context

	// owned by the accepting loop
	ln        *eventloop.Listener
	pool      *topology.Lineage // nil before Serve
	secured   bool              // clients come with the pool's stage
	restUntil int64
	pace      pace
}

// Listen prepares ctx's loop to accept clients from the socket, and to deal them to
// loops, of which ctx is one. Nobody is accepted before Serve. It must run on ctx's
// loop. The socket stays the caller's.
func (ctx *Context) Listen(s *eventloop.ListenSocket, loops []*Context) (*Listener, error) {
	l := &Listener{ctx: ctx, loops: loops}
	ln, err := ctx.loop.Listen(s, l)
	if err != nil {
		return nil, err
	}
	l.ln = ln
	ln.Pause()
	ctx.shard.TotalConnections++
	ctx.shard.CurrConnections++
	return l, nil
}

// Serve accepts clients for t's pool from now on, with the pool's stage for clients if
// secured. All loops must know the pool, or be about to.
func (l *Listener) Serve(t *topology.Topology, secured bool) {
	l.pool, l.secured = t.Lineage, secured
	if !slices.Contains(l.ctx.resting, l) {
		l.ln.Resume()
	}
}

// AcceptSome accepts clients that wait in the kernel, for a listener that is about to
// be closed. It accepts at most most, and returns how many it was and whether there may
// be more.
func (l *Listener) AcceptSome(most int) (n int, more bool) { return l.ln.AcceptSome(most) }

// Close accepts no more. The socket may be closed once the turn is over.
func (l *Listener) Close() {
	l.ln.Close()
	l.ctx.resting = slices.DeleteFunc(l.ctx.resting, func(r *Listener) bool { return r == l })
	l.ctx.shard.CurrConnections--
}

// OnAccept implements eventloop.Acceptor: the client goes to the loop with the fewest
// clients.
func (l *Listener) OnAccept(a eventloop.Accepted) {
	by, ok := l.admit(a)
	if !ok {
		return
	}
	to := l.loops[0]
	for _, ctx := range l.loops[1:] {
		if ctx.nclients.Value() < to.nclients.Value() {
			to = ctx
		}
	}
	to.nclients.Add(1)
	pool := l.pool
	if to == l.ctx {
		to.accept(pool, a, by)
		return
	}
	if !a.Hand(to.loop, func(a eventloop.Accepted) { to.accept(pool, a, by) }) {
		to.clientGone(pool)
	}
}

// accept makes a client of the pool of a connection. The pool may have been removed
// meanwhile.
func (ctx *Context) accept(id *topology.Lineage, a eventloop.Accepted, by manner) {
	p := ctx.poolOf(id)
	switch {
	case p != nil && by.header:
		awaitHeader(p, a, by)
		return
	case p != nil:
		p.accept(a, by.secured)
		return
	}
	ctx.clientGone(id)
	a.Refuse(nil)
}

// clientGone counts that a client which was dealt to the loop is gone.
func (ctx *Context) clientGone(id *topology.Lineage) {
	ctx.nclients.Add(-1)
	ctx.identity.Limits().Part(id)
}

// poolOf returns the pool of that identity, or nil.
func (ctx *Context) poolOf(id *topology.Lineage) *ServerPool {
	for _, p := range ctx.pools {
		if p.topo.Lineage == id {
			return p
		}
	}
	return nil
}

// A manner is how a client comes: with the pool's stage, with a PROXY header before all else.
type manner struct{ secured, header bool }

// admit counts the client against the limits, and says how it comes. One too many, or one
// whose address is not let in, gets an error and is closed.
func (l *Listener) admit(a eventloop.Accepted) (by manner, ok bool) {
	p := l.ctx.poolOf(l.pool)
	by.secured = l.secured
	limit := int64(0)
	if p != nil { // else it is being removed, and accept finds that out
		limit = int64(p.conf.ClientConnections)
		if lists := p.access.of(l.secured); lists.on {
			from := a.PeerAddr()
			if by.header = lists.balancers.Contains(from); !by.header && !lists.admits(from) {
				refuseStranger(p, a, from, l.secured)
				return by, false
			}
		}
	}
	why := l.ctx.identity.Limits().Join(l.pool, limit)
	if why == msg.OK {
		return by, true
	}
	if p != nil {
		p.refuseClient(a, why, l.secured && p.stages != nil)
	} else {
		a.Refuse(nil)
	}
	return by, false
}

// refuseClient sends an error to a client for which there is no room, and closes its connection.
func (p *ServerPool) refuseClient(a eventloop.Accepted, why msg.Reason, secured bool) {
	countRefused(p, why)
	logRefused(p, a, why)
	turnAway(p, a, msg.TooManyClients, secured)
}

// turnAway closes the connection of a client, which is told why.
func turnAway(p *ServerPool, a eventloop.Accepted, why msg.Reason, secured bool) {
	words := refusal(p, why, secured)
	// A fresh connection takes a line. If it does not, the client learns from the
	// close alone.
	a.Refuse(words.Head().Bytes())
	words.Release(p.ctx.bufs)
}

// refusal is what a client is told that is turned away.
func refusal(p *ServerPool, why msg.Reason, secured bool) (words mbuf.Chain) {
	switch {
	case secured && why == msg.AddressRefused:
		words.AppendString(p.ctx.bufs, msg.TLSDenial)
	case secured:
		words.AppendString(p.ctx.bufs, msg.TLSRefusal)
	default:
		p.proto.AppendError(p.ctx.bufs, &words, why.String())
	}
	return words
}

// OnAcceptError implements eventloop.Acceptor. If no descriptor is left, the listener
// pauses instead of failing again and again.
func (l *Listener) OnAcceptError(err syscall.Errno) {
	l.ctx.shard.Values[stats.AcceptErrors]++
	l.logAcceptError(err)
	l.ln.Pause()
	l.restUntil = l.ctx.loop.Now() + acceptPause
	l.ctx.resting = append(l.ctx.resting, l)
}

func (l *Listener) wake() { l.ln.Resume() }

// accept makes a client of the connection.
func (p *ServerPool) accept(a eventloop.Accepted, secured bool) {
	a.Tune(keepaliveOf(p.conf))
	c := newClient(p)
	st := p.clientStage(secured)
	if st != nil {
		c.addrs = &addresses{ip: a.PeerAddr()} // it may ask for another pool
	}
	if err := a.Attach(&c.Conn, c, st); err != nil {
		p.ctx.clientGone(p.topo.Lineage)
		return
	}
	c.opened()
}
