package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// Some of what clients ask for is a matter of their connection to the server: which keys
// are watched, what is waited for. Such a client has a connection to itself for a while:
//
//	                  borrow                      giveBack
//	unused, by lane ─────────► a tenant has it ────────────► unused ... private_idle_timeout
//	   ▲      none: it is made                     │ it owes replies, or watches keys
//	   └────────────────────────── cleaning ◄──────┘
//
// A private connection stands in the walks over a server's connections like one that
// clients share. It is never sent anything again, and keepalive is always on for it, since
// nothing may be said on it for as long as anybody likes.

// A Lender has requests for which a client needs a connection to itself (msg.Watch).
type Lender interface {
	// AppendUnwatch appends a request that has a connection watch no keys any more.
	AppendUnwatch(p *mbuf.Pool, out *mbuf.Chain)
	// AppendTouched appends the answer to an EXEC that carries nothing out because what
	// was watched has changed, or may have.
	AppendTouched(p *mbuf.Pool, out *mbuf.Chain, s *msg.Session)
	// AppendLane appends what makes a connection of a lane one of another, and returns
	// how many replies that will bring, all of them good if it is.
	AppendLane(from, to msg.Lane, p *mbuf.Pool, out *mbuf.Chain) int
}

// A tenant is whoever has a private connection to itself.
type tenant interface {
	// evicted says that the connection has ended, before those whose requests wait on it
	// are told.
	evicted(conn *serverConn)
	// moved says that the connection is one to a server, or of a kind, that the pool does
	// not have any more. It is to be given back, and gone, at the latest at time by.
	moved(conn *serverConn, by int64)
}

// A store has this loop's private connections to one server.
type store struct {
	// all are those that are not shared, in no order.
	all []*serverConn
	// unused are those of them that nobody has, by lane, the one last used at the end.
	unused [][]*serverConn
}

// A private is what is known of a private connection beside what is known of any.
type private struct {
	conn *serverConn
	// tenant has it; nil: nobody has, or it is being cleaned.
	tenant tenant
	// at is its place in the store.
	at int
	// isUnused: it stands among the unused, since the given time.
	isUnused bool
	since    int64
	// stale: nobody is to have it again.
	stale bool
	// id is what the server calls the connection; 0: it has not said, or does not take it.
	id int64
}

// privateSize is what a private connection counts for, in bytes.
const privateSize = 1 << 10

// borrow has t have a private connection to the server in the given lane. A reason other
// than OK says why there is none.
func (s *Server) borrow(lane int, t tenant) (*serverConn, msg.Reason) {
	now := s.pool.ctx.loop.Now()
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
		c := newServerConn(s, lane)
		c.private = &private{tenant: t, conn: c}
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

// last is the unused connection of a lane that was used last, or nil.
func (st *store) last(lane int) *serverConn {
	if lane < len(st.unused) {
		if n := len(st.unused[lane]); n > 0 {
			return st.unused[lane][n-1]
		}
	}
	return nil
}

// unlist takes the connection off the unused, if it stands there.
func (pv *private) unlist() {
	c := pv.conn
	if c.lane >= len(c.server.store.unused) {
		return
	}
	all := c.server.store.unused[c.lane]
	i := len(all) - 1
	if i >= 0 && all[i] != c {
		i = slices.Index(all, c)
	}
	if i >= 0 {
		c.server.store.unused[c.lane] = slices.Delete(all, i, i+1)
	}
}

// giveBack says that the connection's tenant has it no more. If it owes replies, or
// watches, that is brought to an end before anybody else may have it.
func (pv *private) giveBack(watches bool) {
	c := pv.conn
	pv.tenant = nil
	if c.queue.Len() > 0 || watches {
		out := c.Out()
		before := out.Len()
		c.pool.proto.lender.AppendUnwatch(c.pool.ctx.bufs, out)
		m := c.pool.ctx.msgs.Get()
		m.Owner, m.NoReply = pv, true
		c.enqueue(m, out.Len()-before)
		return
	}
	pv.rest()
}

// OnReply implements msg.Owner: what had to be said in between has been answered.
func (pv *private) OnReply(m *msg.Msg, r msg.Reply) {
	c := pv.conn
	c.pool.ctx.msgs.Put(m)
	if mayBeError(r) {
		if prefix, _ := c.pool.proto.ErrorPrefix(r, c.pool.ctx.errorText[:0]); prefix != nil {
			c.abandon(msg.BadReply) // it may be anything now
			return
		}
	}
	if pv.tenant == nil && c.queue.Len() == 0 {
		pv.rest()
	}
}

// Party implements msg.Owner.
func (pv *private) Party() msg.Party { return nil }

// OnFailure implements msg.Owner.
func (pv *private) OnFailure(m *msg.Msg) { pv.conn.pool.ctx.msgs.Put(m) }

// rest puts the connection among the unused, or closes it if nobody may have it.
func (pv *private) rest() {
	c := pv.conn
	s, p := c.server, c.pool
	limit := int64(p.conf.PrivateIdleTimeout)
	if pv.stale || s.removed || limit == 0 {
		c.pool.ctx.turn.retireSoon(c)
		return
	}
	for len(s.store.unused) <= c.lane {
		s.store.unused = append(s.store.unused, nil)
	}
	s.store.unused[c.lane] = append(s.store.unused[c.lane], c)
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
		c.server.health.Private().Free()
		c.server.stats[stats.PrivateConnections]--
	}
	c.server.store.remove(c)
	c.pool.ctx.memory.beside -= privateSize
	if t := pv.tenant; t != nil {
		pv.tenant = nil
		t.evicted(c)
	}
}

// abandon ends a private connection that is of no use any more, through no fault of its
// server's. What waits on it gets no reply.
func (c *serverConn) abandon(why msg.Reason) {
	if !c.Attached() {
		return // it has failed, which those whose requests wait are yet to be told
	}
	c.logClose(why)
	c.handshake.restoring = false
	if c.Open() {
		c.server.stats[stats.ServerConnections]--
	}
	var lost []*msg.Msg
	for c.queue.Len() > 0 {
		lost = append(lost, c.take())
	}
	c.drop()
	c.server.reasons[stats.ClosedConnections][why]++
	c.failAll(lost, why)
}

// crowded has one of the server's unused connections closed: one of this loop's, or, if
// it has none, of the others'.
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

// closeUnused closes the connection that was unused for the longest time in some lane,
// and reports whether there was one.
func (s *Server) closeUnused() bool {
	for _, conns := range s.store.unused {
		if len(conns) > 0 {
			conns[0].retire()
			return true
		}
	}
	return false
}

// closeUnused closes the private connections that nobody has had for a while, and finds
// out when to look again.
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

// renew has nobody take the server's private connections any more, and tells those who
// have one. All are gone at the latest at time by.
func (st *store) renew(by int64) {
	all := slices.Clone(st.all)
	st.unused = nil
	for _, c := range all {
		c.private.move(by)
	}
}

// move has nobody take the private connection any more.
func (pv *private) move(by int64) {
	c := pv.conn
	pv.stale = true
	switch t := pv.tenant; {
	case !c.Attached():
	case pv.isUnused:
		c.pool.ctx.turn.retireSoon(c)
		return
	case t != nil:
		t.moved(c, by)
	}
	if c.Attached() && c.retireBy == 0 {
		c.retireBy = by
		c.pool.ctx.leaving.conns = append(c.pool.ctx.leaving.conns, c)
		c.pool.ctx.leaving.checkSoon()
	}
}

// mayTake says why the connection takes no more requests; msg.OK if it does.
func (c *serverConn) mayTake() msg.Reason {
	conf := c.pool.conf
	if c.queue.Len() < conf.ServerMaxQueued && int64(c.Out().Len()) < conf.ServerMaxQueuedBytes {
		return msg.OK
	}
	return c.server.refuseBusy(c)
}
