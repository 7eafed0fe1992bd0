package proxy

import "nuthatch/internal/msg"

// A request that has waited too long is taken all the same, and refused. One that the proxy
// answers itself needs a token as any other: without one it is refused, too, whatever it means for
// the client's next requests. These are judged by that, as after any refusal
// (SessionKeeper.Refused).

// isLimit reports whether the reason is a limit of the pool or of the client's user.
func isLimit(why msg.Reason) bool {
	switch why {
	case msg.RequestRate, msg.ByteRate, msg.InFlightLimit:
		return true
	default:
		return isUserLimit(why)
	}
}

// isOverLimit reports whether a request that the proxy answers itself, and that has waited too long,
// is refused since there is no token for it. If there is one, it is taken.
func isOverLimit(c *client, req *msg.Request) bool {
	r := c.pool.rates
	if c.overdue == msg.OK || r == nil || req.Treatment != msg.Local || !c.session.Authenticated {
		return false
	}
	return isLimit(c.overdue) || !r.takesOne(c, req.View.Len())
}

// takesOne takes a token for a request of the client, of size bytes, that waits no longer, if there
// is one.
func (r *rates) takesOne(c *client, size int) bool {
	now, u := r.pool.ctx.loop.Now(), limitsOf(c)
	if u != nil && !u.room(now) || !r.room(now) {
		return false
	}
	r.requests--
	if u != nil {
		u.requests--
	}
	r.spendFor(c, size)
	r.paid = true
	return true
}

// refuseLate refuses a request that has waited for too long, and counts it for the limits that it
// waited for.
func refuseLate(c *client, req *msg.Request) {
	if u := limitsOf(c); u != nil && isUserLimit(c.overdue) {
		u.shared.Late.Add(1)
	}
	bars := c.session.Bars
	noteRefused(c, req)
	if bars&^c.session.Bars&(msg.Collecting|msg.RefusedMulti) != 0 {
		refuseExec(c, req, c.overdue)
		return
	}
	c.refuse(req, c.overdue)
}

// noteRefused notes what it means for the client's next requests that this one is refused.
func noteRefused(c *client, req *msg.Request) {
	keeper := c.pool.proto.sessions
	if keeper == nil {
		return
	}
	bars := c.session.Bars
	keeper.Refused(req, &c.session)
	if c.session.Bars&^bars&msg.FailedSelect != 0 {
		logFailedSelect(c)
	}
}

// refuseInMulti is refuseLate for a request in a transaction that is not part of it.
func refuseInMulti(c *client, req *msg.Request) {
	bars := c.session.Bars
	c.abort()
	refuseLate(c, req)
	if bars&^c.session.Bars&msg.Collecting != 0 {
		c.endMulti(bars)
		c.endsPaused()
	}
}
