package mbuf

import "nuthatch/internal/invariant"

// A Span is a range of a message's bytes.
type Span struct{ Off, Len uint32 }

// End is the offset just after the span.
func (s Span) End() int { return int(s.Off) + int(s.Len) }

// A View is the bytes of one message, wherever they lie: in one piece, or along
// a chain. It owns nothing and is valid as long as the bytes under it.
//
// Ranges are read fastest in ascending order: a View over a chain remembers the
// chunk of its last range and walks on from there.
type View struct {
	// near is the piece of bytes that was used last, or all bytes if they lie in one
	// piece. nearOff is the offset of its first byte.
	near    []byte
	nearOff int
	n       int
	chain   *Chain
	// at is the chunk that holds near.
	at *Chunk
}

// Flat returns a view of b.
func Flat(b []byte) View { return View{near: b, n: len(b)} }

// Whole returns a view of all of c's bytes. The chain must not change while the
// view is used.
func Whole(c *Chain) (v View) {
	v.SetWhole(c)
	return v
}

// SetFlat makes v a view of b. "*v = Flat(b)" makes a view elsewhere and copies it by wide
// loads, which wait for the narrow stores that have just made it (6 ns for each copy).
func (v *View) SetFlat(b []byte) {
	v.near, v.nearOff, v.n, v.chain, v.at = b, 0, len(b), nil, nil
}

// SetWhole makes v a view of all of c's bytes; see Whole.
func (v *View) SetWhole(c *Chain) {
	if c.n == 0 {
		v.SetFlat(nil)
		return
	}
	v.SetFlat(c.head.Bytes())
	if c.head != c.tail {
		v.n, v.chain, v.at = c.n, c, c.head
	}
}

// Len is the number of bytes in the view.
func (v *View) Len() int { return v.n }

// Chain is the chain under the view, or nil if the bytes lie in one piece.
func (v *View) Chain() *Chain { return v.chain }

// FlatBytes is all of the view's bytes if they lie in one piece, or nil.
func (v *View) FlatBytes() []byte {
	if v.chain != nil {
		return nil
	}
	return v.near
}

// Near returns the bytes that lie in one piece with the one at offset off, and
// the offset of the first of them. They are valid as long as the view's own. At
// the view's end, there may be none.
func (v *View) Near(off int) (piece []byte, first int) {
	if v.chain != nil {
		v.seek(off)
	}
	return v.near, v.nearOff
}

// Bytes returns the n bytes at offset off in one piece. If they do not lie in
// one piece they are gathered into scratch, which grows as needed; the second
// result is scratch for the next call. The bytes are valid until then, or until
// the view's own bytes go.
func (v *View) Bytes(off, n int, scratch []byte) (piece, newScratch []byte) {
	invariant.Check(off >= 0 && n >= 0 && off+n <= v.n, "mbuf: a range outside the view")
	if i := off - v.nearOff; i >= 0 && i+n <= len(v.near) {
		return v.near[i : i+n], scratch
	}
	v.seek(off)
	if b := v.near[off-v.nearOff:]; len(b) >= n {
		return b[:n], scratch
	}
	scratch = v.Gather(off, n, scratch[:0])
	return scratch, scratch
}

// Gather appends the n bytes at offset off to dst.
func (v *View) Gather(off, n int, dst []byte) []byte {
	for n > 0 {
		b := v.here(off, n)
		dst = append(dst, b...)
		off += len(b)
		n -= len(b)
	}
	return dst
}

// AppendTo appends the n bytes at offset off to dst: large pieces of a chain by
// reference, all else copied.
func (v *View) AppendTo(p *Pool, dst *Chain, off, n int) {
	invariant.Check(off >= 0 && n >= 0 && off+n <= v.n, "mbuf: a range outside the view")
	if v.chain == nil {
		dst.Append(p, v.near[off:off+n])
		return
	}
	for n > 0 {
		b := v.here(off, n)
		dst.AppendRange(p, v.at, off-v.nearOff, len(b))
		off += len(b)
		n -= len(b)
	}
}

// Deal appends each span of the view to a chain: the i-th to dst[to[i]], unless that is
// nil. to may be longer than spans. It is AppendTo for many small pieces, none of which
// is empty.
//
// A piece of at most BlockSize bytes is copied by CopyBlock, if there are as many bytes to
// copy and room for them. The surplus is overwritten by the next piece, or never used.
func (v *View) Deal(p *Pool, spans []Span, to []uint16, dst []*Chain) {
	to = to[:len(spans)]
	near, first := v.near, v.nearOff
	for i, s := range spans {
		c := dst[to[i]]
		if c == nil {
			continue
		}
		from, n := int(s.Off)-first, int(s.Len)
		if t := c.tail; n <= BlockSize && t != nil && t.room() >= BlockSize &&
			from >= 0 && from+BlockSize <= len(near) {
			CopyBlock((*[BlockSize]byte)(t.buf[t.w:]), (*[BlockSize]byte)(near[from:]))
			t.w += n
			c.n += n
			continue
		}
		v.AppendTo(p, c, int(s.Off), n)
		near, first = v.near, v.nearOff
	}
}

// DealBehind is Deal for pieces of which each gets the same head, of at most BlockSize bytes,
// before it.
func (v *View) DealBehind(p *Pool, head []byte, spans []Span, to []uint16, dst []*Chain) {
	to = to[:len(spans)]
	var wide [BlockSize]byte
	size := copy(wide[:], head)
	near, first := v.near, v.nearOff
	for i, s := range spans {
		c := dst[to[i]]
		if c == nil {
			continue
		}
		from, n := int(s.Off)-first, int(s.Len)
		if t := c.tail; n <= BlockSize && t != nil && t.room() >= 2*BlockSize &&
			from >= 0 && from+BlockSize <= len(near) {
			CopyBlock((*[BlockSize]byte)(t.buf[t.w:]), &wide)
			CopyBlock((*[BlockSize]byte)(t.buf[t.w+size:]), (*[BlockSize]byte)(near[from:]))
			t.w += size + n
			c.n += size + n
			continue
		}
		c.Append(p, head)
		v.AppendTo(p, c, int(s.Off), n)
		near, first = v.near, v.nearOff
	}
}

// here returns the bytes from offset off to the end of their chunk, at most n.
func (v *View) here(off, n int) []byte {
	v.seek(off)
	b := v.near[off-v.nearOff:]
	return b[:min(n, len(b))]
}

// seek makes near the chunk that holds the byte at offset off, or the last one
// if off is the view's end.
func (v *View) seek(off int) {
	if v.chain == nil {
		return
	}
	if off < v.nearOff {
		v.at, v.nearOff = v.chain.head, 0
	}
	for off >= v.nearOff+v.at.Len() && v.at.next != nil {
		v.nearOff += v.at.Len()
		v.at = v.at.next
	}
	v.near = v.at.Bytes()
}
