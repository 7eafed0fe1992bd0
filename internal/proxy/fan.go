package proxy

import (
	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A fan is a request that goes to servers in parts, usually one part for each of
// several servers. Its message, parent, stands in its client's out-queue, and the
// replies to its fragments are merged:
//
//	          ┌─► fragment ─► server ─► reply ─┐
//	parent ───┼─► fragment ─► server ─► reply ─┼─► merge ─► the parent's turn
//	          └─► fragment: no connection ─────┘
//
// The fragments are parent.Frags, and end with it.
type fan struct {
	c      *client
	parent *msg.Msg
}

// openFan puts a message for the request into the client's out-queue.
func openFan(c *client, req *msg.Request) fan {
	parent := c.newMsg(req)
	c.outq.Push(parent)
	c.hold(parent, req.View.Len())
	return fan{c, parent}
}

// fanOf is the fan that f is a fragment of.
func fanOf(c *client, f *msg.Msg) fan { return fan{c, f.Parent} }

// addConnected adds a fragment for s, and returns the connection that it is to be written
// to. If there is no connection, conn is nil, and the fragment is Done with the reason.
func (n fan) addConnected(s *Server) (f *msg.Msg, conn *serverConn) {
	f = n.add(s)
	conn, why := n.c.conn(s)
	if why != msg.OK {
		f.Err, f.Done, f.Replied = why, true, n.parent.Start
		return f, nil
	}
	f.Via = conn
	n.parent.Pending++
	noteWrite(n.c, f, conn)
	return f, conn
}

// add adds a fragment for s, without a connection.
func (n fan) add(s *Server) *msg.Msg {
	f := n.c.pool.ctx.msgs.Get()
	f.Owner, f.Type, f.Parent = n.parent.Owner, n.parent.Type, n.parent
	f.Via, f.Rare = s, true
	n.parent.Frags, n.parent.Rare = append(n.parent.Frags, f), true
	return f
}

// send queues the fragment. The caller has written it to conn's output, which had begin
// bytes before, or to f.Kept.
func (n fan) send(f *msg.Msg, conn *serverConn, begin int) {
	if f.Keep {
		begin = conn.Out().Len() // other fragments may have been written there
		kept := mbuf.Whole(&f.Kept)
		kept.AppendTo(n.c.pool.ctx.bufs, conn.Out(), 0, kept.Len())
	}
	size := conn.Out().Len() - begin
	invariant.Check(size > 0, "proxy: an empty fragment")
	conn.sendFragment(f, size)
}

// sendFragment queues the sub-request that is the last n bytes of the output.
func (c *serverConn) sendFragment(f *msg.Msg, n int) {
	c.enqueue(f, n)
	c.server.stats[stats.Requests]++
	c.server.stats[stats.RequestBytes] += int64(n)
}

// toAll sends the request to all servers.
func (n fan) toAll(req *msg.Request) {
	for _, s := range n.c.pool.receivers(req.Everyone) {
		n.to(s, req)
	}
}

// to sends the request to s.
func (n fan) to(s *Server, req *msg.Request) {
	if f, conn := n.addConnected(s); conn != nil {
		out := conn.Out()
		if f.Keep = n.keepsShare(f, conn); f.Keep {
			out = &f.Kept
		}
		begin := out.Len()
		n.c.write(req, out)
		n.send(f, conn, begin)
	}
}

// sent is called after the last fragment. If none was sent, the replies are merged at
// once.
func (n fan) sent() {
	n.c.pool.stats.Values[stats.Fragments] += int64(len(n.parent.Frags))
	n.mergeIfDone()
}

// mergeIfDone merges the replies if none is to come.
func (n fan) mergeIfDone() {
	if n.parent.Pending == 0 {
		n.merge()
	}
}

// done notes that f has its reply, or will get none. When the last fragment is done,
// the replies are merged.
func (n fan) done(f *msg.Msg) {
	c, parent := n.c, n.parent
	f.Done, f.Replied = true, c.pool.ctx.loop.Now()
	if f.Err == msg.ReplyTooLarge {
		n.dropReplies()
	}
	c.hold(parent, parent.Held+f.Reply.Len())
	parent.Pending--
	if parent.Pending == 0 {
		parent.Via, parent.Sent, parent.Replied = f.Via, f.Sent, f.Replied
		n.merge()
	}
}

// merge makes one reply of the fragments' replies, now or in slices.
func (n fan) merge() {
	c, parent := n.c, n.parent
	p := c.pool
	if p.ctx.turn.isLargeMerge(parent, p.bySlot) {
		n.mergeLater()
		return
	}
	p.ctx.turn.countAtOnce(Amount{Keys: int(parent.Nkeys)})
	bufs := p.ctx.bufs
	out := &parent.Reply
	if c.outq.Head() == parent && !parent.Muted {
		out = c.Out()
	}
	before := out.Len()
	failed := p.proto.Merge(parent, bufs, out)
	n.merged(out.Len()-before, failed)
}

// merged ends the request. Its reply has size bytes.
func (n fan) merged(size int, failed bool) {
	c, parent := n.c, n.parent
	p := c.pool
	switch {
	case failed:
		p.blame(parent)
	case parent.Block() > 0:
		p.countParts(parent)
	}
	c.sawReply(size, &c.pool.largest)
	c.hold(parent, parent.Reply.Len())
	for _, f := range parent.Frags {
		f.Reply.Release(p.ctx.bufs)
	}
	parent.Done = true
	c.advance()
}

// dropReplies drops the replies to the fragments of a request whose replies are too
// large together.
func (n fan) dropReplies() {
	c, parent := n.c, n.parent
	if parent.Err == msg.ReplyTooLarge {
		return
	}
	parent.Err = msg.ReplyTooLarge
	for _, f := range parent.Frags {
		if !f.Done || f.Err == msg.ReplyTooLarge {
			continue
		}
		f.Err = msg.ReplyTooLarge
		c.hold(parent, parent.Held-f.Reply.Len())
		f.Reply.Release(c.pool.ctx.bufs)
	}
}
