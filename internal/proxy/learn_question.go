package proxy

import (
	"strconv"

	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// A question is sent to servers, on the default lane, to understand requests:
// for example, where an unknown command has its keys.
//
//	request ─► Learn ─► question ─► a server, or the next one that answers
//	   ▲                                │
//	   └──── parsed again ◄──── Protocol.Learn keeps the answer for all loops
//
// The clients that sent such a request wait, with the request back at the front of
// their stash. Clients with the same question share it. Known commands never come here.
//
// Servers that are well are asked first, then those that fail. An ejected server gets a
// question only if it gets requests; the question is then its probe. If a server does
// not answer within request_timeout, the next one is asked.
type question struct {
	// static after construction
	pool  *ServerPool
	topic string
	text  []byte
	// user is who asks; 0: the proxy itself. passer has its credentials, which the question
	// holds.
	user   uint32
	passer Passer

	// owned by the loop
	//
	// waiting are the clients that wait.
	waiting list[*asking]
	// rest are the servers that were not looked at yet. failing and ejected are the
	// servers that were skipped.
	rest, failing, ejected []*Server
	// server was asked last, at time askedAt, by m. Both are nil once it has answered
	// or was given up.
	server  *Server
	m       *msg.Msg
	askedAt int64
	// reply is the server's reply in one piece.
	reply []byte

	// The end, once the question is answered or no server is left to ask.

	// objection is what the last server said instead of an answer. failure is why there
	// was no reply at all.
	objection string
	failure   msg.Reason
}

// An asking is a client's place among those that wait for the answer to a question.
type asking struct {
	links[*asking]
	client   *client
	question *question
	// over: the answer has come, and the client waits no longer.
	over bool
}

// waitsFor is the question that the client waits for, or nil.
func (a *asking) waitsFor() *question {
	if a == nil || a.over {
		return nil
	}
	return a.question
}

// answered is the question whose answer has come, or nil.
func (a *asking) answered() *question {
	if a == nil || !a.over {
		return nil
	}
	return a.question
}

// askAs has the question asked as the proxy itself or, if the servers know only clients, as
// the client.
func (q *question) askAs(c *client) {
	p := q.pool
	switch {
	case p.passer == nil:
	case p.conf.ServerLogin().Password != "":
		q.user = msg.ServiceUser
	default:
		q.user, q.passer = c.session.Lane.User, p.passer
		q.passer.Hold(q.user)
	}
}

// add has the client wait for the answer.
func (q *question) add(c *client) {
	invariant.Check(c.asking.waitsFor() == nil, "proxy: a client waits for two answers")
	c.waits |= waitsForAnswer
	c.asking = &asking{client: c, question: q}
	q.waiting.enter(c.asking)
}

// remove has the client, which does, wait for the answer no longer.
func (q *question) remove(c *client) {
	c.waits &^= waitsForAnswer
	q.waiting.remove(c.asking)
	c.asking = nil
}

// candidate is the server to ask next, or nil.
func (q *question) candidate() *Server {
	for len(q.rest) > 0 {
		s := q.rest[0]
		q.rest = q.rest[1:]
		switch h := s.health; {
		case !h.Passes():
			q.ejected = append(q.ejected, s)
		case s.mute > 0 || h.HasFailed() || !h.IsUp():
			q.failing = append(q.failing, s)
		default:
			return s
		}
	}
	var s *Server
	switch {
	case len(q.failing) > 0:
		s, q.failing = q.failing[0], q.failing[1:]
	case len(q.ejected) > 0:
		s, q.ejected = q.ejected[0], q.ejected[1:]
	}
	return s
}

// restart has all servers asked again, after the pool has got others.
func (q *question) restart() { q.rest, q.failing, q.ejected = q.pool.everywhere(), nil, nil }

// ask puts the question to the next server that can be reached. A server off the ring,
// whose keys others have, is not asked.
func (q *question) ask() {
	p := q.pool
	ctx := p.ctx
	p.routes()
	for s := q.candidate(); s != nil; s = q.candidate() {
		conn, why := (*serverConn)(nil), msg.ConnRefused
		if p.topo.KeepsRequests(s.health) {
			conn, why = s.conn(laneAs(p, q.user), 0)
		}
		if why != msg.OK {
			q.failed(why)
			continue
		}
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = q, true
		q.server, q.m, q.askedAt = s, m, ctx.loop.Now()
		conn.Out().Append(ctx.bufs, q.text)
		conn.enqueue(m, len(q.text))
		return
	}
	q.end()
}

// end has the clients resumed in this turn, once they have put their requests back.
func (q *question) end() {
	if q.passer != nil {
		q.passer.Release(q.user)
		q.passer = nil
	}
	delete(q.pool.questions, q.topic)
	q.pool.ctx.answered = append(q.pool.ctx.answered, q)
}

// Party implements msg.Owner: the answer is for all loops, not for the clients that
// wait.
func (q *question) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (q *question) OnReply(m *msg.Msg, r msg.Reply) {
	p := q.pool
	p.ctx.msgs.Put(m)
	s := q.server
	q.server, q.m = nil, nil
	if r.Chain != nil {
		q.reply = r.Chain.AppendTo(q.reply[:0])
	} else {
		q.reply = append(q.reply[:0], r.Flat...)
	}
	q.failure = msg.OK
	q.objection = p.proto.learner.Learn(q.topic, q.reply)
	if q.objection != "" {
		q.ask()
		return
	}
	if s.health.HasFailed() {
		s.countAnswer()
	}
	q.end()
}

// OnFailure implements msg.Owner.
func (q *question) OnFailure(m *msg.Msg) {
	q.server, q.m = nil, nil
	if m.Err == msg.ReplyTooLarge {
		q.failure, q.objection = msg.OK, "their answer has more than "+strconv.Itoa(maxAnswer)+" bytes"
	} else {
		q.failed(m.Err)
	}
	q.pool.ctx.msgs.Put(m)
	q.ask()
}

// failed notes why a server did not answer, unless another one gave an objection, which
// says more.
func (q *question) failed(why msg.Reason) {
	if q.objection == "" {
		q.failure = why
	}
}

// overdue asks the next server if the last one has not answered within request_timeout.
func (q *question) overdue() {
	p := q.pool
	if q.m == nil || p.ctx.loop.Now() < q.askedAt+int64(p.conf.RequestTimeout) {
		return
	}
	q.server.mute++
	q.m.Owner = &unanswered{q.server}
	q.server, q.m = nil, nil
	q.failed(msg.RequestTimedout)
	q.ask()
}

// An unanswered owns the reply to a question that one server did not answer in time.
type unanswered struct{ server *Server }

// Party implements msg.Owner.
func (u *unanswered) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (u *unanswered) OnReply(m *msg.Msg, _ msg.Reply) { u.end(m) }

// OnFailure implements msg.Owner.
func (u *unanswered) OnFailure(m *msg.Msg) { u.end(m) }

func (u *unanswered) end(m *msg.Msg) {
	u.server.mute--
	u.server.pool.ctx.msgs.Put(m)
}
