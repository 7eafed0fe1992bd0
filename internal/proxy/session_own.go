package proxy

import (
	"slices"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// An own is a client's private connections, each to another server, and why it has
// them. Its requests for such a server go over that connection.
//
// Requests on the shared connection to a server are answered before the client goes to
// its private one, and requests on that before it goes back. Otherwise it would not
// read what it wrote.
type own struct {
	client *client
	conns  []*serverConn
	// watch is what it watches, and block its wait at servers; nil: it never has.
	watch *watch
	block *blocking
	// subs is what it listens to; nil: it never has.
	subs *subscriber
	// sayings are what other servers are to be told when its transactions have been carried
	// out.
	sayings []*saying
	// asked are the marks of the servers that the client's last WAIT asked with success.
	asked marks
	// heard is when the client was told last how far its writes have got; 0: never.
	heard int64
	// track is how it is told of keys that change; nil: it is not.
	track *tracking
	// monitor is how it sees every command; nil: it does not.
	monitor *monitor
	// trial is what servers are asked for the request that comes next; nil: nothing.
	trial *trial
	// written are its last writes, if it reads from replicas.
	written []ownWrite
	// search is what its next request waits for that needs private connections; nil: nothing.
	// waited is how long the present one has waited for its server, since that was away.
	search *search
	waited int64
	// limits are those of the client's user; nil: it has none. settled is how many of the unsent
	// bytes are another user's, which has paid for them, and free how many nobody pays for.
	limits        *rates
	settled, free int
}

// connTo is the client's private connection to s, or nil.
func (o *own) connTo(s *Server) *serverConn {
	for _, conn := range o.conns {
		if conn.server == s {
			return conn
		}
	}
	return nil
}

// lacks are those of the servers to which the client has no private connection.
func (o *own) lacks(servers []*Server) (lacks []*Server) {
	for _, s := range servers {
		if o.connTo(s) == nil {
			lacks = append(lacks, s)
		}
	}
	return lacks
}

// ownOf is what the client has to itself.
func ownOf(c *client) *own {
	if c.own == nil {
		c.own = &own{client: c}
	}
	return c.own
}

// watching is the client's watch, which may be of nothing.
func (o *own) watching() *watch {
	if o.watch == nil {
		o.watch = &watch{own: o}
	}
	return o.watch
}

// watchConn is the connection with watched keys, or nil.
func (o *own) watchConn() *serverConn {
	if o.watch == nil {
		return nil
	}
	return o.watch.conn
}

// blocking is the client's wait at servers, of which there need not be one.
func (o *own) blocking() *blocking {
	if o.block == nil {
		o.block = &blocking{own: o}
	}
	return o.block
}

// borrow gives the client a private connection to s, if it has none.
func (c *client) borrow(s *Server) (*serverConn, msg.Reason) {
	if conn := ownOf(c).connTo(s); conn != nil {
		why := conn.mayTake()
		return conn, why
	}
	conn, why := s.borrow(int(c.lane), c.own)
	if why != msg.OK {
		s.reasons[stats.ServerFailedRequests][why]++
		return nil, why
	}
	c.own.conns = append(c.own.conns, conn)
	return conn, msg.OK
}

// giveBack gives the private connection back to the server's store.
func (o *own) giveBack(conn *serverConn, watches bool) {
	o.removeConn(conn)
	o.client.AwaitReplies()
	conn.private.giveBack(watches)
}

func (o *own) removeConn(conn *serverConn) {
	if i := slices.Index(o.conns, conn); i >= 0 {
		o.conns = slices.Delete(o.conns, i, i+1)
	}
}

// evicted implements tenant.
func (o *own) evicted(conn *serverConn) {
	o.removeConn(conn)
	if o.watchConn() == conn {
		o.watch.lose()
	}
	if o.track != nil && conn.private.tracks {
		o.track.lost(conn)
	}
}

// withdrawn implements tenant.
func (o *own) withdrawn(conn *serverConn, _ int64) {
	watches := o.watchConn() == conn
	if watches {
		o.watch.lose()
	}
	if o.block.isOn(conn) {
		o.block.endEarly(recallsRequest)
	}
	if o.track != nil && conn.private.tracks {
		o.track.moved()
		watches = watches || !o.block.isOn(conn)
	}
	if watches && !o.block.isOn(conn) && slices.Contains(o.conns, conn) { // else at the end of the wait
		o.giveBack(conn, true)
	}
}

// slotless implements tenant. The client is told to forget what it has read there. As a replica the
// node would go on telling it of keys that it has read anew at their primary.
func (o *own) slotless(conn *serverConn) bool {
	return o.track != nil && conn.private.tracks && (o.track.wants.Broadcast || !o.uses(conn))
}

// feed implements tenant: that is what subs has others for.
func (o *own) feed() receiver { return nil }

// watchConnOf is the connection with watched keys, if m, or a part of it, waits there for
// its reply. The client must not use it after m has failed: it could not know whether
// the keys are still watched.
func (o *own) watchConnOf(m *msg.Msg) *serverConn {
	conn := o.watchConn()
	if conn == nil {
		return nil
	}
	if m.Via == conn && len(m.Frags) == 0 && !m.Done {
		return conn
	}
	for _, f := range m.Frags {
		if f.Via == conn && !f.Done {
			return conn
		}
	}
	return nil
}

// end gives all connections back when the client ends.
func (o *own) end() {
	o.trial = nil
	o.endSearch()
	o.endTracking()
	o.endMonitor()
	if o.block != nil {
		o.block.drop()
		o.block.text = nil
		o.block.count()
	}
	o.unwatch()
	if o.subs != nil {
		o.subs.end()
	}
	o.unsay()
	for len(o.conns) > 0 {
		o.giveBack(o.conns[0], false)
	}
}

// mayGo reports whether the client may change to another connection now. If not, the
// present request goes back to the stash, and waits for the replies to earlier ones.
func (c *client) mayGo() bool {
	if c.inFlight() == 0 {
		return true
	}
	c.waits |= waitsToGo
	c.session.Again()
	uncount(c.pool, c.lastType)
	return false
}

// goOther has the client go to the other connection.
func (in *intake) goOther() { in.waits &^= waitsToGo }

// changeLane moves the private connections to the client's new lane. Earlier requests are
// answered in the old lane.
func (o *own) changeLane(from, to int) {
	p := o.client.pool
	for _, conn := range slices.Clone(o.conns) {
		if p.lanes[from].key.User != p.lanes[to].key.User { // it is another user's
			o.giveBack(conn, true)
			continue
		}
		out := conn.Out()
		before := out.Len()
		n := p.proto.lender.AppendLane(p.lanes[from].key, p.lanes[to].key, p.ctx.bufs, out)
		conn.lane = p.lanes[to]
		for i := range n {
			m := p.ctx.msgs.Get()
			m.Owner, m.NoReply = conn.private, true
			size := 0
			if i == n-1 {
				size = out.Len() - before
			}
			conn.enqueue(m, size)
		}
	}
}
