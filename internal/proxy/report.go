package proxy

import "nuthatch/internal/msg"

// report has the request answered outside the loops, in its turn: about what all
// of them have counted, say.
func (c *client) report(req *msg.Request) {
	p := c.pool
	ctx := p.ctx
	find := p.proto.Report(req, &c.session)
	if find == nil || ctx.outside == nil {
		c.local(req)
		return
	}
	m := c.newMsg(req)
	c.outq.Push(m)
	taken := ctx.outside(func(done func()) {
		find(func(reply []byte) {
			done()
			// A loop that has ended, and its clients with it, needs no answer.
			ctx.loop.Post(func() { c.reported(m, reply) })
		})
	})
	if !taken {
		m.Err = msg.TooManyReports
		c.OnFailure(m)
	}
}

// reported has the reply to m.
func (c *client) reported(m *msg.Msg, reply []byte) {
	ctx := c.pool.ctx
	if m.Owner == nil { // the client has gone
		ctx.msgs.Put(m)
		return
	}
	m.Reply.Append(ctx.bufs, reply)
	m.Done, m.Replied = true, ctx.loop.Now()
	c.hold(m, m.Reply.Len())
	c.advance()
	c.settle()
}
