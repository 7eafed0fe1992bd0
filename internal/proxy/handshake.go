package proxy

import (
	"log/slog"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A handshake is what a fresh server connection says first, and the owner of
// the replies, which no client waits for.
//
// Requests wait until the server has answered, and agreed to what the lane
// promises: a server that refuses the database must not carry them out in
// another one.
type handshake struct {
	conn *serverConn
	// pending is the number of replies that are still to come, next the number
	// of the one that comes next.
	pending, next int
	// behind are the requests that wait.
	behind mbuf.Chain
	buf    []byte
}

// begin queues the handshake.
func (h *handshake) begin() {
	c := h.conn
	ctx := c.pool.ctx
	h.next = 0
	out := c.Conn.Out()
	before := out.Len()
	n := c.pool.proto.Handshake(c.key(), ctx.bufs, out)
	for i := range n {
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = h, true
		// All but the last count as empty: where one ends and the next begins
		// matters to nobody.
		size := 0
		if i == n-1 {
			size = out.Len() - before
		}
		c.enqueue(m, size)
	}
	h.pending = n
}

// end drops what waits, with the connection.
func (h *handshake) end() {
	h.pending = 0
	h.behind.Release(h.conn.pool.ctx.bufs)
}

// OnReply implements msg.Owner. A server that objects is reported. If the
// connection can be used all the same the requests behind the handshake go on,
// as with nutcracker: without a login they get the server's own errors.
func (h *handshake) OnReply(m *msg.Msg, r msg.Reply) {
	c := h.conn
	ctx := c.pool.ctx
	ctx.msgs.Put(m)
	h.buf = h.buf[:0]
	if r.Chain != nil {
		h.buf = r.Chain.AppendTo(h.buf)
	} else {
		h.buf = append(h.buf, r.Flat...)
	}
	objection, unfit := c.pool.proto.HandshakeReply(c.key(), h.next, h.buf)
	if objection != "" {
		ctx.log.Warn("server objects to the handshake",
			append(c.attrs(), slog.String("reply", objection))...)
	}
	if unfit != msg.OK {
		c.unfit, c.unfitUntil = unfit, ctx.loop.Now()+unfitPause
		c.fail(unfit)
		return
	}
	h.next++
	h.pending--
	if h.pending == 0 {
		c.Conn.Out().Splice(ctx.bufs, &h.behind)
		c.Flush()
	}
}

// OnFailure implements msg.Owner.
func (h *handshake) OnFailure(m *msg.Msg) { h.conn.pool.ctx.msgs.Put(m) }

// key is the lane of the connection.
func (c *serverConn) key() msg.Lane { return c.pool.lanes[c.lane].key }
