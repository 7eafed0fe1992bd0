package proxy

import (
	"cmp"
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Invalidations: what a client is told of keys that have changed. See session_track.go.

const (
	// pushLooks is how many messages of a client are looked at to find out whether a
	// push has to wait for their replies.
	pushLooks = 64
	// pushLimit is how many bytes may wait for a client that gets pushes, if the pool
	// has no client_output_limit.
	pushLimit = 32 << 20
	// restorePeriod is the time in nanoseconds after which a client with BCAST tries
	// again to get the connections that it lacks.
	restorePeriod = int64(100 * time.Millisecond)
)

// tracking is the client that the connection tells of keys, or nil.
func (b *trackFeed) tracking() *tracking {
	if t := b.of; t != nil && t.own.track == t && b.pv.tenant != nil {
		return t
	}
	return nil
}

// mayPush implements hearer.
func (b *trackFeed) mayPush(first byte) bool { return first == '>' }

// hears implements hearer. If the client is gone, nobody gets the invalidation.
func (b *trackFeed) hears(r msg.Reply) (taken bool) {
	if firstOf(r) != '>' {
		return false
	}
	c := b.pv.conn
	p := c.pool
	keys, ok := p.proto.tracker.Invalidated(r)
	t := b.tracking()
	switch {
	case !ok:
		c.logBadReply(errOutOfStep)
		c.fail(msg.BadReply)
		return true
	case t == nil || t.failed || t.lapsed:
		return true
	case keys == msg.AllInvalid:
		t.keys = 0
		p.stats.Values[stats.TrackingResets]++
	default:
		t.keys = max(0, t.keys-keys)
		p.stats.Values[stats.Invalidations] += int64(keys)
	}
	if !t.isGone() {
		out, behind := t.outlet()
		r.MoveTo(p.ctx.bufs, out)
		t.put(behind)
	}
	return true
}

// firstOf is the first byte of a reply.
func firstOf(r msg.Reply) byte {
	if r.Chain != nil {
		return r.Chain.Head().Bytes()[0]
	}
	return r.Flat[0]
}

// isGone reports whether the client gets nothing more.
func (t *tracking) isGone() bool {
	state := t.own.client.state
	return state != clientOpen && state != clientClosing
}

// outlet is where a push to the client is written. That is the client's output if
// nothing has to leave before the push. Otherwise it is a message, and put puts it at
// the end of the out-queue.
func (t *tracking) outlet() (out *mbuf.Chain, behind *msg.Msg) {
	c := t.own.client
	if !c.outq.HasCome(pushLooks) {
		return c.Out(), nil
	}
	return t.behind()
}

// behind is outlet for a push that must come after everything that the client has in
// flight.
func (t *tracking) behind() (out *mbuf.Chain, m *msg.Msg) {
	c := t.own.client
	m = c.pool.ctx.msgs.Get()
	m.Owner, m.Done = c, true
	return &m.Reply, m
}

// put is called when a push is written: it sends it, or puts it into the out-queue.
func (t *tracking) put(behind *msg.Msg) {
	c := t.own.client
	if behind != nil {
		c.hold(behind, behind.Reply.Len())
		c.outq.Push(behind)
	} else {
		c.Flush()
	}
	boundPushes(c)
}

// boundPushes closes a client that does not read its pushes.
func boundPushes(c *client) {
	p := c.pool
	waiting := int64(c.Out().Len() + c.held)
	p.ctx.memory.weigh()
	switch limit := cmp.Or(p.conf.ClientOutputLimit, pushLimit); {
	case waiting > limit:
		c.cut(msg.OutputLimit)
	case p.ctx.memory.full && waiting > outFull:
		c.cut(msg.NoMemory)
	}
}

// forget tells the client to forget all that it has read, at once. If replies have come
// that have not left yet, it says so once more behind them. With inFlight it does so
// behind everything in flight, since nobody will tell what becomes of the keys that
// these requests read.
func (t *tracking) forget(inFlight bool) {
	c := t.own.client
	p := c.pool
	if t.keys = 0; t.isGone() {
		return
	}
	p.stats.Values[stats.TrackingResets]++
	p.proto.tracker.AppendInvalid(p.ctx.bufs, c.Out())
	if c.outq.Len() == 0 || !inFlight && !c.outq.HasCome(pushLooks) {
		t.put(nil)
		return
	}
	c.Flush()
	out, m := t.behind()
	p.proto.tracker.AppendInvalid(p.ctx.bufs, out)
	t.put(m)
}

// lost is called when a connection ends on which the client was told of keys. If the
// connection was never ready, nothing was read on it.
func (t *tracking) lost(conn *serverConn) {
	if conn.ready != 0 {
		t.forget(false)
	}
	t.restoreAt(t.own.client.pool.ctx.loop.Now() + restorePeriod)
}

// moved tells the client to forget all: the pool does not have the connection's server
// any more, or makes connections of another kind now.
func (t *tracking) moved() {
	p := t.own.client.pool
	t.snap, t.placing = p.snap, placingOf(p)
	t.forget(true)
	t.restoreAt(p.ctx.loop.Now())
}

// lapse tells the client to forget all that it has read, since its user has other rights now.
// Before its next read it gets other connections, whose servers know of no key. With BCAST
// servers tell of keys whoever may read them.
func (t *tracking) lapse() {
	if !t.wants.Broadcast {
		t.forget(true)
		t.lapsed = t.hasFeed()
	}
}

// follow tells the client to forget all if its keys may have other servers now.
func (t *tracking) follow() {
	p := t.own.client.pool
	snap := p.routes()
	if t.snap == snap {
		return
	}
	placing := t.placing
	t.snap, t.placing = snap, placingOf(p)
	if t.hasFeed() {
		if placing != t.placing {
			t.forget(true)
		}
		t.restoreAt(p.ctx.loop.Now())
	}
}

// restoreAt gets the client connections to all servers at that time, if it has BCAST.
func (t *tracking) restoreAt(at int64) {
	timers := &t.own.client.pool.ctx.timers
	if !t.wants.Broadcast || t.restores {
		return
	}
	t.restores = true
	timers.trackings = append(timers.trackings, t)
	timers.nextTracking = soonest(timers.nextTracking, at)
}

// restoreTrackings gives clients with BCAST the connections that they lack.
func (t *timers) restoreTrackings() {
	all := t.trackings
	t.trackings, t.nextTracking = nil, 0
	for i, x := range all {
		if x.own.track != x {
			continue
		}
		if t.ctx.turn.left().Clients == 0 {
			t.trackings = append(t.trackings, all[i:]...)
			t.nextTracking = t.ctx.loop.Now()
			return
		}
		if x.restores = false; !x.restore() {
			x.restoreAt(t.ctx.loop.Now() + restorePeriod)
		}
	}
}

// restore gives the client connections to all servers, and reports whether it has them.
func (t *tracking) restore() bool {
	all := true
	p := t.own.client.pool
	if t.check(); t.own.track != t || t.telling {
		return t.own.track != t
	}
	for _, s := range p.everywhere() {
		if t.own.connTo(s) == nil {
			p.ctx.turn.count(Amount{Clients: perDial})
		}
		if _, why := t.conn(s); why != msg.OK {
			all = false
		}
	}
	return all
}

// followTracked starts, in each pool with a new snapshot, a job that tells the tracked
// clients to forget all, if keys have other servers now.
func (t *timers) followTracked() {
	ctx := t.ctx
	for _, p := range ctx.pools {
		if p.trackers > 0 && p.told != p.routes() {
			p.told = p.snap
			visitClients(p, followSnapshot, nil)
		}
	}
}

// followSnapshot has a client that is tracked, or that monitors, follow a new snapshot.
func followSnapshot(c *client) {
	if tracks(c) {
		c.own.track.follow()
	}
	if monitors(c) {
		c.own.monitor.follow()
	}
}

// uses reports whether the client watches or waits on the connection. needs reports
// whether it is to keep the connection for that, or because it is told of keys on it.
func (o *own) uses(conn *serverConn) bool { return o.watchConn() == conn || o.block.isOn(conn) }

func (o *own) needs(conn *serverConn) bool {
	return o.uses(conn) || o.track != nil && conn.private.tracks
}

// ownConn is the client's private connection to s for the request that is written next.
// ok is false if the request goes over a shared connection.
func (o *own) ownConn(s *Server) (conn *serverConn, why msg.Reason, ok bool) {
	t := o.track
	if t == nil {
		if conn = o.connTo(s); conn == nil {
			return nil, msg.OK, false
		}
		why = conn.mayTake()
		return conn, why, true
	}
	if conn = o.connTo(s); (t.wants.Broadcast || t.reads) && (conn == nil || !conn.private.tracks) {
		conn, why = t.conn(s)
	} else if conn != nil {
		why = conn.mayTake()
	} else {
		return nil, msg.OK, false
	}
	if why == msg.OK {
		t.sendCaching(conn, t.caching)
	}
	return conn, why, true
}
