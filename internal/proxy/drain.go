package proxy

import (
	"slices"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// What a reload or a drain removes finishes its work, and is then closed. The process's
// side of a drain (the signal, the listeners, the end) is daemon/drain.go.
//
//	client      requests that have come, or begun to come, are answered; at the
//	            first moment when none is, we say that no more comes, and wait
//	            for the client to do the same
//	connection  of a server that is removed, or that is to be connected to anew:
//	            no new requests; closed when those it has are answered
//	pool        of the file before: when its clients are gone, so are its servers
//
// Each has a time at which it is closed even if it has not finished.

const (
	// partingLinger is how long, in nanoseconds, a client has to close its side
	// after we closed ours. To close at once, with bytes of the client unread,
	// would have the kernel reset the connection and drop our last replies.
	partingLinger = int64(time.Second)
	// leavePoll is how often, in nanoseconds, what is about to be closed is looked at,
	// as long as there is any.
	leavePoll = int64(20 * time.Millisecond)
)

// leaving is what one loop is about to close.
type leaving struct {
	ctx     *Context
	clients []*client
	conns   []*serverConn
	pools   []*ServerPool
	// next is when to look again; 0 if nothing is about to go.
	next int64
}

// Leaving reports whether anything is still to be closed. It must run on the
// loop.
func (ctx *Context) Leaving() bool { return ctx.leaving.next != 0 || newcomersLeave(ctx) }

// Drain asks all clients to leave, and closes them at time by. It must run on
// the loop.
func (ctx *Context) Drain(by int64) {
	for _, p := range ctx.pools {
		p.dismiss(by)
	}
}

// SendElsewhere has the clients of t's pool be told which other proxy to ask, for each request
// that it would send to servers. It must run on the loop.
func SendElsewhere(ctx *Context, t *topology.Topology) {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		return
	}
	for c := range p.clients.all() {
		c.session.Bars |= msg.Elsewhere
	}
}

// dismiss asks the pool's clients to leave.
func (p *ServerPool) dismiss(by int64) {
	dismissNewcomers(p, by)
	for c := range p.clients.all() {
		p.ctx.leaving.dismiss(c, by)
	}
}

// dismiss closes the client when it has its replies, at the latest at time by.
func (l *leaving) dismiss(c *client, by int64) {
	if c.leaveBy == 0 {
		l.clients = append(l.clients, c)
		l.checkSoon()
	}
	c.leaveBy = by
	if c.blocked() {
		c.own.block.endEarly(recallsReply)
	}
	if c.busy() || l.ctx.turn.room() {
		c.settle()
	} else {
		l.next = l.ctx.loop.Now() // it is one of many
	}
}

// busy reports whether the client has sent something that is not answered, or is to
// hear something, or is to end its transaction.
func (c *client) busy() bool {
	return c.inFlight() > 0 || c.Out().Len() > 0 || c.hasMore() || c.large != nil || c.collects() || c.watches()
}

// closeOurSide closes our side of a client that is to leave, if it is idle.
func (l *leaving) closeOurSide(c *client) {
	if c.busy() {
		return
	}
	if n, _ := c.Unread(); n > 0 {
		return
	}
	c.state = clientParted
	c.lastErr = byDismissal
	c.leaveBy = min(c.leaveBy, l.ctx.loop.Now()+partingLinger)
	c.CloseWrite()
}

// replaceConns replaces the server's connections.
func (s *Server) replaceConns(by int64) {
	s.replace(by, func(tenant) bool { return true })
}

// replaceRequests replaces those for requests. Clients that listen stay.
func (s *Server) replaceRequests(by int64) {
	s.replace(by, func(t tenant) bool { return t.feed() == nil })
}

// replace replaces the server's connections, of the private ones those that nobody has, and
// those of such tenants.
func (s *Server) replace(by int64, of func(tenant) bool) {
	var waiting []*serverConn
	for c := range s.conns() {
		switch {
		case c.awaits():
			waiting = append(waiting, c)
		case c.Attached() && c.private == nil:
			c.closeWhenAnswered(by)
		}
	}
	s.lanes = nil
	s.store.withdraw(by, of)
	for _, c := range waiting {
		c.wait.end(msg.ConnReplaced)
	}
}

// closeWhenAnswered closes the connection when all its requests are answered, at the latest at
// time by. It reports whether the connection is closed now. Clients with requests on it
// get their replies before more is taken from them: on another connection their next
// requests could overtake. The caller gives other clients another connection.
func (c *serverConn) closeWhenAnswered(by int64) (gone bool) {
	if c.queue.Len() == 0 {
		return c.pool.ctx.turn.retireSoon(c)
	}
	for m := range c.queue.All() {
		if party := m.Party(); party != nil {
			party.AwaitReplies()
		}
	}
	ctx := c.pool.ctx
	c.retireBy = by
	ctx.leaving.conns = append(ctx.leaving.conns, c)
	ctx.leaving.checkSoon()
	return false
}

// drain removes the whole pool: its clients leave, and then its servers are closed.
func (p *ServerPool) drain(by int64) {
	p.leaveBy = by
	p.resume()
	release(p)
	p.ctx.leaving.pools = append(p.ctx.leaving.pools, p)
	p.ctx.leaving.checkSoon()
	p.dismiss(by)
}

func (l *leaving) checkSoon() { l.next = l.ctx.loop.Now() + leavePoll }

// due closes what has finished and what is overdue.
func (l *leaving) due(now int64) {
	ctx := l.ctx
	more := false
	for _, c := range l.clients {
		overdue := now >= c.leaveBy
		switch {
		case c.state == clientClosed, !overdue && (c.state == clientParted || c.busy()):
		case !ctx.turn.room():
			more = true
		case overdue:
			c.lastErr = byDismissal
			c.close()
		default:
			c.settle()
		}
	}
	for _, c := range l.conns {
		switch {
		case !c.Attached(), (c.queue.Len() > 0 || feedOn(c) != nil) && now < c.retireBy:
		case !ctx.turn.room():
			more = true
		case c.queue.Len() == 0:
			c.retire()
		default:
			c.fail(msg.ConnReplaced)
		}
	}
	for _, p := range l.pools {
		if p.clients.first == nil && p.newcomers.first == nil {
			for _, s := range p.servers {
				s.replaceConns(p.leaveBy)
			}
			p.servers = nil
		}
	}
	l.clients = slices.DeleteFunc(l.clients, func(c *client) bool { return c.state == clientClosed })
	l.conns = slices.DeleteFunc(l.conns, func(c *serverConn) bool { return !c.Attached() })
	l.pools = slices.DeleteFunc(l.pools, func(p *ServerPool) bool { return p.servers == nil })
	if l.next = now + leavePoll; more {
		l.next = now
	}
	if len(l.clients)+len(l.conns)+len(l.pools) == 0 {
		*l = leaving{ctx: ctx}
	}
}
