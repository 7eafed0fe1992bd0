package proxy

import "nuthatch/internal/msg"

// expire fails the server connections whose oldest request is overdue at time
// now, and finds the next deadline.
//
// A pool's timeout is constant (see reschedule for a reload), so a connection's queue is in the order of
// deadlines and its head is the first to expire. Between two calls deadlines
// only go away or are later than ctx.nextDeadline, so this walk over all
// connections happens about once per timeout, and not once per turn.
func (ctx *Context) expire(now int64) {
	ctx.nextDeadline = 0
	for _, p := range ctx.pools {
		p.expire(now)
	}
	for _, p := range ctx.leaving.pools {
		p.expire(now)
	}
	for _, c := range ctx.leaving.conns {
		if c.pool.conf.Timeout > 0 {
			ctx.expireConn(c, now)
		}
	}
}

func (p *ServerPool) expire(now int64) {
	if p.conf.Timeout <= 0 {
		return
	}
	for _, s := range p.servers {
		for c := range s.conns() {
			p.ctx.expireConn(c, now)
		}
	}
}

func (ctx *Context) expireConn(c *serverConn, now int64) {
	head := c.queue.Head()
	if head == nil {
		return
	}
	if head.Deadline <= now {
		c.fail(msg.Timedout)
		return
	}
	if ctx.nextDeadline == 0 || head.Deadline < ctx.nextDeadline {
		ctx.nextDeadline = head.Deadline
	}
}
