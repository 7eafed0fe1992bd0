package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// owned are the owners of all slots, from runs of their last slots and their servers.
func owned(runs ...[2]int) *[NumSlots]uint16 {
	owners := new([NumSlots]uint16)
	at := 0
	for _, run := range runs {
		for ; at <= run[0]; at++ {
			owners[at] = uint16(run[1])
		}
	}
	return owners
}

// The slots of keys are Redis's. These were answered by CLUSTER KEYSLOT.
func TestSlotsAreRedis(t *testing.T) {
	table := NewSlots(owned([2]int{NumSlots - 1, 0}), []uint16{0})
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "{foo}.bar": 12182, "a{foo}b{c}": 12182, "{}foo": 9500,
		"user:1000": 1649, "{user1000}.following": 3443, "{user1000}.followers": 3443, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061,
	} {
		if got := table.Slot([]byte(key)); got != want {
			t.Errorf("the slot of %q is %d, want %d", key, got, want)
		}
	}
}

// slotByBit is the slot of a key without a tag, bit by bit.
func slotByBit(key []byte) int {
	crc := uint16(0)
	for _, b := range key {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % NumSlots)
}

// Keys of every length and content have the slot that the polynomial gives.
func TestSlotsOfAnyKey(t *testing.T) {
	table := NewSlots(owned([2]int{NumSlots - 1, 0}), []uint16{0})
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		key := make([]byte, n)
		for i := range key {
			if key[i] = byte(rnd.Uint32()); key[i] == '{' {
				key[i] = 0
			}
		}
		if got, want := table.Slot(key), slotByBit(key); got != want {
			t.Fatalf("the slot of %q is %d, want %d", key, got, want)
		}
	}
}

// A key's shard is the one of its slot, one by one and many at a time; a slot that no
// server has has none.
func TestSlotTable(t *testing.T) {
	table := NewSlots(owned([2]int{99, 7}, [2]int{5999, 2}, [2]int{6999, NoServer}, [2]int{NumSlots - 1, 7}), nil)
	if !table.IsSlots() || table.IsRandom() || table.NumShards() != 2 || !slices.Equal(table.All(), []uint16{2, 7}) {
		t.Fatalf("slots: %v; %d shards, all are %v", table.IsSlots(), table.NumShards(), table.All())
	}
	var keys [][]byte
	var want []uint16
	holes := 0
	for i := range 2000 {
		key := fmt.Appendf(nil, "key:%d", i)
		slot, shard := table.Slot(key), None
		switch {
		case slot >= 100 && slot < 6000:
			shard = 0
		case slot < 6000 || slot >= 7000:
			shard = 1
		}
		if got := table.Shard(key, 0); got != shard || table.ShardOfSlot(slot) != shard {
			t.Fatalf("%s with slot %d is shard %d's, its slot shard %d's, want %d", key, slot, got, table.ShardOfSlot(slot), shard)
		}
		if shard == None {
			holes++
			if table.OwnerOfSlot(slot) != NoServer || table.Shards([][]byte{slices.Clone(key)}, make([]uint16, 1)) {
				t.Fatalf("slot %d has a server", slot)
			}
			continue
		}
		keys, want = append(keys, key), append(want, uint16(shard))
		for _, intent := range []Intent{Read, Write} {
			if to := table.Targets(shard, intent); len(to) != 1 || to[0] != []uint16{2, 7}[shard] || to[0] != table.OwnerOfSlot(slot) {
				t.Fatalf("shard %d is at %v", shard, to)
			}
		}
	}
	got := make([]uint16, len(keys))
	if !table.Shards(keys, got) || !slices.Equal(got, want) || holes == 0 {
		t.Errorf("many keys have other shards than each by itself; %d have none", holes)
	}
	if owners := table.Owners(); owners[0] != 7 || owners[100] != 2 || owners[6000] != NoServer || owners[7000] != 7 {
		t.Errorf("the owners are %d, %d, %d, %d", owners[0], owners[100], owners[6000], owners[7000])
	}
}

// A table without owners has servers nevertheless, which may be asked.
func TestSlotsWithoutOwners(t *testing.T) {
	table := NewSlots(owned([2]int{NumSlots - 1, NoServer}), []uint16{0, 1})
	if table.Shard([]byte("a"), 0) != None || table.NumShards() != 0 || !slices.Equal(table.All(), []uint16{0, 1}) {
		t.Errorf("a key has a shard, or all are %v", table.All())
	}
	if table.Shards([][]byte{[]byte("a")}, make([]uint16, 1)) {
		t.Error("many keys have shards")
	}
}

// A single server has every slot: it knows best which ones it has.
func TestSlotsOfOneServer(t *testing.T) {
	table := NewSlots(owned([2]int{99, 3}, [2]int{NumSlots - 1, NoServer}), nil)
	got := make([]uint16, 1)
	if table.Shard([]byte("foo"), 0) != 0 || !table.Shards([][]byte{[]byte("foo")}, got) || got[0] != 0 || table.Slot([]byte("foo")) != 12182 {
		t.Error("the only server does not have a key")
	}
}

// 16,384 slots of 2,000 servers in turn take no more memory than the slots of two.
func TestSlotsMemoryIsBounded(t *testing.T) {
	owners := new([NumSlots]uint16)
	for slot := range owners {
		owners[slot] = uint16(slot % 2000)
	}
	if n := testing.AllocsPerRun(1, func() { NewSlots(owners, nil) }); n > 40 {
		t.Errorf("a table of 2,000 servers takes %.0f allocations", n)
	}
	if table := NewSlots(owners, nil); table.NumShards() != 2000 || table.OwnerOfSlot(4001) != 1 {
		t.Errorf("there are %d shards", table.NumShards())
	}
}

func BenchmarkShard(b *testing.B) {
	keys := make([][]byte, 256)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "session:%08d:profile", i*7919)
	}
	owners := new([NumSlots]uint16)
	for slot := range owners {
		owners[slot] = uint16(slot * 3 / NumSlots)
	}
	for name, table := range map[string]*Table{
		"ketama": NewRing(0, 6, [2]byte{}, 3).Table(nodes(3)),
		"slots":  NewSlots(owners, nil),
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for i := range b.N {
				n += table.Shard(keys[i&255], 0)
			}
			_ = n
		})
		b.Run(name+"/100", func(b *testing.B) {
			many, dst := make([][]byte, 100), make([]uint16, 100)
			for range b.N {
				copy(many, keys)
				table.Shards(many, dst)
			}
		})
	}
}
