package mbuf

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// shapes are chains whose ranges begin and end in every place that matters: in
// one chunk, across two, across many, beside empty chunks.
var shapes = []struct {
	name  string
	sizes []int
}{
	{"empty", nil},
	{"one empty chunk", []int{0}},
	{"one chunk", []int{10}},
	{"two chunks", []int{10, 7}},
	{"single bytes", []int{1, 1, 1, 1, 1}},
	{"empty chunks between", []int{0, 5, 0, 0, 6, 0}},
}

// TestViewEveryRange reads every range of every shape, in ascending order, in
// descending order, and each after the view has looked elsewhere.
func TestViewEveryRange(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			var p Pool
			c, want := chained(&p, s.sizes...)
			up, down := Whole(&c), Whole(&c)
			if up.Len() != len(want) {
				t.Fatalf("the view has %d bytes, the chain %d", up.Len(), len(want))
			}
			for off := range len(want) + 1 {
				for n := range len(want) - off + 1 {
					checkRange(t, &p, &up, want, off, n)
					checkRange(t, &p, &down, want, len(want)-off-n, n)
				}
			}
			c.Release(&p)
			if p.Live() != 0 {
				t.Errorf("%d chunks are left", p.Live())
			}
		})
	}
}

func checkRange(t *testing.T, p *Pool, v *View, want []byte, off, n int) {
	t.Helper()
	want = want[off : off+n]
	if got, _ := v.Bytes(off, n, nil); !bytes.Equal(got, want) {
		t.Errorf("Bytes(%d, %d) = %q, want %q", off, n, got, want)
	}
	var dst Chain
	v.AppendTo(p, &dst, off, n)
	if got := dst.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("AppendTo(%d, %d) appended %q, want %q", off, n, got, want)
	}
	dst.Release(p)
}

// TestViewScratch: bytes in one piece are not copied, bytes in several are
// gathered in scratch, which grows and is handed on.
func TestViewScratch(t *testing.T) {
	var p Pool
	c, want := chained(&p, 10, 10)
	v := Whole(&c)
	scratch := make([]byte, 0, 4)
	piece, same := v.Bytes(12, 5, scratch)
	if &piece[0] != &c.Head().Next().Bytes()[2] || cap(same) != 4 {
		t.Error("a range within one chunk was copied")
	}
	piece, scratch = v.Bytes(5, 10, scratch)
	if !bytes.Equal(piece, want[5:15]) || &piece[0] != &scratch[0] {
		t.Error("a range across two chunks was not gathered in scratch")
	}
	again, kept := v.Bytes(8, 4, scratch)
	if &kept[0] != &scratch[0] || &again[0] != &scratch[0] {
		t.Error("scratch was not used again")
	}
	c.Release(&p)
}

func TestViewOfOnePiece(t *testing.T) {
	var p Pool
	c, want := chained(&p, 10)
	whole := Whole(&c)
	for name, v := range map[string]View{"flat": Flat(want), "chain of one chunk": whole} {
		if v.Chain() != nil || !bytes.Equal(v.FlatBytes(), want) {
			t.Errorf("%s: not in one piece", name)
		}
	}
	if &whole.FlatBytes()[0] != &c.Head().Bytes()[0] {
		t.Error("a chain of one chunk was copied")
	}
	long, _ := chained(&p, 1, 1)
	if v := Whole(&long); v.Chain() != &long || v.FlatBytes() != nil {
		t.Error("a chain of two chunks is said to lie in one piece")
	}
	c.Release(&p)
	long.Release(&p)
}

// TestViewSharesLargePieces: large pieces of a chain go by reference, a flat
// view's are always copied, since nobody owns them.
func TestViewSharesLargePieces(t *testing.T) {
	var p Pool
	src, want := chained(&p, ShareMin, 100, ShareMin)
	for name, tt := range map[string]struct {
		view  View
		views int
	}{
		"chain": {Whole(&src), 2},
		"flat":  {Flat(want), 0},
	} {
		var dst Chain
		tt.view.AppendTo(&p, &dst, 0, len(want))
		views := 0
		for k := dst.Head(); k != nil; k = k.Next() {
			if k.base != nil {
				views++
			}
		}
		if views != tt.views || !bytes.Equal(dst.AppendTo(nil), want) {
			t.Errorf("%s: %d pieces by reference, want %d", name, views, tt.views)
		}
		dst.Release(&p)
	}
	src.Release(&p)
}

// TestDeal deals spans of all lengths to chains that are empty, nearly full, or
// end in a view, out of one piece and out of many.
func TestDeal(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var p Pool
		var sizes []int
		for range 1 + rnd.IntN(4) {
			sizes = append(sizes, rnd.IntN(1<<rnd.IntN(14)))
		}
		src, all := chained(&p, sizes...)
		views := []View{Whole(&src), Flat(all)}
		var outs [4]Chain
		var want [4][]byte
		dst := []*Chain{&outs[0], &outs[1], nil, &outs[3]}
		outs[1].Append(&p, pattern(SmallSize-rnd.IntN(100)))
		want[1] = outs[1].AppendTo(nil)
		if src.Head().Len() >= ShareMin {
			outs[3].AppendRange(&p, src.Head(), 0, ShareMin)
			want[3] = outs[3].AppendTo(nil)
		}
		for v := range views {
			var spans []Span
			var to []uint16
			var head []byte
			if rnd.IntN(2) == 0 {
				head = []byte("*2\r\n$4\r\nMGET\r\n and what is longer")[:1+rnd.IntN(BlockSize)]
			}
			for off := 0; off < len(all); {
				n := min(1+rnd.IntN(1+rnd.IntN(100)), len(all)-off)
				spans = append(spans, Span{Off: uint32(off), Len: uint32(n)})
				to = append(to, uint16(rnd.IntN(len(dst))))
				want[to[len(to)-1]] = append(append(want[to[len(to)-1]], head...), all[off:off+n]...)
				off += n + rnd.IntN(3)
			}
			if head == nil {
				views[v].Deal(&p, spans, append(to, 99), dst)
			} else {
				views[v].DealBehind(&p, head, spans, append(to, 99), dst)
			}
		}
		for i, c := range dst {
			if c == nil {
				continue
			}
			if got := c.AppendTo(nil); !bytes.Equal(got, want[i]) {
				t.Fatalf("chunks of %v: chain %d holds %d bytes that are not the %d dealt to it", sizes, i, len(got), len(want[i]))
			}
			c.Release(&p)
		}
		src.Release(&p)
		if p.Live() != 0 {
			t.Fatalf("%d chunks are left", p.Live())
		}
	}
}

// BenchmarkDeal deals pieces such as the keys of a request, in turn.
func BenchmarkDeal(b *testing.B) {
	const pieces, size = 64, 23
	var p Pool
	var outs [3]Chain
	v := Flat(pattern(pieces * size))
	spans, to := make([]Span, pieces), make([]uint16, pieces)
	for i := range spans {
		spans[i] = Span{Off: uint32(i * size), Len: size}
		to[i] = uint16(i % len(outs))
	}
	dst := []*Chain{&outs[0], &outs[1], &outs[2]}
	b.ReportAllocs()
	for b.Loop() {
		v.Deal(&p, spans, to, dst)
		for _, c := range dst {
			c.Release(&p)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pieces, "ns/piece")
}
