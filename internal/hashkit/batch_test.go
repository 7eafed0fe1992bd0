package hashkit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"nuthatch/internal/hashkit"
)

// TestServersIsServer: many keys at once have the owners that each has alone,
// whatever their lengths and bytes.
func TestServersIsServer(t *testing.T) {
	t.Parallel()
	three := []hashkit.Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 2}, {Name: "c", Weight: 3}}
	for i, name := range hashkit.HashNames() {
		for _, tag := range []hashkit.Tag{{}, {'{', '}'}} {
			for n, nodes := range map[string][]hashkit.Node{"three": three, "one": three[:1]} {
				t.Run(fmt.Sprintf("%s/%q/%s", name, tag, n), func(t *testing.T) {
					t.Parallel()
					ring := hashkit.Ring{Hash: hashkit.Hash(i), Tag: tag, Continuum: hashkit.NewContinuum(hashkit.Ketama, nodes)}
					compareOwners(t, &ring)
				})
			}
		}
	}
}

func compareOwners(t *testing.T, ring *hashkit.Ring) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		keys := make([][]byte, random.IntN(20))
		for i := range keys {
			keys[i] = make([]byte, random.IntN(1+random.IntN(40)))
			for j := range keys[i] {
				keys[i][j] = "abc{}\x00\x7f\x80\xff0"[random.IntN(10)]
			}
			// Most keys of a request begin alike.
			if i%8 > 0 {
				keys[i] = append([]byte("session\xff:{t}"[:8+4*(i%3%2)]), keys[i]...)
			}
		}
		want := make([]int, len(keys))
		for i, key := range keys {
			want[i] = ring.Server(key, 0)
		}
		owners := make([]uint16, len(keys))
		if !ring.Servers(keys, owners) {
			t.Fatal("no server is live")
		}
		for i, key := range keys {
			if int(owners[i]) != want[i] {
				t.Fatalf("of %q: %q has owner %d, want %d", keys, key, owners[i], want[i])
			}
		}
	}
}

func TestServersOfNoServer(t *testing.T) {
	t.Parallel()
	for _, down := range [][]hashkit.Node{nil, {{Name: "a", Down: true}}, {{Name: "a", Down: true}, {Name: "b", Down: true}}} {
		ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(hashkit.Ketama, down)}
		if ring.Servers(make([][]byte, 5), make([]uint16, 5)) {
			t.Errorf("%d servers, none of them live, own keys", len(down))
		}
	}
}

// BenchmarkServers places 64 keys of 16 bytes: together, and one by one.
func BenchmarkServers(b *testing.B) {
	keys := make([][]byte, 64)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%012d", i*7919)
	}
	owners := make([]uint16, len(keys))
	perKey := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(keys)), "ns/key")
	}
	for _, servers := range []int{3, 100, 1000} {
		var nodes []hashkit.Node
		for i := range servers {
			nodes = append(nodes, hashkit.Node{Name: fmt.Sprintf("node%05d", i), Weight: 1})
		}
		ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(hashkit.Ketama, nodes)}
		b.Run(fmt.Sprintf("%d/together", servers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ring.Servers(keys, owners)
			}
			perKey(b)
		})
		b.Run(fmt.Sprintf("%d/alone", servers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i, key := range keys {
					owners[i] = uint16(ring.Server(key, 0))
				}
			}
			perKey(b)
		})
	}
}

func TestServersDoesNotAllocate(t *testing.T) {
	nodes := []hashkit.Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 2}, {Name: "c", Weight: 3}}
	ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(hashkit.Ketama, nodes)}
	keys, owners := make([][]byte, 9), make([]uint16, 9)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%012d", i)
	}
	if n := testing.AllocsPerRun(100, func() { ring.Servers(keys, owners) }); n > 0 {
		t.Errorf("placing many keys allocates %v times", n)
	}
}
