package proxy

import (
	"log/slog"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A handshake is the first messages on a fresh server connection, and the owner
// of their replies, for which no client waits.
//
// Requests wait until the server has answered, and agreed to what the lane
// promises: a server that refuses the database must not carry them out in
// another one.
type handshake struct {
	conn *serverConn
	// greeter wrote the handshake, and so knows the replies. lane is its lane. A
	// reload may have given the pool others meanwhile.
	greeter Greeter
	lane    msg.Lane
	// pending is the number of replies that are still to come, next the number
	// of the one that comes next.
	pending, next int
	// own is how many replies are to the handshake itself. Those that follow are
	// to what restores the server's memory; restoring is true until all are there.
	own       int
	restoring bool
	// behind are the requests that wait.
	behind mbuf.Chain
	buf    []byte
}

// begin queues the handshake.
func (h *handshake) begin() {
	c := h.conn
	ctx := c.pool.ctx
	h.next = 0
	h.greeter, h.lane = c.pool.proto.greeter, c.pool.lanes[c.lane].key
	h.lane.Private = c.private != nil
	if h.greeter == nil {
		return
	}
	out := c.Conn.Out()
	before := out.Len()
	h.own = h.greeter.Handshake(h.lane, ctx.bufs, out)
	n := h.own
	if c.server.forgetful && !h.lane.Aside {
		n += h.greeter.Restore(ctx.bufs, out)
		h.restoring = n > h.own
		c.server.forgetful = h.restoring
	}
	for i := range n {
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = h, true
		// All but the last count as empty: the bounds between them do not matter.
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

// Party implements msg.Owner: the proxy greets for itself.
func (h *handshake) Party() msg.Party { return nil }

// OnReply implements msg.Owner. An error of the server is logged. If the
// connection can be used nevertheless, the requests behind the handshake go on,
// as with nutcracker: without a login they get the server's own errors.
func (h *handshake) OnReply(m *msg.Msg, r msg.Reply) {
	c := h.conn
	ctx := c.pool.ctx
	ctx.msgs.Put(m)
	if h.next >= h.own {
		h.restored()
		return
	}
	h.buf = h.buf[:0]
	if r.Chain != nil {
		h.buf = r.Chain.AppendTo(h.buf)
	} else {
		h.buf = append(h.buf, r.Flat...)
	}
	if h.lane.Private && h.next == h.own-1 {
		c.private.id = c.pool.proto.blocker.ClientID(h.buf)
	}
	objection, unfit := h.greeter.HandshakeReply(h.lane, h.next, h.buf)
	if objection != "" {
		if missed, ok := c.server.objectionPace.passAfter(ctx.loop.Now(), troublePeriod); ok {
			ctx.log.Warn("server refused a part of the handshake", append(c.attrs(),
				slog.String("reply", objection), slog.Int("left_out", missed))...)
		}
	}
	if unfit != msg.OK {
		c.unfit, c.unfitUntil = unfit, ctx.loop.Now()+unfitPause
		c.fail(unfit)
		return
	}
	h.answered()
}

// answered counts a reply. Behind the last one the requests go on.
func (h *handshake) answered() {
	c := h.conn
	h.next++
	h.pending--
	if h.pending == 0 {
		c.ready = c.pool.ctx.loop.Now()
		c.Conn.Out().Splice(c.pool.ctx.bufs, &h.behind)
		c.Flush()
	}
}

// restored takes the reply to something that the server was told again. An
// error is ignored.
func (h *handshake) restored() {
	if h.pending == 1 {
		h.restoring = false
		h.conn.server.forgetful = false
	}
	h.answered()
}

// failed notes that the connection has failed: the server may have lost what it
// was told. If restoring did not end within the timeout, the next connection
// does not restore, or it could never be used.
func (h *handshake) failed(why msg.Reason) {
	c := h.conn
	tooSlow := h.restoring && why == msg.Timedout && c.Open()
	if tooSlow {
		c.pool.ctx.log.Warn("server is too slow to load its scripts again within the timeout", c.attrs()...)
	}
	h.restoring = false
	c.server.forgetful = !tooSlow
}

// OnFailure implements msg.Owner.
func (h *handshake) OnFailure(m *msg.Msg) { h.conn.pool.ctx.msgs.Put(m) }
