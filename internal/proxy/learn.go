package proxy

import (
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

const (
	// unknownFor is how long, in nanoseconds, a command counts as unknown to the
	// servers. It is short, since a module may be loaded at any time.
	unknownFor = int64(time.Second)
	// maxUnknown bounds how many such commands are kept. One more clears all others.
	maxUnknown = 1 << 10
)

// learn asks a server what the request means, unless an answer has just come, or the
// servers do not know it.
func (d *dispatch) learn(req *msg.Request) {
	c, p := d.client, d.client.pool
	ctx := p.ctx
	var text mbuf.Chain
	topic, ok := p.proto.learner.Ask(req, &c.session, ctx.bufs, &text)
	defer text.Release(ctx.bufs)
	answered := c.asking.answered()
	c.asking = nil
	if !ok {
		c.local(req)
		return
	}
	if answered != nil && answered.topic == topic {
		answered.unlearnt(c, req)
		return
	}
	if ctx.loop.Now() < p.unknown[topic] {
		c.local(req)
		return
	}
	c.session.Again()
	q := p.questions[topic]
	if q != nil {
		q.add(c)
		return
	}
	q = &question{pool: p, topic: topic, text: text.AppendTo(nil)}
	q.restart()
	q.askAs(c)
	q.add(c)
	if p.questions == nil {
		p.questions = make(map[string]*question)
	}
	p.questions[topic] = q
	if len(q.text) == 0 {
		find, _ := p.proto.reporter.Report(req, &c.session)
		q.find(find)
		return
	}
	q.ask()
}

// find has the question answered outside the loops.
func (q *question) find(answer func(reply func([]byte))) {
	ctx := q.pool.ctx
	taken := answer != nil && ctx.outside != nil && ctx.outside(func(done func()) {
		answer(func([]byte) {
			done()
			ctx.loop.Post(q.end)
		})
	})
	if !taken {
		q.failure = msg.TooManyReports
		q.end()
	}
}

// unlearnt answers a request that is still not understood after its question has ended.
func (q *question) unlearnt(c *client, req *msg.Request) {
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
		c.pool.keepUnknown(q.topic)
		c.local(req)
	}
}

// keepUnknown marks a topic as unknown to the servers for a while.
func (p *ServerPool) keepUnknown(topic string) {
	if p.unknown == nil {
		p.unknown = make(map[string]int64)
	}
	if len(p.unknown) >= maxUnknown {
		clear(p.unknown)
	}
	p.unknown[topic] = p.ctx.loop.Now() + unknownFor
}

// parseAgain puts a request that must be parsed again at the front of its client's
// stash.
func (c *client) parseAgain() {
	if c.again.Len() == 0 {
		return
	}
	ctx := c.pool.ctx
	c.PauseRead()
	c.putBack(ctx.bufs, ctx.loop.Now())
	ctx.refuseInTime(c)
}

// resumeAnswered resumes the clients whose questions have ended.
func (ctx *Context) resumeAnswered() {
	for _, q := range ctx.answered {
		for q.waiting.first != nil {
			a := q.waiting.first
			c := a.client
			q.remove(c)
			a.over, c.asking = true, a
			c.resumeIfRoom()
		}
	}
	clear(ctx.answered)
	ctx.answered = ctx.answered[:0]
}
