package mbuf

import (
	"strconv"

	"nuthatch/internal/invariant"
)

// A Chain is a queue of bytes: appended at the tail, consumed at the head. The
// zero value is empty and holds no memory. A Chain must not be copied while it
// is not empty; Splice moves one.
type Chain struct {
	head, tail *Chunk
	// n is the number of bytes in all chunks.
	n int
}

// Len is the number of bytes in the chain.
func (c *Chain) Len() int { return c.n }

// Head is the first chunk, or nil.
func (c *Chain) Head() *Chunk { return c.head }

// Append copies b to the end of the chain.
func (c *Chain) Append(p *Pool, b []byte) {
	if t := c.tail; t != nil && t.room() >= len(b) {
		t.w += copy(t.buf[t.w:], b)
		c.n += len(b)
		return
	}
	for len(b) > 0 {
		n := copy(c.Reserve(p, len(b)), b)
		c.Commit(n)
		b = b[n:]
	}
}

// AppendString copies s to the end of the chain.
func (c *Chain) AppendString(p *Pool, s string) {
	for len(s) > 0 {
		n := copy(c.Reserve(p, len(s)), s)
		c.Commit(n)
		s = s[n:]
	}
}

// AppendInt appends v in decimal.
func (c *Chain) AppendInt(p *Pool, v int64) {
	var b [20]byte
	c.Append(p, strconv.AppendInt(b[:0], v, 10))
}

// Reserve returns the free space at the end of the chain, at least one byte, and takes
// a new chunk if there is none. The new chunk is sized for n bytes, or for as many as
// the chain already holds if that is more, up to LargeSize. The chain counts for at
// most twice its last chunk, and for nothing after a view, so that small pieces between
// large shared ones stay small. The space may be written until the chain is next
// changed. Commit says how much of it was written.
func (c *Chain) Reserve(p *Pool, n int) []byte {
	t := c.tail
	if t == nil || t.room() == 0 {
		grow := 0
		if t != nil && t.base == nil {
			grow = min(c.n, 2*len(t.buf))
		}
		t = p.get(max(n, grow))
		c.link(t)
	}
	return t.buf[t.w:]
}

// Lend is Reserve for a read straight into the chain. It returns at most n bytes, but
// not a scrap at the end of the last chunk if n is more. A chunk is filled before the
// next one is taken, however little each read brings. While almost nothing has come, a
// small chunk is used.
func (c *Chain) Lend(p *Pool, n int) []byte {
	t := c.tail
	begun := t != nil && t.room() > 0 && c.n < SmallSize/4
	if t == nil || !begun && t.room() < min(n, t.scrap()) {
		c.link(p.get(min(n, max(MediumSize, c.n))))
	}
	b := c.tail.buf[c.tail.w:]
	return b[:min(n, len(b))]
}

// Lent makes the first n bytes of what Lend returned part of the chain, and
// returns them.
func (c *Chain) Lent(n int) []byte {
	from := c.tail.w
	c.Commit(n)
	return c.tail.buf[from:c.tail.w]
}

// Commit makes the first n bytes of what Reserve or Lend returned part of the
// chain.
func (c *Chain) Commit(n int) {
	invariant.Check(n >= 0 && n <= c.tail.room(), "mbuf: commit of more than was reserved")
	c.tail.w += n
	c.n += n
}

func (c *Chain) link(k *Chunk) {
	if c.tail == nil {
		c.head = k
	} else {
		c.tail.next = k
	}
	c.tail = k
}

// Splice moves all of src to the end of c, by reference, and leaves src empty. A
// small src is copied instead, so that a chain of many small messages stays a
// short chain.
func (c *Chain) Splice(p *Pool, src *Chain) {
	if src.n < ShareMin {
		for k := src.head; k != nil; k = k.next {
			c.Append(p, k.Bytes())
		}
		src.Release(p)
		return
	}
	if c.tail == nil {
		c.head = src.head
	} else {
		c.tail.next = src.head
	}
	c.tail = src.tail
	c.n += src.n
	*src = Chain{}
}

// AppendRange appends the n bytes at offset off of k's bytes: by reference when
// they are ShareMin or more, copied otherwise.
func (c *Chain) AppendRange(p *Pool, k *Chunk, off, n int) {
	invariant.Check(off >= 0 && n >= 0 && off+n <= k.Len(), "mbuf: a range outside its chunk")
	if n < ShareMin {
		c.Append(p, k.Bytes()[off:off+n])
		return
	}
	c.link(p.shareOf(k, off, n))
	c.n += n
}

// AppendShared appends all bytes of src, which stays as it is, by reference, however few
// they are.
func (c *Chain) AppendShared(p *Pool, src *Chain) {
	for k := src.head; k != nil; k = k.next {
		c.link(p.shareOf(k, 0, k.Len()))
		c.n += k.Len()
	}
}

// Advance drops the first n bytes and releases the chunks that they emptied.
//
// Invariant: 0 <= n <= Len().
func (c *Chain) Advance(p *Pool, n int) {
	invariant.Check(n >= 0 && n <= c.n, "mbuf: advance past the end of the chain")
	c.n -= n
	for k := c.head; k != nil; k = c.head {
		if n < k.Len() {
			k.r += n
			return
		}
		n -= k.Len()
		c.head = k.next
		p.put(k)
	}
	c.tail = nil
}

// Release drops all bytes and gives all chunks back. The pool gives those of a long
// chain back later, if DropLater says so.
func (c *Chain) Release(p *Pool) {
	if c.n >= p.dropLater && p.dropLater > 0 {
		p.drop(c)
		return
	}
	for k := c.head; k != nil; {
		next := k.next
		p.put(k)
		k = next
	}
	*c = Chain{}
}

// AppendTo appends a copy of the chain's bytes to dst and returns it.
func (c *Chain) AppendTo(dst []byte) []byte {
	for k := c.head; k != nil; k = k.next {
		dst = append(dst, k.Bytes()...)
	}
	return dst
}
