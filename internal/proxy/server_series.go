package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// What a connection does with a series (fan_series.go), whose replies come one after the
// other.

// takeAhead handles those replies with which data begins that are not the last one to the
// head of the queue, or all that are left if it is a series. It returns their length.
func takeAhead(c *serverConn, head *msg.Msg, data []byte) (size int) {
	switch {
	case head.Ahead > 1:
		return skipQueued(c, head, data)
	case head.Ahead != msg.Series || head.Owner == nil || c.demotion != nil || c.discarded > 0:
		return 0
	}
	n, size := c.pool.proto.sequencer.JoinReplies(head, data, c.pool.ctx.bufs, &c.joined)
	if n > 0 {
		c.joinedMore(head, n, size)
	}
	return size
}

// inSeries handles the reply r to the series m, the head of the queue. If it is not as usual,
// the series is broken up, and inSeries returns false.
func (t *turnover) inSeries(m *msg.Msg, r msg.Reply) bool {
	c := t.of
	ctx := c.pool.ctx
	size := r.Len()
	switch {
	case mayBeError(r) || c.demotion != nil:
		c.breakUp(m)
		return false
	case m.Owner == nil:
		c.discarded = 0
		c.joined.Release(ctx.bufs)
		m.Pending--
		if m.Pending == 0 {
			ctx.msgs.Put(c.pop())
		}
	case c.pool.proto.sequencer.JoinReply(m, r, ctx.bufs, &c.joined):
		c.joinedMore(m, 1, size)
	default:
		c.breakUp(m)
		return false
	}
	if r.Chain != nil {
		r.Chain.Release(ctx.bufs)
	}
	return true
}

// joinedMore notes that n replies of size bytes together were joined. If they are the last
// ones, the owner gets the reply.
func (t *turnover) joinedMore(m *msg.Msg, n, size int) {
	c := t.of
	p, s := c.pool, c.server
	m.Pending -= int32(n)
	s.stats[stats.Responses] += int64(n)
	s.stats[stats.ResponseBytes] += int64(size)
	if s.health.HasFailed() {
		s.countAnswer()
	}
	if !c.proven {
		isProven(c, true, false)
	}
	if m.Pending > 0 {
		if !c.within(m, c.joined.Len()) {
			c.giveUp(m)
		}
		return
	}
	for range m.Nkeys {
		s.measureReply(m)
	}
	c.pop()
	m.Ahead = 0
	if p.proto.sequencer.EndJoin(m, p.ctx.bufs, &c.joined) {
		m.Owner.OnReply(m, msg.Reply{Chain: &c.joined})
	} else {
		c.failAll([]*msg.Msg{m}, msg.BadReply)
	}
	c.joined.Release(p.ctx.bufs)
}

// breakUp puts a request for each key that is not answered in the place of the series m,
// which may stand anywhere in the queue.
func (t *turnover) breakUp(m *msg.Msg) {
	c := t.of
	ctx := c.pool.ctx
	left, answered := int(m.Pending), int(m.Nkeys-m.Pending)
	text := m.Kept.AppendTo(nil)
	m.Kept.Release(ctx.bufs)
	ends := requestEnds(c.pool.proto.NewRequestParser(), text)
	begin := 0
	if answered > 0 {
		begin = ends[answered-1]
	}
	var next []*msg.Msg
	if party := m.Party(); party != nil {
		next = party.BreakUp(m, &c.joined)
	} else {
		for range left - 1 {
			next = append(next, ctx.msgs.Get())
		}
	}
	if c.queue.Head() == m {
		c.joined.Release(ctx.bufs)
	}
	c.countAlso(m, left-1, -begin)
	first := m.End - uint64(m.Len)
	for i, f := range append([]*msg.Msg{m}, next...) {
		end := ends[answered+i]
		f.Kept.Append(ctx.bufs, text[begin:end])
		f.Len, f.End = end-begin, first+uint64(end)
		begin = end
		f.Ahead, f.Nkeys, f.Pending, f.Keep, f.Rare = 0, 1, 0, true, true
		f.Type, f.Via, f.Deadline, f.Sent, f.Start = m.Type, m.Via, m.Deadline, m.Sent, m.Start
	}
	after := m
	for _, f := range next {
		c.queue.Insert(after, f)
		after = f
	}
	c.OnSent(0) // some of it may have been sent
}

// countAlso counts more messages, and more bytes, in that of the two queues which m is in.
func (t *turnover) countAlso(m *msg.Msg, messages, bytes int) {
	st := t.of.server.stats
	queue, size := stats.OutQueue, stats.OutQueueBytes
	if m.End > t.of.sent {
		queue, size = stats.InQueue, stats.InQueueBytes
	}
	st[queue] += int64(messages)
	st[size] += int64(bytes)
}

// requestEnds are the offsets behind the requests in text.
func requestEnds(parser msg.RequestParser, text []byte) (ends []int) {
	for end := 0; end < len(text); {
		n, _, _ := parser.Parse(text[end:])
		parser.Finish(text[end : end+n])
		end += n
		ends = append(ends, end)
	}
	return ends
}

// breakUpAll breaks up all series on the connection that are for the party, or for anybody.
func (t *turnover) breakUpAll(party msg.Party) {
	for m := range t.of.queue.All() {
		if m.Ahead == msg.Series && (party == nil || m.Party() == party) {
			t.breakUp(m)
		}
	}
}
