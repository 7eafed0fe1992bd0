package route

import (
	"fmt"
	"slices"
	"testing"

	"nuthatch/internal/hashkit"
)

func nodes(n int, down ...int) []hashkit.Node {
	list := make([]hashkit.Node, n)
	for i := range list {
		list[i] = hashkit.Node{Name: fmt.Sprintf("10.0.0.%d", i), Weight: 1, Down: slices.Contains(down, i)}
	}
	return list
}

// Each server of a ring is a shard of its own, and a key's shard is the owner that
// nutcracker's ring gives it, one by one and many at a time.
func TestRingIsNutcrackers(t *testing.T) {
	for _, d := range []hashkit.Distribution{hashkit.Ketama, hashkit.Modula} {
		ring := NewRing(d, hashkit.FNV1a_64, hashkit.Tag{'{', '}'}, 5)
		table := ring.Table(nodes(5, 3))
		want := hashkit.Ring{Hash: hashkit.FNV1a_64, Tag: hashkit.Tag{'{', '}'}, Continuum: hashkit.NewContinuum(d, nodes(5, 3))}
		keys, shards := make([][]byte, 1000), make([]uint16, 1000)
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "{user%d}key", i)
		}
		owners := make([]int, len(keys))
		for i, key := range keys {
			owners[i] = want.Server(key, 0)
			if got := table.Shard(key, 0); got != owners[i] || got == 3 {
				t.Fatalf("%v: %s is shard %d's, its owner is %d", d, key, got, owners[i])
			}
		}
		if !table.Shards(keys, shards) {
			t.Fatalf("%v: no shard has keys", d)
		}
		for i, s := range shards {
			if int(s) != owners[i] {
				t.Fatalf("%v: of many keys the %d-th is shard %d's, its owner is %d", d, i, s, owners[i])
			}
			for _, intent := range []Intent{Read, Write} {
				if to := table.Targets(int(s), intent); len(to) != 1 || to[0] != s {
					t.Fatalf("shard %d is to be found at %v", s, to)
				}
			}
		}
		if table.NumShards() != 5 || !slices.Equal(table.All(), []uint16{0, 1, 2, 3, 4}) || table.IsRandom() {
			t.Errorf("%v: %d shards, everywhere is %v", d, table.NumShards(), table.All())
		}
	}
}

// With all servers down no key has a shard.
func TestNoShard(t *testing.T) {
	table := NewRing(hashkit.Ketama, hashkit.FNV1a_64, hashkit.Tag{}, 2).Table(nodes(2, 0, 1))
	if got := table.Shard([]byte("key"), 0); got != None {
		t.Errorf("a key has the shard %d", got)
	}
	if table.Shards([][]byte{[]byte("key")}, make([]uint16, 1)) {
		t.Error("many keys have shards")
	}
}

// Keys that are dealt at random have no shard of their own.
func TestRandom(t *testing.T) {
	table := NewRing(hashkit.Random, hashkit.FNV1a_64, hashkit.Tag{}, 3).Table(nodes(3))
	if !table.IsRandom() || table.Shard([]byte("a"), 1) != table.Shard([]byte("b"), 1) || table.Shard([]byte("a"), 1) == table.Shard([]byte("a"), 2) {
		t.Error("it is the number that decides")
	}
}

// A shard may be read from others than it is written to; one of which nothing else is
// said is read where it is written.
func TestIntents(t *testing.T) {
	ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(hashkit.Modula, nodes(2))}
	table := NewTable(ring, []Shard{
		{Write: {0}, Read: {2, 3, 0}},
		{Write: {1}},
	}, []uint16{0, 1})
	for _, tt := range []struct {
		shard  int
		intent Intent
		want   []uint16
	}{
		{0, Write, []uint16{0}},
		{0, Read, []uint16{2, 3, 0}},
		{1, Write, []uint16{1}},
		{1, Read, []uint16{1}},
	} {
		if got := table.Targets(tt.shard, tt.intent); !slices.Equal(got, tt.want) {
			t.Errorf("shard %d, intent %d: %v, want %v", tt.shard, tt.intent, got, tt.want)
		}
	}
	if got := table.All(); !slices.Equal(got, []uint16{0, 1}) {
		t.Errorf("everywhere is %v", got)
	}
}

// A new table of a ring allocates no more for its shards.
func TestTablesShareTheirShards(t *testing.T) {
	ring := NewRing(hashkit.Modula, hashkit.FNV1a_64, hashkit.Tag{}, 3)
	a, b := ring.Table(nodes(3)), ring.Table(nodes(3, 1))
	if &a.All()[0] != &b.All()[0] || &a.shards[0] != &b.shards[0] {
		t.Error("each has its own")
	}
}
