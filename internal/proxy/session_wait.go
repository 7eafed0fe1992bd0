package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// WAIT and WAITAOF ask how far servers have got with what the client wrote:
//
//	client           proxy                                                      servers
//	WAIT 1 100  ─►   what was sent before is answered; then, to each server
//	                 that the client wrote to, on a connection of its own  ─►   PUBLISH, WAIT 1 100
//	                                                                       ◄─   a :1, b :0 after 100 ms
//	            ◄─   the least: 0
//
// A server counts the replicas that have the connection's last write. For a connection
// without a write it would count all replicas. So a request that replicas get is sent
// before the WAIT, after all writes of the client.

// A Confirmer has requests that ask how far a client's writes have got (msg.Confirm).
type Confirmer interface {
	// AppendMark appends a request that replicas get, and that changes nothing.
	AppendMark(p *mbuf.Pool, out *mbuf.Chain)
	// Confirms reports whether a reply is at least the number that the request asks
	// for.
	Confirms(req *msg.Request, reply []byte) bool
}

// marks are a set of servers. In a pool of more than 32 some servers share a mark. Then
// more servers are asked than the client wrote to.
type marks uint32

// nextMark is the mark of one more server.
func (r *router) nextMark() marks {
	r.marked++
	return 1 << ((r.marked - 1) % 32)
}

// remark gives the server another mark, since it is another machine now: what clients have
// written so far, they have not written there. A WAIT finds their old mark at no server. In a
// pool of 32 servers or more no mark is free, and the server keeps its own.
func (s *Server) remark() {
	taken := s.pool.marks()
	for range 32 {
		if m := s.pool.nextMark(); taken&m == 0 {
			s.former, s.mark = s.mark, m
			return
		}
	}
}

// marks are those of all servers.
func (r *router) marks() (all marks) {
	for _, s := range r.servers {
		all |= s.mark
	}
	return all
}

// noteWrite notes that m, a request or a part of one, goes to the connection's server.
func noteWrite(c *client, m *msg.Msg, conn *serverConn) {
	if !c.pool.commands[m.Type].Pure {
		c.Wrote(m, uint32(conn.server.mark), isReached(conn))
	}
}

// isReached reports whether what is written to the connection counts as sent. In a cluster a node
// that cannot be connected to gets nothing of it: the requests go to another one.
func isReached(c *serverConn) bool { return c.ready != 0 || !c.pool.bySlot }

// isReady notes that the connection is ready for requests. Those that wait on it are sent now.
func isReady(c *serverConn) {
	c.ready = c.pool.ctx.loop.Now()
	if !c.pool.bySlot {
		return
	}
	for m := range c.queue.All() {
		asks := m.Waits() && m.Parent != nil // WAIT
		if p := m.Party(); p != nil && !asks && (m.Block() > 0 || !c.pool.commands[m.Type].Pure) {
			p.Wrote(nil, uint32(c.server.mark), true)
		}
	}
}

// A confirming is a request to several servers at once.
type confirming struct {
	block  *blocking
	parent *msg.Msg
	// servers are those that have yet to be asked. marks are the marks of all servers;
	// 0: the client has written nothing.
	servers []*Server
	marks   marks
	// short: a server answered with less than was asked for. failed is why a server did
	// not answer.
	short  bool
	failed msg.Reason
}

// confirm asks the servers that the client has written to, or all if it has written
// nothing.
func (d *dispatch) confirm(req *msg.Request) {
	c, p := d.client, d.client.pool
	if !c.mayGo() {
		return
	}
	if c.ending { // nobody may be there to be told
		c.closing(byEOF)
		return
	}
	o := ownOf(c)
	f := &confirming{block: o.blocking(), marks: c.wrote}
	if f.marks == 0 { // nothing since the last one
		f.marks = o.asked
	}
	servers, owners := p.written(f.marks)
	if f.marks&^p.marks() != 0 || p.hasLost(f.marks, max(c.since, o.heard)) || hasFailed(&p.router, servers) {
		keepMarks(c, o, owners)
		c.refuse(req, msg.Replaced)
		return
	}
	f.servers = servers
	if len(f.servers) == 0 {
		f.servers = append(f.servers, p.everywhere()...)
	}
	if len(f.servers) == 0 {
		c.refuse(req, msg.ConnRefused)
		return
	}
	if !reaches(c, req, int(c.lane), o.lacks(f.servers)...) {
		return
	}
	f.parent = openFan(c, req).parent
	f.parent.Pending, f.parent.Keep = int32(len(f.servers)), false
	p.ctx.memory.expect(f.parent, 0)
	c.wrote |= f.marks // until all have confirmed it
	b := f.block
	b.confirming = f
	b.begin(f.parent, req, len(f.servers))
	if !f.step(p.ctx) {
		p.ctx.turn.later(f)
	}
	b.leaves()
}

// step implements job: it asks servers, one at the least.
func (f *confirming) step(ctx *Context) (done bool) {
	for f.block.confirming == f && len(f.servers) > 0 {
		s := f.servers[0]
		f.servers = f.servers[1:]
		f.ask(s)
		if !ctx.turn.room() {
			return false
		}
	}
	return true
}

// ask asks a server.
func (f *confirming) ask(s *Server) {
	b := f.block
	c := b.own.client
	ctx := c.pool.ctx
	n := fan{c, f.parent}
	part := n.add(s)
	conn, why := (*serverConn)(nil), f.failed
	if why == msg.OK {
		conn, why = c.borrow(s)
	}
	if why != msg.OK {
		part.Err = why
		b.oneLess()
		n.done(part)
		f.fail(why)
		return
	}
	if f.marks != 0 {
		conn.mark(nil)
	}
	part.Via = conn
	conn.Out().Append(ctx.bufs, b.text)
	conn.sendFragment(part, len(b.text))
	l := &b.first
	if len(b.legs) > 0 {
		l = new(leg)
	}
	b.add(l, part, conn)
	if b.recall != 0 { // the others have been told already
		l.sendUnblock()
	}
}

// heard notes a server's answer.
func (f *confirming) heard(r msg.Reply) {
	p := f.block.own.client.pool
	text := r.Flat
	if r.Chain != nil {
		text = r.Chain.AppendTo(nil)
	}
	parser := p.proto.NewRequestParser()
	if _, done, err := parser.Parse(f.block.text); err != nil || !done {
		f.short = true
	} else if !p.proto.confirmer.Confirms(parser.Finish(f.block.text), text) {
		f.short = true
	}
}

// ended notes that all have answered.
func (f *confirming) ended() {
	o := f.block.own
	c := o.client
	switch {
	case f.marks == 0:
	case !f.short && f.failed == msg.OK:
		c.wrote, o.asked, o.heard = 0, f.marks, c.pool.ctx.loop.Now()
	case c.pool.bySlot:
		forgetDemoted(c, o)
	}
}

// forgetDemoted has nodes not asked again that are no primaries any more: they would refuse
// each WAIT. The client has just been told that what it wrote there is not confirmed.
func forgetDemoted(c *client, o *own) {
	primaries := marks(0)
	for _, s := range c.pool.everywhere() {
		primaries |= s.mark
	}
	keepMarks(c, o, primaries)
}

// keepMarks has the client's WAIT ask none but the servers with these marks. It has just been told
// how far its writes have got.
func keepMarks(c *client, o *own, of marks) {
	c.wrote &= of
	o.asked &= of
	o.heard = c.pool.ctx.loop.Now()
}

// fail ends the other waits: if one has failed, the least number is not known.
func (f *confirming) fail(why msg.Reason) {
	b := f.block
	if b.confirming != f || f.failed != msg.OK {
		return
	}
	f.failed = why
	for _, l := range slices.Clone(b.legs) {
		if b.confirming == f && l.m != nil {
			l.conn.abandon(why)
		}
	}
}

// giveUp ends the waits of a request that is taken again. A connection on which keys
// are watched stays, and its answer is dropped, unless that may never come.
func (f *confirming) giveUp() {
	b := f.block
	o, c, forEver := b.own, b.own.client, b.due == 0
	c.hold(f.parent, 0)
	c.pool.ctx.swallow(f.parent)
	legs := slices.Clone(b.legs)
	b.detach()
	for _, l := range legs {
		if l.m == nil {
			continue
		}
		if _, conn := l.detach(); forEver || !o.needs(conn) {
			conn.abandon(msg.Asked)
		}
	}
}

// mark sends the request before a WAIT. block is the transaction that has the WAIT, or
// nil.
func (c *serverConn) mark(block *msg.Msg) {
	ctx, out := c.pool.ctx, c.Out()
	before := out.Len()
	c.pool.proto.confirmer.AppendMark(ctx.bufs, out)
	m := ctx.msgs.Get()
	m.Owner, m.NoReply = &marking{c, block}, true
	c.enqueue(m, out.Len()-before)
}

// A marking owns the reply to that request.
type marking struct {
	conn  *serverConn
	block *msg.Msg
}

// Party implements msg.Owner.
func (k *marking) Party() msg.Party { return nil }

// OnReply implements msg.Owner. Without it the WAIT would have all replicas counted.
func (k *marking) OnReply(m *msg.Msg, r msg.Reply) {
	c := k.conn
	c.pool.ctx.msgs.Put(m)
	if !mayBeError(r) {
		return
	}
	prefix, _ := c.pool.proto.ErrorPrefix(r, c.pool.ctx.errorText[:0])
	switch {
	case prefix == nil:
	case k.block == nil:
		c.abandon(msg.Unpublished)
	default:
		k.block.Err = msg.Unpublished // it stands in the queue, behind what was sent before it
	}
}

// OnFailure implements msg.Owner.
func (k *marking) OnFailure(m *msg.Msg) { k.conn.pool.ctx.msgs.Put(m) }
