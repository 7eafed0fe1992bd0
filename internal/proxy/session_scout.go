package proxy

import (
	"cmp"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// In a cluster a node may go away, and another one take over its slots. Where Sentinel says which
// server is the primary, that one may be a replica yet. So a request that needs a private
// connection is taken only when that has been made. It is back in the stash meanwhile, and nothing
// of it has been sent:
//
//	BLPOP q 5 ─► its server ─► a scout: a connection ─► ready: the request is taken again, and sent
//	                 ▲                └─► not made: a newer map is asked for ─┐
//	                 └─── after a pause, or when the map has changed ◄────────┘
//
// That goes on as long as for a request that shares a connection, and for one that blocks longer:
// see searchLimit. Then the request is sent as if there were no scouts: its connection fails, and
// the client is told why.
//
// If a server cannot be connected to, one client at a time tries it. Where clients that listen share
// connections (session_scout_joint.go), one scout is for all of them.

const (
	// searchPause is how long, in nanoseconds, the first pause is before a connection is made
	// again. Each further one is twice as long, up to searchPauseMost.
	searchPause, searchPauseMost = detourPause, detourPauseMost
	// searchMost is how long, in nanoseconds, a request that blocks waits at the most if other
	// requests do not wait longer.
	searchMost = detourTime
)

// A search is what a client's next request waits for that needs private connections.
type search struct {
	// links are its place among the pool's searches.
	links[*search]
	client *client
	// since is when it began, and by when it ends.
	since, by int64
	// blocks: the request waits at its server.
	blocks bool
	// triedAt is when it was tried last, and againAt when to try again; 0: when a scout is
	// ready, or has failed. fails is how often one has.
	triedAt, againAt int64
	fails            int
	// direct: the request does not wait any more. taken: it has been taken, and the next one has
	// a search of its own.
	direct, taken bool
	scouts        []*scout
}

// A scout is a private connection that is made before its request is taken. It is the
// connection's tenant until then.
type scout struct {
	search *search
	server *Server
	// conn is nil if it could not be made, has ended, or was borrowed.
	conn *serverConn
	joint
}

// reaches reports whether private connections in that lane to these servers can be borrowed now.
// If not, the present request goes back to the stash, and waits for them.
func reaches(c *client, req *msg.Request, lane int, servers ...*Server) bool {
	return finds(c, req, lane, false, servers)
}

// finds is reaches. joint: clients share such connections, once these are there.
func finds(c *client, req *msg.Request, lane int, joint bool, servers []*Server) bool {
	p := c.pool
	if !p.foundElsewhere || c.large != nil || len(servers) > p.ctx.turn.atOnce.Clients/perDial {
		return true
	}
	o, now := ownOf(c), p.ctx.loop.Now()
	if o.search != nil && o.search.taken {
		o.endSearch()
	}
	f, all := o.search, true
	if o.waited = 0; f != nil {
		if f.again(now); f.direct || now >= f.by {
			o.endSearch()
			return true
		}
	}
	for _, s := range servers {
		if s.store.last(lane) != nil {
			continue
		}
		if f == nil {
			f = beginSearch(c, req)
		}
		ready, why := f.scoutTo(s, lane, joint)
		switch {
		case why == msg.OK:
		case p.awaits(why):
			f.failed(s, why)
		default:
			o.endSearch()
			return true
		}
		all = all && ready
	}
	if !all {
		awaitServer(c)
		c.session.Again()
		uncount(p, c.lastType)
		p.ctx.nextSearch = soonest(p.ctx.nextSearch, soonest(f.againAt, f.by))
		return false
	}
	if f != nil {
		f.handOver()
	}
	return true
}

// beginSearch begins a search for the client's present request; nil: one that does not block.
func beginSearch(c *client, req *msg.Request) *search {
	p := c.pool
	now := p.ctx.loop.Now()
	f := &search{client: c, since: now, triedAt: now}
	f.by, f.blocks = searchLimit(c, req, now)
	p.searches.enter(f)
	c.own.search = f
	return f
}

// searchLimit is until when the request may wait. One that blocks may do so for the time that it
// would wait at its server, but not for ever.
func searchLimit(c *client, req *msg.Request, now int64) (by int64, blocks bool) {
	conf := c.pool.conf
	switch {
	case conf.RequestTimeout > 0:
		by = c.cameAt(now) + int64(conf.RequestTimeout)
	case conf.Timeout > 0:
		by = now + int64(conf.Timeout)
	default:
		by = now + searchMost
	}
	if req == nil || req.Treatment != msg.Block {
		return by, false
	}
	patience := c.pool.proto.blocker.Patience(req)
	if patience == 0 {
		patience = searchMost
	}
	return max(by, now+min(patience, searchMost)), true
}

// awaits reports whether a request waits for another server if there is no connection to its own
// for that reason. Requests that share a connection do so, too.
func (k *keeping) awaits(why msg.Reason) bool {
	switch why {
	case msg.NotPrimary:
		return true
	case msg.ServerEOF, msg.ConnReset, msg.BrokenPipe, msg.ConnRefused, msg.HostUnreachable, msg.NetUnreachable, msg.HostDown:
		return k.losesNodes
	default:
		return false
	}
}

// scoutTo has a scout go to the server, if none has. ready: one is there. The reason says why
// none can go.
func (f *search) scoutTo(s *Server, lane int, joint bool) (ready bool, why msg.Reason) {
	for _, x := range f.scouts {
		if x.server == s && x.conn != nil && x.conn.lane.at == lane {
			return x.conn.ready != 0, msg.OK
		}
	}
	if joint {
		if x := jointScoutTo(s, lane); x != nil {
			return x.serves(f), msg.OK
		}
	}
	if s.reconnect.failed != msg.OK && s.scouting > 0 {
		return false, s.reconnect.failed // another client tries it
	}
	x := &scout{search: f, server: s}
	conn, why := s.borrow(lane, x)
	if why != msg.OK {
		return false, why
	}
	x.conn = conn
	f.scouts = append(f.scouts, x)
	if joint {
		x.becomeJoint()
	}
	if conn.ready != 0 {
		return true, msg.OK
	}
	conn.private.scout = x
	s.scouting++
	return false, msg.OK
}

// again notes that the request is tried again, and how long it has waited because servers were away.
func (f *search) again(now int64) {
	f.triedAt, f.againAt = now, 0
	if f.fails > 0 {
		f.client.own.waited = now - f.since
	}
}

// failed notes that there is no connection to the server. It is tried again after a pause.
func (f *search) failed(s *Server, why msg.Reason) {
	p := s.pool
	if p.bySlot {
		p.topo.WantMap(topology.WantLost, s.health)
	} else {
		s.nextAddr++ // of several addresses another may be the primary's
		p.topo.Unreachable(s.health)
	}
	f.pause(why)
}

// pause has the request tried again after a pause, if it waits for what is the reason why.
func (f *search) pause(why msg.Reason) {
	p := f.client.pool
	f.direct = f.direct || !p.awaits(why)
	f.againAt = p.ctx.loop.Now()
	if !f.direct {
		f.againAt += min(searchPause<<min(f.fails, 8), searchPauseMost)
		f.fails++
	}
	p.ctx.nextSearch = soonest(p.ctx.nextSearch, f.againAt)
}

// goOn has the client's request taken again.
func (f *search) goOn() {
	c := f.client
	c.hasServer()
	if f.blocks {
		c.stashedAt = c.pool.ctx.loop.Now() // other limits are not for it
	}
	c.resumeIfRoom()
}

// awaitServer has the client's present request wait for its search.
func awaitServer(c *client) { c.waits |= waitsForServer }

// hasServer has the client wait for no private connection any more.
func (in *intake) hasServer() { in.waits &^= waitsForServer }

// handOver has the connections of the scouts be borrowed next.
func (f *search) handOver() {
	f.taken = true
	for _, x := range f.scouts {
		if x.conn != nil && x.conn.ready != 0 {
			x.server.store.handed = x
		}
	}
}

// searched ends the client's search if its request has been taken.
func searched(c *client) {
	if c.own != nil && c.waits&waitsForServer == 0 {
		c.own.endSearch()
	}
}

// endSearch ends the client's search. Connections that it has not borrowed are given back.
func (o *own) endSearch() {
	f := o.search
	if f == nil {
		return
	}
	o.search = nil
	f.client.pool.searches.remove(f)
	for _, x := range f.scouts {
		x.goHome()
	}
}

// goHome gives the scout's connection back, if nobody has borrowed it.
func (x *scout) goHome() {
	conn := x.conn
	x.conn = nil
	if conn == nil {
		return
	}
	x.endJoint(msg.OK)
	if x.server.store.handed == x {
		x.server.store.handed = nil
	}
	if conn.ready != 0 {
		conn.private.giveBack(false)
		return
	}
	x.arrives(conn)
	conn.private.tenant = nil
	conn.abandon(msg.Asked)
}

// arrives notes that the connection is not being made any more.
func (x *scout) arrives(conn *serverConn) {
	conn.private.scout = nil
	x.server.scouting--
}

// ready is called when the connection is ready for requests.
func (x *scout) ready() {
	x.arrives(x.conn)
	x.search.goOn()
	x.release(msg.OK)
}

// evicted implements tenant.
func (x *scout) evicted(conn *serverConn) {
	x.conn = nil
	if x.server.store.handed == x {
		x.server.store.handed = nil
	}
	why := conn.unfit
	if conn.private.scout != nil {
		x.arrives(conn)
		why = cmp.Or(why, conn.turnedAway, x.server.reconnect.failed)
	}
	why = cmp.Or(why, msg.ServerEOF)
	x.search.failed(x.server, why)
	x.endJoint(why)
}

// withdrawn implements tenant: the request may be for another server now.
func (x *scout) withdrawn(*serverConn, int64) {
	f := x.search
	x.goHome()
	f.againAt = f.client.pool.ctx.loop.Now()
	f.client.pool.ctx.nextSearch = f.againAt
}

// slotless implements tenant.
func (x *scout) slotless(*serverConn) bool { return false }

// feed implements tenant.
func (x *scout) feed() receiver { return nil }

// rest is a request that blocks, with the time that is left of its own: it may have waited for its
// server.
func (o *own) rest(req *msg.Request) *msg.Request {
	p := o.client.pool
	patience := p.proto.blocker.Patience(req)
	if o.waited == 0 || patience == 0 {
		return req
	}
	var text mbuf.Chain
	p.proto.blocker.AppendShorter(req, max(1, patience-o.waited), p.ctx.bufs, &text)
	flat := text.AppendTo(nil)
	text.Release(p.ctx.bufs)
	parser := p.proto.NewRequestParser()
	if _, done, err := parser.Parse(flat); err != nil || !done {
		return req
	}
	return parser.Finish(flat)
}

// lacksFeeds are the servers to which the client needs connections to listen to the channels of a
// request, and has none.
func lacksFeeds(s *subscriber, kind msg.Channels, req *msg.Request) (servers []*Server) {
	p := s.client.pool
	for i := 1; i < len(req.Args) && len(servers) <= p.ctx.turn.atOnce.Clients; i++ {
		_, name := s.nameIn(req, i, kind)
		key, at := p.proto.messenger.Audience(kind, name)
		switch {
		case sharesFeed(s, at):
			if bestFeed(s) == nil {
				servers = lackingFeeds(s, servers, present(&p.router, p.everywhere()[0]))
			}
		case at == msg.EveryServer:
			servers = lackingFeeds(s, servers, p.everywhere()...)
		default:
			servers = lackingFeeds(s, servers, listensAt(&p.router, key, at))
		}
	}
	return servers
}

// lackingFeeds adds those of the others to servers to which the client has no connection.
func lackingFeeds(s *subscriber, servers []*Server, others ...*Server) []*Server {
	shares, user := sharesConns(s), s.client.session.Lane.User
	for _, o := range others {
		has := shares && o.shared[user] != nil || !shares && slices.ContainsFunc(s.feeds, func(f *feed) bool { return f.server == o && !f.isStale() })
		if !has && !slices.Contains(servers, o) {
			servers = append(servers, o)
		}
	}
	return servers
}

// searchAgain has the requests taken again that wait for connections, since their keys may have
// other servers now.
func searchAgain(p *ServerPool) {
	ctx := p.ctx
	for f := range p.searches.all() {
		f.againAt = soonest(f.againAt, f.triedAt+searchPause)
		ctx.nextSearch = soonest(ctx.nextSearch, f.againAt)
	}
}

// goOnSearches has the requests taken again whose pause is over, and sets when to look next.
func (t *timers) goOnSearches(now int64) {
	t.nextSearch = 0
	for _, pools := range [][]*ServerPool{t.ctx.pools, t.ctx.leaving.pools} {
		for _, p := range pools {
			for f := range p.searches.all() {
				next := soonest(f.againAt, f.by)
				switch {
				case f.client.waits&waitsForServer == 0: // it is about to be taken
				case next > now:
					t.nextSearch = soonest(t.nextSearch, next)
				case !t.ctx.turn.room():
					t.nextSearch = now
					return
				default:
					f.goOn()
				}
			}
		}
	}
}
