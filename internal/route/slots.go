package route

import (
	"slices"

	"nuthatch/internal/hashkit"
)

const (
	// NumSlots is how many slots a Redis Cluster has.
	NumSlots = hashkit.NumSlots
	// NoServer is the owner of a slot that no server has.
	NoServer = hashkit.NoServer
)

// NewSlots returns the table of a Redis Cluster. owners has the server of each slot, or
// NoServer. A shard is all the slots of one server: the shards are in the order of their
// servers. Keys of one shard may have different slots, and requests of several keys must
// not (Slot). without are the servers that the table has if no slot has a server: those
// that may be asked questions. There must be at least one.
func NewSlots(owners *[NumSlots]uint16, without []uint16) *Table {
	var masters []uint16
	last := uint16(NoServer)
	for _, server := range owners {
		if server == last || server == NoServer {
			continue
		}
		last = server
		if at, known := slices.BinarySearch(masters, server); !known {
			masters = slices.Insert(masters, at, server)
		}
	}
	shards := make([]Shard, len(masters))
	for i := range masters {
		shards[i][Write] = masters[i : i+1 : i+1]
	}
	shardOf := make([]uint16, NumSlots)
	last = NoServer
	shard := uint16(NoServer)
	for slot, server := range owners {
		if server != last {
			last, shard = server, NoServer
			if at, known := slices.BinarySearch(masters, server); known {
				shard = uint16(at)
			}
		}
		shardOf[slot] = shard
	}
	all := masters
	if len(all) == 0 {
		all = without
	}
	return NewTable(hashkit.SlotRing(shardOf, len(shards)), shards, all)
}

// IsSlots reports whether keys find their servers by slots.
func (t *Table) IsSlots() bool { return t.ring.Continuum.Distribution() == hashkit.Slots }

// Slot is the slot of a key. It has no meaning for a ring.
func (t *Table) Slot(key []byte) int { return hashkit.Slot(key) }

// ShardOfSlot is the shard that has a slot, or None.
func (t *Table) ShardOfSlot(slot int) int {
	if p, ok := t.ring.Continuum.Lookup(uint32(slot)); ok {
		return p.Server
	}
	return None
}

// OwnerOfSlot is the server to which the keys of a slot are written, or NoServer.
func (t *Table) OwnerOfSlot(slot int) uint16 {
	shard := t.ShardOfSlot(slot)
	if shard == None {
		return NoServer
	}
	return t.shards[shard][Write][0]
}

// Owners has the server of each slot, or NoServer. It is the caller's.
func (t *Table) Owners() *[NumSlots]uint16 {
	owners := new([NumSlots]uint16)
	for slot := range owners {
		owners[slot] = t.OwnerOfSlot(slot)
	}
	return owners
}
