package proxy

import (
	"time"

	"nuthatch/internal/msg"
)

// expire fails the server connections whose oldest request is overdue at time
// now, and finds the next deadline.
//
// A pool's timeout is constant (see adoption.deadlines for a reload). So a connection's
// queue is in the order of deadlines, and its head is the first to expire. Between two
// calls deadlines disappear, and new ones are later than ctx.nextDeadline. So this walk
// over all connections happens about once per timeout, and not once per turn.
func (t *timers) expire(now int64) {
	ctx := t.ctx
	ctx.nextDeadline = 0
	for _, p := range ctx.pools {
		t.expirePool(p, now)
	}
	for _, p := range ctx.leaving.pools {
		t.expirePool(p, now)
	}
	for _, c := range ctx.leaving.conns {
		ctx.expireConn(c, now)
	}
}

func (t *timers) expirePool(p *ServerPool, now int64) {
	if p.conf.Timeout <= 0 && p.conf.ConnectTimeout <= 0 && !p.mayAwait {
		return
	}
	for _, s := range p.servers {
		for c := range s.conns() {
			t.expireConn(c, now)
		}
	}
}

func (t *timers) expireConn(c *serverConn, now int64) {
	ctx := t.ctx
	if c.awaits() {
		ctx.nextDeadline = soonest(ctx.nextDeadline, c.wait.due(now))
		return
	}
	deadline := int64(0)
	if head := c.queue.Head(); head != nil {
		deadline = head.Deadline
	}
	if c.connectBy != 0 && c.Attached() && !c.Open() {
		if c.connectBy <= now && (deadline == 0 || now < deadline) && c.tryNext(whyLate(c)) {
			ctx.nextDeadline = soonest(ctx.nextDeadline, deadline)
			return
		}
		deadline = soonest(deadline, c.connectBy)
	}
	if deadline == 0 || c.starved || c.held { // feed, or readOn, reschedules
		return
	}
	if deadline <= now && ctx.turn.room() {
		noteUnanswered(c)
		c.fail(whyLate(c))
		return
	}
	ctx.nextDeadline = soonest(ctx.nextDeadline, deadline)
}

// noteUnanswered counts the requests that have waited for a server that accepts connections.
func noteUnanswered(c *serverConn) {
	n := 0
	for m := range c.queue.All() {
		if m.Owner != nil {
			n++
		}
	}
	if c.Open() {
		c.server.health.LeavesWaiting(n)
	}
}

// whyLate is why a connection that has waited for too long fails.
func whyLate(c *serverConn) msg.Reason {
	if isUnanswered(c) {
		return msg.TLSUnanswered
	}
	return msg.Timedout
}

// The least time, in nanoseconds, between two looks for requests that have taken too
// long is perLook for each client, and at most expiryStep. So clients whose deadlines
// are all a little different cost a few hundredths of the loop's time. A request may
// fail that much too late.
const (
	perLook    = int64(2500)
	expiryStep = int64(10 * time.Millisecond)
)

// expireBy sets when the request fails if it has no reply. That time counts from when
// the request came, which may be a while ago.
func (t *timers) expireBy(m *msg.Msg, at int64) {
	m.Expires, m.Rare = at, true
	t.nextExpiry = soonest(t.nextExpiry, at)
}

// expireRequests answers clients' requests that have taken too long at time now, and
// sets when to look again. Like the queues of servers, those of clients are in the
// order of deadlines.
func (t *timers) expireRequests(now int64) {
	ctx := t.ctx
	ctx.nextExpiry = 0
	clients := 0
	for _, p := range ctx.pools {
		clients += t.expireClients(p, now)
	}
	for _, p := range ctx.leaving.pools {
		clients += t.expireClients(p, now)
	}
	if ctx.nextExpiry > now { // else there are more of them than one turn may answer
		ctx.nextExpiry = max(ctx.nextExpiry, now+min(int64(clients)*perLook, expiryStep))
	}
}

// expireClients is expireRequests for one pool. It returns how many clients the pool has.
func (t *timers) expireClients(p *ServerPool, now int64) (clients int) {
	for c := range p.clients.all() {
		t.expireClient(c, now)
		clients++
	}
	return clients
}

// expireClient answers the client's requests that have taken too long. Their messages
// stay in the queues of their servers without an owner, so that the order there holds.
// The replies are dropped when they come.
func (t *timers) expireClient(c *client, now int64) {
	p, ctx := c.pool, t.ctx
	expired := 0
	for m := c.outq.Head(); m != nil && m.Expires != 0 && m.Expires <= now && !isEnding(c, m) && ctx.turn.roomForMessage(); m = c.outq.Head() {
		if c.own != nil && c.own.subs.expire(m) {
			expired++
			continue
		}
		var unsaid *saying
		if c.own != nil {
			unsaid = c.own.sayingOf(m)
		}
		c.outq.Pop()
		c.hold(m, 0)
		p.failed(m, msg.RequestTimedout)
		if !m.Muted {
			c.Out().Splice(ctx.bufs, &m.Reply)
			p.proto.AppendError(ctx.bufs, c.Out(), m.Why(msg.RequestTimedout))
		}
		if p.failures.measure(p, m) {
			c.pool.ctx.measures.logSlow(c, m)
		}
		noteExpired(p, m)
		var late *serverConn
		if c.own != nil {
			late = c.own.watchConnOf(m)
			c.own.watch.expired(m)
		}
		ctx.swallow(m)
		if unsaid != nil {
			unsaid.outlives()
		}
		if late != nil {
			late.abandon(msg.RequestTimedout)
		}
		c.advance()
		expired++
	}
	if due := c.dueAt(c.patience(int64(p.conf.RequestTimeout))); due != 0 && c.waits != 0 {
		if due <= now {
			if q := c.asking.waitsFor(); q != nil {
				q.remove(c)
				q.overdue()
			}
			c.resume()
			due = now + expiryStep // for requests that this turn had no room to answer
		}
		if c.stash.Len() > 0 {
			ctx.nextExpiry = soonest(ctx.nextExpiry, due)
		}
	}
	if m := c.outq.Head(); m != nil {
		ctx.nextExpiry = soonest(ctx.nextExpiry, m.Expires)
	}
	ctx.nextExpiry = soonest(ctx.nextExpiry, c.giveUpIfLate(now))
	if expired > 0 {
		c.settle()
	}
}

// endingPatience is how long, in nanoseconds, a client that will send no more waits for
// a paused pool. Usually such a client has gone, and must not keep its descriptor for
// the whole pause.
const endingPatience = int64(2 * time.Second)

// refuseInTime sets when the client's waiting requests are refused. In a paused pool that
// may be before the pause ends.
func (t *timers) refuseInTime(c *client) {
	t.nextExpiry = soonest(t.nextExpiry, c.dueAt(c.patience(int64(c.pool.conf.RequestTimeout))))
}

// idleLooks is at how many checks in a row a connection to a server must be unused to
// be closed.
const idleLooks = 4

// closeIdleServers closes connections to servers that have not been used for
// server_idle_timeout, and sets when to look again. A connection is idle if nothing was
// written since the last check, so a request costs nothing.
func (t *timers) closeIdleServers(now int64) {
	ctx := t.ctx
	ctx.nextIdle = 0
	for _, p := range ctx.pools {
		limit := int64(p.conf.ServerIdleTimeout)
		if limit == 0 {
			continue
		}
		for _, s := range p.servers {
			for c := range s.conns() {
				if c.private == nil {
					c.closeIdle()
				}
			}
		}
		ctx.nextIdle = soonest(ctx.nextIdle, now+limit/idleLooks+1)
	}
}

func (c *serverConn) closeIdle() {
	if !c.Attached() {
		return
	}
	if c.written != c.counted || c.queue.Len() > 0 {
		c.counted, c.still = c.written, 0
		return
	}
	c.still++
	if c.still >= idleLooks {
		c.still = 0
		c.pool.ctx.turn.retireSoon(c)
	}
}
