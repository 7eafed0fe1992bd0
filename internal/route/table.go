// Package route says which servers a key may go to. Its tables are immutable and pure. A
// table is a ring (ring.go), or the slots of a Redis Cluster (slots.go).
// A server is a number, its place among the servers of whoever made the table. The
// package knows neither servers' states nor their addresses.
//
//	key ─► Shard ─► Targets(intent) ─► servers
//	       All ──────────────────────► the servers that together have every key
//
// If anything changes, a new table is made. The numbers are valid only for their table.
// What is kept longer must keep servers, not numbers.
package route

import "nuthatch/internal/hashkit"

// An Intent is what a request does with its keys.
type Intent uint8

const (
	// Write means that it may change them.
	Write Intent = iota
	// Read means that it leaves them as they are.
	Read
	numIntents
)

// None is the shard of a key that no server has at present.
const None = -1

// A Shard is a part of the keys. Write and Read are the servers that it may be written
// to and read from, the first choice first. Read has the primary and its replicas: which one
// is read from is for the caller to choose. Write has at least one. Read is nil if it is the
// same as Write.
type Shard [numIntents][]uint16

// A Table is how keys find their servers.
type Table struct {
	// ring is how a key finds its shard.
	ring   hashkit.Ring
	shards []Shard
	all    []uint16
}

// NewTable returns a table. The ring gives a key's shard. all are the servers that
// together have every key. The table owns its arguments.
func NewTable(ring hashkit.Ring, shards []Shard, all []uint16) *Table {
	for i := range shards {
		if shards[i][Read] == nil {
			shards[i][Read] = shards[i][Write]
		}
	}
	return &Table{ring: ring, shards: shards, all: all}
}

// ReadFrom has the shards be read from replicas, too: of has them by the servers that are
// written to. It must be called before the table is used.
func (t *Table) ReadFrom(of map[uint16][]uint16) { readFrom(t.shards, of) }

// readFrom sets where shards are read from: the server that is written to, and the replicas.
func readFrom(shards []Shard, of map[uint16][]uint16) {
	for i := range shards {
		to := shards[i][Write]
		if replicas := of[to[0]]; len(replicas) > 0 {
			shards[i][Read] = append(append(make([]uint16, 0, len(replicas)+1), to[0]), replicas...)
		}
	}
}

// Shard returns the shard that has the key, or None. rnd decides when keys are dealt at
// random, and is ignored otherwise.
func (t *Table) Shard(key []byte, rnd uint32) int { return t.ring.Server(key, rnd) }

// Shards finds the shards of many keys: dst[i] becomes that of keys[i]. It returns
// false, and dst is undefined, if no server has any key, or if none has the slot of one of
// them. dst must be as long as keys.
// It must not be called for a table that deals keys at random. The contents of keys are
// undefined afterwards.
func (t *Table) Shards(keys [][]byte, dst []uint16) bool { return t.ring.Servers(keys, dst) }

// Targets are the servers of a shard for a request of that intent, at least one, the
// first choice first. They must not be changed.
func (t *Table) Targets(shard int, intent Intent) []uint16 { return t.shards[shard][intent] }

// NumShards is how many shards there are.
func (t *Table) NumShards() int { return len(t.shards) }

// All are the servers that together have every key. They are for requests about all
// keys, for walks, and for questions that any of them may answer. They must not be
// changed.
func (t *Table) All() []uint16 { return t.all }

// IsRandom reports whether keys are dealt at random, so that none has a shard.
func (t *Table) IsRandom() bool { return t.ring.Continuum.Distribution() == hashkit.Random }

// Ring is the ring by which keys find their shards.
func (t *Table) Ring() hashkit.Ring { return t.ring }
