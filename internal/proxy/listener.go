package proxy

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
)

// tooManyClients is what Redis says to a client above its limit.
const tooManyClients = "max number of clients reached"

// A Listener accepts a pool's clients on one loop and deals them to all. All but
// Listen runs on that loop.
type Listener struct {
	// static after construction
	ctx   *Context // the accepting loop
	loops []*Context
	fd    int

	// owned by the accepting loop
	ln        *eventloop.Listener
	pool      *lineage // nil before Serve
	restUntil int64
}

// Listen prepares ctx's loop to accept clients from the listening socket fd, and
// to deal them to loops, of which ctx is one. Nobody is accepted before Serve. It
// must run on ctx's loop. The descriptor stays the caller's.
func (ctx *Context) Listen(fd int, loops []*Context) (*Listener, error) {
	l := &Listener{ctx: ctx, loops: loops, fd: fd}
	ln, err := ctx.loop.Listen(fd, l)
	if err != nil {
		return nil, err
	}
	l.ln = ln
	ln.Pause()
	ctx.shard.TotalConnections++
	ctx.shard.CurrConnections++
	return l, nil
}

// Serve accepts clients for the pool of t, which all loops must know or be about
// to know, from now on.
func (l *Listener) Serve(t *Topology) {
	l.pool = t.lineage
	if !slices.Contains(l.ctx.resting, l) {
		l.ln.Resume()
	}
}

// AcceptRest accepts the clients that wait in the kernel, for a listener that is
// about to be closed.
func (l *Listener) AcceptRest() { l.ln.AcceptRest() }

// Close accepts no more. The descriptor may be closed once the turn is over.
func (l *Listener) Close() {
	l.ln.Close()
	l.ctx.resting = slices.DeleteFunc(l.ctx.resting, func(r *Listener) bool { return r == l })
	l.ctx.shard.CurrConnections--
}

// OnAccept implements eventloop.Acceptor: the client goes to the loop that has
// the fewest.
func (l *Listener) OnAccept(fd int) {
	if !l.admit(fd) {
		return
	}
	to := l.loops[0]
	for _, ctx := range l.loops[1:] {
		if ctx.nclients.Load() < to.nclients.Load() {
			to = ctx
		}
	}
	to.nclients.Add(1)
	pool := l.pool
	if to == l.ctx {
		to.accept(pool, fd)
		return
	}
	to.loop.Post(func() { to.accept(pool, fd) })
}

// accept makes a client of the pool of the connected socket fd. The pool may
// have been removed meanwhile.
func (ctx *Context) accept(id *lineage, fd int) {
	if p := ctx.poolOf(id); p != nil {
		p.accept(fd)
		return
	}
	ctx.nclients.Add(-1)
	id.clients.Add(-1)
	unix.Close(fd)
}

// poolOf returns the pool of that identity, or nil.
func (ctx *Context) poolOf(id *lineage) *ServerPool {
	for _, p := range ctx.pools {
		if p.topo.lineage == id {
			return p
		}
	}
	return nil
}

// admit counts the client against the pool's client_connections. The one too
// many is told so and closed.
func (l *Listener) admit(fd int) bool {
	n := l.pool.clients.Add(1)
	p := l.ctx.poolOf(l.pool)
	if p == nil {
		return true // it is being removed, and accept finds that out
	}
	limit := int64(p.conf.ClientConnections)
	if limit == 0 || n <= limit {
		return true
	}
	p.topo.clients.Add(-1)
	p.stats.Values[stats.ClientsRefused]++
	var out mbuf.Chain
	p.proto.AppendError(l.ctx.bufs, &out, tooManyClients)
	// A fresh socket takes a line. If it does not, the client learns from the
	// close alone.
	_, _ = unix.Write(fd, out.Head().Bytes())
	out.Release(l.ctx.bufs)
	p.logRefused(fd, limit)
	unix.Close(fd)
	return false
}

// OnAcceptError implements eventloop.Acceptor: without a descriptor the listener
// rests, instead of being asked again and again.
func (l *Listener) OnAcceptError(err syscall.Errno) {
	l.ctx.logAcceptError(l.fd, err)
	l.ln.Pause()
	l.restUntil = l.ctx.loop.Now() + acceptPause
	l.ctx.resting = append(l.ctx.resting, l)
}

func (l *Listener) wake() { l.ln.Resume() }

// accept makes a client of the connected socket fd.
func (p *ServerPool) accept(fd int) {
	ctx := p.ctx
	socket.Tune(fd, keepaliveOf(p.conf))
	c := newClient(p)
	if err := ctx.loop.Attach(&c.Conn, fd, false, c); err != nil {
		ctx.nclients.Add(-1)
		p.topo.clients.Add(-1)
		return
	}
	c.opened()
}
