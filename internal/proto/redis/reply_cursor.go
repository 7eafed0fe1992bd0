package redis

import (
	"bytes"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
)

// A cursor stands somewhere in a chain that a reply parser has accepted.
type cursor struct {
	chunk *mbuf.Chunk
	// near is the chunk's bytes. at is the offset in them of the next byte. passed is
	// the number of bytes in the chunks before.
	near   []byte
	at     int
	passed int
	// absent: there is no reply, or none that can be merged, and the other replies are
	// enough.
	absent bool
}

func newCursor(c *mbuf.Chain) cursor {
	k := c.Head()
	if k == nil {
		return cursor{}
	}
	return cursor{chunk: k, near: k.Bytes()}
}

// used is the number of bytes before the cursor.
func (c *cursor) used() int { return c.passed + c.at }

// rest returns what follows in the chunk of the next byte: nothing at the
// chain's end.
func (c *cursor) rest() []byte {
	for c.at == len(c.near) && c.chunk != nil {
		c.passed += c.at
		c.at, c.near = 0, nil
		if c.chunk = c.chunk.Next(); c.chunk != nil {
			c.near = c.chunk.Bytes()
		}
	}
	return c.near[c.at:]
}

// skip steps over n bytes of rest.
func (c *cursor) skip(n int) { c.at += n }

// first is the next byte, or 0 at the chain's end.
func (c *cursor) first() byte {
	if b := c.rest(); len(b) > 0 {
		return b[0]
	}
	return 0
}

// isError tells whether the next element is an error of RESP2 or RESP3.
func (c *cursor) isError() bool { return c.first() == '-' || c.first() == '!' }

// move appends the next n bytes to out, or skips them if out is nil.
func (c *cursor) move(pool *mbuf.Pool, out *mbuf.Chain, n int) {
	for n > 0 {
		b := c.rest()
		invariant.Check(len(b) > 0, "redis: a merged reply ends within a bulk")
		k := min(n, len(b))
		if out != nil {
			out.AppendRange(pool, c.chunk, c.at, k)
		}
		c.skip(k)
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
	out.AppendRange(pool, c.chunk, c.at, end)
	c.skip(end)
	return true
}

// A lineReader reads lines at cursors.
type lineReader struct {
	// scratch gathers a line that lies in several chunks.
	scratch []byte
}

// line reads a line, its end included. It is valid until the next call.
func (l *lineReader) line(c *cursor) []byte {
	l.scratch = l.scratch[:0]
	for {
		b := c.rest()
		invariant.Check(len(b) > 0, "redis: a merged reply ends within a line")
		if at := bytes.IndexByte(b, '\n'); at >= 0 {
			c.skip(at + 1)
			if len(l.scratch) == 0 {
				return b[:at+1]
			}
			l.scratch = append(l.scratch, b[:at+1]...)
			return l.scratch
		}
		l.scratch = append(l.scratch, b...)
		c.skip(len(b))
	}
}

// readCount reads a line that begins with the given byte and holds a number.
func (l *lineReader) readCount(c *cursor, first byte) (n int64, ok bool) {
	if c.first() != first {
		return 0, false
	}
	return lineNumber(l.line(c))
}

// lineNumber is the number in a line such as ":17\r\n".
func lineNumber(line []byte) (n int64, ok bool) {
	var h header
	h.read(line[1:])
	return h.number()
}

// moveElement appends the next element of any kind, wherever it lies, to out, or
// skips it if out is nil.
func (l *lineReader) moveElement(c *cursor, pool *mbuf.Pool, out *mbuf.Chain) {
	for outstanding := int64(1); outstanding > 0; outstanding-- {
		b := l.line(c)
		s := shapes[b[0]]
		n := int64(0)
		if s != line {
			n, _ = lineNumber(b)
		}
		if out != nil {
			out.Append(pool, b)
		}
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

// skipAttributes steps over RESP3's attributes of the reply that follows.
func (l *lineReader) skipAttributes(c *cursor) {
	for c.first() == '|' {
		n, _ := lineNumber(l.line(c))
		for range 2 * n {
			l.moveElement(c, nil, nil)
		}
	}
}

// isNull steps over the next element if it is a null of RESP2 or RESP3, and
// tells whether it was.
func (l *lineReader) isNull(c *cursor) bool {
	b := c.rest()
	if len(b) == 0 || b[0] != '_' && b[0] != '$' && b[0] != '*' {
		return false
	}
	before := *c
	if b := l.line(c); len(b) > 1 && (b[0] == '_' || b[1] == '-') {
		return true
	}
	*c = before
	return false
}
