package proxy

import (
	"slices"

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

// A blocking is a wait at one server, or, for WAIT and WAITAOF (session_wait.go), at
// several.
type blocking struct {
	own *own
	// m is the request that waits; nil: none does. legs are its waits at servers. left
	// is how many of them have not ended, or not begun. first is the first of them.
	m     *msg.Msg
	legs  []*leg
	left  int
	first leg
	// text is the request. since is when it began to wait. due is when the server must
	// have answered; 0: it may take any time.
	text       []byte
	since, due int64
	// counted is how many bytes of text are counted as memory.
	counted int
	// next is the node that has named itself as that of the keys, if another node has said so
	// in place of waiting. asks: ASKING goes before the request. hops is how often that was.
	next *Server
	asks bool
	hops int
	// refusals is how often a server was not ready, and by is until when it is asked again.
	// paused: the request waits for that.
	refusals int
	by       int64
	paused   bool
	// recall is why the wait is to end before its time.
	recall recall
	// confirming belongs to a wait at several servers; nil: it is at one.
	confirming *confirming
}

// A leg is the wait at one server. It owns what waits for the reply.
type leg struct {
	block *blocking
	// m is the request, or the part of it, that waits on conn; nil: it has ended.
	m    *msg.Msg
	conn *serverConn
}

// keptText is the largest capacity of text, in bytes, that is kept between two waits.
const keptText = 1 << 10

// blocked reports whether a request of the client's waits at a server.
func (c *client) blocked() bool { return c.own != nil && c.own.block != nil && c.own.block.m != nil }

// block sends a request that waits at its server.
func (d *dispatch) block(req *msg.Request) {
	if req.Nkeys > maxWatched {
		d.client.refuse(req, msg.TooManyKeys)
		return
	}
	if c := d.client; c.own != nil && c.own.block != nil && c.own.block.next != nil {
		b := c.own.block
		if f := c.own.search; !b.next.removed && (f == nil || f.fails == 0) {
			d.blockAt(req, b.next)
			return
		}
		b.next, b.asks = nil, false
	}
	if s := d.ownerOrRefuse(req); s != nil {
		d.blockAt(req, s)
	}
}

// blockAt sends the request to s, after all that the client sent before.
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
	if ownOf(c).connTo(s) == nil {
		if !reaches(c, req, int(c.lane), s) {
			return
		}
		req = c.own.rest(req)
	}
	conn, why := c.borrow(s)
	if why != msg.OK {
		c.refuse(req, why)
		return
	}
	if t := c.own.track; t != nil {
		t.sendCaching(conn, t.caching)
	}
	b := c.own.blocking()
	if b.asks {
		conn.sendAsking()
	}
	b.next, b.asks = nil, false
	m := c.newMsg(req)
	ctx.memory.expect(m, 0)
	m.Keep = false
	c.outq.Push(m)
	c.send(m, req, conn)
	b.begin(m, req, 1)
	b.add(&b.first, m, conn)
	b.leaves()
}

// begin notes that m, which stands for req, waits at n servers.
func (b *blocking) begin(m *msg.Msg, req *msg.Request, n int) {
	c := b.own.client
	ctx := c.pool.ctx
	ctx.msgs.SetWaits(m)
	m.Expires = 0
	b.m, b.left, b.since, b.due, b.recall = m, n, ctx.loop.Now(), 0, 0
	if !b.paused {
		b.refusals = 0
	}
	b.paused = false
	if patience := c.pool.proto.blocker.Patience(req); patience != 0 && c.pool.conf.Timeout > 0 {
		b.due = b.since + patience + int64(c.pool.conf.Timeout)
	}
	b.text = req.View.Gather(0, req.View.Len(), b.text[:0])
	b.count()
	c.waits |= waitsForElement
}

// add notes that m, which is sent, waits on conn.
func (b *blocking) add(l *leg, m *msg.Msg, conn *serverConn) {
	ctx := b.own.client.pool.ctx
	ctx.msgs.SetWaits(m)
	m.Owner, m.Deadline = l, b.due
	ctx.nextDeadline = soonest(ctx.nextDeadline, b.due)
	*l = leg{block: b, m: m, conn: conn}
	b.legs = append(b.legs, l)
	conn.server.stats[stats.PrivateWaiting]++
}

// leaves ends the wait of a client that is to leave.
func (b *blocking) leaves() {
	if b.own.client.leaveBy != 0 {
		b.endEarly(recallsReply)
	}
}

// isOn reports whether something waits on the connection. b may be nil.
func (b *blocking) isOn(conn *serverConn) bool {
	if b == nil {
		return false
	}
	for _, l := range b.legs {
		if l.conn == conn {
			return true
		}
	}
	return false
}

// count counts the memory of the request's text.
func (b *blocking) count() {
	b.own.client.pool.ctx.memory.beside += int64(cap(b.text) - b.counted)
	b.counted = cap(b.text)
}

// detach notes that this wait is over. The caller takes over the message and the
// connection.
func (l *leg) detach() (*msg.Msg, *serverConn) {
	m, conn := l.m, l.conn
	l.m, l.conn = nil, nil
	conn.private.recalled = false
	conn.server.stats[stats.PrivateWaiting]--
	return m, conn
}

// detach notes that nothing waits any more. The caller takes over the request and its
// waits, all of which are over.
func (b *blocking) detach() *msg.Msg {
	m, c := b.m, b.own.client
	b.m, b.legs, b.left, b.recall, b.confirming = nil, b.legs[:0], 0, 0, nil
	if b.text = b.text[:0]; cap(b.text) > keptText {
		b.text = nil
	}
	b.count()
	c.waits &^= waitsForElement
	if c.stash.Len() > 0 {
		c.PauseRead()
		// The time of requests behind it begins only now.
		c.stashedAt = c.pool.ctx.loop.Now()
		c.pool.ctx.refuseInTime(c)
	}
	return m
}

// over ends one of the waits. With the last one the request has ended, and m may be
// answered.
func (b *blocking) over(l *leg) (m *msg.Msg, conn *serverConn) {
	c := b.own.client
	m, conn = l.detach()
	m.Owner = c
	b.oneLess()
	return m, conn
}

// oneLess counts one wait down.
func (b *blocking) oneLess() {
	if b.left--; b.left == 0 {
		now := b.own.client.pool.ctx.loop.Now()
		b.detach().Start = now // how long it waited is no measure
	}
}

// Party implements msg.Owner.
func (l *leg) Party() msg.Party { return l.block.own.client }

// OnReply implements msg.Owner.
func (l *leg) OnReply(_ *msg.Msg, r msg.Reply) {
	b := l.block
	o, c := b.own, b.own.client
	if b.recall.takesAgain() && b.confirming == nil && c.pool.proto.blocker.Recalled(r) {
		b.again(true)
		return
	}
	f := b.confirming
	if f == nil && c.pool.detours != nil && mayBeError(r) {
		var again bool
		if r, again = b.redirected(l, r); again {
			return
		}
	}
	b.hops, b.refusals = 0, 0
	if mayBeError(r) {
		countPassed(l.conn.server, r)
	}
	if f != nil {
		f.heard(r)
	}
	m, conn := b.over(l)
	if f != nil && b.confirming == nil {
		f.ended()
	}
	keeps := o.needs(conn)
	if !keeps {
		o.removeConn(conn)
		conn.private.tenant = nil
	}
	c.OnReply(m, r)
	if !keeps && conn.Attached() {
		conn.private.giveBack(false)
	}
	c.settle()
}

// OnFailure implements msg.Owner: the wait is not begun anew.
func (l *leg) OnFailure(*msg.Msg) {
	b := l.block
	c, f := b.own.client, b.confirming
	m, _ := b.over(l)
	why := m.Err
	c.OnFailure(m)
	if f != nil {
		f.fail(why)
	}
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

// kill closes the client at somebody's request: at once, or when its wait at a server
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
	b.abandon(msg.ClientEOF)
}

// abandon ends all waits whose request nobody is to answer, and with them their
// connections.
func (b *blocking) abandon(why msg.Reason) {
	legs := slices.Clone(b.legs)
	b.detach()
	for _, l := range legs {
		if l.m != nil {
			_, conn := l.detach()
			conn.abandon(why)
		}
	}
}
