package proxy

import (
	"math/bits"

	"nuthatch/internal/topology"
)

// A client's marks say where it has written. If a server stops taking writes, what clients have
// written there may be lost: its mark is lost at that time, and the next WAIT of a client with
// that mark gets an error (session_wait.go).

// lose notes that servers with these marks have become replicas, or have left the pool: what
// clients have written there may be lost.
func (r *router) lose(m marks) {
	for now := r.ctx.loop.Now(); m != 0; m &= m - 1 {
		r.lost[bits.TrailingZeros32(uint32(m))] = now
	}
}

// hasFailed reports whether the map says that one of the servers has failed.
func hasFailed(r *router, servers []*Server) bool {
	for _, s := range servers {
		if at := r.snap.Place(s.health); at >= 0 && at < len(r.snap.Nodes) && r.snap.Nodes[at].Failing {
			return true
		}
	}
	return false
}

// loseDemoted notes which servers took writes by the snapshot before, and take none now. old
// are the servers of that snapshot.
func (r *router) loseDemoted(before *topology.Snapshot, old []*Server) {
	if before == r.snap || before.Nodes == nil || r.snap.Nodes == nil {
		return
	}
	for i, s := range old {
		if takesWrites(before, i) {
			if at := r.snap.Place(s.health); at >= 0 && !takesWrites(r.snap, at) {
				r.lose(s.mark)
			}
		}
	}
}

// isReplica reports whether a server is a replica by the map.
func isReplica(r *router, s *Server) bool {
	at := r.snap.Place(s.health)
	return at >= 0 && at < len(r.snap.Nodes) && r.snap.Nodes[at].Role == topology.Replica
}

// takesWrites reports whether the server at that place is neither a replica nor gone, and has not
// failed by the map.
func takesWrites(s *topology.Snapshot, place int) bool {
	if s.Nodes != nil {
		return s.Nodes[place].Role == topology.Primary && !s.Nodes[place].Failing
	}
	return s.PrimaryOf(place) < 0
}

// hasLost reports whether any of these marks was lost since that time.
func (r *router) hasLost(m marks, since int64) bool {
	for ; m != 0; m &= m - 1 {
		if at := r.lost[bits.TrailingZeros32(uint32(m))]; at > 0 && at >= since {
			return true
		}
	}
	return false
}

// written are the servers with these marks: of those that share one, only those that take
// writes. owners are the marks of all that do.
func (r *router) written(m marks) (servers []*Server, owners marks) {
	for i, s := range r.servers {
		if takesWrites(r.snap, i) {
			owners |= s.mark
		}
	}
	for i, s := range r.servers {
		if s.mark&m != 0 && (s.mark&owners == 0 || takesWrites(r.snap, i)) {
			servers = append(servers, s)
		}
	}
	return servers, owners
}
