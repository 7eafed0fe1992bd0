package proxy

import "nuthatch/internal/msg"

// Most of a transaction's replies are QUEUED, which says nothing and changes nothing. Those
// that wait for their turn stand together in one message:
//
//	EXEC ─► MULTI: OK QUEUED QUEUED QUEUED ─► EXEC ─► ...
//
// They are measured with their EXEC.

// sayQueued tells the client that its command is queued.
func (t *multi) sayQueued(req *msg.Request) {
	c, p := t.client, t.client.pool
	ctx := p.ctx
	if req.NoReply || c.session.Muted {
		return
	}
	if c.outq.Len() == 0 {
		out := c.Out()
		before := out.Len()
		p.proto.Local(req, &c.session, ctx.bufs, out)
		ctx.turn.countAnswer(ctx.loop.Turns(), req.View.Len()+out.Len()-before)
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
	p.proto.Local(req, &c.session, ctx.bufs, &m.Reply)
	more := m.Reply.Len() - before
	ctx.turn.countAnswer(ctx.loop.Turns(), req.View.Len()+more)
	c.hold(m, m.Held+more)
}
