package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
)

// tooManyClients is what Redis says to a client above its limit.
const tooManyClients = "max number of clients reached"

// A Listener accepts a pool's clients on one loop and deals them to all.
type Listener struct {
	// static after construction
	ctx   *Context // the accepting loop
	index int      // of the pool, in every context
	loops []*Context
	fd    int

	// owned by the accepting loop
	ln        *eventloop.Listener
	restUntil int64
}

// Listen has ctx's loop accept clients of its index-th pool from the listening
// socket fd, and deal them to loops, of which ctx is one. It must run on ctx's
// loop. The descriptor stays the caller's.
func (ctx *Context) Listen(index, fd int, loops []*Context) (*Listener, error) {
	l := &Listener{ctx: ctx, index: index, loops: loops, fd: fd}
	ln, err := ctx.loop.Listen(fd, l)
	if err != nil {
		return nil, err
	}
	l.ln = ln
	ctx.shard.TotalConnections++
	ctx.shard.CurrConnections++
	return l, nil
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
	if to == l.ctx {
		to.pools[l.index].accept(fd)
		return
	}
	index := l.index
	to.loop.Post(func() { to.pools[index].accept(fd) })
}

// admit counts the client against the pool's client_connections. The one too
// many is told so and closed.
func (l *Listener) admit(fd int) bool {
	p := l.ctx.pools[l.index]
	n := p.topo.clients.Add(1)
	limit := int64(p.conf.ClientConnections)
	if limit == 0 || n <= limit {
		return true
	}
	p.topo.clients.Add(-1)
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
	l.ctx.pools[l.index].logAcceptError(err)
	l.ln.Pause()
	l.restUntil = l.ctx.loop.Now() + acceptPause
	l.ctx.resting = append(l.ctx.resting, l)
}

func (l *Listener) wake() { l.ln.Resume() }

// accept makes a client of the connected socket fd.
func (p *ServerPool) accept(fd int) {
	ctx := p.ctx
	socket.Tune(fd, p.conf.TCPKeepalive)
	c := newClient(p)
	if err := ctx.loop.Attach(&c.Conn, fd, false, c); err != nil {
		ctx.nclients.Add(-1)
		p.topo.clients.Add(-1)
		return
	}
	c.opened()
}
