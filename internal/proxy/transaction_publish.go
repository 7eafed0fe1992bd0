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
// So the number for PUBLISH in EXEC's reply is that of the transaction's server.

// A saying is the messages that other servers get when m has been carried out. It
// stands between m and the client that waits for it.
type saying struct {
	own  *own
	m    *msg.Msg
	from *Server
	// said is the messages, as requests. messages is how many there are.
	said     mbuf.Chain
	messages int
}

// willSay keeps the messages of the transaction whose EXEC is m, for the other servers.
func (t *multi) willSay(tx *transaction, m *msg.Msg, from *Server) {
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
func (s *saying) Party() msg.Party { return s.own.client }

// OnReply implements msg.Owner.
func (s *saying) OnReply(m *msg.Msg, r msg.Reply) {
	c := s.own.client
	if !c.pool.transactor().Failed(r) {
		s.say()
	}
	s.drop()
	m.Owner = c
	c.OnReply(m, r)
}

// OnFailure implements msg.Owner: the messages are dropped.
func (s *saying) OnFailure(m *msg.Msg) {
	c := s.own.client
	s.drop()
	m.Owner = c
	c.OnFailure(m)
}

// say sends the messages to the other servers.
func (s *saying) say() {
	p := s.own.client.pool
	for _, to := range p.everywhere() {
		if to != s.from {
			s.tell(to)
		}
	}
}

// tell sends the messages to one server. Nobody waits for the answers.
func (s *saying) tell(to *Server) {
	c := s.own.client
	ctx := c.pool.ctx
	conn, why := c.conn(to)
	if why != msg.OK {
		return // which is counted
	}
	view := mbuf.Whole(&s.said)
	view.AppendTo(ctx.bufs, conn.Out(), 0, view.Len())
	for i := range s.messages {
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = c, true
		c.quiet++
		size := 0
		if i == s.messages-1 {
			size = view.Len()
		}
		c.hold(m, size)
		conn.enqueue(m, size)
	}
	to.stats[stats.Requests] += int64(s.messages)
	to.stats[stats.RequestBytes] += int64(view.Len())
}

// drop drops the messages.
func (s *saying) drop() {
	o := s.own
	s.said.Release(o.client.pool.ctx.bufs)
	if i := slices.Index(o.sayings, s); i >= 0 {
		o.sayings = slices.Delete(o.sayings, i, i+1)
	}
}

// leaveUnsaid drops the messages of m, for which nobody waits any more.
func (o *own) leaveUnsaid(m *msg.Msg) {
	if i := slices.IndexFunc(o.sayings, func(s *saying) bool { return s.m == m || s.m.Parent == m }); i >= 0 {
		o.sayings[i].drop()
	}
}

// unsay drops all messages that other servers have not got.
func (o *own) unsay() {
	for len(o.sayings) > 0 {
		o.sayings[0].drop()
	}
}
