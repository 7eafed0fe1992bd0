package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Some requests must not wait behind others: a request that ends a script would wait
// for the script's end, since servers answer in order. Such requests use a connection
// of their own, in a lane without clients:
//
//	lane 0      EVAL (runs) ◄─ GET ◄─ GET     wait
//	lane aside  SCRIPT KILL                   answered at once
//
// It is opened for the first of them, and closed when it has been idle for a
// while.

// asideLane is that lane. Its database is whatever a fresh connection is in.
var asideLane = msg.Lane{RESP: 2, Aside: true}

// asideAs is that lane for a user.
func asideAs(p *ServerPool, user uint32) int {
	key := asideLane
	if p.passer != nil {
		key.User = user
	}
	lane := p.lane(key)
	p.lingers(lane)
	return lane
}

// aside sends the request to all servers, ahead of the requests that they are working
// on.
func (n fan) aside(req *msg.Request) {
	p, parent := n.c.pool, n.parent
	lane := asideAs(p, n.c.session.Lane.User)
	for _, s := range p.everywhere() {
		f := n.add(s)
		conn, why := s.conn(lane, 0)
		if why != msg.OK {
			s.reasons[stats.ServerFailedRequests][why]++
			f.Err, f.Done, f.Replied = why, true, parent.Start
			continue
		}
		parent.Pending++
		before := conn.Out().Len()
		n.c.write(req, conn.Out())
		conn.sendFragment(f, conn.Out().Len()-before)
	}
}
