package proxy

import (
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// Before any node of a cluster has said which slots it has, a request for the servers goes
// nowhere. It is put back into the stash, and waits: for the first map, or until its time is
// over.

// mapMost is how long, in nanoseconds, requests wait for a map at the most if the pool has
// no request_timeout.
const mapMost = int64(10 * time.Second)

// A mapless is the wait of a pool's clients for the first map of its cluster.
type mapless struct {
	// on: there is no map. Set by goBy.
	on bool
	// waited: clients have waited for it.
	waited bool
}

// lacksMap reports whether no server of the snapshot is known to have any key.
func lacksMap(s *topology.Snapshot) bool { return s.Table.NumShards() == 0 }

// awaitMap has a request that was just taken wait for a map.
func awaitMap(c *client) {
	p := c.pool
	c.waits |= waitsForMap
	c.session.Again()
	uncount(p, c.lastType)
	p.mapless.waited = true
	p.topo.WantMap(topology.WantSlot, nil)
	p.ctx.refuseInTime(c)
}

// hasMap has the client wait for a map no longer.
func (in *intake) hasMap() { in.waits &^= waitsForMap }

// mapCame lets the clients go on that have waited for a map, if there is one now, for a look at all
// nodes, or for a server in another one's place.
func mapCame(p *ServerPool) {
	lookCame(p)
	searchAgain(p)
	if !p.mapless.waited || p.mapless.on {
		return
	}
	p.mapless.waited = false
	for c := range p.clients.all() {
		c.hasMap()
		c.resumeIfRoom()
	}
}

// lateFor is why what has waited too long in the stash is refused.
func (in *intake) lateFor() msg.Reason {
	if in.waits&waitsForMap != 0 {
		return msg.NoMap
	}
	return msg.RequestTimedout
}
