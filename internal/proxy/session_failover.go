package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// A cluster brings each message to all of its nodes, so a client may listen to a channel at any
// of them, and stays there when slots move. But a node that has failed gets no messages from
// the others, though its connections may last, as when it hangs:
//
//	the map says           clients that listen there
//	it fails ───────────►  as after a lost connection (lose)
//	it was replaced ────►  stay if it answers a PING within deposedTime; else the same
//	it has left ────────►  move
//
// The last but one holds for the former primary that Sentinel has replaced, too.

// leaveCutOff has clients listen elsewhere that listen at nodes which are cut off.
func leaveCutOff(p *ServerPool) {
	if !p.bySlot || p.proto.messenger == nil {
		return
	}
	for _, s := range p.servers {
		if len(s.store.all) > 0 && isCutOff(&p.router, s) {
			checkFeeds(s, 0)
		}
	}
}

// checkFeeds looks after the connections on which clients listen at a server that fails, has
// left, or was deposed: then it must answer by the time by.
func checkFeeds(s *Server, by int64) {
	s.pool.ctx.turn.later(&feedCheck{server: s, at: len(s.store.all), by: by})
}

// A feedCheck is the job that does that, in slices.
type feedCheck struct {
	server *Server
	at     int
	by     int64
}

// step implements job.
func (j *feedCheck) step(ctx *Context) (done bool) {
	for j.at = min(j.at, len(j.server.store.all)); j.at > 0; j.at = min(j.at-1, len(j.server.store.all)) {
		if !ctx.turn.hasBudget() {
			return false
		}
		ctx.turn.count(Amount{Clients: 1})
		if c := j.server.store.all[j.at-1]; feedOn(c) != nil && c.Attached() {
			checkFeed(c, j.by)
		}
	}
	return true
}

func checkFeed(c *serverConn, by int64) {
	p, now := c.pool, c.pool.ctx.loop.Now()
	switch {
	case hasLeft(&p.router, c.server):
		if !c.private.stale {
			c.private.withdraw(now + demotedTime)
		}
	case isCutOff(&p.router, c.server):
		if c.retireBy == 0 {
			c.retireBy = now // the end of this connection says nothing new of the server
		}
		c.fail(msg.ConnReplaced)
	case by != 0 && (p.bySlot || !topology.Contains(c.server.health.Addrs(), c.addr)):
		answerBy(c, by)
	}
}

// answerBy has the server answer on a connection on which clients listen by the time by.
func answerBy(c *serverConn, by int64) {
	if c.queue.Len() == 0 && c.Open() {
		feedOn(c).ask()
	}
	if head := c.queue.Head(); head != nil {
		if head.Deadline == 0 || head.Deadline > by {
			head.Deadline = by
		}
		c.pool.ctx.nextDeadline = soonest(c.pool.ctx.nextDeadline, head.Deadline)
	}
}
