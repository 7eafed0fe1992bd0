package proxy

import (
	"cmp"
	"log/slog"
	"math"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A reply is kept until it is whole, so it has a bound (server_max_reply), and so
// have all replies to the parts of one request together:
//
//	more than the bound  ─► its client gets an error, in its turn
//	what else comes of it ─► dropped as it comes; the requests behind it go on
//	more than maxDropped  ─► the connection is closed: the reply may have no end
//
// The length of a bulk is looked at before the bulk comes, so that nothing of a
// too large value is kept.

const (
	// maxAnswer bounds, in bytes, the replies to what the proxy itself asks.
	maxAnswer = 1 << 20
	// maxDropped is how many bytes of a reply are dropped before its connection is
	// closed.
	maxDropped = 1 << 30
)

// maxReplySize is how many bytes the reply to one request may have.
func (p *ServerPool) maxReplySize() int64 {
	return min(cmp.Or(p.conf.ServerMaxReply, math.MaxInt64), p.ctx.identity.Limits().MaxReply())
}

// counts notes that the reply to m has n bytes at the least, and reports whether
// that is not too much, together with those to the other fragments.
func (p *ServerPool) counts(m *msg.Msg, n int) bool {
	fits := p.sums(m, n)
	p.ctx.msgs.SetCome(m, int64(n))
	return fits
}

// sums is counts for a reply that is whole, of which nothing need be kept but the sum.
func (p *ServerPool) sums(m *msg.Msg, n int) bool {
	come := int64(n)
	if parent := m.Parent; parent != nil {
		come += parent.Come() - m.Come()
		p.ctx.msgs.SetCome(parent, come)
	}
	return come <= p.maxReplySize()
}

// grown looks at a reply that has come in part, and drops what has come of it if
// it is too large, or if nobody waits for it.
func (c *serverConn) grown() {
	head := c.queue.Head()
	if head.Owner != nil && !c.within(head, c.reply.Len()+c.parser.Body()) {
		c.giveUp(head)
		return
	}
	if head.Owner != nil || c.reply.Len() < mbuf.LargeSize && c.discarded == 0 {
		return
	}
	c.discard()
	if c.discarded > maxDropped {
		c.fail(msg.ReplyTooLarge)
	}
}

// endsWithin looks at a reply that has come in pieces and is whole. It reports
// false if it was too large, and drops it then.
func (c *serverConn) endsWithin(n int) bool {
	head := c.queue.Head()
	if head.Owner == nil || c.within(head, n) {
		return true
	}
	c.giveUp(head)
	if c.Attached() {
		c.pool.ctx.msgs.Put(c.pop())
		c.discarded = 0
	}
	return false
}

// within reports whether n bytes are not too much for the reply to m.
func (c *serverConn) within(m *msg.Msg, n int) bool {
	fits := c.pool.counts(m, n)
	return fits && (m.Party() != nil || n <= maxAnswer)
}

// giveUp tells the owner of m, the head of the queue, that its reply is too
// large, and drops what has come of it. A message without an owner takes its
// place, so that the rest is dropped too.
func (c *serverConn) giveUp(m *msg.Msg) {
	ctx := c.pool.ctx
	if m.Owner == &c.handshake || m.Owner == &c.proof {
		c.fail(msg.ReplyTooLarge) // without it nobody knows what the connection can be used for
		return
	}
	rest := ctx.msgs.Get()
	rest.Type, rest.End, rest.Len, rest.Deadline, rest.Start, rest.Sent = m.Type, m.End, m.Len, m.Deadline, m.Start, m.Sent
	rest.Ahead, rest.Err = m.Ahead, m.Err
	if n := m.Block(); n > 0 {
		ctx.msgs.SetBlock(rest, n)
	}
	c.queue.ReplaceHead(rest)
	c.discard()
	c.pool.tellLarge(m, c.server)
	c.failAll([]*msg.Msg{m}, msg.ReplyTooLarge)
}

// discard drops what has come of the reply.
func (c *serverConn) discard() {
	c.discarded += max(1, int64(c.reply.Len()))
	c.reply.Release(c.pool.ctx.bufs)
}

// tellLarge notes the bound in m, whose reply exceeds it, or in the request that m
// is a fragment of, and logs it. s is the server if it is at hand.
func (p *ServerPool) tellLarge(m *msg.Msg, s *Server) {
	own := m.Party() == nil
	if m.Parent != nil {
		m = m.Parent
	}
	if m.MaxReply() != 0 {
		return // it is known, from another fragment
	}
	p.ctx.msgs.SetMaxReply(m, p.maxReplySize())
	missed, ok := p.largePace.pass(p.ctx.loop.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("pool", p.conf.Name)}
	if s != nil {
		attrs = s.attrs()
	}
	attrs = append(attrs, slog.String("command", p.commands[m.Type].Name), slog.Int64("bytes", m.Come()))
	text, bound := "a reply is larger than server_max_reply: its client gets an error", slog.Int64("server_max_reply", m.MaxReply())
	if own {
		text, bound = "a server's answer to the proxy itself is too large: it is dropped", slog.Int64("limit", min(maxAnswer, m.MaxReply()))
	}
	p.ctx.log.Warn(text, append(attrs, bound, slog.Int("left_out", missed))...)
}
