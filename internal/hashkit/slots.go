package hashkit

import (
	"encoding/binary"
	"math"
)

// A Redis Cluster divides its keys into slots. The hash of a key's tag gives the slot, and
// a list says which server has it. That is a continuum of a kind of its own, whose table
// of owners is the list.

const (
	// NumSlots is how many slots a Redis Cluster has.
	NumSlots = 16384
	// NoServer is the owner of a slot that no server has.
	NoServer = divided
)

// slotTag encloses the part of a key that gives its slot.
var slotTag = Tag{'{', '}'}

// SlotRing returns the ring of a Redis Cluster: owners has the server of each slot, or
// NoServer, and servers is how many servers there are. A single server has every slot,
// since nobody else could be asked. owners must not be changed afterwards.
func SlotRing(owners []uint16, servers int) Ring {
	return Ring{Hash: SlotHash, Tag: slotTag, Continuum: &Continuum{
		distribution: Slots, servers: servers, live: servers, slots: NumSlots,
		modulo: NumSlots, owner: owners[:NumSlots:NumSlots],
		// This is the owner of the slots that have none.
		points: []point{{value: math.MaxUint32, server: nobody}}, start: []uint32{0}, shift: 32,
	}}
}

// nobody is the server of a point that no server has: as a signed number it is -1.
const nobody = math.MaxUint32

// Slot is the slot of a key.
func Slot(key []byte) int { return int(slotSum(slotTag.Of(key)) % NumSlots) }

// slotServers is Ring.Servers for slots. It also returns false if no server has the slot of
// one of the keys.
func (c *Continuum) slotServers(keys [][]byte, dst []uint16) bool {
	all := true
	for i, key := range keys {
		s := c.owner[Slot(key)]
		dst[i], all = s, all && s != NoServer
	}
	return all
}

// slotShares is Shares for slots.
func (c *Continuum) slotShares() []float64 {
	shares := make([]float64, c.servers)
	for _, s := range c.owner {
		if s != NoServer {
			shares[s] += 1.0 / NumSlots
		}
	}
	return shares
}

// isLikeSlots is IsLike for slots.
func (c *Continuum) isLikeSlots(other *Continuum, same func(i, j int) bool) bool {
	lastI, lastJ := -1, -1
	for slot, i := range c.owner {
		j := other.owner[slot]
		if int(i) == lastI && int(j) == lastJ {
			continue
		}
		if (i == NoServer) != (j == NoServer) || i != NoServer && !same(int(i), int(j)) {
			return false
		}
		lastI, lastJ = int(i), int(j)
	}
	return true
}

// slotTables are for eight bytes at once: slotTables[k][b] is the CRC of the byte b with k
// zeroes behind it.
var slotTables = func() (tables [8][256]uint16) {
	for b := range 256 {
		crc := uint16(crc16Table[b])
		for k := range tables {
			tables[k][b] = crc
			crc = crc<<8 ^ uint16(crc16Table[crc>>8])
		}
	}
	return tables
}()

// slotSum is CRC-16/XMODEM.
func slotSum(key []byte) uint32 {
	t := &slotTables
	var crc uint16
	for ; len(key) >= 8; key = key[8:] {
		w := binary.BigEndian.Uint64(key)
		x := crc ^ uint16(w>>48)
		crc = t[7][x>>8] ^ t[6][x&0xff] ^ t[5][w>>40&0xff] ^ t[4][w>>32&0xff] ^
			t[3][w>>24&0xff] ^ t[2][w>>16&0xff] ^ t[1][w>>8&0xff] ^ t[0][w&0xff]
	}
	for _, b := range key {
		crc = crc<<8 ^ t[0][byte(crc>>8)^b]
	}
	return uint32(crc)
}
