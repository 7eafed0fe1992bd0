package redis

import (
	"bytes"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Merge appends to out the one reply to parent, which was split:
//
//	MGET                        the elements in the order of the keys
//	DEL UNLINK EXISTS TOUCH     the sum
//	MSET                        OK
//
// If a fragment failed, the reply is an error that names the reason of the first
// that did, and failed is true. If a server answered with an error, that error
// is the reply: the one that concerns the first key, if there are several.
//
// The fragments' Reply chains are empty afterwards.
func (p *Protocol) Merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	invariant.Check(len(parent.Seq) == parent.Nkeys, "redis: a split request without the order of its keys")
	why := p.merge(parent, pool, out)
	for _, f := range parent.Frags {
		f.Reply.Release(pool)
	}
	clear(p.cursors)
	if why == msg.OK {
		return false
	}
	p.AppendError(pool, out, why.String())
	return true
}

// merge appends the reply, or returns why there is none.
func (p *Protocol) merge(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	p.cursors = p.cursors[:0]
	refused := false
	for _, f := range parent.Frags {
		if f.Err != msg.OK {
			return f.Err
		}
		c := newCursor(&f.Reply)
		refused = refused || c.isError()
		p.cursors = append(p.cursors, c)
	}
	if refused {
		p.passError(parent, pool, out)
		return msg.OK
	}
	switch commands[parent.Type].name {
	case "mget":
		return p.mergeElements(parent, pool, out)
	case "mset":
		return p.mergeStatus(pool, out)
	default:
		return p.mergeSum(pool, out)
	}
}

// passError moves the first server's error, in the order of the keys, to out.
func (p *Protocol) passError(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) {
	for _, f := range parent.Seq {
		if p.cursors[f].isError() {
			out.Splice(pool, &parent.Frags[f].Reply)
			return
		}
	}
}

func (p *Protocol) mergeStatus(pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	for i := range p.cursors {
		if p.cursors[i].first() != '+' {
			return msg.BadReply
		}
	}
	out.AppendString(pool, "+OK\r\n")
	return msg.OK
}

func (p *Protocol) mergeSum(pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	sum := int64(0)
	for i := range p.cursors {
		n, ok := p.count(&p.cursors[i], ':')
		if !ok {
			return msg.BadReply
		}
		sum += n
	}
	writer{pool: pool, out: out}.integer(sum)
	return msg.OK
}

func (p *Protocol) mergeElements(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	for _, f := range parent.Seq {
		p.cursors[f].keys++
	}
	for i := range p.cursors {
		c := &p.cursors[i]
		if n, ok := p.count(c, '*'); !ok || n != c.keys {
			return msg.BadReply
		}
	}
	writer{pool: pool, out: out}.array(parent.Nkeys)
	for _, f := range parent.Seq {
		c := &p.cursors[f]
		if !c.moveBulk(pool, out) {
			p.moveElement(c, pool, out)
		}
	}
	return msg.OK
}

// count reads a line that begins with the given byte and holds a number.
func (p *Protocol) count(c *cursor, first byte) (n int64, ok bool) {
	if c.first() != first {
		return 0, false
	}
	var h header
	h.read(p.line(c)[1:])
	return h.number()
}

// line reads a line, its end included. It is valid until the next call.
func (p *Protocol) line(c *cursor) []byte {
	p.scratch = p.scratch[:0]
	for {
		b := c.rest()
		invariant.Check(len(b) > 0, "redis: a merged reply ends within a line")
		if at := bytes.IndexByte(b, '\n'); at >= 0 {
			c.off += at + 1
			if len(p.scratch) == 0 {
				return b[:at+1]
			}
			p.scratch = append(p.scratch, b[:at+1]...)
			return p.scratch
		}
		p.scratch = append(p.scratch, b...)
		c.off += len(b)
	}
}

// moveElement appends the next element of any kind, wherever it lies, to out.
func (p *Protocol) moveElement(c *cursor, pool *mbuf.Pool, out *mbuf.Chain) {
	for outstanding := int64(1); outstanding > 0; outstanding-- {
		b := p.line(c)
		s := shapes[b[0]]
		n := int64(0)
		if s != line {
			var h header
			h.read(b[1:])
			n, _ = h.number()
		}
		out.Append(pool, b)
		switch s {
		case bulk:
			if n >= 0 {
				c.move(pool, out, int(n)+2)
			}
		case array:
			outstanding += max(n, 0)
		case pairing:
			outstanding += 2 * n
		case attribute:
			outstanding += 2*n + 1
		case noReply, line, integer:
		}
	}
}

// A cursor stands somewhere in a chain that a reply parser has accepted.
type cursor struct {
	chunk *mbuf.Chunk
	// off is the offset of the next byte in chunk.
	off int
	// keys is how many keys the chain's reply is about.
	keys int64
}

func newCursor(c *mbuf.Chain) cursor { return cursor{chunk: c.Head()} }

// rest returns what follows in the chunk of the next byte: nothing at the
// chain's end.
func (c *cursor) rest() []byte {
	for c.chunk != nil {
		if b := c.chunk.Bytes()[c.off:]; len(b) > 0 {
			return b
		}
		c.chunk, c.off = c.chunk.Next(), 0
	}
	return nil
}

// first is the next byte, or 0 at the chain's end.
func (c *cursor) first() byte {
	if b := c.rest(); len(b) > 0 {
		return b[0]
	}
	return 0
}

// isError tells whether the chain, where the cursor stands at its beginning, is
// an error of RESP2 or RESP3.
func (c *cursor) isError() bool { return c.first() == '-' || c.first() == '!' }

// move appends the next n bytes to out.
func (c *cursor) move(pool *mbuf.Pool, out *mbuf.Chain, n int) {
	for n > 0 {
		b := c.rest()
		invariant.Check(len(b) > 0, "redis: a merged reply ends within a bulk")
		k := min(n, len(b))
		out.AppendRange(pool, c.chunk, c.off, k)
		c.off += k
		n -= k
	}
}

// moveBulk appends the next element to out if it is a bulk that lies in one
// chunk.
func (c *cursor) moveBulk(pool *mbuf.Pool, out *mbuf.Chain) bool {
	b := c.rest()
	if len(b) < len("$0\r\n\r\n") || b[0] != '$' {
		return false
	}
	n, i := 0, 1
	for i < len(b) && b[i] != '\r' {
		n = n*10 + int(b[i]-'0')
		i++
	}
	end := i + 2 + n + 2
	if b[1] == '-' {
		end = len("$-1\r\n")
	}
	if end > len(b) {
		return false
	}
	out.AppendRange(pool, c.chunk, c.off, end)
	c.off += end
	return true
}
