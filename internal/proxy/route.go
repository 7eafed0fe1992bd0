package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// Where requests go is decided here and in route_*.go, and nowhere else: by the table of the
// snapshot that the loop has taken over.
//
//	owner       the server that has all keys of a request
//	dealKeys    the servers that have its keys, some each, at once ─┐
//	newPlacing  the same in slices, for a large request ────────────┴─► place
//	choose      of the servers that have copies of it, where to read (route_reads.go)
//	home        the server that would have a key if no server were ejected
//	everywhere  those that together have all keys: requests for all, questions, SCAN
//
// The numbers of a table are valid as long as its snapshot, and nobody else has them: this
// file gives servers to all others.

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
	// all are the servers that together have all keys. The list is never changed, but
	// replaced.
	all   []*Server
	homes homeTable
	// bySlot: the pool is a cluster, and keys find their servers by slots.
	bySlot bool
	// lookWaits are the clients whose next request waits for a look at all nodes, and since when.
	lookWaits waitList[int64]
	// choice chooses where to read; nil: from primaries.
	choice *readChoice
	// shares is scratch space: placing.of, for a request that is placed at once.
	//
	// Invariant: all zero between requests.
	shares []uint16
	// marked is how many servers have been given a mark. lost is when a server with each mark
	// last became a replica, or left the pool; 0: never.
	marked  int
	lost    [32]int64
	mapless mapless
}

// goBy has requests routed by a snapshot. servers are its servers, by their places.
func (r *router) goBy(s *topology.Snapshot, servers []*Server) {
	r.snap, r.servers = s, servers
	r.mapless.on = lacksMap(s)
	r.all = make([]*Server, len(s.Table.All()))
	for i, place := range s.Table.All() {
		r.all[i] = servers[place]
	}
	r.shares, r.bySlot = make([]uint16, parts(s.Table)), s.Table.IsSlots()
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
	switch {
	case !s.SameServers(r.snap):
	case len(r.shares) == parts(s.Table) && r.bySlot == s.Table.IsSlots() && slices.Equal(s.Table.All(), r.snap.Table.All()):
		r.snap, r.mapless.on = s, lacksMap(s)
	default:
		r.goBy(s, r.servers)
	}
}

// random is a random number for a table that deals keys at random, and 0 for others.
func (r *router) random() uint32 {
	if r.isRandom() {
		return r.draw()
	}
	return 0
}

func (r *router) draw() uint32 { return uint32(r.ctx.rnd.Uint64()) }

// isRandom reports whether keys are dealt at random.
func (r *router) isRandom() bool { return r.snap.Table.IsRandom() }

// intent is what a request of that type does with its keys.
func (r *router) intent(t msg.Type) route.Intent {
	if r.commands[t].Pure {
		return route.Read
	}
	return route.Write
}

// serverOfShard is a shard's server, the first choice if there are several: its primary.
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
	return r.serverOfShard(shard, r.intent(req.Type)), msg.OK
}

// shard is the shard of all keys of req.
func (r *router) shard(req *msg.Request) (int, msg.Reason) {
	ctx, table := r.ctx, r.routes().Table
	if table.NumShards() == 1 && !r.bySlot {
		return r.found(table.Shard(nil, 0))
	}
	// One number for all keys, so that a random owner is one owner.
	rnd := r.random()
	if req.PlaceKey != nil {
		return r.found(table.Shard(req.PlaceKey, rnd))
	}
	k := req.Key(0)
	var key, other []byte
	key, ctx.key1 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key1)
	first, why := r.found(table.Shard(key, rnd))
	if req.Nkeys == 1 || why != msg.OK {
		return first, why
	}
	if r.bySlot && r.crossesSlots(req) {
		return route.None, msg.CrossServer
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
func (r *router) found(shard int) (int, msg.Reason) {
	if shard == route.None {
		return shard, r.none()
	}
	return shard, msg.OK
}

// ownerOfPlace is the server of requests without a key that are placed by something
// else, or by nothing.
func (r *router) ownerOfPlace(place []byte) (*Server, msg.Reason) {
	shard, why := r.found(r.routes().Table.Shard(place, r.random()))
	if why != msg.OK {
		return nil, why
	}
	return r.serverOfShard(shard, route.Write), msg.OK
}

// ownersOf reports whether the servers of the request's keys are found one by one.
func (r *router) ownersOf(req *msg.Request) bool {
	table := r.snap.Table
	return (table.NumShards() > 1 || r.bySlot) && !table.IsRandom() && req.PlaceKey == nil
}

// A placing deals the keys of a request to servers, by one snapshot. It may be kept after
// the router has got another one.
type placing struct {
	table *route.Table
	// servers are by their places in the table's snapshot.
	servers []*Server
	intent  route.Intent
	// of has, for each shard, the index of its share plus 1, or 0.
	of []uint16
	// shares are the shares of the shards that get keys, in the order of their first
	// keys.
	shares []share
	// hole: a key has a slot that nobody has.
	hole bool
}

// A share is the keys that one server gets: those of one shard or, in a cluster, of one
// slot.
type share struct {
	server *Server
	keys   int32
	shard  uint16
}

// The numbers of servers and of shares, plus 1, fit in 16 bits.
const _ uint16 = config.MaxServers

// newPlacing is the placing of a request of that type, by the present snapshot. It has no
// keys yet.
func (r *router) newPlacing(t msg.Type) placing {
	table := r.routes().Table
	return placing{table: table, servers: r.servers, intent: r.intent(t), of: make([]uint16, parts(table))}
}

// dealKeys fills ctx.deal with what each server gets of req. It returns false if every
// server is ejected.
func (r *router) dealKeys(req *msg.Request) bool {
	d := &r.ctx.deal
	d.to = slices.Grow(d.to[:0], req.Nkeys)[:req.Nkeys]
	p := placing{table: r.routes().Table, servers: r.servers, intent: r.intent(req.Type), of: r.shares, shares: d.shares[:0]}
	placed := r.place(&p, req, 0, d.to) && !p.hole
	d.shares = p.shares
	for i := range d.shares {
		r.shares[d.shares[i].shard] = 0
	}
	return placed
}

// place places the next keys of req, beginning with the from-th. It fills to with the
// indexes of their shares. It returns false if every server is ejected.
func (r *router) place(p *placing, req *msg.Request, from int, to []uint16) bool {
	d := &r.ctx.deal
	for i := 0; i < len(to); i += dealBlock {
		block := to[i:min(i+dealBlock, len(to))]
		keys := d.keys[:len(block)]
		d.gathered = req.Keys(from+i, keys, d.gathered)
		if !r.shards(p.table, keys, block) {
			return false
		}
		p.share(block)
	}
	return true
}

// shards fills to with the shards of keys, by a table that may be older than the router's.
func (r *router) shards(table *route.Table, keys [][]byte, to []uint16) bool {
	if table.IsSlots() {
		slots(table, keys, to)
		return true
	}
	if !table.IsRandom() {
		return table.Shards(keys, to)
	}
	for i, key := range keys {
		s := table.Shard(key, r.draw())
		if s == route.None {
			return false
		}
		to[i] = uint16(s)
	}
	return true
}

// share replaces the shards in to by the indexes of their shares.
func (p *placing) share(to []uint16) {
	of, shares := p.of, p.shares
	for i, s := range to {
		n := of[s]
		if n == 0 {
			server := p.target(s)
			p.hole = p.hole || server == nil
			shares = append(shares, share{server: server, shard: s})
			n = uint16(len(shares))
			of[s] = n
		}
		to[i] = n - 1
		shares[n-1].keys++
	}
	p.shares = shares
}

// isWhole reports whether one shard has all keys, and takes them in one request.
func (r *router) isWhole() bool { return r.snap.Table.NumShards() == 1 && !r.bySlot }

// everywhere are the servers that together have all keys. The list is not to be changed.
func (r *router) everywhere() []*Server { return r.all }

// receivers are the servers that a broadcast goes to. everyone: those without keys at
// present, since they are ejected or disabled, are among them. Replicas and the nodes that
// have left a cluster are not; a node that gets its first slots is.
func (r *router) receivers(everyone bool) []*Server {
	switch {
	case !r.bySlot && everyone:
		return r.servers[:r.snap.Owners()]
	case r.bySlot && len(r.snap.Scans.Nodes) > len(r.all): // some have keys, and no slot yet
		all := make([]*Server, len(r.snap.Scans.Nodes))
		for i, n := range r.snap.Scans.Nodes {
			all[i] = r.serverOfScan(n)
		}
		return all
	}
	return r.all
}

// serverOf is the pool's server with that Health, or nil.
func (r *router) serverOf(h *topology.Health) *Server {
	if i := r.snap.Place(h); i >= 0 {
		return r.servers[i]
	}
	return nil
}
