//go:build invariants

package mbuf

import (
	"bytes"
	"testing"

	"nuthatch/internal/invariant"
)

// TestReleaseTwice: with invariants on, a chunk or a view that is given back
// twice is caught, and released bytes are overwritten.
func TestReleaseTwice(t *testing.T) {
	var p Pool
	owner := p.take(medium)
	owner.w = copy(owner.buf, pattern(ShareMin))
	v := p.shareOf(owner, 0, ShareMin)
	kept := v.Bytes()
	p.put(v)
	mustPanic(t, "a view released twice", func() { p.put(v) })
	p.put(owner)
	mustPanic(t, "a chunk released twice", func() { p.put(owner) })
	if want := bytes.Repeat([]byte{invariant.PoisonByte}, ShareMin); !bytes.Equal(kept, want) {
		t.Error("released bytes can still be read")
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: not caught", what)
		}
	}()
	f()
}
