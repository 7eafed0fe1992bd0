package proxy

import (
	"slices"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A server may turn out to be no primary: Sentinel has named it before it was promoted,
// or it was a primary until a moment ago. Then its requests wait:
//
//	dial ─► ROLE ─► primary: they go
//	  ▲       └───► replica: closed, they wait ─┬─► the server gets another address ─┐
//	  │                                         ├─► awaitPause is over ──────────────┤
//	  └─────────────────────────────────────────│────────────────────────────────────┘
//	                                            └─► their time is over: they fail
//
// Meanwhile the connection is not attached. Later requests join those that wait, as they
// join those that wait for a handshake.

const (
	// awaitPause is how long, in nanoseconds, a server is left alone that was no primary.
	awaitPause = int64(100 * time.Millisecond)
	// awaitMost is how long, in nanoseconds, requests wait at the most if the pool has no
	// timeout.
	awaitMost = int64(10 * time.Second)
)

// An awaiting is the waiting of a connection's requests for a primary.
type awaiting struct {
	conn *serverConn
	// on: they wait now. If not, the connection is being made.
	on bool
	// behind is the connection whose replies must have come before this one is made; nil:
	// none.
	behind *serverConn
	// againAt is when the connection is made again. by is when the requests fail.
	againAt, by int64
	// refusal is what the server said to requests that it has refused, and that wait to
	// be asked again.
	refusal []byte
}

// A turnover is the part of a connection that moves its requests to another one.
type turnover struct {
	of *serverConn // static after construction
	// wait is the waiting of its requests for a primary, demotion what becomes of them
	// since its server takes no writes. Both are nil nearly always.
	wait     *awaiting
	demotion *demotion
	// detour is what becomes of its requests that a node of a cluster has not carried out;
	// nil: there are none.
	detour *connDetour
	// joined are the replies that have come to the series at the head of the queue.
	joined mbuf.Chain
}

// awaits reports whether the connection's requests wait for a primary.
func (t *turnover) awaits() bool { return t.wait != nil && t.wait.on }

// A keeping is which requests a pool may have to send again.
type keeping struct {
	// keepsSome: reads are kept until they are answered. keepsAll: so is every request.
	keepsSome, keepsAll bool
	// mayAwait: requests may wait for a primary.
	mayAwait bool
	// foundElsewhere: the servers are the nodes of a cluster, or Sentinel says where they are.
	foundElsewhere bool
	// losesNodes: they are the nodes of a cluster.
	losesNodes bool
}

func keepingOf(p *ServerPool) keeping {
	conf := p.conf
	all := conf.OnReadOnly == config.ReadOnlyResolve && conf.Protocol == config.Redis || p.detours != nil
	return keeping{
		keepsAll: all, keepsSome: all || conf.Retry == config.RetryIdempotent || conf.ReadsReplicas(), mayAwait: all || conf.UsesSentinel(),
		foundElsewhere: p.detours != nil || conf.UsesSentinel(), losesNodes: p.detours != nil,
	}
}

// keepBlock keeps the bytes of a transaction, if it may have to be sent again.
func (k *keeping) keepBlock(m *msg.Msg, conn *serverConn, bytes *mbuf.Chain) {
	if m.Keep = k.keepsAll && conn.private == nil; m.Keep {
		kept := mbuf.Whole(bytes)
		kept.AppendTo(conn.pool.ctx.bufs, &m.Kept, 0, bytes.Len())
	}
}

// await closes a connection whose server has said that it is no primary, before it got a
// request. It reports whether the requests wait.
func (t *turnover) await() bool {
	c := t.of
	if c.private != nil || c.retireBy != 0 || c.server.removed || c.lane.key.Aside {
		return false
	}
	ctx := c.pool.ctx
	now := ctx.loop.Now()
	w := c.wait
	if w == nil {
		w = &awaiting{conn: c, by: now + awaitMost}
	}
	c.logClose(msg.NotPrimary)
	waiting, own := c.unqueue()
	if c.Open() {
		c.server.stats[stats.ServerConnections]--
	}
	c.drop()
	c.server.reasons[stats.ClosedConnections][msg.NotPrimary]++
	c.server.nextAddr++ // of several addresses another may be the primary's
	c.wait, w.againAt = w, now+awaitPause
	w.hold(waiting)
	c.pool.topo.Unreachable(c.server.health)
	c.failAll(own, msg.NotPrimary)
	return true
}

// unqueue takes all messages off the queue. Those of clients have their bytes in Kept.
// The others, those of the proxy and those whose client has gone, are of no use on another
// connection.
func (t *turnover) unqueue() (waiting, own []*msg.Msg) {
	c := t.of
	ctx := c.pool.ctx
	out := c.Conn.Out()
	out.Splice(ctx.bufs, &c.handshake.behind)
	out.Splice(ctx.bufs, &c.proof.behind)
	front := c.written - uint64(out.Len())
	bytes := mbuf.Whole(out)
	for c.queue.Len() > 0 {
		m := c.dequeue()
		if m.Party() == nil {
			own = append(own, m)
			continue
		}
		if m.Kept.Len() == 0 {
			bytes.AppendTo(ctx.bufs, &m.Kept, int(m.End-uint64(m.Len)-front), m.Len)
		}
		waiting = append(waiting, m)
	}
	out.Release(ctx.bufs)
	return waiting, own
}

// requeue queues messages again that have their bytes in Kept, with their old deadlines.
func (t *turnover) requeue(waiting []*msg.Msg) {
	c := t.of
	ctx := c.pool.ctx
	for _, m := range waiting {
		n, deadline := m.Kept.Len(), m.Deadline
		if m.Keep {
			kept := mbuf.Whole(&m.Kept)
			kept.AppendTo(ctx.bufs, c.Out(), 0, n)
		} else {
			c.Out().Splice(ctx.bufs, &m.Kept)
		}
		if m.Via != nil {
			m.Via = c
		}
		m.Sent = 0
		c.enqueue(m, n)
		if deadline != 0 {
			m.Deadline = deadline
		}
	}
}

// hold has these messages wait, in their order.
func (w *awaiting) hold(waiting []*msg.Msg) {
	c := w.conn
	ctx := c.pool.ctx
	w.on = true
	c.written, c.sent, c.ready = 0, 0, 0
	c.handshake.pending = 1 // so that requests are written to what waits behind it
	c.requeue(waiting)
	ctx.nextDeadline = soonest(soonest(ctx.nextDeadline, w.by), w.againAt)
}

// again makes the connection again, and queues what waits there.
func (w *awaiting) again() {
	c := w.conn
	waiting, own := c.unqueue()
	w.on, c.handshake.pending = false, 0
	switch {
	case len(waiting) == 0:
		c.wait = nil
	default:
		if why := c.dial(); why != msg.OK {
			c.wait = nil
			w.giveUp(waiting, why)
			break
		}
		c.sendAgain(waiting)
	}
	c.failAll(own, msg.NotPrimary)
}

// sendAgain queues messages on a connection that was made anew, or is being made.
func (t *turnover) sendAgain(waiting []*msg.Msg) {
	c := t.of
	isBlock := func(m *msg.Msg) bool { return m.Block() > 0 }
	var blocks []*msg.Msg
	why := msg.OK
	if slices.ContainsFunc(waiting, isBlock) {
		if why = c.proof.require(); why != msg.OK {
			blocks = slices.DeleteFunc(slices.Clone(waiting), func(m *msg.Msg) bool { return !isBlock(m) })
			waiting = slices.DeleteFunc(waiting, isBlock)
		}
	}
	if len(waiting) > 0 && waiting[0].Deadline != 0 {
		// The handshake, which stands before them, must not take longer.
		c.queue.Reschedule(waiting[0].Deadline)
		c.pool.ctx.nextDeadline = soonest(c.pool.ctx.nextDeadline, waiting[0].Deadline)
	}
	c.requeue(waiting)
	c.failAll(blocks, why)
}

// due makes the connection again if it is time, and fails requests whose time is over. It
// returns when to look again; 0: nothing waits any more.
func (w *awaiting) due(now int64) int64 {
	c := w.conn
	if head := c.queue.Head(); now >= w.by || head != nil && head.Deadline != 0 && head.Deadline <= now {
		waiting, own := c.unqueue()
		late := func(m *msg.Msg) bool { return now >= w.by || m.Deadline != 0 && m.Deadline <= now }
		over := slices.DeleteFunc(slices.Clone(waiting), func(m *msg.Msg) bool { return !late(m) })
		w.hold(slices.DeleteFunc(waiting, late))
		w.giveUp(over, msg.NotPrimary)
		c.failAll(own, msg.NotPrimary)
		if c.wait != w {
			return 0
		}
	}
	if c.queue.Len() == 0 && w.behind == nil {
		w.on, c.wait, c.handshake.pending = false, nil, 0
		return 0
	}
	if w.behind == nil && now >= w.againAt {
		w.again()
		return 0 // the connection is like any other
	}
	next := w.by
	if w.behind == nil {
		next = soonest(next, w.againAt)
	}
	if head := c.queue.Head(); head != nil {
		next = soonest(next, head.Deadline)
	}
	return next
}

// giveUp fails messages that have waited: for the reason why or, if their server has
// refused them before, with what it said.
func (w *awaiting) giveUp(waiting []*msg.Msg, why msg.Reason) {
	c := w.conn
	refused := slices.DeleteFunc(slices.Clone(waiting), func(m *msg.Msg) bool { return m.Asked() == 0 })
	c.server.passRefusal(refused, w.refusal)
	c.failAll(slices.DeleteFunc(waiting, func(m *msg.Msg) bool { return slices.Contains(refused, m) }), why)
}

// end gives up the waiting for good.
func (w *awaiting) end(why msg.Reason) {
	c := w.conn
	waiting, own := c.unqueue()
	w.on, c.wait, c.handshake.pending = false, nil, 0
	c.failAll(own, why)
	w.giveUp(waiting, why)
}
