package hashkit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

func nodesOf(weights ...int) []Node {
	nodes := make([]Node, len(weights))
	for i, w := range weights {
		nodes[i] = Node{Name: "10.0.0." + strconv.Itoa(i) + ":6379", Weight: w}
	}
	return nodes
}

// TestOverlapCountsEveryValue compares Overlap with a look-up of every value that
// CRC32 can take.
func TestOverlapCountsEveryValue(t *testing.T) {
	lists := map[string][]Node{
		"one":            nodesOf(7),
		"three":          nodesOf(1, 1, 1),
		"four, weighted": nodesOf(5, 1, 3, 2),
		"large weights":  nodesOf(1000, 20_011, 4),
		"over 15 bits":   nodesOf(30_000, 30_000),
		"over 32 bits":   nodesOf(math.MaxInt32, math.MaxInt32, math.MaxInt32),
		"many":           nodesOf(slices.Repeat([]int{1, 7, 2, 5}, 10)...),
		"many, large":    nodesOf(slices.Repeat([]int{101, 77, 250}, 20)...),
		"one ejected":    {{Name: "a", Weight: 1}, {Name: "b", Weight: 2, Down: true}, {Name: "c", Weight: 1}},
		"all ejected":    {{Name: "a", Weight: 1, Down: true}},
	}
	var all []*Continuum
	var names []string
	for name, nodes := range lists {
		for _, d := range []Distribution{Ketama, Modula} {
			all = append(all, NewContinuum(d, nodes))
			names = append(names, d.String()+" "+name)
		}
	}
	for i, a := range all {
		for j, b := range all {
			t.Run(names[i]+" to "+names[j], func(t *testing.T) {
				want := overlapByLookup(a, b, 1<<CRC32.Bits())
				got := Overlap(a, b, CRC32)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("counts %v, want %v", got, want)
				}
			})
		}
	}
}

func overlapByLookup(a, b *Continuum, values uint32) [][]uint64 {
	counts := make([][]uint64, a.Servers())
	for i := range counts {
		counts[i] = make([]uint64, b.Servers())
	}
	for v := range values {
		i, j := a.Index(v), b.Index(v)
		if i >= 0 && j >= 0 {
			counts[i][j]++
		}
	}
	return counts
}

// TestOverlapIsWhatKeysDo compares the shares of the whole space with what
// happens to many keys, within what chance allows: six standard deviations.
func TestOverlapIsWhatKeysDo(t *testing.T) {
	const keys = 200_000
	pairs := []struct {
		name     string
		old, new *Continuum
	}{
		{"ketama, a server more", NewContinuum(Ketama, nodesOf(1, 1, 1)), NewContinuum(Ketama, nodesOf(1, 1, 1, 1))},
		{"ketama, weights", NewContinuum(Ketama, nodesOf(1, 1, 1)), NewContinuum(Ketama, nodesOf(1, 2, 1))},
		{"modula, a server more", NewContinuum(Modula, nodesOf(1, 1, 1)), NewContinuum(Modula, nodesOf(1, 1, 1, 1))},
		{"modula, large weights", NewContinuum(Modula, nodesOf(65_537, 1)), NewContinuum(Modula, nodesOf(65_539, 70_000))},
		{"modula, far apart", NewContinuum(Modula, nodesOf(1, 1, 1)), NewContinuum(Modula, nodesOf(1<<30, 1<<29))},
		{"modula to ketama", NewContinuum(Modula, nodesOf(1, 2, 1)), NewContinuum(Ketama, nodesOf(1, 2, 1))},
	}
	for _, pair := range pairs {
		for _, h := range []Hash{FNV1a_64, Murmur, MD5} {
			t.Run(pair.name+" "+h.String(), func(t *testing.T) {
				shares := Overlap(pair.old, pair.new, h)
				seen := make([][]int, len(shares))
				for i := range seen {
					seen[i] = make([]int, len(shares[i]))
				}
				rnd := rand.New(rand.NewPCG(1, 2))
				for range keys {
					v := h.Sum(fmt.Appendf(nil, "user:%d:%x", rnd.Uint32(), rnd.Uint64()))
					seen[pair.old.Index(v)][pair.new.Index(v)]++
				}
				var sum uint64
				for i := range shares {
					for j, n := range shares[i] {
						sum += n
						share := float64(n) / (1 << 32)
						want := share * keys
						if math.Abs(float64(seen[i][j])-want) > 6*math.Sqrt(want*(1-share))+1 {
							t.Errorf("%d to %d: %d of %d keys, want about %.0f", i, j, seen[i][j], keys, want)
						}
					}
				}
				if sum != 1<<32 {
					t.Errorf("counts sum up to %d, want 2^32", sum)
				}
			})
		}
	}
}

func TestBits(t *testing.T) {
	for h := range Hash(len(hashNames)) {
		var used uint32
		for i := range 10_000 {
			used |= h.Sum([]byte("a longer key that fills all bits " + strconv.Itoa(i)))
		}
		if want := uint32(1<<h.Bits() - 1); used != want {
			t.Errorf("%v uses the bits %#x, want %#x", h, used, want)
		}
	}
}
