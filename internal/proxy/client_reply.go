package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Party implements msg.Owner: a client asks for itself.
func (c *client) Party() msg.Party { return c }

// OnReply implements msg.Owner.
func (c *client) OnReply(m *msg.Msg, r msg.Reply) {
	ctx := c.pool.ctx
	if m.NoReply {
		c.quieted(m)
		return
	}
	if r.Len() > c.pool.keys.largeReply {
		c.pool.keys.sawLarge(c.pool, m, r)
	}
	if m.Parent != nil {
		if c.pool.sumFits(m, r.Len()) {
			r.MoveTo(ctx.bufs, &m.Reply)
		} else {
			c.pool.noteTooLarge(m, nil)
			m.Err = msg.ReplyTooLarge
		}
		fanOf(c, m).done(m)
		return
	}
	c.sawReply(r.Len(), &c.pool.largest)
	if m.Muted || m.Quiet && c.pool.proto.silencer.Silent(m.Type, r) {
		r = msg.Reply{}
	}
	if c.outq.Head() != m {
		c.hold(m, m.Reply.Len()+r.Len())
		r.MoveTo(ctx.bufs, &m.Reply)
		ctx.memory.expect(m, 0)
		m.Done, m.Replied = true, ctx.loop.Now()
		return
	}
	if m.Rare && m.Reply.Len() > 0 {
		c.Out().Splice(ctx.bufs, &m.Reply)
	}
	r.MoveTo(ctx.bufs, c.Out())
	c.outq.Pop()
	if c.pool.measureReply(m.Type, m.Start) {
		c.pool.ctx.measures.logSlow(c, m)
	}
	c.freeMsg(c.pool.ctx, m)
	c.advance()
}

// OnFailure implements msg.Owner.
func (c *client) OnFailure(m *msg.Msg) {
	if m.NoReply {
		c.quieted(m)
		return
	}
	if m.Parent != nil {
		fanOf(c, m).done(m)
		return
	}
	p := c.pool
	p.failed(m, m.Err)
	p.proto.AppendError(p.ctx.bufs, &m.Reply, m.Why(m.Err))
	m.Done, m.Replied = true, p.ctx.loop.Now()
	c.hold(m, m.Reply.Len())
	if isLimit(m.Err) && !m.Muted {
		ownOf(c).free += m.Reply.Len()
	}
	c.advance()
}

// quieted ends a message whose reply the client does not want.
func (c *client) quieted(m *msg.Msg) {
	c.quiet--
	c.freeMsg(c.pool.ctx, m)
	c.resumeIfRoom()
	c.settle()
}

// advance sends the replies whose turn it is.
func (c *client) advance() {
	bufs := c.pool.ctx.bufs
	for m := c.outq.Head(); m != nil && m.Done; m = c.outq.Head() {
		c.outq.Pop()
		if m.Muted {
			m.Reply.Release(bufs)
		}
		c.Out().Splice(bufs, &m.Reply)
		if slow := false; m.Start != 0 { // a push is not measured
			if m.Err == msg.OK {
				slow = c.pool.measureReply(m.Type, m.Start)
			} else {
				slow = c.pool.failures.measure(c.pool, m)
			}
			if slow {
				c.pool.ctx.measures.logSlow(c, m)
			}
		}
		c.freeMsg(c.pool.ctx, m)
	}
	c.Flush()
	c.resumeIfRoom()
}

// failed notes that the proxy answers m with an error of its own.
func (p *ServerPool) failed(m *msg.Msg, why msg.Reason) {
	m.Err = why
	if m.Block() > 0 {
		p.stats.Values[stats.TransactionsAborted]++
	}
	p.stats.Values[stats.ForwardError]++
	p.stats.Vectors[stats.FailedRequests][why]++
	p.commandErrors.failed(m, why)
}

// blame notes that parent failed for the reason, and at the server, of its first failed
// fragment. If no fragment failed, the replies were good each by itself but did not fit
// together.
func (p *ServerPool) blame(parent *msg.Msg) {
	for _, f := range parent.Frags {
		if f.Err != msg.OK {
			parent.Via, parent.Sent, parent.Replied = f.Via, f.Sent, f.Replied
			p.failed(parent, f.Err)
			return
		}
	}
	p.failed(parent, msg.BadReply)
}

// dropMerged ends the fragments of a request, all of which are answered.
func (ctx *Context) dropMerged(parent *msg.Msg) {
	for i, f := range parent.Frags {
		parent.Frags[i] = nil
		f.Reply.Release(ctx.bufs)
		ctx.msgs.Put(f)
	}
	parent.Frags = parent.Frags[:0]
}
