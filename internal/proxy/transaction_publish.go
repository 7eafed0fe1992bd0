package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A message that is published in a transaction goes to the transaction's server, as a
// part of it. If clients listen at other servers too, these get it once the transaction
// has been carried out:
//
//	client                      server a, the transaction's      servers b and c
//	MULTI SET PUBLISH EXEC ─►   MULTI SET PUBLISH EXEC
//	                       ◄─   [ +OK :1 ]                  ─►   PUBLISH
//
// So the number for PUBLISH in EXEC's reply is that of the transaction's server. If the client
// goes meanwhile, or has its error since EXEC took too long, the other servers are told all the
// same.

// A saying is the messages that other servers get when m has been carried out. It
// stands between m and the client that waits for it.
type saying struct {
	// own is the client's; nil: it waits for m no more.
	own  *own
	m    *msg.Msg
	from *serverConn
	// said is the messages, as requests. messages is how many there are.
	said     mbuf.Chain
	messages int
}

// willSay keeps the messages of the transaction whose EXEC is m, for the other servers.
func (t *multi) willSay(tx *transaction, m *msg.Msg, from *serverConn) {
	if tx.messages == 0 {
		return
	}
	o := ownOf(t.client)
	s := &saying{own: o, m: m, from: from, messages: tx.messages}
	s.said.Splice(t.client.pool.ctx.bufs, &tx.said)
	m.Owner = s
	o.sayings = append(o.sayings, s)
}

// Party implements msg.Owner.
func (s *saying) Party() msg.Party {
	if s.own == nil {
		return nil
	}
	return s.own.client
}

// OnReply implements msg.Owner.
func (s *saying) OnReply(m *msg.Msg, r msg.Reply) {
	if !s.from.pool.transactor().Failed(r) {
		s.say()
	}
	if c := s.giveBack(m); c != nil {
		c.OnReply(m, r)
	}
}

// OnFailure implements msg.Owner: the messages are dropped.
func (s *saying) OnFailure(m *msg.Msg) {
	if c := s.giveBack(m); c != nil {
		c.OnFailure(m)
	}
}

// giveBack drops the messages, and makes m the client's again. If the client waits for m no more,
// m is released, and nil is returned.
func (s *saying) giveBack(m *msg.Msg) *client {
	o := s.own
	s.drop()
	if o == nil {
		s.from.pool.ctx.msgs.Put(m)
		return nil
	}
	m.Owner = o.client
	return o.client
}

// say sends the messages to the other servers.
func (s *saying) say() {
	for _, to := range s.from.pool.everywhere() {
		if to != s.from.server {
			s.tell(to)
		}
	}
}

// tell sends the messages to one server. Nobody waits for the answers.
func (s *saying) tell(to *Server) {
	ctx := s.from.pool.ctx
	conn, why := s.conn(to)
	if why != msg.OK {
		return // which is counted
	}
	view := mbuf.Whole(&s.said)
	view.AppendTo(ctx.bufs, conn.Out(), 0, view.Len())
	for i := range s.messages {
		m := ctx.msgs.Get()
		m.NoReply = true
		size := 0
		if i == s.messages-1 {
			size = view.Len()
		}
		if s.own != nil {
			c := s.own.client
			m.Owner = c
			c.quiet++
			c.hold(m, size)
		}
		conn.enqueue(m, size)
	}
	to.stats[stats.Requests] += int64(s.messages)
	to.stats[stats.RequestBytes] += int64(view.Len())
}

// conn is the connection to a server that the messages go on: the client's or, if it waits no
// more, one like that of the transaction.
func (s *saying) conn(to *Server) (*serverConn, msg.Reason) {
	if s.own != nil {
		return s.own.client.conn(to)
	}
	p, lane := s.from.pool, s.from.lane
	if lane.at >= len(p.lanes) || p.lanes[lane.at] != lane {
		return nil, msg.ServerRemoved
	}
	conn, why := to.conn(lane.at, 0)
	if why != msg.OK {
		to.reasons[stats.ServerFailedRequests][why]++
	}
	return conn, why
}

// drop drops the messages.
func (s *saying) drop() {
	s.said.Release(s.from.pool.ctx.bufs)
	if s.own != nil {
		s.part()
	}
}

// part parts the messages from their client.
func (s *saying) part() {
	o := s.own
	s.own = nil
	if i := slices.Index(o.sayings, s); i >= 0 {
		o.sayings = slices.Delete(o.sayings, i, i+1)
	}
}

// sayingOf is what other servers are to be told when m has been carried out, or nil.
func (o *own) sayingOf(m *msg.Msg) *saying {
	if i := slices.IndexFunc(o.sayings, func(s *saying) bool { return s.m == m || s.m.Parent == m }); i >= 0 {
		return o.sayings[i]
	}
	return nil
}

// outlives has the other servers told although nobody waits for the transaction any more. Its
// message has no owner, and stands in the queue of its server.
func (s *saying) outlives() {
	s.part()
	s.m.Owner, s.m.Err = s, msg.OK // it may have its error
}

// unsay parts all messages that other servers have not got from their client, which has gone.
func (o *own) unsay() {
	for len(o.sayings) > 0 {
		o.sayings[0].outlives()
	}
}
