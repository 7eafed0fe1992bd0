package proxy

import (
	"log/slog"

	"nuthatch/internal/msg"
)

// A handshake is what a fresh server connection says first, and the owner of
// the replies, which no client waits for.
type handshake struct {
	conn *serverConn
	// next is the number of the reply that comes next.
	next int
	buf  []byte
}

// begin queues the handshake.
func (h *handshake) begin() {
	c := h.conn
	ctx := c.pool.ctx
	h.next = 0
	before := c.Out().Len()
	n := c.pool.proto.Handshake(ctx.bufs, c.Out())
	for i := range n {
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = h, true
		// All but the last count as empty: where one ends and the next begins
		// matters to nobody.
		size := 0
		if i == n-1 {
			size = c.Out().Len() - before
		}
		c.enqueue(m, size)
	}
}

// OnReply implements msg.Owner. A server that objects is reported, and the
// requests behind the handshake go on, as with nutcracker: without a login they
// get the server's own errors, without the database they go to database 0.
func (h *handshake) OnReply(m *msg.Msg, r msg.Reply) {
	c := h.conn
	h.buf = h.buf[:0]
	if r.Chain != nil {
		h.buf = r.Chain.AppendTo(h.buf)
	} else {
		h.buf = append(h.buf, r.Flat...)
	}
	if objection := c.pool.proto.HandshakeReply(h.next, h.buf); objection != "" {
		c.pool.ctx.log.Warn("server objects to the handshake",
			append(c.attrs(), slog.String("reply", objection))...)
	}
	h.next++
	c.pool.ctx.msgs.Put(m)
}

// OnFailure implements msg.Owner.
func (h *handshake) OnFailure(m *msg.Msg) { h.conn.pool.ctx.msgs.Put(m) }
