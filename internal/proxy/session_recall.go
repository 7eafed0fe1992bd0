package proxy

import (
	"slices"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// A wait at a server is ended early by a CLIENT UNBLOCK on another connection. To close
// the connection would lose an element that is on its way:
//
//	a client asks for it, a drain, a kill    the reply, null or an element, is delivered
//	a pause                                  null is not delivered: the request is in the
//	                                         stash again, for the time that is left
//	the key has another server               likewise, and is taken at once
//	a reload takes the right away            likewise, and is refused
//
// The server may not have got the blocking request yet. So CLIENT UNBLOCK is repeated
// until it works.

// A recall is why a wait is to end early; 0: it is not.
type recall uint8

const (
	// recallsReply gives the client what the server says. recallsError does too, and
	// the server says an error.
	recallsReply recall = 1 + iota
	recallsError
	// recallsRequest puts the request back into the stash, to be taken again. recallsRight
	// does too, and the request will be refused: if the server cannot end the wait, the
	// client is closed.
	recallsRequest
	recallsRight
)

// takesAgain reports whether the request is put back into the stash.
func (r recall) takesAgain() bool { return r == recallsRequest || r == recallsRight }

// unblock ends the wait because another client asks for it.
func (b *blocking) unblock(fails bool) {
	why := recallsReply
	if fails {
		why = recallsError
	}
	b.endEarly(why)
}

// recallPeriod is after how long, in nanoseconds, CLIENT UNBLOCK is repeated.
const recallPeriod = int64(20 * time.Millisecond)

// endEarly ends the wait early, for the reason why.
func (b *blocking) endEarly(why recall) {
	if b.m == nil {
		return
	}
	first := b.recall == 0
	if b.recall != recallsRight {
		b.recall = why
	}
	switch {
	case !first:
	case why.takesAgain() && b.confirming != nil:
		b.again(false) // there is no element to be lost
	default:
		for _, l := range slices.Clone(b.legs) {
			l.sendUnblock()
		}
	}
}

// sendUnblock asks the server to end the wait.
func (l *leg) sendUnblock() {
	b, conn := l.block, l.conn
	switch {
	case l.m == nil || !conn.Attached():
		return // it has ended, or that it has failed is yet to be told
	case conn.handshake.pending > 0 || !conn.Open():
		if !b.recall.takesAgain() {
			l.retryUnblock()
			return
		}
		b.again(false) // the request has not been sent
		return
	case conn.private.id == 0: // the server does not allow it
		b.cannotEnd()
		return
	}
	ctx := conn.pool.ctx
	ctl, why := conn.server.control(conn)
	if why != msg.OK {
		l.retryUnblock()
		return
	}
	out := ctl.Out()
	before := out.Len()
	conn.pool.proto.blocker.AppendUnblock(conn.private.id, b.recall != recallsReply, ctx.bufs, out)
	m := ctx.msgs.Get()
	m.Owner, m.NoReply = &unblocking{leg: l, conn: conn, of: l.m, end: l.m.End}, true
	conn.private.unblocks++
	conn.private.recalled = conn.private.recalled || b.recall.takesAgain()
	ctl.enqueue(m, out.Len()-before)
}

// again puts the request back into the stash, with the time that is left. answered: its
// reply has come, and is dropped. If not, the connection is closed.
func (b *blocking) again(answered bool) {
	c := b.own.client
	p := c.pool
	ctx := p.ctx
	begun := ctx.loop.Now() - b.since
	parser := p.proto.NewRequestParser()
	if _, done, err := parser.Parse(b.text); err == nil && done {
		req := parser.Finish(b.text)
		patience := p.proto.blocker.Patience(req)
		if patience == 0 {
			req.View.AppendTo(ctx.bufs, &c.again, 0, req.View.Len())
		} else {
			p.proto.blocker.AppendShorter(req, max(1, patience-begun), ctx.bufs, &c.again)
		}
	}
	if p.paused {
		c.waits |= waitsToBlock
	}
	uncount(p, b.m.Type)
	if b.m.Muted {
		c.session.Again()
	}
	c.outq.Pop()
	if b.confirming != nil {
		b.confirming.giveUp()
	} else {
		b.takeBack(answered)
	}
	c.parseAgain()
	c.resumeIfRoom()
	c.settle()
}

// blockAgain has a request that is back in the stash wait for the proxy from now on: the
// pool is resumed.
func (in *intake) blockAgain(now int64) {
	if in.waits&waitsToBlock != 0 {
		in.waits &^= waitsToBlock
		in.stashedAt = now
	}
}

// takeBack ends the wait at one server, whose request is taken again. If it is answered, its
// message is in no queue.
func (b *blocking) takeBack(answered bool) {
	o, c := b.own, b.own.client
	m, conn := b.first.detach()
	b.detach()
	if !answered {
		c.hold(m, 0)
		m.Owner = nil
		conn.abandon(msg.Asked)
		return
	}
	c.freeMsg(c.pool.ctx, m)
	if !o.needs(conn) {
		o.giveBack(conn, false)
	}
}

// An unblocking owns the reply to a CLIENT UNBLOCK that is to end the wait of the
// message of on conn. end is of's End then: messages are used again.
type unblocking struct {
	leg  *leg
	conn *serverConn
	of   *msg.Msg
	end  uint64
}

// unblockAnswered notes that a CLIENT UNBLOCK for the connection is answered; lost: it will
// not be, and may still come to the server.
func (pv *private) unblockAnswered(lost bool) {
	c := pv.conn
	pv.unblocks--
	pv.stale = pv.stale || lost
	if pv.tenant == nil && !pv.isUnused && c.Attached() && c.queue.Len() == 0 {
		pv.putUnused()
	}
}

// waits reports whether that is still what waits.
func (u *unblocking) waits() bool { return u.leg.m == u.of && u.of.End == u.end }

// Party implements msg.Owner.
func (u *unblocking) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (u *unblocking) OnReply(m *msg.Msg, r msg.Reply) {
	p := u.leg.block.own.client.pool
	p.ctx.msgs.Put(m)
	defer u.conn.private.unblockAnswered(false)
	if !u.waits() {
		return
	}
	switch p.proto.blocker.Unblocked(r) {
	case msg.NotBlocked:
		u.leg.retryUnblock()
	case msg.NotAllowed:
		u.leg.conn.private.id = 0
		u.leg.block.cannotEnd()
	case msg.WasBlocked:
	}
}

// OnFailure implements msg.Owner.
func (u *unblocking) OnFailure(m *msg.Msg) {
	u.leg.block.own.client.pool.ctx.msgs.Put(m)
	defer u.conn.private.unblockAnswered(true)
	if u.waits() {
		u.leg.retryUnblock()
	}
}

// retryUnblock has CLIENT UNBLOCK repeated after recallPeriod.
func (l *leg) retryUnblock() {
	t := &l.block.own.client.pool.ctx.timers
	t.recalls = append(t.recalls, l)
	t.nextRecall = soonest(t.nextRecall, t.ctx.loop.Now()+recallPeriod)
}

// retryUnblocks repeats CLIENT UNBLOCK for waits that have not ended.
func (t *timers) retryUnblocks() {
	all := t.recalls
	t.recalls, t.nextRecall = nil, 0
	for _, l := range all {
		if l.m != nil && l.block.recall != 0 {
			l.sendUnblock()
		}
	}
}

// control is a connection for requests about other connections, such as of, at the same address: the
// server's name may have got another one since, and ids mean other connections there. It is closed
// when it has no more requests.
func (s *Server) control(of *serverConn) (*serverConn, msg.Reason) {
	ctx := s.pool.ctx
	user := controllerOf(of)
	if c := s.controls; c != nil && c.Attached() && c.queue.Len() < s.pool.conf.ServerMaxQueued && c.lane.key.User == user &&
		topology.SameAddr(of.addr, c.addr) {
		return c, msg.OK
	}
	if why := s.mayDial(ctx.loop.Now()); why != msg.OK {
		return nil, why
	}
	c := newServerConn(s, s.pool.lanes[asideAs(s.pool, user)])
	if why := c.dialAt(of.addr); why != msg.OK {
		return nil, why
	}
	s.controls = c
	c.retireBy = ctx.loop.Now() + int64(controlTime)
	ctx.leaving.conns = append(ctx.leaving.conns, c)
	ctx.leaving.checkSoon()
	return c, msg.OK
}

// controllerOf is who asks about a connection: the proxy itself or, if the servers do not know
// it, the user of the connection.
func controllerOf(of *serverConn) uint32 {
	p := of.pool
	switch {
	case p.passer == nil:
		return 0
	case p.conf.ServerLogin().Password != "":
		return msg.ServiceUser
	}
	return of.lane.key.User
}

// controlTime is how long a server may take to answer on such a connection.
const controlTime = 5 * time.Second

// recallAll ends the waits of the pool's clients that match.
func recallAll(p *ServerPool, why recall, matches func(b *blocking) bool) {
	visitClients(p, func(c *client) {
		if c.blocked() && matches(c.own.block) {
			c.own.block.endEarly(why)
		}
	}, nil)
}

// recallMoved moves waiting requests whose keys have another server now to that server.
func recallMoved(p *ServerPool) {
	if p.proto.blocker == nil {
		return
	}
	recallAll(p, recallsRequest, func(b *blocking) bool {
		parser := p.proto.NewRequestParser()
		if _, done, err := parser.Parse(b.text); err != nil || !done {
			return false
		}
		req := parser.Finish(b.text)
		if req.Nkeys == 0 {
			return false
		}
		owner, why := p.owner(req)
		return why == msg.OK && owner != b.first.conn.server
	})
}

// recallPaused puts all waiting requests back into the stash until the pool is resumed.
func recallPaused(p *ServerPool) {
	if p.proto.blocker != nil {
		recallAll(p, recallsRequest, func(*blocking) bool { return p.paused })
	}
}
