package proxy

import "nuthatch/internal/msg"

// Most of a transaction's replies are QUEUED, which says nothing and changes nothing. Those
// that wait for their turn stand together in one message:
//
//	EXEC ─► MULTI: OK QUEUED QUEUED QUEUED ─► EXEC ─► ...
//
// They are measured with their EXEC. A command that is kept costs the loop as little as one
// that is forwarded, and like that it does not count against what a turn answers.

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
		m = ctx.msgs.Get()
		m.Owner, m.Type, m.Done, m.Start = c, typ, true, ctx.loop.Now()
		c.outq.Push(m)
	}
	before := m.Reply.Len()
	p.transactor().AppendQueued(ctx.bufs, &m.Reply, n)
	c.hold(m, m.Held+m.Reply.Len()-before)
}
