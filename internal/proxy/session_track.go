package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A client that keeps what it has read is told when that changes: CLIENT TRACKING. Which
// keys it has read is known to the server, by the connection. So from its first tracked read
// at a server on, a client has a connection there to itself, which takes all that it sends
// there:
//
//	client                      proxy                            server
//	CLIENT TRACKING ON  ─► OK
//	GET k               ─► holds: borrows a connection    ─►   CLIENT TRACKING ON
//	                                                      ─►   GET k
//	                    ◄─ v ◄──────────────────────────────   v
//	                    ◄─ >2 invalidate *1 k ◄─ hears ◄────   another client has changed k
//
// What the server pushes stands between two replies, never within one, and behind each
// reply that has come before it: else the client would keep a value that it was told to
// forget. When nobody can tell any more what has changed, the client is told to forget all:
// when the connection ends, when its keys are another server's, when it has as many as it
// may.
//
// With BCAST servers tell of all keys with a prefix, whoever read them. Such a client has a
// connection to every server, all the time.

// A Tracker has clients that are told when keys change (msg.Track).
type Tracker interface {
	// Tracking is what the client of a request wants to be told from now on; nil: nothing.
	Tracking(req *msg.Request, s *msg.Session) (wants *msg.Tracking, ok bool)
	// Tracks reports whether the server is to note which keys the request reads.
	Tracks(req *msg.Request, s *msg.Session) bool
	// EndCaching says that a request is taken, to which alone an earlier one referred.
	EndCaching(req *msg.Request, s *msg.Session)
	// AppendTracking appends a request to tell the connection of keys that change; nil: of
	// none. AppendCaching appends one that says whether the next request counts for that.
	AppendTracking(t *msg.Tracking, p *mbuf.Pool, out *mbuf.Chain)
	AppendCaching(t *msg.Tracking, p *mbuf.Pool, out *mbuf.Chain)
	// AppendInvalid appends what a client is told to forget all that it has read.
	AppendInvalid(p *mbuf.Pool, out *mbuf.Chain)
	// Invalidated says of how many keys a push tells that they have changed.
	Invalidated(r msg.Reply) (keys int, ok bool)
}

// A tracking is a client that is told when keys change.
type tracking struct {
	own *own
	// wants is what it wants to be told: that of its session.
	wants *msg.Tracking
	// snap is by which the servers of its keys are known.
	snap *topology.Snapshot
	// keys is how many keys it has read, at the most, that it was not told of since.
	keys int
	// says: the servers are to be told whether the request at hand counts.
	// saysBlock: so they are about the transaction at hand.
	says, saysBlock bool
	// telling: servers are told by the client's own request. failed: one has refused.
	telling, failed bool
	// restores: it is among the timers' that have lost a connection.
	restores bool
}

// tracked is what of a pool is about clients that are told when keys change.
type tracked struct {
	// trackers is how many such clients there are, and told by which snapshot they were
	// looked at last.
	trackers int
	told     *topology.Snapshot
}

// tracks reports whether the client is told when keys change.
func tracks(c *client) bool { return c.session.Bars&msg.Tracked != 0 }

// track has the client be told when keys change, or be told no more.
func (d *dispatch) track(req *msg.Request) {
	c, p := d.client, d.client.pool
	wants, ok := p.proto.tracker.Tracking(req, &c.session)
	switch {
	case !ok:
		c.local(req)
		return
	case !c.mayGo():
		return
	case wants == nil:
		if tracks(c) {
			c.own.untrack()
		}
		c.local(req)
		return
	}
	t := ownOf(c).beginTracking(wants)
	if !wants.Broadcast && !t.isBegun() {
		c.local(req)
		return
	}
	t.telling, t.failed = true, false
	all := openFan(c, req)
	all.parent.Owner = t
	c.AwaitReplies()
	switch {
	case !wants.Broadcast:
		for _, conn := range c.own.conns {
			if conn.private.tracks {
				all.to(conn.server, req)
			}
		}
	case len(p.everywhere()) > p.ctx.turn.atOnce.Clients:
		all.broadcastLater(req)
		return
	default:
		all.toAll(req)
	}
	for _, f := range all.parent.Frags {
		t.failed = t.failed || f.Err != msg.OK
	}
	all.sent()
	t.check()
}

// beginTracking has the client be told from now on.
func (o *own) beginTracking(wants *msg.Tracking) *tracking {
	c, p := o.client, o.client.pool
	if o.track == nil {
		o.track = &tracking{own: o, snap: p.routes()}
		p.trackers++
		p.ctx.trackers++
		if p.trackers == 1 {
			p.told = o.track.snap
		}
		p.stats.Values[stats.TrackingClients]++
	}
	t := o.track
	t.wants = wants
	c.session.SetTracking(wants)
	return t
}

// untrack has the client be told of no keys any more, and gives its connections back.
func (o *own) untrack() {
	o.endTracking()
	o.giveTrackedBack()
}

// giveTrackedBack gives the connections back on which servers tell of keys, but for one on
// which the client watches.
func (o *own) giveTrackedBack() {
	for _, conn := range slices.Backward(o.conns) {
		switch {
		case !conn.private.tracks:
		case o.uses(conn):
			conn.private.tracks = false
			conn.private.begun.send(nil)
		default:
			o.giveBack(conn, false)
		}
	}
}

// endTracking is untrack, without the connections.
func (o *own) endTracking() {
	c := o.client
	p := c.pool
	if o.track == nil {
		return
	}
	o.track = nil
	c.session.SetTracking(nil)
	p.trackers--
	p.ctx.trackers--
	p.stats.Values[stats.TrackingClients]--
}

// Party implements msg.Owner: the parts of the client's own request are the client's.
func (t *tracking) Party() msg.Party { return t.own.client }

// OnReply implements msg.Owner.
func (t *tracking) OnReply(m *msg.Msg, r msg.Reply) {
	t.failed = t.failed || mayBeError(r)
	t.own.client.OnReply(m, r)
	t.check()
}

// OnFailure implements msg.Owner.
func (t *tracking) OnFailure(m *msg.Msg) {
	t.failed = true
	t.own.client.OnFailure(m)
	t.check()
}

// check ends the tracking if a server refused it, once the client has been told.
func (t *tracking) check() {
	c := t.own.client
	if c.inFlight() > 0 {
		return
	}
	t.telling = false
	if t.failed && c.own.track == t {
		c.own.untrack()
	}
}

// isBegun reports whether the client has a connection on which a server tells it of keys.
func (t *tracking) isBegun() bool {
	for _, conn := range t.own.conns {
		if conn.private.tracks {
			return true
		}
	}
	return false
}

// holds prepares for a request of the client's: it has connections to itself to the
// servers that are to note what it reads. It reports true if the request does not go on.
func (t *tracking) holds(req *msg.Request) bool {
	c := t.own.client
	p := c.pool
	t.says = false
	if t.check(); !tracks(c) || c.overdue || req.Nkeys > p.conf.MaxKeys {
		return false
	}
	t.follow()
	if !p.proto.tracker.Tracks(req, &c.session) {
		t.says = t.wants.OptOut && t.wants.Caching
		p.proto.tracker.EndCaching(req, &c.session)
		return false
	}
	switch mayGo, why := t.reach(req); {
	case !mayGo:
		return true
	case why != msg.OK:
		p.proto.tracker.EndCaching(req, &c.session)
		c.refuse(req, why)
		return true
	}
	t.says = t.wants.OptIn
	p.proto.tracker.EndCaching(req, &c.session)
	return false
}

// reach has the client have connections to itself to the servers of the request's keys. It
// may have to wait for the replies to what it sent before.
func (t *tracking) reach(req *msg.Request) (mayGo bool, why msg.Reason) {
	c := t.own.client
	p := c.pool
	if c.large != nil {
		return t.reachAll(p.everywhere(), req.Nkeys)
	}
	s, why := p.owner(req)
	switch {
	case why == msg.OK:
		return t.reachOne(s, req.Nkeys)
	case why != msg.CrossServer || req.Treatment != msg.Fragment || !p.dealKeys(req):
		return true, msg.OK // that is refused like any other
	}
	servers := p.ctx.servers[:0]
	for _, share := range p.ctx.deal.shares {
		servers = append(servers, share.server)
	}
	p.ctx.servers = servers
	return t.reachAll(servers, req.Nkeys)
}

// reachAll is reach for several servers.
func (t *tracking) reachAll(servers []*Server, keys int) (mayGo bool, why msg.Reason) {
	for _, s := range servers {
		if mayGo, why = t.reachOne(s, 0); !mayGo || why != msg.OK {
			return mayGo, why
		}
	}
	return t.count(keys), msg.OK
}

// reachOne is reach for a server of which so many keys are read.
func (t *tracking) reachOne(s *Server, keys int) (mayGo bool, why msg.Reason) {
	c := t.own.client
	if conn := t.own.connTo(s); conn == nil && !c.mayGo() {
		return false, msg.OK
	}
	if !t.count(keys) {
		return false, msg.OK
	}
	_, why = t.conn(s)
	return true, why
}

// conn is the client's connection to s, on which the server tells it of keys.
func (t *tracking) conn(s *Server) (*serverConn, msg.Reason) {
	conn, why := t.own.client.borrow(s)
	if why == msg.OK && !conn.private.tracks {
		t.begin(conn)
	}
	return conn, why
}

// begin has the server tell of keys on the connection, which no other client is to have
// after that.
func (t *tracking) begin(conn *serverConn) {
	pv := conn.private
	pv.tracks, pv.stale, pv.hearer, pv.begun.of = true, true, &pv.begun, t
	if t.telling {
		return // the client's request does that
	}
	pv.begun.send(t.wants)
}

// send asks the server to tell of keys, or of none.
func (b *begun) send(wants *msg.Tracking) {
	conn := b.pv.conn
	p := conn.pool
	out := conn.Out()
	before := out.Len()
	p.proto.tracker.AppendTracking(wants, p.ctx.bufs, out)
	m := p.ctx.msgs.Get()
	m.Owner, m.NoReply = b, true
	conn.enqueue(m, out.Len()-before)
}

// say tells the server, if need be, whether the request counts that is sent next.
func (t *tracking) say(conn *serverConn, says bool) {
	if !says || !conn.private.tracks {
		return
	}
	p := conn.pool
	out := conn.Out()
	before := out.Len()
	p.proto.tracker.AppendCaching(t.wants, p.ctx.bufs, out)
	m := p.ctx.msgs.Get()
	m.Owner, m.NoReply = conn.private, true
	conn.enqueue(m, out.Len()-before)
}

// count counts keys that are read. If they are too many the client is told to forget all,
// once it has the replies to what it sent before.
func (t *tracking) count(keys int) (mayGo bool) {
	c := t.own.client
	if t.keys > 0 && t.keys+keys > c.pool.conf.MaxTrackedKeys {
		if !c.mayGo() {
			return false
		}
		t.forget(false)
		t.own.giveTrackedBack()
	}
	t.keys += keys
	return true
}

// A begun is the owner of the reply of a server that is asked to tell of keys, and takes
// what it then tells.
type begun struct {
	pv *private
	// of is the client that is told; nil: none ever was.
	of *tracking
}

// Party implements msg.Owner.
func (b *begun) Party() msg.Party { return nil }

// OnFailure implements msg.Owner.
func (b *begun) OnFailure(m *msg.Msg) { b.pv.OnFailure(m) }

// OnReply implements msg.Owner. A client that is told of keys whoever read them may have
// missed some until now.
func (b *begun) OnReply(m *msg.Msg, r msg.Reply) {
	b.pv.OnReply(m, r)
	if t := b.tracking(); t != nil && b.pv.conn.Attached() && t.wants.Broadcast {
		t.forget(false)
	}
}

// reachBlock is reach for a transaction.
func (t *tracking) reachBlock() (mayGo bool, why msg.Reason) {
	c, wants := t.own.client, t.wants
	t.says, t.saysBlock = false, false
	t.follow()
	tx := c.tx
	if tx == nil || wants.Broadcast || wants.OptIn && !wants.Caching {
		return true, msg.OK
	}
	if wants.OptOut && wants.Caching {
		t.saysBlock = true
		return true, msg.OK
	}
	s, why := c.placed(tx)
	if s == nil || why != msg.OK || c.watches() && c.own.connTo(s) == nil {
		return true, msg.OK // it has no keys, or will fail
	}
	t.saysBlock = wants.OptIn
	mayGo, why = t.reachOne(s, int(c.session.Collected))
	for i := 0; i < len(tx.more) && mayGo && why == msg.OK; i++ {
		mayGo, why = t.reachOne(tx.more[i].owner, 0)
	}
	return mayGo, why
}

// sayBlock is say for a transaction.
func (o *own) sayBlock(conn *serverConn) {
	if o != nil && o.track != nil {
		o.track.say(conn, o.track.saysBlock)
	}
}
