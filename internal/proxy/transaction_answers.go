package proxy

import "nuthatch/internal/msg"

// Most of a transaction's replies are QUEUED, which says nothing and changes nothing. Those
// that wait for their turn stand together in one message, which then is that of EXEC:
//
//	earlier requests ─► EXEC: OK QUEUED QUEUED QUEUED, and what the server says ─► ...
//
// They are measured with their EXEC. A command that is kept costs the loop as little as one
// that is forwarded, and like that it does not count against what a turn answers.

// sayBegun tells the client that its transaction has begun, together with what the commands
// behind it get: sayNow must follow.
func sayBegun(c *client) {
	p := c.pool
	m := laterAnswer(c, p.transactor().Begins())
	p.transactor().AppendBegun(p.ctx.bufs, &m.Reply)
	c.hold(m, m.Reply.Len())
}

// sayQueued tells the client that its last n commands, the last one of type typ, are queued.
func (t *multi) sayQueued(typ msg.Type, n int) {
	c, p := t.client, t.client.pool
	ctx := p.ctx
	if c.outq.Len() == 0 {
		out := c.Out()
		p.transactor().AppendQueued(ctx.bufs, out, n)
		c.Flush()
		return
	}
	m := c.outq.Tail()
	if !m.Done || m.Muted {
		m = laterAnswer(c, typ)
	}
	before := m.Reply.Len()
	p.transactor().AppendQueued(ctx.bufs, &m.Reply, n)
	c.hold(m, m.Held+m.Reply.Len()-before)
}

// sayNow sends the answers whose turn it is, if they have waited for an EXEC.
func sayNow(c *client) {
	if m := c.outq.Head(); m != nil && m.Done {
		c.advance()
	}
}

// laterAnswer is a message at the end of the out-queue, for answers to requests of type typ.
func laterAnswer(c *client, typ msg.Type) *msg.Msg {
	ctx := c.pool.ctx
	m := ctx.msgs.Get()
	m.Owner, m.Type, m.Done, m.Start = c, typ, true, ctx.loop.Now()
	c.outq.Push(m)
	return m
}

// execMsg returns the message of EXEC, at the end of the out-queue. That is the one with the
// answers to the commands before it, if they wait for their turn.
func execMsg(c *client, tx *transaction, req *msg.Request) *msg.Msg {
	p := c.pool
	m := c.outq.Tail()
	if m == nil || !m.Done || m.Type != p.transactor().Begins() || m.Muted || m.Err != msg.OK || c.session.Muted || tx.wide {
		sayNow(c)
		m = c.newMsg(req)
		c.outq.Push(m)
		return m
	}
	p.measureReply(m.Type, m.Start)
	m.Done = false
	standFor(c, m, req)
	return m
}
