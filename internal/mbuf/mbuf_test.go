package mbuf

import (
	"bytes"
	"math"
	"strconv"
	"testing"

	"nuthatch/internal/pages"
)

// pattern returns n bytes of which no two near each other are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// chained returns a chain whose chunks hold the given numbers of bytes, and
// what it holds.
func chained(p *Pool, sizes ...int) (c Chain, want []byte) {
	for _, n := range sizes {
		total := 0
		for _, s := range sizes {
			total += s
		}
		want = pattern(total)
		c.link(p.get(n))
		c.Commit(copy(c.tail.buf, want[c.n:c.n+n]))
	}
	return c, want
}

func TestChunkSizes(t *testing.T) {
	tests := []struct {
		name    string
		appends []int
		inUse   int // bytes of storage
	}{
		{"a byte", []int{1}, SmallSize},
		{"a full small chunk", []int{SmallSize}, SmallSize},
		{"one more than small", []int{SmallSize + 1}, MediumSize},
		{"one more than medium", []int{MediumSize + 1}, LargeSize},
		{"more than large", []int{LargeSize + 1}, LargeSize + LargeSize},
		{"small ones share", []int{100, 100, 100}, SmallSize},
		{"growth by what is there", []int{SmallSize, 1, SmallSize - 1, 1}, SmallSize + SmallSize + MediumSize},
		{"growth to large", []int{MediumSize, 1, MediumSize - 1, 1}, MediumSize + MediumSize + LargeSize},
		{"a megabyte", []int{1 << 20}, 1 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Pool
			var c Chain
			for _, n := range tt.appends {
				c.Append(&p, make([]byte, n))
			}
			if p.InUse() != tt.inUse {
				t.Errorf("%d bytes of storage are in use, want %d", p.InUse(), tt.inUse)
			}
			c.Release(&p)
			// A small chunk comes with those that share its page.
			if n := p.Free(); n < tt.inUse || n >= tt.inUse+pages.Size {
				t.Errorf("%d bytes are free after Release, want %d", n, tt.inUse)
			}
		})
	}
}

// TestSmallBetweenShared holds the promise that a chain wastes about as much as
// it stores, where large pieces travel by reference and small ones stand
// between them.
func TestSmallBetweenShared(t *testing.T) {
	tests := []struct {
		name  string
		small []int // bytes copied between two views
	}{
		{"a header", []int{20}},
		{"more than a small chunk", []int{SmallSize + 20}},
		{"several that outgrow a small chunk", []int{SmallSize - 500, 1000, 1000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Pool
			src, _ := chained(&p, LargeSize)
			before := p.InUse()
			var c Chain
			for range 1000 {
				for _, n := range tt.small {
					c.Append(&p, make([]byte, n))
				}
				c.AppendRange(&p, src.Head(), 0, ShareMin)
			}
			if got, most := p.InUse()-before, 3*c.Len(); got > most {
				t.Errorf("%d bytes of storage for %d bytes, want at most %d", got, c.Len(), most)
			}
			c.Release(&p)
			src.Release(&p)
		})
	}
}

func TestAppendInt(t *testing.T) {
	for _, v := range []int64{0, 7, -1, math.MaxInt64, math.MinInt64} {
		var p Pool
		var c Chain
		c.AppendInt(&p, v)
		if got := string(c.AppendTo(nil)); got != strconv.FormatInt(v, 10) {
			t.Errorf("AppendInt(%d) appended %q", v, got)
		}
		c.Release(&p)
	}
}

// TestSplice tells when bytes move by reference: a chain of ShareMin bytes keeps
// its chunks, a smaller one's are copied and given back.
func TestSplice(t *testing.T) {
	tests := []struct {
		name  string
		n     int
		moved bool
	}{
		{"empty", 0, false},
		{"small", ShareMin - 1, false},
		{"large", ShareMin, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Pool
			var dst, src Chain
			dst.AppendString(&p, "head ")
			src.Append(&p, pattern(tt.n))
			k := src.Head()
			dst.Splice(&p, &src)
			dst.AppendString(&p, " tail")
			want := "head " + string(pattern(tt.n)) + " tail"
			if got := string(dst.AppendTo(nil)); got != want {
				t.Errorf("the chain holds %d bytes, not the %d that were put together", len(got), len(want))
			}
			if moved := k != nil && dst.Head().Next() == k; moved != tt.moved {
				t.Errorf("the source's chunk stands in the destination: %t, want %t", moved, tt.moved)
			}
			dst.Release(&p)
			if p.Live() != 0 {
				t.Errorf("%d chunks are left", p.Live())
			}
		})
	}
}

// TestSharedStorageOutlivesItsOwner releases the chunk, its view and the view's
// view in every order: the bytes stay as long as anybody looks at them.
func TestSharedStorageOutlivesItsOwner(t *testing.T) {
	orders := [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, order := range orders {
		var p Pool
		var c [3]Chain
		var want [3][]byte
		c[0], want[0] = chained(&p, 3*ShareMin)
		c[1].AppendRange(&p, c[0].Head(), ShareMin/2, 2*ShareMin)
		want[1] = want[0][ShareMin/2:][:2*ShareMin]
		c[2].AppendRange(&p, c[1].Head(), 100, ShareMin)
		want[2] = want[1][100:][:ShareMin]
		if c[2].Head().base != c[0].Head() {
			t.Fatal("a view of a view does not look at the storage itself")
		}
		for i, which := range order {
			for _, left := range order[i:] {
				if !bytes.Equal(c[left].AppendTo(nil), want[left]) {
					t.Errorf("order %v: chain %d changed after %d releases", order, left, i)
				}
			}
			c[which].Release(&p)
			if free := p.Free() > 0; free != (i == 2) {
				t.Errorf("order %v: the storage is free after %d releases: %t", order, i+1, free)
			}
		}
		if p.Live() != 0 || p.InUse() != 0 {
			t.Errorf("order %v: %d chunks of %d bytes are left", order, p.Live(), p.InUse())
		}
	}
}

// TestAppendBehindView: what follows a view must not be written into the
// storage behind it.
func TestAppendBehindView(t *testing.T) {
	var p Pool
	src, want := chained(&p, 2*ShareMin)
	var c Chain
	c.AppendRange(&p, src.Head(), 0, ShareMin)
	c.AppendString(&p, "behind")
	copy(c.Lend(&p, 10), "lent")
	c.Lent(4)
	if !bytes.Equal(src.AppendTo(nil), want) {
		t.Error("appending behind a view changed its owner's bytes")
	}
	if got := string(c.AppendTo(nil)[ShareMin:]); got != "behindlent" {
		t.Errorf("behind the view stands %q", got)
	}
	// The owner may go on behind its own bytes: no view looks there.
	src.AppendString(&p, "more")
	if got := c.AppendTo(nil); !bytes.Equal(got[:ShareMin], want[:ShareMin]) {
		t.Error("appending to the owner changed the view")
	}
	c.Release(&p)
	src.Release(&p)
}

// TestLendShape: enough room for a read, never more than was asked for.
func TestLendShape(t *testing.T) {
	tests := []struct {
		name string
		held int // bytes already in the chain, in one chunk
		n    int
		want int
	}{
		{"an empty chain", 0, 100, 100},
		{"a medium chunk at first", 0, 1 << 20, MediumSize},
		{"as large as what is held", LargeSize, 1 << 20, LargeSize},
		{"the rest of the chunk", MediumSize / 2, 100, 100},
		{"not a scrap", MediumSize - 10, 100, 100},
		{"a scrap that is all that is needed", MediumSize - 10, 10, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Pool
			var c Chain
			c.Append(&p, pattern(tt.held))
			if got := len(c.Lend(&p, tt.n)); got != tt.want {
				t.Errorf("Lend(%d) with %d bytes held returned %d bytes, want %d", tt.n, tt.held, got, tt.want)
			}
			if c.Len() != tt.held {
				t.Errorf("Lend made the chain %d bytes long", c.Len())
			}
			c.Release(&p)
			if p.Live() != 0 {
				t.Errorf("%d chunks are left", p.Live())
			}
		})
	}
}

// TestPoolIsBounded: after a flood the pool keeps only so many chunks.
func TestPoolIsBounded(t *testing.T) {
	for class := range numClasses {
		var p Pool
		var c Chain
		owner := p.take(small)
		for range freeMax[class] + 10 {
			if class == view {
				c.link(p.shareOf(owner, 0, 0))
			} else {
				c.link(p.take(class))
			}
		}
		c.Release(&p)
		p.put(owner)
		// One that is kept goes if that frees a page.
		if n := p.nfree[class]; n > freeMax[class] || n < freeMax[class]-1 {
			t.Errorf("class %d: %d chunks are kept, want %d", class, n, freeMax[class])
		}
		if p.Live() != 0 || p.InUse() != 0 {
			t.Errorf("class %d: %d chunks of %d bytes are left", class, p.Live(), p.InUse())
		}
	}
}

// steady are what connections do with chains all day.
func steady() map[string]func() {
	var p Pool
	var out, src, reply Chain
	msg, body := pattern(100), pattern(MediumSize)
	src.Append(&p, pattern(LargeSize))
	scratch := make([]byte, 0, LargeSize)
	wide, _ := chained(&p, ShareMin, ShareMin, ShareMin)
	return map[string]func(){
		"append and advance": func() {
			for range 100 {
				out.Append(&p, msg)
				out.AppendString(&p, "\r\n")
				out.AppendInt(&p, 123456)
			}
			out.Advance(&p, out.Len())
		},
		"partial advance": func() {
			out.Append(&p, body)
			for out.Len() > 0 {
				out.Advance(&p, min(1000, out.Len()))
			}
		},
		"splice small": func() {
			reply.Append(&p, msg)
			out.Splice(&p, &reply)
			out.Release(&p)
		},
		"splice large": func() {
			reply.Append(&p, body)
			out.Splice(&p, &reply)
			out.Release(&p)
		},
		"shared ranges": func() {
			for i := range 8 {
				out.Append(&p, msg)
				out.AppendRange(&p, src.Head(), i*ShareMin, ShareMin)
			}
			out.Release(&p)
		},
		"view of a chain": func() {
			v := Whole(&wide)
			for off := 0; off < v.Len(); off += 1000 {
				_, scratch = v.Bytes(off, min(1000, v.Len()-off), scratch)
			}
			v.AppendTo(&p, &out, 10, v.Len()-20)
			out.Release(&p)
		},
		"lend": func() {
			for range 8 {
				out.Lend(&p, LargeSize)
				out.Lent(5000)
			}
			out.Release(&p)
		},
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, f := range steady() {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func BenchmarkChain(b *testing.B) {
	for name, f := range steady() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

// A body that comes byte by byte takes no more storage than one that comes at once.
func TestLendByteByByte(t *testing.T) {
	var p Pool
	var c Chain
	const body = 100_000
	c.AppendString(&p, "$100000\r\n")
	for c.Len() < body {
		b := c.Lend(&p, body-c.Len())
		b[0] = 'x'
		c.Lent(1)
		most := SmallSize
		switch { // the chunk that is being filled
		case c.Len() > MediumSize:
			most += 2*c.Len() + MediumSize + LargeSize
		case c.Len() > SmallSize/4:
			most += 2*c.Len() + MediumSize
		}
		if p.InUse() > most {
			t.Fatalf("%d bytes are stored in %d", c.Len(), p.InUse())
		}
	}
	c.Release(&p)
}
