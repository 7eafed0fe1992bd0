package proxy

import (
	"slices"

	"nuthatch/internal/msg"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// Where requests go is decided here, and nowhere else: by the table of the snapshot that
// the loop has taken over.
//
//	owner       the server that has all keys of a request
//	dealKeys    the servers that have its keys, some each           place, for a large one
//	everywhere  those that together have all keys: requests for all, questions
//	nth         one of those, by its number: SCAN
//
// The numbers of a table are good as long as its snapshot. Whoever keeps one over a turn
// (a large request) keeps the snapshot with it, and the servers that belong to it.

// routes is what requests go by now: servers whose time of ejection is over are tried
// again.
func (p *ServerPool) routes() *topology.Snapshot {
	if now := p.ctx.loop.Now(); p.snap.IsStale(now) {
		p.take(p.topo.Current(now, p.back))
	}
	return p.snap
}

// take goes by a snapshot from now on, if it has the servers that are known. Other
// servers are taken over between two turns.
func (p *ServerPool) take(s *topology.Snapshot) {
	if s.SameServers(p.snap) {
		p.snap = s
	}
}

// intent is what a request does with its keys.
func (p *ServerPool) intent(req *msg.Request) route.Intent {
	if p.commands[req.Type].Pure {
		return route.Read
	}
	return route.Write
}

// random is a number for keys that are dealt at random; others need none.
func (p *ServerPool) random() uint32 {
	if !p.snap.Table.IsRandom() {
		return 0
	}
	return uint32(p.ctx.rnd.Uint64())
}

// to is the first choice of a shard's servers.
func (p *ServerPool) to(shard int, intent route.Intent) *Server {
	return p.servers[p.snap.Table.Targets(shard, intent)[0]]
}

// owner returns the server that has all keys of req. The reason says why there is none:
// every server is ejected, or the keys have several. Then the context's key1 and key2
// hold two keys that differ.
func (p *ServerPool) owner(req *msg.Request) (*Server, msg.Reason) {
	shard, why := p.shard(req)
	if why != msg.OK {
		return nil, why
	}
	return p.to(shard, p.intent(req)), msg.OK
}

// shard is the shard of all keys of req.
func (p *ServerPool) shard(req *msg.Request) (int, msg.Reason) {
	ctx, table := p.ctx, p.routes().Table
	// One number for all keys, so that a random owner is one owner.
	rnd := p.random()
	if req.PlaceKey != nil {
		return found(table.Shard(req.PlaceKey, rnd))
	}
	k := req.Key(0)
	var key, other []byte
	key, ctx.key1 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key1)
	first, why := found(table.Shard(key, rnd))
	if req.Nkeys == 1 || table.NumShards() == 1 || why != msg.OK {
		return first, why
	}
	for i := 1; i < req.Nkeys; i++ {
		k := req.Key(i)
		other, ctx.key2 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key2)
		if table.Shard(other, rnd) != first {
			ctx.key1 = append(ctx.key1[:0], key...)
			ctx.key2 = append(ctx.key2[:0], other...)
			return route.None, msg.CrossServer
		}
	}
	return first, msg.OK
}

// found is a shard, or the reason why there is none.
func found(shard int) (int, msg.Reason) {
	if shard == route.None {
		return shard, msg.ConnRefused
	}
	return shard, msg.OK
}

// ownerOfNothing is the server of a request without a key.
func (p *ServerPool) ownerOfNothing() (*Server, msg.Reason) {
	shard, why := found(p.routes().Table.Shard(nil, p.random()))
	if why != msg.OK {
		return nil, why
	}
	return p.to(shard, route.Write), msg.OK
}

// ownersOf reports whether the servers of the request's keys are found one by one.
func (p *ServerPool) ownersOf(req *msg.Request) bool {
	table := p.snap.Table
	return table.NumShards() > 1 && !table.IsRandom() && req.PlaceKey == nil
}

// dealKeys makes ctx.deal what each server gets of req. It reports false if every
// server is ejected.
func (p *ServerPool) dealKeys(req *msg.Request) bool {
	ctx := p.ctx
	d := &ctx.deal
	table := p.routes().Table
	d.to = slices.Grow(d.to[:0], req.Nkeys)[:req.Nkeys]
	for i := 0; i < len(d.to); i += dealBlock {
		to := d.to[i:min(i+dealBlock, len(d.to))]
		keys := d.keys[:len(to)]
		d.gathered = req.Keys(i, keys, d.gathered)
		if !p.place(table, keys, to) {
			return false
		}
	}
	d.share(p.shares, table, p.intent(req))
	return true
}

// share turns to, which holds shards of the table, into shares. of is the pool's scratch.
func (d *deal) share(of []uint16, table *route.Table, intent route.Intent) {
	to, shares := d.to, d.shares[:0]
	for i, s := range to {
		n := of[s]
		if n == 0 {
			shares = append(shares, share{shard: s, server: table.Targets(int(s), intent)[0]})
			n = uint16(len(shares))
			of[s] = n
		}
		to[i] = n - 1
		shares[n-1].keys++
	}
	for i := range shares {
		of[shares[i].shard] = 0
	}
	d.shares = shares
}

// place makes to the shards of keys, by a table that may be older than the pool's.
func (p *ServerPool) place(table *route.Table, keys [][]byte, to []uint16) bool {
	if !table.IsRandom() {
		return table.Shards(keys, to)
	}
	for i, key := range keys {
		s := table.Shard(key, p.random())
		if s == route.None {
			return false
		}
		to[i] = uint16(s)
	}
	return true
}

// isWhole reports whether one shard has all keys.
func (p *ServerPool) isWhole() bool { return p.snap.Table.NumShards() == 1 }

// everywhere are the places of the servers that together have all keys.
func (p *ServerPool) everywhere() []uint16 { return p.snap.Table.All() }

// nth is one of those, by its number among them.
func (p *ServerPool) nth(i int) *Server { return p.servers[p.everywhere()[i]] }
