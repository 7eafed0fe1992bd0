package proxy

import (
	"nuthatch/internal/hashkit"
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
