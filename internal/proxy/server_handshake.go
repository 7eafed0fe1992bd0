package proxy

import (
	"log/slog"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A handshake is the first messages on a fresh server connection. It owns their
// replies, which no client waits for. On a connection whose login was refused it begins again.
//
// Requests wait until the server has agreed to what the lane promises: a server that
// refuses the database must not carry them out in another one.
type handshake struct {
	conn *serverConn
	// greeter wrote the handshake for lane, and can read the replies. After a reload
	// the pool may have another protocol and other lanes.
	greeter Greeter
	lane    msg.Lane
	// pending is how many replies are still to come. next is the number of the next
	// one.
	pending, next int
	// own is how many replies are to the handshake itself. Those that follow are to
	// requests that restore what the server may have lost. restoring is true until all
	// have come.
	own       int
	restoring bool
	// lacks: the user of the connection may not restore that.
	lacks bool
	// repeated: it was made on this connection before, and refused.
	repeated bool
	// behind are the requests that wait.
	behind mbuf.Chain
	buf    []byte
}

// begin queues the handshake.
func (h *handshake) begin() {
	c := h.conn
	ctx := c.pool.ctx
	h.next = 0
	h.greeter, h.lane = c.pool.proto.greeter, c.lane.key
	h.lane.Private = c.private != nil
	h.lane.Demand = c.server.demand(h.lane.Aside)
	if h.greeter == nil {
		return
	}
	out := c.Conn.Out()
	before := out.Len()
	h.own = h.greeter.Handshake(h.lane, ctx.bufs, out)
	n := h.own
	if c.server.forgetful && !h.lane.Aside {
		n += h.greeter.Restore(ctx.bufs, out)
		h.restoring, h.lacks = n > h.own, false
		c.server.forgetful = h.restoring
	}
	for i := range n {
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = h, true
		// All but the last count as empty: where one ends and the next begins does not
		// matter.
		size := 0
		if i == n-1 {
			size = out.Len() - before
		}
		c.enqueue(m, size)
	}
	h.pending = n
}

// again begins the handshake again when the server has said that it wants a login: behind the
// requests that the connection has, and before the next one. The server's password may be the
// pool's by now. That is tried once a second, or when another connection has shown it.
func (h *handshake) again() {
	c := h.conn
	now := c.pool.ctx.loop.Now()
	if !c.Open() || h.pending > 0 || c.proof.pending > 0 {
		return
	}
	if now < c.loginAt+unfitPause && (c.server.removed || !c.server.health.IsUp()) {
		return
	}
	c.loginAt, h.repeated = now, true
	h.begin()
	c.Flush()
}

// repeats reports whether the message is of a handshake that is made again. Its refusals are not
// counted, which come as long as those of requests do: they would be a second alert of the same.
func (h *handshake) repeats(m *msg.Msg) bool { return h.repeated && m != nil && m.Owner == h }

// end drops the waiting requests, together with the connection.
func (h *handshake) end() {
	h.pending = 0
	h.behind.Release(h.conn.pool.ctx.bufs)
}

// Party implements msg.Owner: the handshake is the proxy's own.
func (h *handshake) Party() msg.Party { return nil }

// OnReply implements msg.Owner. An error of the server is logged. If the connection can
// be used in spite of it, the waiting requests go on, as with nutcracker: without a
// login they get the server's own errors.
func (h *handshake) OnReply(m *msg.Msg, r msg.Reply) {
	c := h.conn
	ctx := c.pool.ctx
	ctx.msgs.Put(m)
	if h.next >= h.own {
		h.restored(r)
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
		if missed, ok := c.server.objectionPace.mayLogAfter(ctx.loop.Now(), troublePeriod); ok {
			ctx.log.Warn("server refused a part of the handshake", append(c.attrs(),
				slog.String("reply", objection), slog.Int("left_out", missed))...)
		}
	}
	if unfit == msg.NotPrimary && c.await() {
		return
	}
	if unfit == msg.UserRefused {
		if c.private != nil {
			c.unfit = unfit // a scout is told
		}
		passOn(c, h.buf)
		return
	}
	if unfit != msg.OK && isEnd(unfit) { // that is no matter of the lane
		c.fail(unfit)
		return
	}
	if unfit == msg.LoginRefused {
		refusesLogin(c.server)
	}
	if unfit != msg.OK {
		c.unfit, c.unfitUntil = unfit, ctx.loop.Now()+unfitPause
		c.fail(unfit)
		return
	}
	h.countReply()
}

// countReply counts a reply. After the last one the requests go on.
func (h *handshake) countReply() {
	c := h.conn
	h.next++
	h.pending--
	if h.pending == 0 {
		c.wait = nil
		isReady(c)
		c.Conn.Out().Splice(c.pool.ctx.bufs, &h.behind)
		c.Flush()
		if c.private != nil && c.private.scout != nil {
			c.private.scout.ready()
		}
	}
}

// restored counts a reply to a request that restores what the server may have lost. An
// error is ignored, unless it is that of a user who has not the right: then the next
// connection tries it.
func (h *handshake) restored(r msg.Reply) {
	h.lacks = h.lacks || h.conn.pool.passer != nil && mayBeError(r)
	if h.pending == 1 {
		h.restoring = false
		h.conn.server.forgetful = h.lacks
	}
	h.countReply()
}

// failed notes that the connection has failed, so that the server may have lost what it
// was told. If restoring took longer than the timeout, the next connection does not
// restore, or the server could never be used.
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
