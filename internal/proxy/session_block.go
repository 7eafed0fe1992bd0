package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A request that waits at its server has a connection to itself until the reply:
//
//	client                proxy                                        server
//	BLPOP q 0   ─►  what was sent before is answered; then        ─►   BLPOP q 0
//	GET a       ─►  waits, as it would at the server
//	                                                              ◄─   an element
//	            ◄─  the element; the connection is given back
//
// The reply may take any time, and that time is not measured. If the client ends
// meanwhile, the connection is closed at once, so that no element goes to a client that
// has gone. session_recall.go says what else may end the wait.

// A Blocker has requests that wait at their servers (msg.Block).
type Blocker interface {
	// Patience is how long such a request waits, in nanoseconds; 0: for ever, or it is
	// not known.
	Patience(req *msg.Request) int64
	// AppendShorter appends the request with patience in place of its own time.
	AppendShorter(req *msg.Request, patience int64, p *mbuf.Pool, out *mbuf.Chain)
	// ClientID reads the connection's id at the server from the reply to the last
	// request of a private connection's handshake; 0: the server does not say.
	ClientID(reply []byte) int64
	// AppendUnblock appends a request that ends the wait on the connection with that
	// id, as if its time were over or, with fails, with an error. Unblocked says what
	// the reply to it means.
	AppendUnblock(id int64, fails bool, p *mbuf.Pool, out *mbuf.Chain)
	Unblocked(r msg.Reply) msg.Unblocking
	// Recalled reports whether a reply is that error.
	Recalled(r msg.Reply) bool
}

// A blocking is a wait at a server.
type blocking struct {
	own *own
	// m is the request that waits, on conn; nil: no request waits.
	m    *msg.Msg
	conn *serverConn
	// text is the request's bytes. since is when it began to wait.
	text  []byte
	since int64
	// counted is how many bytes of text are counted.
	counted int
	// recall is why the wait is to end before its time.
	recall recall
}

// keptText is how many bytes text may have room for between two waits.
const keptText = 1 << 10

// blocked reports whether a request of the client's waits at a server.
func (c *client) blocked() bool { return c.own != nil && c.own.block.m != nil }

// block sends a request that waits at its server.
func (d *dispatch) block(req *msg.Request) {
	if req.Nkeys > maxWatched {
		d.client.refuse(req, msg.TooManyKeys)
		return
	}
	if s := d.ownerOrRefuse(req); s != nil {
		d.blockAt(req, s)
	}
}

// blockAt sends it to s, behind all that the client sent before.
func (d *dispatch) blockAt(req *msg.Request, s *Server) {
	c := d.client
	ctx := c.pool.ctx
	if !c.mayGo() {
		return
	}
	if c.ending { // nobody may be there to get the element
		c.closing(byEOF)
		return
	}
	conn, why := c.borrow(s)
	if why != msg.OK {
		c.refuse(req, why)
		return
	}
	m := c.newMsg(req)
	ctx.memory.expect(m, 0)
	m.Keep = false
	c.outq.Push(m)
	c.send(m, req, conn)
	b := &c.own.block
	m.Owner = b
	ctx.msgs.SetWaits(m)
	m.Deadline, m.Expires = 0, 0
	b.m, b.conn, b.since, b.recall = m, conn, ctx.loop.Now(), 0
	b.text = req.View.Gather(0, req.View.Len(), b.text[:0])
	b.count()
	c.waits |= waitsForElement
	s.stats[stats.PrivateWaiting]++
	if c.leaveBy != 0 {
		b.endEarly(recallsReply)
	}
}

// count counts the memory of text.
func (b *blocking) count() {
	b.own.client.pool.ctx.memory.beside += int64(cap(b.text) - b.counted)
	b.counted = cap(b.text)
}

// detach notes that nothing waits any more. It returns the message and the connection,
// which are then the caller's.
func (b *blocking) detach() (*msg.Msg, *serverConn) {
	m, conn, c := b.m, b.conn, b.own.client
	b.m, b.conn, b.recall = nil, nil, 0
	if b.text = b.text[:0]; cap(b.text) > keptText {
		b.text = nil
	}
	b.count()
	conn.server.stats[stats.PrivateWaiting]--
	c.waits &^= waitsForElement
	if c.stash.Len() > 0 {
		// The time of requests behind it begins only now.
		c.stashedAt = c.pool.ctx.loop.Now()
		c.pool.ctx.refuseInTime(c)
	}
	return m, conn
}

// Party implements msg.Owner.
func (b *blocking) Party() msg.Party { return b.own.client }

// OnReply implements msg.Owner.
func (b *blocking) OnReply(_ *msg.Msg, r msg.Reply) {
	o, c := b.own, b.own.client
	if b.recall == recallsRequest && c.pool.proto.blocker.Recalled(r) {
		b.again()
		return
	}
	m, conn := b.detach()
	keeps := o.watch.conn == conn
	if !keeps {
		o.removeConn(conn)
		conn.private.tenant = nil
	}
	m.Owner, m.Start = c, c.pool.ctx.loop.Now() // the wait is not measured
	c.OnReply(m, r)
	if !keeps && conn.Attached() {
		conn.private.giveBack(false)
	}
	c.settle()
}

// OnFailure implements msg.Owner. The request is not sent again.
func (b *blocking) OnFailure(*msg.Msg) {
	c := b.own.client
	m, _ := b.detach()
	m.Owner, m.Start = c, c.pool.ctx.loop.Now()
	c.OnFailure(m)
	c.settle()
}

// vanished closes a client that will send no more, as the server would close a client
// of its own.
func (b *blocking) vanished() {
	c := b.own.client
	c.pool.ctx.swallow(c.outq.Pop())
	b.drop()
	c.closing(byEOF) // after the replies that it has yet to get
	c.settle()
}

// kill closes the client on somebody's request: at once, or when its wait at a server
// has ended.
func (c *client) kill() {
	if !c.blocked() || c.state != clientOpen {
		c.lastErr = byKill
		c.close()
		return
	}
	c.closing(byKill)
	ctx := c.pool.ctx
	ctx.leaving.dismiss(c, ctx.loop.Now()+partingLinger)
}

// drop ends the wait of a client that goes, and closes the connection at once. The
// message is answered already, or has no owner.
func (b *blocking) drop() {
	if b.m == nil {
		return
	}
	_, conn := b.detach()
	conn.abandon(msg.ClientEOF)
}
