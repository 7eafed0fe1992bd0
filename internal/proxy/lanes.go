package proxy

import (
	"iter"
	"slices"
	"time"

	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// Lanes separate clients that must not share a server connection: clients of RESP2 and
// of RESP3, clients in different databases, and clients that are different users of the
// servers.
//
//	                     lane 0: RESP2, the pool's database    lane 1: RESP3     ...
//	client ── its lane ─► server ─► slot, slot, ...            slot, slot, ...
//
// Who a user is, with which password, is with the protocol (see passthrough.go); the lane
// holds it.
//
// A lane exists from when a client asks for it. Its connections are opened when they are
// needed. When it has had no client for a while they are closed, and the lane is
// forgotten. So there are no more lanes than clients, beside those that were left in the
// last laneLinger and those of private connections that wait to be used again.

// laneLinger is how long, in nanoseconds, a lane and its connections stay after its last
// client has left.
const laneLinger = int64(10 * time.Second)

// unfitPause is how long, in nanoseconds, a lane is not tried again at a server after
// that refused it.
const unfitPause = int64(time.Second)

// A lane is one loop's state of one of its pool's lanes.
type lane struct {
	// static after construction
	//
	// key is as the protocol's Resolve has it. at is the lane's place in the set.
	key msg.Lane
	at  int
	// passer has the credentials of the key's user, which the lane holds; nil: there are
	// none.
	passer Passer

	// owned by the loop
	//
	// clients is how many clients are in the lane. Those of the default lane are not
	// counted (clientsIn).
	clients int
	// idleSince is when the last client left; of the default lane, any client.
	idleSince int64
}

// AwaitReplies implements msg.Party: no more requests are taken from the client until
// it has the replies to those in flight.
func (c *client) AwaitReplies() {
	if c.inFlight() > 0 {
		c.waits |= waitsForReplies
	}
}

// hasReplies says that the client has the replies to its requests in flight.
func (in *intake) hasReplies() { in.waits &^= waitsForReplies }

// changeLane moves the client to the lane of its session. Its next request waits until
// those in flight are answered.
func (c *client) changeLane() {
	to := c.pool.laneOf(&c.session)
	from := int(c.lane)
	if to == from {
		return
	}
	c.pool.leaveLane(c)
	c.pool.enterLane(c, to)
	if c.own != nil {
		c.own.changeLane(from, to)
	}
	c.AwaitReplies()
}

// A laneSet is the lanes of a pool. The first is the default lane.
type laneSet struct {
	ctx *Context
	// passer has the credentials of users; nil: the servers know only the pool's.
	passer Passer
	// open: a server has shown that clients need no login, and none the opposite since.
	open bool
	// entry is what the servers have last said of clients without a login.
	entry entry
	// lanes are by their places. A place in free has none, and is nil. laneByKey has the
	// other places.
	lanes     []*lane
	laneByKey map[msg.Lane]int
	free      []int
}

// enterLane puts a client that is in no lane into the i-th.
func (l *laneSet) enterLane(c *client, i int) {
	c.lane = int32(i)
	if i > 0 {
		l.lanes[i].clients++
	}
}

// leaveLane takes the client out of its lane.
func (l *laneSet) leaveLane(c *client) {
	i := int(c.lane)
	if i == 0 {
		if l.passer != nil {
			l.lingers(0)
		}
		return
	}
	c.lane = 0
	l.lanes[i].clients--
	invariant.Check(l.lanes[i].clients >= 0, "proxy: a lane with fewer clients than none")
	if l.lanes[i].clients == 0 {
		l.lingers(i)
	}
}

// lingers notes that a lane has no more clients.
func (l *laneSet) lingers(i int) {
	l.lanes[i].idleSince = l.ctx.loop.Now()
	if l.ctx.nextSweep == 0 {
		l.ctx.nextSweep = l.lanes[i].idleSince + laneLinger
	}
}

// clearLanes drops all lanes and makes a new default lane. No client may be in them,
// and no connection in them may take requests.
func (p *ServerPool) clearLanes() {
	p.lanes, p.laneByKey, p.free = nil, make(map[msg.Lane]int), nil
	p.lane(p.proto.resolve(msg.DefaultLane))
}

// laneOf returns the index of the lane that serves a session.
func (p *ServerPool) laneOf(s *msg.Session) int { return p.lane(p.proto.resolve(s.Lane)) }

// lane returns the index of the lane with the given key.
func (l *laneSet) lane(key msg.Lane) int {
	i, known := l.laneByKey[key]
	if known {
		return i
	}
	if n := len(l.free); n > 0 {
		i, l.free = l.free[n-1], l.free[:n-1]
	} else {
		i, l.lanes = len(l.lanes), append(l.lanes, nil)
	}
	l.lanes[i] = &lane{key: key, at: i}
	l.laneByKey[key] = i
	if key.User != 0 && l.passer != nil {
		l.lanes[i].passer = l.passer
		l.passer.Hold(key.User)
	}
	return i
}

// release has the lane hold no credentials any more.
func (l *lane) release() {
	if l != nil && l.passer != nil {
		l.passer.Release(l.key.User)
	}
}

// adoptLanes moves all clients to the lanes of their sessions after the pool's own
// database has changed. The lanes get other numbers, so all connections must be
// replaced.
func (p *ServerPool) adoptLanes() {
	before := p.lanes
	p.clearLanes()
	for c := p.clients.first; c != nil; c = c.next {
		p.enterLane(c, p.laneOf(&c.session))
	}
	for _, l := range before {
		l.release()
	}
}

// laneAs is the lane in RESP2 and the pool's database of a user.
func laneAs(p *ServerPool, user uint32) int {
	if p.passer == nil {
		return 0
	}
	i := 0
	if user != 0 {
		i = p.lane(p.proto.resolve(msg.Lane{RESP: 2, DB: msg.OwnDB, User: user}))
	}
	p.lingers(i)
	return i
}

// forgetUnusedLanes forgets the lanes without clients before their time.
func forgetUnusedLanes(p *ServerPool) {
	for _, l := range p.lanes[1:] {
		if l != nil && l.clients == 0 && p.closeLane(l) {
			p.forgetLane(l)
		}
	}
}

// forgetElsewhere has the other loops do the same, so that the next login finds room.
func forgetElsewhere(p *ServerPool) {
	for _, other := range p.ctx.identity.Loops() {
		if other == p.ctx {
			continue
		}
		other.loop.Post(func() {
			for _, same := range other.pools {
				if same.topo == p.topo {
					forgetUnusedLanes(same)
				}
			}
		})
	}
}

// addLane makes room for the server's connections in a lane.
func (s *Server) addLane(i int) {
	for len(s.lanes) <= i {
		s.lanes = append(s.lanes, nil)
	}
	s.lanes[i] = make([]*serverConn, s.pool.conf.ServerConnections)
}

// addConn makes the connection in a lane and slot, when it is first needed.
func (s *Server) addConn(lane, slot int) *serverConn {
	c := newServerConn(s, s.pool.lanes[lane])
	c.slot = slot
	s.lanes[lane][slot] = c
	return c
}

// conns yields all of the server's shared connections, open or not, and then the
// private ones. The loop body may remove the private connection that it was given, but
// no other, and may add none.
func (s *Server) conns() iter.Seq[*serverConn] {
	return func(yield func(*serverConn) bool) {
		for _, lane := range s.lanes {
			for _, c := range lane {
				if c != nil && !yield(c) {
					return
				}
			}
		}
		for _, c := range slices.Backward(s.store.all) {
			if !yield(c) {
				return
			}
		}
	}
}

// sweepLanes closes the connections of lanes that have had no client for a while, forgets
// those lanes, and sets when to look again. A connection with unanswered requests stays
// open until they are answered.
func (t *timers) sweepLanes(now int64) {
	ctx := t.ctx
	ctx.nextSweep = 0
	for _, p := range ctx.pools {
		for _, l := range p.lanes {
			if l == nil || l.at == 0 && l.idleSince == 0 || clientsIn(p, l) > 0 {
				continue
			}
			due := l.idleSince + laneLinger
			if now >= due {
				if p.closeLane(l) {
					p.forgetLane(l)
					continue
				}
				due = now + laneLinger
			}
			ctx.nextSweep = soonest(ctx.nextSweep, due)
		}
	}
}

// clientsIn is how many clients are in the lane.
func clientsIn(p *ServerPool, l *lane) int {
	n := l.clients
	if l.at == 0 {
		n = len(p.byID)
		for _, other := range p.lanes[1:] {
			if other != nil {
				n -= other.clients
			}
		}
	}
	return n
}

// closeLane closes the connections of a lane that owe no reply. It reports whether the
// lane has no connection any more.
func (p *ServerPool) closeLane(l *lane) bool {
	none := true
	for _, s := range p.servers {
		if l.at < len(s.lanes) {
			for _, c := range s.lanes[l.at] {
				switch {
				case c == nil || !c.Attached() && !c.awaits():
				case c.queue.Len() > 0 || !p.ctx.turn.retireSoon(c):
					none = false
				}
			}
		}
		// A private one is kept until it was unused for too long, but not for a user of the
		// servers that has gone.
		if p.passer != nil && l.at < len(s.store.unused) {
			for _, c := range slices.Clone(s.store.unused[l.at]) {
				p.ctx.turn.retireSoon(c)
			}
		}
		none = none && !s.store.has(l)
	}
	return none
}

// forgetLane forgets a lane that has no clients and no connections. Its place is free for
// another lane. The default lane stays, as a new one would be.
func (p *ServerPool) forgetLane(l *lane) {
	if l.at == 0 {
		l.idleSince = 0
		return
	}
	for _, s := range p.servers {
		if l.at < len(s.lanes) {
			s.lanes[l.at] = nil
		}
	}
	l.release()
	delete(p.laneByKey, l.key)
	p.lanes[l.at] = nil
	p.free = append(p.free, l.at)
}
