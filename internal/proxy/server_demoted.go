package proxy

import (
	"slices"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A primary that has become a replica answers writes with READONLY, and carries none of
// them out. With on_readonly: resolve the clients of such a connection do not see that:
//
//	the old connection                                  the new one, in its place
//	─► replies of clients that wrote there
//	     READONLY to a write: not carried out  ──────►  asked again, in order,
//	     the reply to a read: dropped          ──────►  when the old connection
//	     the reply to a write: it was done              owes nothing any more
//	─► other replies: delivered                         later requests wait behind
//
// Clients with requests on the old connection are not read from until all of these are
// answered. So their order holds. If a write of a client is carried out behind one that
// was refused, the client gets the refusal after all: to ask again would change the order.
// What was sent, and got no reply, is not asked again. The EXEC of a client that watches
// keys gets null, also without on_readonly where another primary will be found.

const (
	// maxAsked is how often a request is asked again.
	maxAsked = 6
	// askPause is how long, in nanoseconds, the first pause is before a server is asked
	// again that has no other address. Each further one is twice as long.
	askPause = int64(50 * time.Millisecond)
	// demotedTime is how long, in nanoseconds, the old connection may take to answer.
	demotedTime = int64(10 * time.Second)
)

// A demotion is what becomes of requests on a connection whose server takes no writes.
type demotion struct {
	conn *serverConn
	// refuses: the reply that has just come says that the request was not carried out.
	refuses bool
	// block is a transaction of which a command was refused.
	block *msg.Msg
	// parties are true for those with a request among again, and false for those of which
	// a later request was carried out.
	parties map[msg.Party]bool
	// again are the messages that are asked again, in their order. They have their bytes
	// in Kept.
	again []*msg.Msg
	// text is the server's first refusal: READONLY.
	text []byte
	// most is how often one of again has been asked again.
	most int
}

// demoted notes that the server does not carry the request at the head of the queue
// out, for the reason why, and that r says so.
func (t *turnover) demoted(why msg.Reason, r msg.Reply) {
	c := t.of
	head := c.queue.Head()
	switch {
	case head == nil:
		return
	case c.private != nil:
		nulls := c.pool.keepsAll || c.pool.foundElsewhere
		c.private.unwritten = c.private.unwritten || nulls && why == msg.ReadOnly && c.private.hasWatched(head)
		return
	case !c.pool.keepsAll || c.pool.detours != nil, head.Party() == nil:
		return
	}
	d := c.demotion
	if d == nil {
		if why != msg.ReadOnly || !head.Keep {
			return
		}
		d = c.beginDemotion()
		d.text = textOf(r)
	}
	if head.Ahead > 0 {
		d.block = head
		return
	}
	d.refuses = true
}

// beginDemotion puts another connection in the place of c, which is made when c owes
// nothing any more.
func (t *turnover) beginDemotion() *demotion {
	c := t.of
	d := &demotion{conn: c, parties: make(map[msg.Party]bool)}
	c.demotion = d
	s, now := c.server, c.pool.ctx.loop.Now()
	if c.retireBy != 0 || s.place(c) != c {
		return d // another has its place already
	}
	n := s.addConn(c.lane.at, c.slot)
	n.wait = &awaiting{conn: n, behind: c, by: now + awaitMost}
	n.wait.hold(nil)
	c.closeWhenAnswered(now + demotedTime)
	return d
}

// place is the connection that stands in the place of c now; nil: none does.
func (s *Server) place(c *serverConn) *serverConn {
	if at := c.lane.at; at < len(s.lanes) && c.slot < len(s.lanes[at]) {
		return s.lanes[at][c.slot]
	}
	return nil
}

// takes reports whether the reply to the request at the head of the queue is dropped,
// because the request is asked again elsewhere.
func (d *demotion) takes() bool {
	c := d.conn
	m := c.queue.Head()
	isBlock := d.block == m
	refuses := d.refuses || isBlock
	d.refuses = false
	if isBlock {
		d.block = nil
	}
	taken := d.mayTake(m, refuses)
	switch {
	case taken:
		c.dequeue()
		m.Err = msg.OK
		if m.Block() > 0 {
			m.Ahead = int32(m.Block() + 2)
		}
		d.most = max(d.most, c.pool.ctx.msgs.CountAsked(m))
		d.parties[m.Party()] = true
		d.again = append(d.again, m)
		c.server.stats[stats.AskedAgain]++
	case isBlock:
		endBlock(c.pool, m, true)
	}
	if left := c.queue.Len(); left == 0 || left == 1 && !taken {
		d.finish()
	}
	return taken
}

// mayTake reports whether m may be asked again. refuses: it was not carried out.
func (d *demotion) mayTake(m *msg.Msg, refuses bool) bool {
	c := d.conn
	party := m.Party()
	switch {
	case party == nil:
		return false
	case !m.Keep || c.discarded > 0 || m.Asked() >= maxAsked:
	case refuses:
		return true
	case c.pool.commands[m.Type].Pure && m.Block() == 0:
		again, known := d.parties[party]
		return again || !known && party.WroteAt(uint32(c.server.mark|c.server.former))
	}
	if d.parties[party] {
		d.release(party) // what stands behind it has an outcome
	}
	return false
}

// release gives a client the refusals of those of its requests that wait to be asked
// again.
func (d *demotion) release(party msg.Party) {
	var refused []*msg.Msg
	d.again = slices.DeleteFunc(d.again, func(m *msg.Msg) bool {
		if m.Party() == party {
			refused = append(refused, m)
		}
		return m.Party() == party
	})
	d.parties[party] = false
	d.conn.server.passRefusal(refused, d.text)
}

// finish sends what is to be asked again on the connection that has the place of the old
// one, which owes nothing any more, or has ended.
func (d *demotion) finish() {
	c := d.conn
	c.demotion = nil
	s := c.server
	n := s.place(c)
	if n == nil && !s.removed && c.lane.at < len(s.lanes) && c.slot < len(s.lanes[c.lane.at]) {
		n = s.addConn(c.lane.at, c.slot) // the name has moved, and nobody has needed its place since
	}
	if s.removed || n == nil || n == c {
		s.passRefusal(d.again, d.text)
		return
	}
	if w := n.wait; n.awaits() {
		waiting, own := n.unqueue()
		now := c.pool.ctx.loop.Now()
		w.behind, w.refusal, w.againAt = nil, d.text, now
		if topology.Contains(s.health.Addrs(), c.addr) { // nothing has changed yet
			w.againAt = now + askPause<<d.most
		}
		w.hold(append(d.again, waiting...))
		n.failAll(own, msg.NotPrimary)
		return
	}
	if !n.Attached() {
		if why := n.dial(); why != msg.OK {
			s.passRefusal(d.again, d.text)
			return
		}
	}
	n.sendAgain(d.again)
}

// passRefusal gives the clients what the server has said in refusal of their requests.
func (s *Server) passRefusal(refused []*msg.Msg, text []byte) {
	ctx := s.pool.ctx
	for _, m := range refused {
		m.Kept.Release(ctx.bufs)
		m.Ahead = 0
		if m.Owner == nil {
			ctx.msgs.Put(m)
			continue
		}
		countPassed(s, msg.Reply{Flat: text})
		said := text
		if m.Block() > 0 {
			endBlock(s.pool, m, true)
			said = s.pool.transactor().AbortedBy(text)
		}
		s.stats[stats.Responses]++
		s.stats[stats.ResponseBytes] += int64(len(said))
		m.Owner.OnReply(m, msg.Reply{Flat: said})
	}
}

// textOf is a copy of the reply.
func textOf(r msg.Reply) []byte {
	if r.Chain != nil {
		return r.Chain.AppendTo(nil)
	}
	return slices.Clone(r.Flat)
}

// demand is what the server must be to get requests; aside: those that go beside others.
func (s *Server) demand(aside bool) msg.Demand {
	switch {
	case aside:
	case s.conf.Address.Network == config.NetworkSentinel:
		return msg.ForPrimary
	case s.leader != nil && s.pool.bySlot:
		return msg.ForReplica
	}
	return msg.AnyRole
}

// WroteAt implements msg.Party.
func (d *dispatch) WroteAt(mark uint32) bool { return d.client.wrote&marks(mark) != 0 }
