package proxy

import (
	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// A homeTable says where keys are if no server is ejected. Channels are placed by it:
// if an ejection moved a channel, messages would miss the clients that listen.
type homeTable struct {
	// table is the table of members. It is made when it is first needed.
	table   *route.Table
	members *topology.Members
}

// isCutOff reports whether the server is a node that gets no messages from the rest of its
// cluster: it fails, or has left.
func isCutOff(r *router, s *Server) bool {
	if !r.bySlot {
		return false
	}
	at := r.snap.Place(s.health)
	return at >= 0 && (r.snap.Nodes[at].Failing || r.snap.IsGone(at))
}

// hasLeft reports whether the server is a node that has left its cluster.
func hasLeft(r *router, s *Server) bool {
	at := r.snap.Place(s.health)
	return at >= 0 && r.snap.IsGone(at)
}

// listensAt is the server at which a client listens to a channel with that key and audience.
func listensAt(r *router, key []byte, at msg.Audience) *Server {
	s := r.home(key)
	if at == msg.AnyServer {
		return present(r, s)
	}
	return s
}

// present is s or, if it is a node of a cluster that is cut off or cannot be connected to, another
// one.
func present(r *router, s *Server) *Server {
	if r.bySlot && (s.reconnect.failed != msg.OK || isCutOff(r, s)) {
		for _, other := range r.all {
			if other.reconnect.failed == msg.OK && !isCutOff(r, other) {
				return other
			}
		}
	}
	return s
}

// home is the server of a key, whichever servers are ejected.
func (r *router) home(key []byte) *Server {
	if r.bySlot { // nobody is ejected
		if s := r.ownerOfSlot(r.snap.Table.Slot(key)); s != nil {
			return s
		}
		return r.all[0] // it will say that nobody has the slot
	}
	h := &r.homes
	if h.members != r.snap.Members {
		h.table, h.members = r.snap.HomeTable(), r.snap.Members
	}
	// Keys that are dealt at random have a home, too.
	shard := h.table.Shard(key, hashkit.FNV1a_32.Sum(key))
	return r.servers[h.table.Targets(shard, route.Write)[0]]
}
