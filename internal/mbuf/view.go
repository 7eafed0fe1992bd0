package mbuf

import "nuthatch/internal/invariant"

// A View is the bytes of one message, wherever they lie: in one piece, or along
// a chain. It owns nothing and is valid as long as the bytes under it.
//
// Ranges are read fastest in ascending order: a View over a chain remembers the
// chunk of its last range and walks on from there.
type View struct {
	flat  []byte
	chain *Chain
	n     int
	// at is the chunk of the last range read and atOff the offset, in the
	// message, of at's first byte.
	at    *Chunk
	atOff int
}

// Flat returns a view of b.
func Flat(b []byte) View { return View{flat: b, n: len(b)} }

// Whole returns a view of all of c's bytes. The chain must not change while the
// view is used.
func Whole(c *Chain) View {
	if c.n == 0 {
		return View{}
	}
	if c.head == c.tail {
		return Flat(c.head.Bytes())
	}
	return View{chain: c, n: c.n, at: c.head}
}

// Len is the number of bytes in the view.
func (v *View) Len() int { return v.n }

// Chain is the chain under the view, or nil if the bytes lie in one piece.
func (v *View) Chain() *Chain { return v.chain }

// FlatBytes is all of the view's bytes if they lie in one piece, or nil.
func (v *View) FlatBytes() []byte { return v.flat }

// Bytes returns the n bytes at offset off in one piece. If they do not lie in
// one piece they are gathered into scratch, which grows as needed; the second
// result is scratch for the next call. The bytes are valid until then, or until
// the view's own bytes go.
func (v *View) Bytes(off, n int, scratch []byte) (piece, newScratch []byte) {
	invariant.Check(off >= 0 && n >= 0 && off+n <= v.n, "mbuf: a range outside the view")
	if v.chain == nil {
		return v.flat[off : off+n], scratch
	}
	v.seek(off)
	if b := v.at.Bytes()[off-v.atOff:]; len(b) >= n {
		return b[:n], scratch
	}
	scratch = scratch[:0]
	for n > 0 {
		b := v.here(off, n)
		scratch = append(scratch, b...)
		off += len(b)
		n -= len(b)
	}
	return scratch, scratch
}

// AppendTo appends the n bytes at offset off to dst: large pieces of a chain by
// reference, all else copied.
func (v *View) AppendTo(p *Pool, dst *Chain, off, n int) {
	invariant.Check(off >= 0 && n >= 0 && off+n <= v.n, "mbuf: a range outside the view")
	if v.chain == nil {
		dst.Append(p, v.flat[off:off+n])
		return
	}
	for n > 0 {
		b := v.here(off, n)
		dst.AppendRange(p, v.at, off-v.atOff, len(b))
		off += len(b)
		n -= len(b)
	}
}

// here returns the bytes from offset off to the end of their chunk, n at most.
func (v *View) here(off, n int) []byte {
	v.seek(off)
	b := v.at.Bytes()[off-v.atOff:]
	return b[:min(n, len(b))]
}

// seek makes at the chunk that holds the byte at offset off, or the last one if
// off is the view's end.
func (v *View) seek(off int) {
	if off < v.atOff {
		v.at, v.atOff = v.chain.head, 0
	}
	for off >= v.atOff+v.at.Len() && v.at.next != nil {
		v.atOff += v.at.Len()
		v.at = v.at.next
	}
}
