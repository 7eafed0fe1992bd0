package route

import "nuthatch/internal/hashkit"

// A Ring is what all tables of the same servers have in common. Each server is a shard
// of its own: the i-th server is the i-th shard. The tables differ in which servers are
// down.
type Ring struct {
	hash         hashkit.Hash
	tag          hashkit.Tag
	distribution hashkit.Distribution
	shards       []Shard
	all          []uint16
}

// NewRing returns what tables of n servers have in common.
func NewRing(d hashkit.Distribution, h hashkit.Hash, tag hashkit.Tag, n int) *Ring {
	r := &Ring{hash: h, tag: tag, distribution: d, shards: make([]Shard, n), all: make([]uint16, n)}
	for i := range n {
		r.all[i] = uint16(i)
		only := r.all[i : i+1 : i+1]
		r.shards[i] = Shard{Write: only, Read: only}
	}
	return r
}

// ReadFrom has each server be read from its replicas, too: of has them by the servers'
// places. It must be called before the first table is made.
func (r *Ring) ReadFrom(of map[uint16][]uint16) { readFrom(r.shards, of) }

// Table returns the table of the nodes. There must be as many as NewRing was told.
// Nodes that are down have no keys.
func (r *Ring) Table(nodes []hashkit.Node) *Table {
	ring := hashkit.Ring{Hash: r.hash, Tag: r.tag, Continuum: hashkit.NewContinuum(r.distribution, nodes)}
	return NewTable(ring, r.shards, r.all)
}
