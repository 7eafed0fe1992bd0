package mbuf

import (
	"bytes"
	"testing"
)

// The chunks of a long chain that is released are given back some at a time, and count
// for nothing meanwhile; those of a short one at once.
func TestDropLater(t *testing.T) {
	var p Pool
	p.DropLater(1 << 20)
	piece := bytes.Repeat([]byte("x"), LargeSize)
	var long, short, shared Chain
	for range 20 {
		long.Append(&p, piece)
	}
	short.Append(&p, piece)
	shared.AppendRange(&p, long.Head(), 0, LargeSize/2) // outlives the chain that it is of
	short.Release(&p)
	if p.Dropped() || p.Live() != 21 {
		t.Fatalf("a short chain is dropped, or %d chunks are in use, want 21", p.Live())
	}
	long.Release(&p)
	if long.Len() != 0 || long.Head() != nil || !p.Dropped() || p.Live() != 21 {
		t.Errorf("a long chain of %d bytes is given back at once: %d chunks are in use", long.Len(), p.Live())
	}
	if held := p.Held(); held > 2*LargeSize {
		t.Errorf("%d bytes are held, beside a chunk that is shared", held)
	}
	sweeps := 0
	for ; p.Dropped(); sweeps++ {
		if swept := p.Sweep(4 * LargeSize); swept > 4*LargeSize {
			t.Errorf("%d bytes at once", swept)
		}
	}
	if sweeps != 5 || p.Live() != 2 {
		t.Errorf("after %d sweeps %d chunks are in use, want 5 and 2", sweeps, p.Live())
	}
	if got := shared.AppendTo(nil); !bytes.Equal(got, piece[:LargeSize/2]) {
		t.Error("what was shared of the long chain is not what it was")
	}
	shared.Release(&p)
	if p.Live() != 0 || p.InUse() != 0 || p.Sweep(1) != 0 {
		t.Errorf("at the end %d chunks, %d bytes are in use", p.Live(), p.InUse())
	}
}
