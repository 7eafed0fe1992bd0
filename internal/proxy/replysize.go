package proxy

import (
	"cmp"
	"log/slog"
	"math"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A reply is kept until it is whole, so it has a bound (server_max_reply). All replies
// to the parts of one request have the bound together:
//
//	more than the bound  ─► its client gets an error, in its turn
//	what else comes of it ─► dropped as it comes; the requests behind it go on
//	more than maxDropped  ─► the connection is closed: the reply may have no end
//
// The length of a bulk is checked before the bulk comes, so that nothing of a too large
// value is kept.

const (
	// maxAnswer bounds, in bytes, the replies to the proxy's own requests.
	maxAnswer = 1 << 20
	// maxDropped is how many bytes of a reply are dropped before its connection is
	// closed.
	maxDropped = 1 << 30
)

// maxReplySize is how many bytes the reply to one request may have.
func (p *ServerPool) maxReplySize() int64 {
	return min(cmp.Or(p.conf.ServerMaxReply, math.MaxInt64), p.ctx.identity.Limits().MaxReply())
}

// replyFits notes that the reply to m has at least n bytes. It reports whether that is
// within the bound, together with the replies to other fragments of the request.
func (p *ServerPool) replyFits(m *msg.Msg, n int) bool {
	fits := p.sumFits(m, n)
	p.ctx.msgs.SetCome(m, int64(n))
	return fits
}

// sumFits is the same for a reply that is whole: only the sum is kept.
func (p *ServerPool) sumFits(m *msg.Msg, n int) bool {
	come := int64(n)
	if parent := m.Parent; parent != nil {
		come += parent.Come() - m.Come()
		p.ctx.msgs.SetCome(parent, come)
	}
	return come <= p.maxReplySize()
}

// checkPartial checks a reply that has come in part. It drops that part if the reply is too
// large, or if nobody waits for it.
func (c *serverConn) checkPartial() {
	if c.private != nil && c.private.mayPush(nil) {
		c.private.checkPush()
		return
	}
	head := c.queue.Head()
	if head.Owner != nil && !c.within(head, c.joined.Len()+c.reply.Len()+c.parser.Body()) {
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

// endsWithin checks a reply that has come in pieces and is now whole. If it is too
// large, it is dropped, and endsWithin returns false.
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

// within reports whether the reply to m may have n bytes.
func (c *serverConn) within(m *msg.Msg, n int) bool {
	fits := c.pool.replyFits(m, n)
	return fits && (m.Party() != nil || n <= maxAnswer)
}

// giveUp tells the owner of m, the head of the queue, that its reply is too large, and
// drops the part that has come. A message without an owner takes m's place, so that the
// rest is dropped too.
func (c *serverConn) giveUp(m *msg.Msg) {
	ctx := c.pool.ctx
	if m.Owner == &c.handshake || m.Owner == &c.proof {
		c.fail(msg.ReplyTooLarge) // without it nobody knows what the connection can be used for
		return
	}
	rest := ctx.msgs.Get()
	rest.Type, rest.End, rest.Len, rest.Deadline, rest.Start, rest.Sent = m.Type, m.End, m.Len, m.Deadline, m.Start, m.Sent
	rest.Ahead, rest.Err = m.Ahead, m.Err
	if m.Ahead == msg.Series {
		rest.Nkeys, rest.Pending, rest.Keep, rest.Rare = m.Nkeys, m.Pending, true, true
		rest.Kept, m.Kept = m.Kept, mbuf.Chain{}
	}
	if n := m.Block(); n > 0 {
		ctx.msgs.SetBlock(rest, n, m.Publishes())
	}
	c.queue.ReplaceHead(rest)
	c.discard()
	c.pool.noteTooLarge(m, c.server)
	c.failAll([]*msg.Msg{m}, msg.ReplyTooLarge)
}

// discard drops what has come of the reply.
func (c *serverConn) discard() {
	c.discarded += max(1, int64(c.reply.Len()))
	c.reply.Release(c.pool.ctx.bufs)
	c.joined.Release(c.pool.ctx.bufs)
}

// noteTooLarge notes in m that its reply exceeds the bound, and logs it. If m is a
// fragment, its request gets the note. s is the server, or nil if it is not known.
func (p *ServerPool) noteTooLarge(m *msg.Msg, s *Server) {
	own := m.Party() == nil
	if m.Parent != nil {
		m = m.Parent
	}
	if m.MaxReply() != 0 {
		return // it is known, from another fragment
	}
	p.ctx.msgs.SetMaxReply(m, p.maxReplySize())
	missed, ok := p.largePace.mayLog(p.ctx.loop.Now())
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
