package proxy

import (
	"nuthatch/internal/hashkit"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// A homeTable is where keys are if no server is ejected. Channels go by it: who says
// something on one would miss those who listen, if an ejection moved it.
type homeTable struct {
	// table is that of members, made when it is first needed.
	table   *route.Table
	members *topology.Members
}

// home is the server of what is placed by the key, whichever servers are ejected.
func (r *router) home(key []byte) *Server {
	h := &r.homes
	if h.members != r.snap.Members {
		h.table, h.members = r.snap.HomeTable(), r.snap.Members
	}
	// Keys that are dealt at random have a home, too.
	shard := h.table.Shard(key, hashkit.FNV1a_32.Sum(key))
	return r.servers[h.table.Targets(shard, route.Write)[0]]
}
