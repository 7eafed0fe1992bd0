package hashkit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

// testNodes are named so that their order on the continuum is that of the list.
func testNodes(weights ...int) []Node {
	nodes := make([]Node, 0, len(weights))
	for i, weight := range weights {
		nodes = append(nodes, Node{Name: fmt.Sprintf("node%05d", i), Weight: weight})
	}
	return nodes
}

func equalNodes(n int) []Node { return testNodes(slices.Repeat([]int{1}, n)...) }

// plainSearch is the definition that the indexed search must agree with: the
// first point not below the hash, the first of all if there is none.
func plainSearch(c *Continuum, hash uint32) Point {
	points := c.points[:len(c.points)-1] // without the guard
	if c.modulo > 0 {
		hash %= c.modulo
	}
	at := sort.Search(len(points), func(i int) bool { return points[i].value >= hash })
	if at == len(points) {
		at = 0
	}
	return Point{Value: points[at].value, Server: int(points[at].server)}
}

func TestIndexIsAPlainSearch(t *testing.T) {
	t.Parallel()
	const hugeWeight = math.MaxInt32
	lists := map[string][]Node{
		"1":          equalNodes(1),
		"2":          equalNodes(2),
		"3":          equalNodes(3),
		"100":        equalNodes(100),
		"1000":       equalNodes(1000),
		"uneven":     testNodes(1, 1, 1, 1_000_000, 7, 30, 1),
		"huge":       testNodes(1, hugeWeight, hugeWeight, 3),
		"one huge":   testNodes(hugeWeight),
		"weightless": testNodes(0, 5, 0, 5, 0),
	}
	for name, nodes := range lists {
		for _, d := range []Distribution{Ketama, Modula, Random} {
			t.Run(name+"/"+d.String(), func(t *testing.T) {
				t.Parallel()
				compareSearches(t, NewContinuum(d, nodes))
			})
		}
	}
}

func compareSearches(t *testing.T, c *Continuum) {
	t.Helper()
	if !slices.IsSortedFunc(c.points, func(a, b point) int { return int(int64(a.value) - int64(b.value)) }) {
		t.Fatal("the points are not sorted")
	}
	hashes := []uint32{0, 1, math.MaxUint32 - 1, math.MaxUint32}
	for _, p := range c.points {
		hashes = append(hashes, p.value-1, p.value, p.value+1)
	}
	for i := range c.start {
		edge := uint32(i) << c.shift
		hashes = append(hashes, edge-1, edge, edge+1)
	}
	for i := range c.owner {
		edge := uint32(i) << c.ownerShift
		hashes = append(hashes, edge-1, edge, edge+1)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		hashes = append(hashes, random.Uint32())
	}
	for _, hash := range hashes {
		want := plainSearch(c, hash)
		if got := c.Index(hash); got != want.Server {
			t.Fatalf("Index(%#x) = %d, want %d", hash, got, want.Server)
		}
		if got, ok := c.Lookup(hash); !ok || got != want {
			t.Fatalf("Lookup(%#x) = %+v, %v, want %+v", hash, got, ok, want)
		}
	}
}

// TestScanIsShort checks what makes a lookup's expected cost constant: the steps
// of the scan, summed over one hash in every part that a start stands for.
func TestScanIsShort(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 100, 1000} {
		for _, d := range []Distribution{Ketama, Modula} {
			c := NewContinuum(d, equalNodes(n))
			random, steps := rand.New(rand.NewPCG(3, 4)), 0
			const lookups = 10_000
			for range lookups {
				hash := random.Uint32()
				if c.modulo > 0 {
					hash %= c.modulo
				}
				for at := c.start[hash>>c.shift]; c.points[at].value < hash; at++ {
					steps++
				}
			}
			if average := float64(steps) / lookups; average > 1 {
				t.Errorf("%v of %d servers: %.2f steps per lookup, want at most 1", d, n, average)
			}
		}
	}
}

// TestModulaSlots follows nutcracker's rule: hash modulo the sum of the live
// weights, slots in the order of name length, then name.
func TestModulaSlots(t *testing.T) {
	t.Parallel()
	c := NewContinuum(Modula, []Node{
		{Name: "longest", Weight: 2},
		{Name: "b", Weight: 1},
		{Name: "down", Weight: 9, Down: true},
		{Name: "a", Weight: 3},
	})
	want := []int{3, 3, 3, 1, 0, 0}
	if got := c.Points(); got != len(want) {
		t.Errorf("Points() = %d, want %d", got, len(want))
	}
	for hash := range uint32(60) {
		if got := c.Index(hash); got != want[int(hash)%len(want)] {
			t.Errorf("Index(%d) = %d, want %d", hash, got, want[int(hash)%len(want)])
		}
	}
}

func TestKetamaPoints(t *testing.T) {
	t.Parallel()
	down := testNodes(1, 1, 1)
	down[1].Down = true
	for _, test := range []struct {
		name  string
		nodes []Node
		want  []int // points of each
	}{
		{"one", equalNodes(1), []int{160}},
		{"three equal", equalNodes(3), []int{160, 160, 160}},
		{"25 equal, single precision takes a digest", equalNodes(25), slices.Repeat([]int{156}, 25)},
		{"uneven, single precision takes a digest", testNodes(6, 12, 2, 1, 29), []int{92, 188, 28, 12, 460}},
		{"too light", testNodes(1, 1000), []int{0, 316}},
		{"down", down, []int{160, 0, 160}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, got, total := NewContinuum(Ketama, test.nodes), make([]int, len(test.nodes)), 0
			for _, p := range c.points[:len(c.points)-1] {
				got[p.server]++
				total++
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("points per server = %v, want %v", got, test.want)
			}
			if c.Points() != total {
				t.Errorf("Points() = %d, want %d", c.Points(), total)
			}
		})
	}
}

// TestKetamaPointValue pins one digest to libmemcached's published values.
func TestKetamaPointValue(t *testing.T) {
	t.Parallel()
	points := ketamaPoints([]liveNode{{name: "server1", weight: 1}})
	for _, want := range []uint32{3853726576, 2667054752} { // points 0 and 3 of "server1-8"
		if !slices.ContainsFunc(points, func(p point) bool { return p.value == want }) {
			t.Errorf("no point %d", want)
		}
	}
}

// TestLongNames: beyond 272 bytes of name and number, nutcracker hashes the
// beginning only, so that all digests of a server are the same.
func TestLongNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ length, want int }{
		{269, 160}, // the name, '-' and two digits are 272 bytes
		{270, 40},  // two digits lose the second one: ten labels
		{272, 4},
		{300, 4},
	} {
		name := make([]byte, test.length)
		for i := range name {
			name[i] = 'n'
		}
		values := map[uint32]bool{}
		for _, p := range ketamaPoints([]liveNode{{name: string(name), weight: 1}}) {
			values[p.value] = true
		}
		if len(values) != test.want {
			t.Errorf("a name of %d bytes has %d different points, want %d", test.length, len(values), test.want)
		}
	}
}

// TestOrderDoesNotMatter: a shuffled list gives every hash to the same name.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	nodes := testNodes(1, 2, 3, 4, 5, 6)
	shuffled := slices.Clone(nodes)
	random := rand.New(rand.NewPCG(5, 6))
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, d := range []Distribution{Ketama, Modula} {
		a, b := NewContinuum(d, nodes), NewContinuum(d, shuffled)
		for range 1000 {
			hash := random.Uint32()
			if got, want := shuffled[b.Index(hash)].Name, nodes[a.Index(hash)].Name; got != want {
				t.Fatalf("%v: %#x is %s's, and %s's in another order", d, hash, want, got)
			}
		}
	}
}

// TestRandomShares: every live server gets its equal share whatever its weight, and
// one that is down gets nothing.
func TestRandomShares(t *testing.T) {
	t.Parallel()
	nodes := testNodes(1, 50, 3, 1, 9)
	nodes[2].Down = true
	c := NewContinuum(Random, nodes)
	if c.Points() != 4 {
		t.Errorf("Points() = %d, want 4", c.Points())
	}
	const calls = 100_000
	got, random := make([]int, len(nodes)), rand.New(rand.NewPCG(7, 8))
	for range calls {
		got[c.Index(random.Uint32())]++
	}
	for i, n := range got {
		want := calls / 4
		if nodes[i].Down {
			want = 0
		}
		if n < want*95/100 || n > want*105/100 {
			t.Errorf("server %d got %d of %d, want about %d", i, n, calls, want)
		}
	}
}

func TestNothingLive(t *testing.T) {
	t.Parallel()
	for _, d := range []Distribution{Ketama, Modula, Random} {
		c := NewContinuum(d, []Node{{Name: "a", Weight: 1, Down: true}, {Name: "b", Weight: 1, Down: true}})
		if got := c.Index(0); got != -1 {
			t.Errorf("%v: Index = %d, want -1", d, got)
		}
		if p, ok := c.Lookup(0); ok {
			t.Errorf("%v: Lookup = %+v", d, p)
		}
		if c.Distribution() != d || c.Servers() != 2 || c.Live() != 0 || c.Points() != 0 {
			t.Errorf("%v: of %d servers %d live, %d points; want 2, 0, 0", c.Distribution(), c.Servers(), c.Live(), c.Points())
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		for _, d := range []Distribution{Ketama, Modula} {
			c := NewContinuum(d, equalNodes(n))
			b.Run(fmt.Sprintf("%v/%d/indexed", d, n), func(b *testing.B) {
				b.ReportAllocs()
				hash := uint32(1)
				for b.Loop() {
					hash = hash*1664525 + 1013904223
					c.Index(hash)
				}
			})
			b.Run(fmt.Sprintf("%v/%d/binary", d, n), func(b *testing.B) {
				b.ReportAllocs()
				hash := uint32(1)
				for b.Loop() {
					hash = hash*1664525 + 1013904223
					plainSearch(c, hash)
				}
			})
		}
	}
}

func BenchmarkNewContinuum(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		nodes := equalNodes(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NewContinuum(Ketama, nodes)
			}
		})
	}
}

// TestOwnersAreMostlyKnown checks what makes a lookup one step: how many of the
// values have an owner that the table of owners knows.
func TestOwnersAreMostlyKnown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		servers int
		known   float64
	}{{3, 0.9}, {10, 0.9}, {100, 0.75}} {
		c := NewContinuum(Ketama, equalNodes(test.servers))
		known := 0
		for _, s := range c.owner {
			if s != divided {
				known++
			}
		}
		if share := float64(known) / float64(len(c.owner)); share < test.known {
			t.Errorf("%d servers: the table knows %.3f of the values, want %.2f", test.servers, share, test.known)
		}
	}
}
