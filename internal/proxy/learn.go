package proxy

import (
	"strconv"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A question is what servers are asked, on the default lane, so that requests
// can be understood: where an unknown command has its keys, say.
//
//	request ─► Learn ─► question ─► server 0, or the next one that answers
//	   ▲                                │
//	   └──── parsed again ◄──── Protocol.Learn keeps the answer for all loops
//
// The clients that sent such a request wait, with the request back at the front
// of their stash; those with the same question share it. Known commands never
// come here.
type question struct {
	// static after construction
	pool  *ServerPool
	topic string
	text  []byte

	// owned by the loop
	waiting []*client
	// next is the server that is asked next.
	next int
	// reply gathers the server's.
	reply []byte

	// The end, once the question is answered or no server is left to ask.

	// objection is what the last server said instead of an answer, failure why
	// there was no reply at all.
	objection string
	failure   msg.Reason
}

// learn has a server asked what the request means, unless that has just been
// done in vain.
func (c *client) learn(req *msg.Request) {
	p := c.pool
	ctx := p.ctx
	var text mbuf.Chain
	topic := p.proto.Ask(req, &c.session, ctx.bufs, &text)
	defer text.Release(ctx.bufs)
	answered := c.answered
	c.answered = nil
	if topic == "" {
		c.local(req)
		return
	}
	if answered != nil && answered.topic == topic {
		c.unlearnt(answered, req)
		return
	}
	c.waits |= waitsForAnswer
	c.session.Again()
	q := p.questions[topic]
	if q != nil {
		q.waiting = append(q.waiting, c)
		return
	}
	q = &question{pool: p, topic: topic, text: text.AppendTo(nil), waiting: []*client{c}}
	if p.questions == nil {
		p.questions = make(map[string]*question)
	}
	p.questions[topic] = q
	q.ask()
}

// unlearnt answers a request that the question's end did not make understood.
func (c *client) unlearnt(q *question, req *msg.Request) {
	switch {
	case q.failure != msg.OK:
		c.refuse(req, q.failure)
	case q.objection != "":
		p := c.pool
		p.stats.Values[stats.ForwardError]++
		m := c.newMsg(req)
		p.proto.AppendError(p.ctx.bufs, &m.Reply, "the servers do not say what this command is: "+q.objection)
		m.Done = true
		c.hold(m, m.Reply.Len())
		c.outq.Push(m)
		c.advance()
	default:
		c.local(req)
	}
}

// putBack moves a request that is to be parsed again to the front of the stash.
func (c *client) putBack() {
	if c.again.Len() == 0 {
		return
	}
	c.PauseRead()
	if c.stash.Len() == 0 {
		c.stashed()
	}
	c.again.Splice(c.pool.ctx.bufs, &c.stash)
	c.stash, c.again = c.again, mbuf.Chain{}
}

// ask puts the question to the next server that can be reached.
func (q *question) ask() {
	p := q.pool
	ctx := p.ctx
	for q.next < len(p.servers) {
		s := p.servers[q.next]
		q.next++
		conn, why := s.conn(0, 0)
		if why != msg.OK {
			q.failure, q.objection = why, ""
			continue
		}
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = q, true
		conn.Out().Append(ctx.bufs, q.text)
		conn.enqueue(m, len(q.text))
		return
	}
	q.end()
}

// end has the clients told, in this turn, once they have put their requests
// back.
func (q *question) end() {
	delete(q.pool.questions, q.topic)
	q.pool.ctx.answered = append(q.pool.ctx.answered, q)
}

// OnReply implements msg.Owner.
func (q *question) OnReply(m *msg.Msg, r msg.Reply) {
	p := q.pool
	p.ctx.msgs.Put(m)
	if r.Chain != nil {
		q.reply = r.Chain.AppendTo(q.reply[:0])
	} else {
		q.reply = append(q.reply[:0], r.Flat...)
	}
	q.failure = msg.OK
	q.objection = p.proto.Learn(q.topic, q.reply)
	if q.objection != "" {
		q.ask()
		return
	}
	q.end()
}

// OnFailure implements msg.Owner.
func (q *question) OnFailure(m *msg.Msg) {
	q.failure, q.objection = m.Err, ""
	if m.Err == msg.ReplyTooLarge {
		q.failure, q.objection = msg.OK, "their answer has more than "+strconv.Itoa(maxAnswer)+" bytes"
	}
	q.pool.ctx.msgs.Put(m)
	q.ask()
}

// tellAnswered has the clients go on whose questions have come to their end.
func (ctx *Context) tellAnswered() {
	for _, q := range ctx.answered {
		for _, c := range q.waiting {
			if c.state != clientOpen {
				continue
			}
			c.waits &^= waitsForAnswer
			c.answered = q
			c.mayResume()
		}
		q.waiting = nil
	}
	clear(ctx.answered)
	ctx.answered = ctx.answered[:0]
}
