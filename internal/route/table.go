// Package route says which servers a key may go to. Its tables are immutable, and pure:
// a server is a number, its place among the servers of whoever made the table, and
// nothing is known here of how servers are or where.
//
//	key ─► Shard ─► Targets(intent) ─► servers, the first choice first
//	       All ──────────────────────► the servers that together have every key
//
// A table is made anew when anything of it changes. What is kept longer than a table
// keeps servers, and no numbers.
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

// None is the shard of a key that no server has at the moment.
const None = -1

// A Shard is a part of the keys: which servers it may be written to and read from, the
// first choice first. It has one to write to at the least; nil is what Write says.
type Shard [numIntents][]uint16

// A Table is how keys find their servers.
type Table struct {
	// ring is how a key finds its shard.
	ring   hashkit.Ring
	shards []Shard
	all    []uint16
}

// NewTable returns a table of shards, which a key finds by the ring, and of all servers
// that together have every key. The table owns what it is given.
func NewTable(ring hashkit.Ring, shards []Shard, all []uint16) *Table {
	for i := range shards {
		if shards[i][Read] == nil {
			shards[i][Read] = shards[i][Write]
		}
	}
	return &Table{ring: ring, shards: shards, all: all}
}

// Shard returns the shard that has the key, or None. rnd decides when keys are dealt at
// random, and is ignored otherwise.
func (t *Table) Shard(key []byte, rnd uint32) int { return t.ring.Server(key, rnd) }

// Shards finds the shards of many keys, as Shard does of one: dst[i] becomes that of
// keys[i]. It reports false, and dst is of no use, if no server has any. dst must be as
// long as keys. Keys that are dealt at random have no shards; Shard deals them. What keys
// holds afterwards is undefined.
func (t *Table) Shards(keys [][]byte, dst []uint16) bool { return t.ring.Servers(keys, dst) }

// Targets are the servers of a shard for a request of that intent, the first choice
// first: one at the least. They are not to be changed.
func (t *Table) Targets(shard int, intent Intent) []uint16 { return t.shards[shard][intent] }

// NumShards is how many shards there are.
func (t *Table) NumShards() int { return len(t.shards) }

// All are the servers that together have every key: for requests about all keys, walks
// over them, and questions that any of them may answer. They are not to be changed.
func (t *Table) All() []uint16 { return t.all }

// IsRandom reports whether keys are dealt at random, so that none has a shard.
func (t *Table) IsRandom() bool { return t.ring.Continuum.Distribution() == hashkit.Random }

// Ring is the ring by which keys find their shards.
func (t *Table) Ring() hashkit.Ring { return t.ring }
