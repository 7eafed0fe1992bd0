package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A replica may not answer a read: it loads its data, has lost its primary, is no replica of
// this slot any more, or its connection ends. Then the read goes to the primary or, with
// read_policy: replica, to another replica:
//
//	the replica's connection                          the primary's
//	─► LOADING, MASTERDOWN, MOVED, ... to a read ───► sent there
//	   its end ─► all reads on it ──────────────────► sent there
//
// It changes nothing whether a read is carried out once or twice. The client's later writes
// wait (overtakes).

// maxReturned is how often a read is sent elsewhere at the most.
const maxReturned = 4

// returns reports whether the error reply to the request at the head of the queue is
// dropped, since a replica does not carry the request out, and another server is asked.
func (t *turnover) returns(r msg.Reply) bool {
	c := t.of
	m := c.queue.Head()
	if c.discarded > 0 || !c.mayReturn(m) || c.pool.proto.redirector == nil {
		return false
	}
	said := c.pool.proto.redirector.Redirect(r)
	if said.Kind == msg.Carried {
		return false
	}
	to := c.pool.choice.instead(c.server)
	if to == nil {
		return false // the client gets what the replica says
	}
	c.server.refused(r, true) // which counts it
	defer c.releaseChain(r)
	if said.Kind == msg.Moved && c.pool.detours != nil {
		c.pool.detours.patch(c.server, said)
	}
	c.dequeue()
	c.proven = true
	c.sendTo(to, m)
	return true
}

// releaseChain releases a reply that nobody gets.
func (t *turnover) releaseChain(r msg.Reply) {
	if r.Chain != nil {
		r.Chain.Release(t.of.pool.ctx.bufs)
	}
}

// mayReturn reports whether m, which stands on the connection to a replica, may be sent
// elsewhere.
func (t *turnover) mayReturn(m *msg.Msg) bool {
	p := t.of.pool
	if p.choice == nil || t.of.private != nil || m.Owner == nil || !m.Keep || m.Kept.Len() == 0 || m.Block() > 0 {
		return false
	}
	if p.detours != nil && p.detours.all[m] != nil {
		return false // its line decides
	}
	return p.commands[m.Type].Replicas && m.Asked() < maxReturned
}

// returnable divides the messages of a lost connection into those that are lost and those
// that may be sent elsewhere.
func (t *turnover) returnable(waiting []*msg.Msg) (lost, returned []*msg.Msg) {
	for _, m := range waiting {
		if t.mayReturn(m) {
			returned = append(returned, m)
		} else {
			lost = append(lost, m)
		}
	}
	return lost, returned
}

// sendAgain sends messages of a lost connection on a new one, and reads to another server.
func (r *rescue) sendAgain(again, returned []*msg.Msg, why msg.Reason) {
	switch {
	case len(again) == 0:
	case r.conn.deposed:
		r.askElsewhere(again, why)
	default:
		r.retry(again, why)
	}
	r.conn.sendElsewhere(returned, why)
}

// sendElsewhere sends the reads of a lost connection to another server.
func (t *turnover) sendElsewhere(returned []*msg.Msg, why msg.Reason) {
	c := t.of
	for i, m := range returned {
		to := c.pool.choice.instead(c.server)
		if to == nil {
			c.failAll(returned[i:], why)
			return
		}
		c.sendTo(to, m)
	}
}

// sendTo sends a read that a replica has not answered to another server.
func (t *turnover) sendTo(to *Server, m *msg.Msg) {
	c := t.of
	ctx := c.pool.ctx
	c.server.stats[stats.ReadsReturned]++
	ctx.msgs.CountAsked(m)
	conn, why := to.conn(c.lane.at, c.slot)
	if why != msg.OK {
		c.failAll([]*msg.Msg{m}, why)
		return
	}
	size := m.Kept.Len()
	kept := mbuf.Whole(&m.Kept)
	kept.AppendTo(ctx.bufs, conn.Out(), 0, size)
	if m.Via != nil {
		m.Via = conn
	}
	m.Sent, m.Err = 0, msg.OK
	conn.enqueue(m, size)
	to.stats[stats.Reads]++
	to.stats[stats.Requests]++
	to.stats[stats.RequestBytes] += int64(size)
}

// connInstead is a connection for a client's read for which the replica s has none. It is nil
// if there is none elsewhere either.
func (r *readChoice) connInstead(c *client, s *Server) *serverConn {
	to := r.instead(s)
	if to == nil {
		return nil
	}
	conn, why := to.conn(int(c.lane), c.slot())
	if why != msg.OK {
		return nil
	}
	s.stats[stats.ReadsReturned]++
	to.stats[stats.Reads]++
	return conn
}
