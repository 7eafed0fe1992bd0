package proxy

import (
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Output that a client does not read waits in its connection (Out, eventloop/conn.go).
// Here it is bounded, like other offences of clients, at no cost for a request:
//
//	refused   above client_connections, or with no descriptor left   on accept
//	cut       replies not read, client_output_limit                  after a write
//	          and client_output_soft_limit; client_idle_timeout      in a walk over all
//	                                                                 clients, now and then
//
// Bounds on what one client has in flight are admits' in client.go; those of the
// process's memory are in memory.go.

// checkPeriod bounds, in nanoseconds, the time between two walks over a pool's
// clients.
const (
	minCheckPeriod = int64(10 * time.Millisecond)
	maxCheckPeriod = int64(10 * time.Second)
)

// cut closes the client for something that it may not do.
func (c *client) cut(why msg.Reason) {
	noteCut(c, why)
	if listens(c) && (why == msg.OutputLimit || why == msg.NoMemory) {
		c.pool.stats.Values[stats.SubscribersSlow]++
	}
	c.lastErr = closeReason{why: why}
	c.close()
}

// tookOutput checks the client's unread output after a write of which the kernel took n
// bytes. If there is too much, it closes the client and returns false.
func (c *client) tookOutput(n int) bool {
	p := c.pool
	waiting := int64(c.Out().Len())
	hard, soft := p.conf.ClientOutputLimit, p.conf.ClientOutputSoftLimit
	if listens(c) {
		hard, soft = p.conf.PubSub.OutputLimit, p.conf.PubSub.OutputSoftLimit
	}
	if hard > 0 && waiting > hard {
		c.cut(msg.OutputLimit)
		return false
	}
	now := p.ctx.loop.Now()
	if n > 0 && c.unreadSince != 0 {
		p.ctx.memory.lastRead = now
	}
	slow := c.took(n, waiting, soft, now)
	p.slow += slow
	if slow > 0 {
		p.checkBy(now + checkPeriod(softTime(p.conf)))
	}
	return true
}

// checkPeriod is how often clients that may be closed after d are checked.
func checkPeriod(d time.Duration) int64 {
	return min(max(int64(d)/4, minCheckPeriod), maxCheckPeriod)
}

// checkBy has the clients checked at time t or earlier.
func (p *ServerPool) checkBy(t int64) {
	if ctx := p.ctx; ctx.nextCheck == 0 || t < ctx.nextCheck {
		ctx.nextCheck = t
	}
}

// checkClients checks the clients of the pools that have a time limit, and sets when to
// check again.
func (t *timers) checkClients(now int64) {
	ctx := t.ctx
	ctx.nextCheck = 0
	for _, p := range ctx.pools {
		if d := p.conf.ClientIdleTimeout; d > 0 && p.clients.first != nil {
			t.closeIdleClients(p, now-int64(d))
			p.checkBy(now + checkPeriod(d))
		}
		if p.slow > 0 {
			t.cutSlow(p, now)
			p.checkBy(now + checkPeriod(softTime(p.conf)))
		}
	}
}

// closeIdleClients closes the clients that have been idle since the given time.
func (t *timers) closeIdleClients(p *ServerPool, since int64) {
	for c := range p.clients.all() {
		if !listens(c) && !monitors(c) && c.idleSince(since, c.Out().Len()) && c.inFlight() == 0 && c.stash.Len() == 0 && c.waits == 0 {
			if !t.ctx.turn.room() {
				p.checkBy(t.ctx.loop.Now())
				return
			}
			c.cut(msg.ClientIdle)
		}
	}
}

// softTime is the shortest time for which a client may have too much to read.
func softTime(conf *config.Pool) time.Duration {
	return min(conf.ClientOutputSoftTime, conf.PubSub.OutputSoftTime)
}

// cutSlow closes the clients that have had too much to read for too long at time now, and
// have not read it.
func (t *timers) cutSlow(p *ServerPool, now int64) {
	for c := range p.clients.all() {
		limit := p.conf.ClientOutputSoftTime
		if listens(c) {
			limit = p.conf.PubSub.OutputSoftTime
		}
		if c.slowBefore(now - int64(limit)) {
			if !t.ctx.turn.room() {
				p.checkBy(t.ctx.loop.Now())
				return
			}
			c.cut(msg.OutputLimit)
		}
	}
}

// countRefused counts a client that was turned away.
func countRefused(p *ServerPool, why msg.Reason) {
	p.stats.Values[stats.ClientsRefused]++
	p.stats.Vectors[stats.RefusedClients][why]++
}
