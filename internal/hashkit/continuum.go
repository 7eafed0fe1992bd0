package hashkit

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Node is one server of a pool: all that its place on the continuum depends on.
type Node struct {
	// Name is the string that nutcracker hashes: the name behind the weight in
	// the configuration, else what NodeName gives. Unique within a pool.
	Name string
	// Weight is at least 1 (configuration refuses 0). A node of weight 0 or less
	// is live but owns nothing.
	Weight int
	// Down says that the server is ejected: it owns nothing, and the points of
	// the others are counted as if it were not in the pool.
	Down bool
}

// Point is one entry of a continuum.
type Point struct {
	// Value is the point's place. It owns the values from the point before
	// (excluded) to this one (included). For ketama, values are places on the
	// circle of all 32-bit numbers. For modula they are slots, counted from 0 up to
	// the sum of the live weights, one run of slots per server; Value is the
	// last slot of the run. For random, as modula with all weights 1.
	Value uint32
	// Server is the index of the owner in the list given to NewContinuum.
	Server int
}

// Continuum maps 32-bit values to the live servers of a pool. It is immutable
// and safe to share between threads.
//
// All three distributions are the same search for the first point whose value is
// not below the wanted one. It begins at a place that the high bits of the value
// give (start), not in the middle of the points:
//
//	value  >> shift        start          points
//	0x5a…  -------> [0x5a] ----> 1403 --> …  0x59fe2210  0x5a07c1d0  0x5a93…
//	                                              scan up while below ^
//
// There are about as many starts as points. So the scan takes less than one step on
// average, for values that are spread evenly.
//
// Most values need no scan: a finer table (owner) says which server owns a whole part
// of the values, if only one does. There are at least ownerGrain times as many parts as
// points. So the processor nearly always predicts that branch, while it cannot predict
// the length of a scan.
type Continuum struct {
	points []point  // Invariant: sorted by value; the last is a guard at MaxUint32.
	start  []uint32 // start[v>>shift] is the first point that v can belong to
	shift  uint8
	// owner[v>>ownerShift] is the server that owns v, or divided.
	owner      []uint16
	ownerShift uint8
	modulo     uint32 // values are reduced by this first; 0: they are not

	distribution Distribution
	servers      int // nodes, live or not
	live         int
	slots        int
}

const (
	// ownerGrain is the least number of parts for each point.
	ownerGrain = 4
	// maxOwner is the largest table of owners: one of 128 KB. Continuums of more
	// points than maxOwner/ownerGrain do without.
	maxOwner = 1 << 16
	// divided says that a part has several owners.
	divided = math.MaxUint16
)

// point is Point at half its size: the value and its owner share a cache line.
type point struct {
	value  uint32
	server uint32
}

// NewContinuum builds the continuum of a pool's nodes. The order of nodes does
// not matter: before it builds anything, nutcracker sorts a pool's servers by the
// length of the name and then by its bytes (which decides modula's slots, and who
// wins when two ketama points coincide), and so does NewContinuum. Indices in the
// result refer to the list as given. nodes is not kept.
func NewContinuum(d Distribution, nodes []Node) *Continuum {
	c := &Continuum{distribution: d, servers: len(nodes)}
	live := make([]liveNode, 0, len(nodes))
	for i, n := range nodes {
		if !n.Down {
			live = append(live, liveNode{name: n.Name, weight: uint64(max(n.Weight, 0)), server: uint32(i)})
		}
	}
	c.live = len(live)
	if c.live == 0 {
		return c
	}
	slices.SortStableFunc(live, func(a, b liveNode) int {
		return cmp.Or(cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	switch d {
	case Ketama:
		c.points = ketamaPoints(live)
		c.slots = len(c.points)
	case Modula:
		c.setSlots(live)
	case Random:
		for i := range live {
			live[i].weight = 1
		}
		c.setSlots(live)
	case Slots: // SlotRing makes these
	}
	c.buildIndex()
	return c
}

// liveNode is a node that takes part in a continuum.
type liveNode struct {
	name   string
	weight uint64
	server uint32
}

// setSlots gives every node a run of as many slots as its weight. Slots beyond
// 2^32 cannot be reached by a 32-bit value; with that many, values are not
// reduced.
func (c *Continuum) setSlots(live []liveNode) {
	var total uint64
	for _, n := range live {
		total += n.weight
		if n.weight > 0 {
			c.points = append(c.points, point{value: uint32(min(total-1, math.MaxUint32)), server: n.server})
		}
	}
	c.slots = int(total)
	if total <= math.MaxUint32 {
		c.modulo = uint32(total)
	}
}

// buildIndex appends the guard and fills start. The guard is the first point
// once more, for the values above the last one: the circle closes.
func (c *Continuum) buildIndex() {
	if len(c.points) == 0 {
		return
	}
	highest := uint32(math.MaxUint32)
	if c.modulo > 0 {
		highest = c.modulo - 1
	}
	c.shift = uint8(max(bits.Len32(highest)-bits.Len(uint(len(c.points))), 0))
	c.points = append(c.points, point{value: math.MaxUint32, server: c.points[0].server})
	c.start = make([]uint32, highest>>c.shift+1)
	at := 0
	for i := range c.start {
		for c.points[at].value < uint32(i)<<c.shift {
			at++
		}
		c.start[i] = uint32(at)
	}
	c.buildOwner(highest)
}

// buildOwner fills owner, for values up to highest.
func (c *Continuum) buildOwner(highest uint32) {
	n := len(c.points)
	if n > maxOwner/ownerGrain || c.servers >= divided {
		c.owner, c.ownerShift = []uint16{divided}, 32
		return
	}
	// Four times as many parts as needed, if there is room.
	parts := min(bits.Len(uint(4*ownerGrain*n-1)), bits.Len(maxOwner)-1)
	c.ownerShift = uint8(max(bits.Len32(highest)-parts, 0))
	c.owner = make([]uint16, highest>>c.ownerShift+1)
	at := 0
	for i := range c.owner {
		first := uint32(i) << c.ownerShift
		last := min(first|(1<<c.ownerShift-1), highest)
		for c.points[at].value < first {
			at++
		}
		c.owner[i] = uint16(c.points[at].server)
		for j := at; c.points[j].value < last; j++ {
			if c.points[j+1].server != c.points[at].server {
				c.owner[i] = divided
				break
			}
		}
	}
}

// Index returns the index of the server that owns hash, or -1 if no server is
// live, or none has the slot. For random, hash is any random number.
func (c *Continuum) Index(hash uint32) int {
	if len(c.points) == 0 {
		return -1
	}
	if c.modulo > 0 {
		hash %= c.modulo
	}
	if s := c.owner[hash>>c.ownerShift]; s != divided {
		return int(s)
	}
	return int(int32(c.find(hash).server)) // -1: nobody
}

// Lookup returns the point that decides about hash; its Server is what Index
// returns. ok is false if no server is live. Above the last point of a ketama
// ring the first one decides, and is returned with its own value. Of slots the slot is the
// point.
func (c *Continuum) Lookup(hash uint32) (p Point, ok bool) {
	if len(c.points) == 0 {
		return Point{}, false
	}
	if c.modulo > 0 {
		hash %= c.modulo
	}
	if c.distribution == Slots {
		s := c.owner[hash]
		return Point{Value: hash, Server: int(s)}, s != NoServer
	}
	found := c.find(hash)
	if found == &c.points[len(c.points)-1] {
		found = &c.points[0]
	}
	return Point{Value: found.value, Server: int(found.server)}, true
}

// find is the point that decides about a reduced value. There must be one.
func (c *Continuum) find(hash uint32) *point {
	at := c.start[hash>>c.shift]
	for c.points[at].value < hash {
		at++
	}
	return &c.points[at]
}

// Distribution returns the distribution that the continuum was built for.
func (c *Continuum) Distribution() Distribution { return c.distribution }

// Servers returns the number of nodes that the continuum was built from, those
// that are down included.
func (c *Continuum) Servers() int { return c.servers }

// Live returns the number of nodes that are not down.
func (c *Continuum) Live() int { return c.live }

// Points returns what nutcracker counts as points of the continuum: ketama's
// ring points, modula's slots, random's live servers; 0 if no server is live.
func (c *Continuum) Points() int { return c.slots }
