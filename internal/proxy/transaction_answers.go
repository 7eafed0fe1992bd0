package proxy

import "nuthatch/internal/msg"

// Most of a transaction's replies are QUEUED, which says nothing and changes nothing. Those
// that wait for their turn stand together in one message:
//
//	EXEC ─► MULTI: OK QUEUED QUEUED QUEUED ─► EXEC ─► ...
//
// They are measured with their EXEC. A command that is kept costs the loop as little as one
// that is forwarded, and like that it does not count against what a turn answers.

// sayQueued tells the client that its command is queued.
func (t *multi) sayQueued(req *msg.Request) {
	c, p := t.client, t.client.pool
	ctx := p.ctx
	if req.NoReply || c.session.Muted {
		return
	}
	if c.outq.Len() == 0 {
		out := c.Out()
		p.transactor().AppendQueued(ctx.bufs, out)
		c.Flush()
		return
	}
	m := c.outq.Tail()
	if !m.Done || m.Muted {
		m = ctx.msgs.Get()
		m.Owner, m.Type, m.Done, m.Start = c, req.Type, true, ctx.loop.Now()
		c.outq.Push(m)
	}
	before := m.Reply.Len()
	p.transactor().AppendQueued(ctx.bufs, &m.Reply)
	c.hold(m, m.Held+m.Reply.Len()-before)
}
