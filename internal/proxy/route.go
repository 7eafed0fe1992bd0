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
// The numbers of a table are valid as long as its snapshot. A large request, which
// keeps such numbers over several turns, keeps the snapshot and its servers with them.

// A router decides where requests go, for one pool on one loop.
type router struct {
	ctx *Context
	// static but for reloads
	topo *topology.Topology
	// commands are the protocol's, by msg.Type.
	commands []msg.Command
	// back counts that a server is on the ring again. It is the pool's countTried, made
	// once.
	back func(*topology.Health)

	// owned by the loop
	//
	// snap is the snapshot by which requests are routed.
	//
	// Invariant: servers are those of snap, by their places.
	snap    *topology.Snapshot
	servers []*Server
	// shares is scratch space. It has, for each shard, the index of its share in
	// ctx.deal plus 1, or 0.
	//
	// Invariant: all zero between requests.
	shares []uint16
}

// goBy has requests routed by a snapshot. The caller must set its servers before the
// next request.
func (r *router) goBy(s *topology.Snapshot) {
	r.snap = s
	r.shares = make([]uint16, s.Table.NumShards())
}

// routes is the snapshot by which requests are routed now. Servers whose ejection is
// over are on its ring again.
func (r *router) routes() *topology.Snapshot {
	if r.snap.MayGoStale() {
		r.tryAgain()
	}
	return r.snap
}

// tryAgain puts the servers whose time of ejection is over back on the ring.
func (r *router) tryAgain() {
	if now := r.ctx.loop.Now(); r.snap.IsStale(now) {
		r.refresh(r.topo.Current(now, r.back))
	}
}

// refresh has requests routed by a newer snapshot, if it has the same servers. Other
// servers are taken over between two turns.
func (r *router) refresh(s *topology.Snapshot) {
	if s.SameServers(r.snap) {
		r.snap = s
	}
}

// intent is what a request does with its keys.
func (r *router) intent(req *msg.Request) route.Intent {
	if r.commands[req.Type].Pure {
		return route.Read
	}
	return route.Write
}

// random is a random number for a table that deals keys at random, and 0 for others.
func (r *router) random() uint32 {
	if r.snap.Table.IsRandom() {
		return r.draw()
	}
	return 0
}

func (r *router) draw() uint32 { return uint32(r.ctx.rnd.Uint64()) }

// serverOfShard is a shard's server, the first choice if there are several.
func (r *router) serverOfShard(shard int, intent route.Intent) *Server {
	return r.servers[r.snap.Table.Targets(shard, intent)[0]]
}

// owner returns the server that has all keys of req. The reason says why there is none:
// every server is ejected, or the keys have several owners. In the second case the
// context's key1 and key2 hold two such keys.
func (r *router) owner(req *msg.Request) (*Server, msg.Reason) {
	shard, why := r.shard(req)
	if why != msg.OK {
		return nil, why
	}
	return r.serverOfShard(shard, r.intent(req)), msg.OK
}

// shard is the shard of all keys of req.
func (r *router) shard(req *msg.Request) (int, msg.Reason) {
	ctx, table := r.ctx, r.routes().Table
	if table.NumShards() == 1 {
		return found(table.Shard(nil, 0))
	}
	// One number for all keys, so that a random owner is one owner.
	rnd := r.random()
	if req.PlaceKey != nil {
		return found(table.Shard(req.PlaceKey, rnd))
	}
	k := req.Key(0)
	var key, other []byte
	key, ctx.key1 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key1)
	first, why := found(table.Shard(key, rnd))
	if req.Nkeys == 1 || why != msg.OK {
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
func (r *router) ownerOfNothing() (*Server, msg.Reason) {
	shard, why := found(r.routes().Table.Shard(nil, r.random()))
	if why != msg.OK {
		return nil, why
	}
	return r.serverOfShard(shard, route.Write), msg.OK
}

// ownersOf reports whether the servers of the request's keys are found one by one.
func (r *router) ownersOf(req *msg.Request) bool {
	table := r.snap.Table
	return table.NumShards() > 1 && !table.IsRandom() && req.PlaceKey == nil
}

// dealKeys fills ctx.deal with what each server gets of req. It returns false if every
// server is ejected.
func (r *router) dealKeys(req *msg.Request) bool {
	ctx := r.ctx
	d := &ctx.deal
	table := r.routes().Table
	d.to = slices.Grow(d.to[:0], req.Nkeys)[:req.Nkeys]
	for i := 0; i < len(d.to); i += dealBlock {
		to := d.to[i:min(i+dealBlock, len(d.to))]
		keys := d.keys[:len(to)]
		d.gathered = req.Keys(i, keys, d.gathered)
		if !r.place(table, keys, to) {
			return false
		}
	}
	d.share(r.shares, table, r.intent(req))
	return true
}

// share replaces the shards in to by the indexes of their shares. of is the pool's
// scratch space.
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

// place fills to with the shards of keys, by a table that may be older than the pool's.
func (r *router) place(table *route.Table, keys [][]byte, to []uint16) bool {
	if !table.IsRandom() {
		return table.Shards(keys, to)
	}
	for i, key := range keys {
		s := table.Shard(key, r.random())
		if s == route.None {
			return false
		}
		to[i] = uint16(s)
	}
	return true
}

// isWhole reports whether one shard has all keys.
func (r *router) isWhole() bool { return r.snap.Table.NumShards() == 1 }

// everywhere are the places of the servers that together have all keys.
func (r *router) everywhere() []uint16 { return r.snap.Table.All() }

// nth is the i-th of those servers.
func (r *router) nth(i int) *Server { return r.servers[r.everywhere()[i]] }

// serverOf is the pool's server with that Health, or nil.
func (r *router) serverOf(h *topology.Health) *Server {
	if i := r.snap.Place(h); i >= 0 {
		return r.servers[i]
	}
	return nil
}
