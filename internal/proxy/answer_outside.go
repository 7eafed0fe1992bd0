package proxy

import "nuthatch/internal/msg"

// report has the request answered outside the loops. Such a request is about the whole
// process, for example about what all loops have counted. The reply leaves in its turn.
func (d *dispatch) report(req *msg.Request) {
	c, p := d.client, d.client.pool
	ctx := p.ctx
	find, ok := p.proto.reporter.Report(req, &c.session)
	if !ok || ctx.outside == nil {
		c.local(req)
		return
	}
	m := c.newMsg(req)
	c.outq.Push(m)
	taken := ctx.outside(func(done func()) {
		find(func(reply []byte) {
			done()
			// A loop that has ended, and its clients with it, needs no answer.
			ctx.loop.Post(func() { (&arrival{c, m, reply}).deliver() })
		})
	})
	if !taken {
		m.Err = msg.TooManyReports
		c.OnFailure(m)
	}
}

// reportSlice is how many bytes of a reply that was made outside the loops are copied
// at a time.
const reportSlice = 256 << 10

// An arrival is a reply that was made outside the loops. rest is the part that is not
// copied yet.
type arrival struct {
	client *client
	m      *msg.Msg
	rest   []byte
}

// deliver takes the reply over, in slices if it is large.
func (a *arrival) deliver() {
	c, m := a.client, a.m
	ctx := c.pool.ctx
	if m.Owner == nil { // the client has gone
		ctx.msgs.Put(m)
		return
	}
	size := int64(len(a.rest))
	c.sawReply(len(a.rest), &c.pool.largest)
	if size > c.pool.maxReplySize() {
		ctx.msgs.SetCome(m, size)
		c.pool.noteTooLarge(m, nil)
		m.Err = msg.ReplyTooLarge
		c.OnFailure(m)
		c.settle()
		return
	}
	if size > reportSlice {
		ctx.turn.later(a)
		return
	}
	a.step(ctx)
}

// step implements job.
func (a *arrival) step(ctx *Context) (done bool) {
	c, m := a.client, a.m
	if m.Owner == nil { // the client has gone meanwhile
		m.Reply.Release(ctx.bufs)
		ctx.msgs.Put(m)
		return true
	}
	n := min(len(a.rest), reportSlice)
	m.Reply.Append(ctx.bufs, a.rest[:n])
	a.rest = a.rest[n:]
	ctx.turn.count(Amount{Bytes: n})
	if len(a.rest) > 0 {
		return false
	}
	m.Done, m.Replied = true, ctx.loop.Now()
	c.hold(m, m.Reply.Len())
	c.advance()
	c.settle()
	return true
}
