package proxy

import (
	"slices"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// In a cluster keys have slots, and servers have slots. A server takes no request for keys
// of two slots, even if it has both. So requests are split by slot, and not by server.
//
// When slots have moved, a client with requests at a server that had one of them waits for
// their replies: its next requests go to another server, and could overtake the earlier
// ones.

// parts is into how many parts a request can be split by a table.
func parts(t *route.Table) int {
	if t.IsSlots() {
		return route.NumSlots
	}
	return t.NumShards()
}

// slots fills to with the slots of keys.
func slots(table *route.Table, keys [][]byte, to []uint16) {
	for i, key := range keys {
		to[i] = uint16(table.Slot(key))
	}
}

// target is the server of a shard or, in a cluster, of a slot; nil: nobody has the slot.
func (p *placing) target(part uint16) *Server {
	shard := int(part)
	if p.table.IsSlots() {
		if shard = p.table.ShardOfSlot(shard); shard == route.None {
			return nil
		}
	}
	return p.servers[p.table.Targets(shard, p.intent)[0]]
}

// crossesSlots reports whether keys of a request have different slots. In that case the
// context's key1 and key2 hold two such keys.
func (r *router) crossesSlots(req *msg.Request) bool {
	ctx, table := r.ctx, r.snap.Table
	k := req.Key(0)
	var first, other []byte
	first, ctx.key1 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key1)
	slot := table.Slot(first)
	for i := 1; i < req.Nkeys; i++ {
		k := req.Key(i)
		other, ctx.key2 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key2)
		if table.Slot(other) != slot {
			ctx.key1 = append(ctx.key1[:0], first...)
			ctx.key2 = append(ctx.key2[:0], other...)
			return true
		}
	}
	return false
}

// clusterSlot is the slot that a cluster gives a key, whatever table there is now.
func clusterSlot(key []byte) int { return hashkit.Slot(key) }

// slotOf is the slot of a key; -1 if the pool is no cluster.
func (r *router) slotOf(key []byte) int {
	if !r.bySlot {
		return -1
	}
	return r.snap.Table.Slot(key)
}

// ownerOfSlot is the server that a slot is written at; nil: none has it.
func (r *router) ownerOfSlot(slot int) *Server {
	shard := r.snap.Table.ShardOfSlot(slot)
	if shard == route.None {
		return nil
	}
	return r.serverOfShard(shard, route.Write)
}

// node is the server that a node of a cluster has named; nil: there is none.
func (r *router) node(host string, port int) *Server {
	if place := r.snap.PlaceOf([]byte(topology.NodeAddress(host, port))); place >= 0 {
		return r.servers[place]
	}
	return nil
}

// named is the node that s has named in a redirect; nil: the map does not know it.
func (r *router) named(s *Server, said msg.Redirect) *Server {
	host := said.Host
	if host == "" {
		host = s.conf.Address.Host
	}
	return r.node(host, said.Port)
}

// otherThan is some server, another one than s if there is one; which one depends on n.
func (r *router) otherThan(s *Server, n int) *Server {
	for i := range r.all {
		if other := r.all[(n+i)%len(r.all)]; other != s {
			return other
		}
	}
	return s
}

// serverOfScan is a node that a SCAN goes through.
func (r *router) serverOfScan(n topology.ScanNode) *Server { return r.servers[n.Place] }

// none is the reason why a key has no server.
func (r *router) none() msg.Reason {
	if r.bySlot {
		return msg.NotServed
	}
	return msg.ConnRefused
}

// followTable has clients wait whose requests are at servers that have lost slots, after
// the pool got another snapshot. before is the table until then, and servers are its
// servers.
func followTable(p *ServerPool, before *route.Table, servers []*Server) {
	followSlots(p)
	if !p.bySlot || !before.IsSlots() {
		return
	}
	lost := make(map[*Server]bool)
	for slot := range route.NumSlots {
		shard := before.ShardOfSlot(slot)
		if shard == route.None {
			continue
		}
		if was := servers[before.Targets(shard, route.Write)[0]]; !lost[was] && p.ownerOfSlot(slot) != was {
			lost[was] = true
		}
	}
	if len(lost) > 0 {
		p.choice.moved()
	}
	for s := range lost {
		for c := range s.conns() {
			for m := range c.queue.All() {
				if party := m.Party(); party != nil {
					party.AwaitReplies()
				}
			}
		}
	}
	p.detours.mapChanged()
}

// takeTable has requests routed by a newer snapshot, if it has the same servers.
func takeTable(p *ServerPool, s *topology.Snapshot) {
	was, before, had := p.snap, p.snap.Table, p.everywhere()
	p.refresh(s)
	p.loseDemoted(was, p.servers)
	followDeposals(p)
	if p.snap != was {
		leaveCutOff(p)
	}
	p.choice.follow()
	if p.snap.Table == before || !p.bySlot && !before.IsSlots() {
		return
	}
	followTable(p, before, p.servers)
	recallMoved(p)
	followSlotChannels(p)
	leaveSlotless(p, had)
}

// leaveSlotless has clients that hear something from all servers, or are told of keys that they have
// read, hear no more from those of the servers had that have no slots any more, but stay in the pool.
// As a replica, such a node would tell a second time of each command, and of each key that changes.
func leaveSlotless(p *ServerPool, had []*Server) {
	if !p.bySlot {
		return
	}
	has := make(map[*Server]bool, len(had))
	for _, s := range p.everywhere() {
		has[s] = true
	}
	for _, s := range had {
		if has[s] || s.removed {
			continue
		}
		for _, c := range slices.Clone(s.store.all) {
			if t := c.private.tenant; t != nil && t.slotless(c) {
				c.private.withdraw(p.ctx.loop.Now() + demotedTime)
			}
		}
	}
}

// placeBy has requests routed by a snapshot that has other servers.
func placeBy(p *ServerPool, s *topology.Snapshot, servers []*Server) {
	was, before, old := p.snap, p.snap.Table, p.servers
	p.goBy(s, servers)
	p.loseDemoted(was, old)
	followDeposals(p)
	followTable(p, before, old)
}
