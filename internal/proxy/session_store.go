package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// Some requests change the state of a connection to the server: which keys it watches,
// what it waits for. Their client has a connection to itself for a while:
//
//	                  borrow                      giveBack
//	unused, by lane ─────────► a tenant has it ────────────► unused ... private_idle_timeout
//	   ▲      none: it is made                     │ it owes replies, or watches keys
//	   └────────────────────────── cleaning ◄──────┘
//
// A private connection stands in the walks over a server's connections like a shared
// one. Its requests are never sent again. Keepalive is always on for it, since it may
// be silent for any time.

// A Lender has requests for which a client needs a connection to itself (msg.Watch).
type Lender interface {
	// AppendUnwatch appends a request after which a connection watches no keys.
	AppendUnwatch(p *mbuf.Pool, out *mbuf.Chain)
	// AppendTouched appends the answer to an EXEC that carries nothing out, because
	// watched keys have changed or may have.
	AppendTouched(p *mbuf.Pool, out *mbuf.Chain, s *msg.Session)
	// AppendLane appends requests that move a connection from one lane to another, and
	// returns how many replies they will bring. If no reply is an error, the connection
	// has moved.
	AppendLane(from, to msg.Lane, p *mbuf.Pool, out *mbuf.Chain) int
}

// A tenant is whoever has a private connection.
type tenant interface {
	// evicted says that the connection has ended. It is called before the requests on
	// it fail.
	evicted(conn *serverConn)
	// withdrawn says that the pool no longer has the connection's server, or its kind of
	// connection. The tenant must give it back. It is closed at time by at the latest.
	withdrawn(conn *serverConn, by int64)
	// slotless says that the connection's server has no slots any more, and stays in the pool. The
	// tenant gives the connection up if it has one to each server, to hear from all, or reads there
	// what it is told of.
	slotless(conn *serverConn) (givesUp bool)
	// feed is the tenant if the connection is there to hear messages of channels; otherwise
	// nil.
	feed() receiver
}

// A hearer takes what a server says on a private connection without being asked.
type hearer interface {
	// mayPush reports whether the server may send, unasked, what begins with this byte.
	mayPush(first byte) bool
	// hears takes r, if that is no reply to a request.
	hears(r msg.Reply) (taken bool)
}

// A store has this loop's private connections to one server.
type store struct {
	// all are all private connections, in no order.
	all []*serverConn
	// unused are those without a tenant, by lane. The one that was used last is at the
	// end.
	unused [][]*serverConn
	// handed is the scout whose connection is borrowed next; nearly always nil.
	handed *scout
}

// A private is the state that only private connections have.
type private struct {
	conn *serverConn
	// tenant has the connection; nil: nobody has, or it is being cleaned.
	tenant tenant
	// at is its place in the store.
	at int
	// isUnused: it is among the unused, since time since.
	isUnused bool
	since    int64
	// stale: nobody may get it again. placeless: it is being replaced, and does not count any
	// more for private_connections.
	stale, placeless bool
	// hearer takes what the server says without being asked; nil: it must not say
	// anything.
	hearer hearer
	// tracks: the server tells it of keys that change, or may.
	tracks    bool
	trackFeed trackFeed
	// block is the End of the last transaction of a client that watched keys. unwritten: the
	// server takes no writes, and has refused a command of it.
	block     uint64
	unwritten bool
	// unblocks is how many CLIENT UNBLOCK for the connection are not answered. Until they are
	// nobody gets it: they would end the wait of whoever has it then.
	unblocks int
	// recalled: the proxy has sent one of them with an error for itself. The error is no fault
	// of the request's.
	recalled bool
	// scout is its tenant as long as it is being made for a request that waits; nil: it is not.
	scout *scout
	// id is the connection's id at the server; 0: the server has not said, or does not
	// allow to use it.
	id int64
}

// privateSize is what a private connection counts for, in bytes.
const privateSize = 1 << 10

// borrow gives t a private connection to the server in the given lane. A reason other
// than OK says why there is none.
func (s *Server) borrow(lane int, t tenant) (*serverConn, msg.Reason) {
	now := s.pool.ctx.loop.Now()
	if x := s.store.handed; x != nil && x.conn.lane.at == lane {
		c := x.conn
		s.store.handed, x.conn = nil, nil // the client's next request must not hand it over again
		x.endJoint(msg.OK)
		c.private.tenant = t
		return c, msg.OK
	}
	if !s.health.Passes() {
		if why := s.admit(); why != msg.OK {
			return nil, why
		}
	}
	most, places := s.pool.conf.PrivateConnections, s.health.Private()
	if !places.Take(most) {
		return nil, msg.NoPrivate
	}
	if c := s.store.last(lane); c != nil {
		c.private.unlist()
		places.Forget()
		s.stats[stats.PrivateConnections]++
		c.private.tenant, c.private.isUnused = t, false
		return c, msg.OK
	}
	why := s.mayDial(now)
	if why == msg.OK {
		if places.Crowded(most) {
			s.crowded()
		}
		c := newServerConn(s, s.pool.lanes[lane])
		c.private = &private{tenant: t, conn: c}
		c.private.trackFeed.pv = c.private
		if why = c.dial(); why == msg.OK {
			s.store.add(c)
			s.pool.ctx.memory.beside += privateSize
			s.stats[stats.PrivateConnections]++
			return c, msg.OK
		}
	}
	places.Free()
	return nil, why
}

// add puts a connection into the store.
func (st *store) add(c *serverConn) {
	c.private.at = len(st.all)
	st.all = append(st.all, c)
}

// remove takes it out.
func (st *store) remove(c *serverConn) {
	last := st.all[len(st.all)-1]
	st.all[c.private.at], last.private.at = last, c.private.at
	st.all[len(st.all)-1] = nil
	st.all = st.all[:len(st.all)-1]
}

// has reports whether there is one of that lane.
func (st *store) has(l *lane) bool {
	return slices.ContainsFunc(st.all, func(c *serverConn) bool { return c.lane == l })
}

// last is the unused connection of a lane that was used last, or nil.
func (st *store) last(lane int) *serverConn {
	if lane < len(st.unused) {
		if n := len(st.unused[lane]); n > 0 {
			return st.unused[lane][n-1]
		}
	}
	return nil
}

// unlist takes the connection off the unused, if it is among them.
func (pv *private) unlist() {
	c := pv.conn
	lane := c.lane.at
	if lane >= len(c.server.store.unused) {
		return
	}
	all := c.server.store.unused[lane]
	i := len(all) - 1
	if i >= 0 && all[i] != c {
		i = slices.Index(all, c)
	}
	if i >= 0 {
		c.server.store.unused[lane] = slices.Delete(all, i, i+1)
	}
}

// mayPush reports whether the server may send, unasked, what comes. Its beginning is in
// the connection's reply, or else in data.
func (pv *private) mayPush(data []byte) bool {
	if reply := &pv.conn.reply; reply.Len() > 0 {
		data = reply.Head().Bytes()
	}
	return pv.hearer != nil && pv.hearer.mayPush(data[0])
}

// checkPush bounds the size of a push that has come in part.
func (pv *private) checkPush() {
	c := pv.conn
	if int64(c.reply.Len()+c.parser.Body()) > c.pool.maxReplySize() {
		c.fail(msg.ReplyTooLarge)
	}
}

// giveBack takes the connection from its tenant. If it owes replies or watches keys,
// that ends before anybody else gets it.
func (pv *private) giveBack(watches bool) {
	c := pv.conn
	pv.tenant = nil
	if c.queue.Len() > 0 || watches {
		pv.unwatch()
		return
	}
	pv.putUnused()
}

// unwatch has the connection watch no keys any more.
func (pv *private) unwatch() {
	c := pv.conn
	out := c.Out()
	before := out.Len()
	c.pool.proto.lender.AppendUnwatch(c.pool.ctx.bufs, out)
	m := c.pool.ctx.msgs.Get()
	m.Owner, m.NoReply = pv, true
	c.enqueue(m, out.Len()-before)
}

// OnReply implements msg.Owner, for requests that clean the connection, or change its
// lane.
func (pv *private) OnReply(m *msg.Msg, r msg.Reply) {
	c := pv.conn
	c.pool.ctx.msgs.Put(m)
	if mayBeError(r) {
		if prefix, _ := c.pool.proto.ErrorPrefix(r, c.pool.ctx.errorText[:0]); prefix != nil {
			why := msg.BadReply
			if pv.tracks {
				why = msg.NoTracking
			}
			c.abandon(why) // its state is not known
			return
		}
	}
	if pv.tenant == nil && c.queue.Len() == 0 {
		pv.putUnused()
	}
}

// Party implements msg.Owner.
func (pv *private) Party() msg.Party { return nil }

// OnFailure implements msg.Owner.
func (pv *private) OnFailure(m *msg.Msg) { pv.conn.pool.ctx.msgs.Put(m) }

// putUnused puts the connection among the unused, or closes it if nobody may get it again.
func (pv *private) putUnused() {
	c := pv.conn
	s, p := c.server, c.pool
	limit := int64(p.conf.PrivateIdleTimeout)
	if pv.unblocks > 0 {
		return // unblockAnswered does it
	}
	if pv.stale || s.removed || limit == 0 {
		c.pool.ctx.turn.retireSoon(c)
		return
	}
	lane := c.lane.at
	for len(s.store.unused) <= lane {
		s.store.unused = append(s.store.unused, nil)
	}
	s.store.unused[lane] = append(s.store.unused[lane], c)
	s.health.Private().Keep()
	s.stats[stats.PrivateConnections]--
	pv.isUnused, pv.since = true, p.ctx.loop.Now()
	p.ctx.nextUnused = soonest(p.ctx.nextUnused, pv.since+limit)
	if s.health.Private().Crowded(p.conf.PrivateConnections) {
		s.crowded()
	}
}

// gone notes that the connection has ended.
func (pv *private) gone() {
	c := pv.conn
	if pv.isUnused {
		pv.unlist()
		c.server.health.Private().Forget()
	} else {
		pv.leavePlace()
	}
	c.server.store.remove(c)
	c.pool.ctx.memory.beside -= privateSize
	if t := pv.tenant; t != nil {
		pv.tenant = nil
		t.evicted(c)
	}
}

// abandon closes a private connection that is of no use any more, through no fault of
// its server. Requests on it get no reply.
func (c *serverConn) abandon(why msg.Reason) {
	if !c.Attached() {
		return // it has failed, and its requests are about to
	}
	c.logClose(why)
	c.handshake.restoring = false
	if c.Open() {
		c.server.stats[stats.ServerConnections]--
	}
	var lost []*msg.Msg
	for c.queue.Len() > 0 {
		lost = append(lost, c.dequeue())
	}
	c.drop()
	c.server.reasons[stats.ClosedConnections][why]++
	c.failAll(lost, why)
}

// crowded has one of the server's unused connections closed: one of this loop or, if it
// has none, one of another loop.
func (s *Server) crowded() {
	if s.closeUnused() {
		return
	}
	ctx := s.pool.ctx
	h := s.health
	for _, other := range ctx.identity.Loops() {
		if other != ctx {
			other.loop.Post(func() { other.closeUnusedOf(h) })
		}
	}
}

// closeUnusedOf closes an unused connection to the server of h, if there is one.
func (ctx *Context) closeUnusedOf(h *topology.Health) {
	for _, p := range ctx.pools {
		for _, s := range p.servers {
			if s.health == h {
				s.closeUnused()
			}
		}
	}
}

// closeUnused closes an unused connection, the one that was unused for longest in its
// lane. It reports whether there was one.
func (s *Server) closeUnused() bool {
	for _, conns := range s.store.unused {
		if len(conns) > 0 {
			conns[0].retire()
			return true
		}
	}
	return false
}

// closeUnused closes private connections that have been unused for
// private_idle_timeout, and sets when to look again.
func (t *timers) closeUnused(now int64) {
	ctx := t.ctx
	ctx.nextUnused = 0
	for _, p := range ctx.pools {
		limit := int64(p.conf.PrivateIdleTimeout)
		for _, s := range p.servers {
			for lane := range s.store.unused {
				conns := &s.store.unused[lane]
				for len(*conns) > 0 && now >= (*conns)[0].private.since+limit && ctx.turn.room() {
					(*conns)[0].retire()
				}
				if len(*conns) > 0 {
					ctx.nextUnused = soonest(ctx.nextUnused, (*conns)[0].private.since+limit)
				}
			}
		}
	}
}

// withdraw withdraws private connections to the server: those that nobody has, and those of
// such tenants. They are closed at time by at the latest.
func (st *store) withdraw(by int64, of func(tenant) bool) {
	all := slices.Clone(st.all)
	st.unused = nil
	for _, c := range all {
		if t := c.private.tenant; t == nil || of(t) {
			c.private.withdraw(by)
		}
	}
}

// leavePlace has the connection count no more for private_connections, if it does.
func (pv *private) leavePlace() {
	if !pv.placeless {
		pv.placeless = true
		pv.conn.server.health.Private().Free()
		pv.conn.server.stats[stats.PrivateConnections]--
	}
}

// withdraw withdraws the private connection: nobody may get it again, and its tenant is
// told. Its place is free for the one that the tenant gets in its stead: without that, clients
// could only move while private_connections is at least twice their number.
func (pv *private) withdraw(by int64) {
	c := pv.conn
	pv.stale = true
	switch t := pv.tenant; {
	case !c.Attached():
	case pv.isUnused:
		c.pool.ctx.turn.retireSoon(c)
		return
	default:
		pv.leavePlace()
		if t != nil {
			t.withdrawn(c, by)
		}
	}
	if c.Attached() && c.retireBy == 0 {
		c.retireBy = by
		c.pool.ctx.leaving.conns = append(c.pool.ctx.leaving.conns, c)
		c.pool.ctx.leaving.checkSoon()
	}
}

// mayTake returns msg.OK if the connection takes one more request, or the reason why
// not.
func (c *serverConn) mayTake() msg.Reason {
	conf := c.pool.conf
	if c.queue.Len() < conf.ServerMaxQueued && int64(c.Out().Len()) < conf.ServerMaxQueuedBytes {
		return msg.OK
	}
	return c.server.refuseBusy(c)
}
