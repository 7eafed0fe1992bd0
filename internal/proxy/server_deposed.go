package proxy

import (
	"slices"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// Another node may be promoted in a primary's place, as when the primary hangs. What it says
// to requests that it has got is worth little then: it will drop the writes, and its reads are
// old. So it has little time left to answer them:
//
//	promotion is known ─► requests to come ─────────────────────► the new primary
//	                      the old connection owes replies
//	                        they come within deposedTime ───────► the client
//	                        they do not: it ends, and of these
//	                          reads, and what was not sent ─────► the new primary, by the pool's
//	                          the rest ─► an error                rules for lost connections
//
// Clients with requests there are not read from meanwhile, so their order holds. Clients that
// wait (BLPOP) or listen (session_failover.go) move by the rules that are theirs.

// deposedTime is how long, in nanoseconds, a server may answer what it was asked as a primary.
const deposedTime = int64(time.Second)

// followDeposals ends what the servers owe that were deposed since the last look.
func followDeposals(p *ServerPool) {
	for _, s := range p.servers {
		followDeposal(s)
	}
}

func followDeposal(s *Server) {
	at := s.health.DeposedAt()
	if at == s.deposed {
		return
	}
	s.deposed = at
	by := at + deposedTime
	if t := int64(s.pool.conf.Timeout); t > 0 {
		by = min(by, at+t)
	}
	for _, c := range slices.Clone(s.pool.ctx.leaving.conns) {
		if c.server == s && c.private == nil && owesAsFormer(s, c) {
			depose(c, by)
		}
	}
	for _, lane := range s.lanes {
		for slot, c := range lane {
			if c != nil && owesAsFormer(s, c) && (c.Open() || s.pool.bySlot) {
				lane[slot] = nil
				depose(c, by)
			}
		}
	}
	for _, c := range slices.Clone(s.store.all) {
		if owesAsFormer(s, c) {
			c.private.depose(by)
		}
	}
	checkFeeds(s, by)
}

// owesAsFormer reports whether the connection is to the server that was deposed, and owes
// replies. A node of a cluster is another server than the one in its place. One that Sentinel
// knows is the same, at another address.
func owesAsFormer(s *Server, c *serverConn) bool {
	return c.Attached() && c.queue.Len() > 0 && (s.pool.bySlot || !topology.Contains(s.health.Addrs(), c.addr))
}

// depose ends the connection, whose place another one has, when it owes nothing any more, or at
// time by.
func depose(c *serverConn, by int64) {
	c.deposed = true
	switch {
	case c.retireBy != 0:
		c.retireBy = min(c.retireBy, by)
	case c.Open():
		c.closeWhenAnswered(by)
	default: // nothing was sent
		c.retireBy = by
		c.fail(msg.ConnReplaced)
	}
}

// depose ends the private connection likewise, unless its client waits there or listens.
func (pv *private) depose(by int64) {
	c := pv.conn
	if pv.tenant != nil && pv.tenant.feed() != nil {
		return
	}
	for m := range c.queue.All() {
		if m.Waits() {
			return
		}
	}
	pv.withdraw(by)
	c.retireBy = min(c.retireBy, by)
}

// askElsewhere sends what waited on a connection to a deposed server on the one that has its
// place.
func (r *rescue) askElsewhere(again []*msg.Msg, why msg.Reason) {
	c := r.conn
	slot := c.slot
	if slot >= c.pool.conf.ServerConnections { // since a reload there are fewer
		slot = 0
	}
	n, not := c.server.conn(c.lane.at, slot)
	if not != msg.OK {
		c.failAll(again, not)
		return
	}
	n.requeue(again)
	r.tell(len(again), why)
}
