package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// CLIENT TRACKING: a client caches what it has read, and is told when that changes. A
// server knows by the connection which keys a client has read. So with its first
// tracked read at a server, a client gets a private connection to it. From then on this
// connection carries all its requests to that server:
//
//	client                      proxy                            server
//	CLIENT TRACKING ON  ─► OK
//	GET k               ─► prepare: borrows a connection  ─►   CLIENT TRACKING ON
//	                                                      ─►   GET k
//	                    ◄─ v ◄──────────────────────────────   v
//	                    ◄─ >2 invalidate *1 k ◄─ hears ◄────   another client has changed k
//
// A push of the server stands between two replies, never within one. It stands behind
// each reply that came before it: otherwise the client would keep a value that it was
// told to forget. When nobody can tell any more what has changed, the client is told to
// forget all. That is so when the connection ends, when its keys get another server,
// and when it has read as many keys as it may.
//
// With BCAST a server tells of all keys with a prefix, whoever has read them. Such a
// client has a private connection to every server, all the time.

// A Tracker is a protocol whose clients can be told when keys change (msg.Track).
type Tracker interface {
	// Tracking reads from a request what its client wants to be told from now on; nil:
	// nothing. seeks: it is not ok, and why not depends on whether there is a client that it
	// names; the request is then an inquiry (Inquirer).
	Tracking(req *msg.Request, s *msg.Session) (wants *msg.Tracking, seeks, ok bool)
	// Tracks reports whether the server is to note which keys the request reads.
	Tracks(req *msg.Request, s *msg.Session) bool
	// EndCaching ends a CLIENT CACHING, which is about one request only: that has been
	// taken.
	EndCaching(req *msg.Request, s *msg.Session)
	// AppendTracking appends a request that turns tracking on, or, with nil, off.
	// AppendCaching appends a CLIENT CACHING, which says whether the next request is
	// tracked.
	AppendTracking(t *msg.Tracking, p *mbuf.Pool, out *mbuf.Chain)
	AppendCaching(t *msg.Tracking, p *mbuf.Pool, out *mbuf.Chain)
	// AppendInvalid appends the push that tells a client to forget all that it has
	// read.
	AppendInvalid(p *mbuf.Pool, out *mbuf.Chain)
	// Invalidated returns how many keys a push names as changed.
	Invalidated(r msg.Reply) (keys int, ok bool)
}

// A tracking is what the proxy knows of a client that is told when keys change.
type tracking struct {
	own *own
	// wants is what it wants to be told, as in its session.
	wants *msg.Tracking
	// snap is the snapshot by which the servers of its keys were found, and placing the
	// number of its placing.
	snap    *topology.Snapshot
	placing uint64
	// keys is at least the number of keys that it has read and has not been told of
	// since.
	keys int
	// caching: a CLIENT CACHING goes before the request at hand. cachingBlock: one goes
	// before the transaction at hand.
	caching, cachingBlock bool
	// reads: what the request at hand reads is tracked. A request that is sent in slices may
	// find its private connection lost. It must not use a shared one.
	reads bool
	// telling: the client's own CLIENT TRACKING is at the servers. failed: a server has
	// refused it.
	telling, failed bool
	// restores: it has lost a connection, and the timers have it in their list.
	restores bool
	// lapsed: the client's user has other rights now. What servers say of keys that it has
	// read before is dropped.
	lapsed bool
}

// tracked is the part of a pool about clients that are told when keys change.
type tracked struct {
	// trackers is how many such clients there are. told is the snapshot by which they
	// were looked at last.
	trackers int
	told     *topology.Snapshot
	// placed is the latest snapshot, and placing is how often a snapshot has given keys
	// other servers than the one before.
	placed  *topology.Snapshot
	placing uint64
}

// placingOf is the number of the placing of keys that the pool goes by. Two snapshots
// have the same one if every key has the same servers in both, as after a reload that
// changes no server.
func placingOf(p *ServerPool) uint64 {
	if snap := p.routes(); snap != p.placed {
		if p.placed != nil && !snap.PlacesLike(p.placed) {
			p.placing++
		}
		p.placed = snap
	}
	return p.placing
}

// tracks reports whether the client is told when keys change.
func tracks(c *client) bool { return c.session.Bars&msg.Tracked != 0 }

// track carries out a CLIENT TRACKING: the client is told when keys change, or no more.
func (d *dispatch) track(req *msg.Request) {
	c, p := d.client, d.client.pool
	wants, seeks, ok := p.proto.tracker.Tracking(req, &c.session)
	switch {
	case seeks:
		c.gather(req)
		return
	case !ok:
		c.local(req)
		return
	case !c.mayGo(), wants != nil && wants.Broadcast && !reaches(c, req, int(c.lane), ownOf(c).lacks(p.everywhere())...):
		return
	case wants == nil:
		if tracks(c) {
			c.own.untrack()
		}
		c.local(req)
		return
	}
	t := ownOf(c).beginTracking(wants)
	if !wants.Broadcast && !t.hasFeed() {
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

// beginTracking marks the client as one that is told when keys change.
func (o *own) beginTracking(wants *msg.Tracking) *tracking {
	c, p := o.client, o.client.pool
	if o.track == nil {
		o.track = &tracking{own: o, snap: p.routes(), placing: placingOf(p)}
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

// untrack ends the client's tracking, and gives its connections back.
func (o *own) untrack() {
	o.endTracking()
	o.giveTrackedBack()
}

// giveTrackedBack gives back the connections on which servers tell of keys, except one
// on which the client watches or waits.
func (o *own) giveTrackedBack() {
	for _, conn := range slices.Backward(o.conns) {
		switch {
		case !conn.private.tracks:
		case o.uses(conn):
			conn.private.tracks = false
			conn.private.trackFeed.send(nil)
		default:
			o.giveBack(conn, false)
		}
	}
}

// endTracking is untrack, but leaves the connections alone.
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

// hasFeed reports whether the client has a connection on which a server tells it of keys.
func (t *tracking) hasFeed() bool {
	for _, conn := range t.own.conns {
		if conn.private.tracks {
			return true
		}
	}
	return false
}

// prepare is called for each request of the client. It gets private connections to the
// servers that are to note what the request reads. It reports true if the request has
// to wait or was refused.
func (t *tracking) prepare(req *msg.Request) (stop bool) {
	c := t.own.client
	p := c.pool
	t.caching, t.reads = false, false
	if t.check(); !tracks(c) || c.overdue != msg.OK || req.Nkeys > p.conf.MaxKeys {
		return false
	}
	t.follow()
	if t.wants.Broadcast && !t.reachesOwner(req) {
		return true
	}
	if !p.proto.tracker.Tracks(req, &c.session) {
		t.caching = t.wants.OptOut && t.wants.Caching
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
	t.caching, t.reads = t.wants.OptIn, true
	p.proto.tracker.EndCaching(req, &c.session)
	return false
}

// reachesOwner reports whether a client that is told of all keys may send the request. It has a
// private connection to each server, or waits for it.
func (t *tracking) reachesOwner(req *msg.Request) bool {
	c := t.own.client
	p := c.pool
	if !p.foundElsewhere || req.Nkeys == 0 || !waitsForServers(req.Treatment) {
		return true
	}
	s, why := p.owner(req)
	return why != msg.OK || t.own.connTo(s) != nil || reaches(c, req, int(c.lane), s)
}

// reach gets the client private connections to the servers of the request's keys. mayGo
// is false if the client first has to wait for the replies in flight.
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
	lacks := t.own.lacks(servers)
	if len(lacks) > 0 && (!t.own.client.mayGo() || !reaches(t.own.client, nil, int(t.own.client.lane), lacks...)) {
		return false, msg.OK
	}
	if !t.count(keys) { // first of all: it may give connections back
		return false, msg.OK
	}
	for _, s := range servers {
		if len(lacks) > 0 && lacks[0] == s { // it is reached, or has been waited for
			lacks = lacks[1:]
			if _, why = t.conn(s); why != msg.OK {
				return true, why
			}
		} else if mayGo, why = t.reachOne(s, 0); !mayGo || why != msg.OK {
			return mayGo, why
		}
	}
	return true, msg.OK
}

// reachOne is reach for one server, of which so many keys are read.
func (t *tracking) reachOne(s *Server, keys int) (mayGo bool, why msg.Reason) {
	c := t.own.client
	if t.own.connTo(s) == nil && (!c.mayGo() || !reaches(c, nil, int(c.lane), s)) {
		return false, msg.OK
	}
	if !t.count(keys) {
		return false, msg.OK
	}
	_, why = t.conn(s)
	return true, why
}

// conn gets the client's connection to s, on which the server tells it of keys.
func (t *tracking) conn(s *Server) (*serverConn, msg.Reason) {
	conn, why := t.own.client.borrow(s)
	if why == msg.OK && !conn.private.tracks {
		t.begin(conn)
	}
	return conn, why
}

// begin turns tracking on for the connection. No other client gets the connection after
// that.
func (t *tracking) begin(conn *serverConn) {
	pv := conn.private
	pv.tracks, pv.stale, pv.hearer, pv.trackFeed.of = true, true, &pv.trackFeed, t
	if t.telling {
		return // the client's own request does that
	}
	pv.trackFeed.send(t.wants)
}

// send turns tracking on, or with nil off, at the server.
func (b *trackFeed) send(wants *msg.Tracking) {
	conn := b.pv.conn
	p := conn.pool
	out := conn.Out()
	before := out.Len()
	p.proto.tracker.AppendTracking(wants, p.ctx.bufs, out)
	m := p.ctx.msgs.Get()
	m.Owner, m.NoReply = b, true
	conn.enqueue(m, out.Len()-before)
}

// sendCaching sends a CLIENT CACHING before the next request, if that needs one.
func (t *tracking) sendCaching(conn *serverConn, caching bool) {
	if !caching || conn.private == nil || !conn.private.tracks {
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

// count counts keys that are read. If they are too many, the client is told to forget
// all. It may first have to wait for the replies in flight; mayGo is false then.
func (t *tracking) count(keys int) (mayGo bool) {
	c := t.own.client
	if t.lapsed || keys > 0 && t.keys > 0 && t.keys+keys > c.pool.conf.MaxTrackedKeys {
		if !c.mayGo() {
			return false
		}
		t.forget(false)
		t.own.giveTrackedBack()
		t.lapsed = false
	}
	t.keys += keys
	return true
}

// A trackFeed takes what a server tells of keys on a private connection. It also owns
// the reply to the CLIENT TRACKING that asks for it.
type trackFeed struct {
	pv *private
	// of is the client that is told; nil: none ever was.
	of *tracking
}

// Party implements msg.Owner.
func (b *trackFeed) Party() msg.Party { return nil }

// OnFailure implements msg.Owner.
func (b *trackFeed) OnFailure(m *msg.Msg) { b.pv.OnFailure(m) }

// OnReply implements msg.Owner. A client with BCAST may have missed changes until this
// reply.
func (b *trackFeed) OnReply(m *msg.Msg, r msg.Reply) {
	b.pv.OnReply(m, r)
	if t := b.tracking(); t != nil && b.pv.conn.Attached() && t.wants.Broadcast {
		t.forget(false)
	}
}

// reachBlock is reach for a transaction.
func (t *tracking) reachBlock() (mayGo bool, why msg.Reason) {
	c, wants := t.own.client, t.wants
	t.caching, t.cachingBlock, t.reads = false, false, false
	t.follow()
	tx := c.tx
	if tx == nil || wants.Broadcast || wants.OptIn && !wants.Caching {
		return true, msg.OK
	}
	if wants.OptOut && wants.Caching {
		t.cachingBlock = true
		return true, msg.OK
	}
	s, why := c.placed(tx)
	if s == nil || why != msg.OK || c.watches() && c.own.connTo(s) == nil {
		return true, msg.OK // it has no keys, or will fail
	}
	t.cachingBlock = wants.OptIn
	mayGo, why = t.reachOne(s, int(c.session.Collected))
	for i := 0; i < len(tx.more) && mayGo && why == msg.OK; i++ {
		mayGo, why = t.reachOne(tx.more[i].owner, 0)
	}
	return mayGo, why
}

// sendBlockCaching is sendCaching for a transaction.
func (o *own) sendBlockCaching(conn *serverConn) {
	if o != nil && o.track != nil {
		o.track.sendCaching(conn, o.track.cachingBlock)
	}
}
