package memcache

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// mergeValues begins to append the values of all fragments and one END. Values are in
// nutcracker's order: for each key of the request, the next value of the
// fragment that the key went to. That is the order of the keys as long as all
// are found; a miss makes the later values of its server move up.
func (p *Protocol) mergeValues(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	failed, ok := p.mergeErrors(parent, pool, out)
	if !ok {
		return failed
	}
	p.sources = p.sources[:0]
	for _, f := range parent.Frags {
		p.sources = append(p.sources, newSource(&f.Reply))
	}
	if p.left = len(parent.Seq); p.left == 0 {
		out.AppendString(pool, "END\r\n")
	}
	return false
}

// moveValues appends the next values, each of the fragment that seq tells.
func (p *Protocol) moveValues(parent *msg.Msg, seq []uint16, pool *mbuf.Pool, out *mbuf.Chain) {
	for len(seq) > 0 {
		seq = seq[p.copyValues(seq, pool, out):]
		if len(seq) == 0 {
			break
		}
		// A value that is long, or that lies in several chunks.
		f := seq[0]
		seq = seq[1:]
		src := &parent.Frags[f].Reply
		src.Advance(pool, p.sources[f].at)
		move(pool, out, src, p.blockLen(src))
		p.sources[f] = newSource(src)
	}
}

// A source is what of a fragment's reply lies in its first chunk, and the offset in
// it of the next value.
type source struct {
	near []byte
	at   int
}

func newSource(c *mbuf.Chain) source {
	if k := c.Head(); k != nil {
		return source{near: k.Bytes()}
	}
	return source{}
}

// smallValue is the length, in bytes, its line included, up to which a value is
// copied without looking at how long it is.
const smallValue = 2 * mbuf.BlockSize

// copyValues appends the next values, each of the fragment that seq tells, for as
// long as they are short and each in one chunk, and returns for how many keys. A
// fragment that has no more has none for its keys.
//
// A value is copied as if it had smallValue bytes, where there are so many to copy
// and room for them. What is too much is written over by the next one, or never
// looked at.
func (p *Protocol) copyValues(seq []uint16, pool *mbuf.Pool, out *mbuf.Chain) (keys int) {
	free, used := out.Reserve(pool, smallValue), 0
	sources := p.sources
	var line plainLine
	for _, f := range seq {
		s := &sources[f]
		near := s.near[s.at:]
		head, body := line.value(near)
		n := head + body + len(crlf)
		switch {
		case head == 0 && len(near) > 0 && near[0] == 'E':
			n = 0
		case head == 0 || n > len(near) || n > len(free)-used || n >= mbuf.ShareMin:
			out.Commit(used)
			return keys
		case n <= smallValue && len(near) >= smallValue && len(free)-used >= smallValue:
			// Slices of a known capacity are the cheapest to make.
			dst, src := free[used:used+smallValue:used+smallValue], near[:smallValue:smallValue]
			mbuf.CopyBlock((*[mbuf.BlockSize]byte)(dst), (*[mbuf.BlockSize]byte)(src))
			mbuf.CopyBlock((*[mbuf.BlockSize]byte)(dst[mbuf.BlockSize:]), (*[mbuf.BlockSize]byte)(src[mbuf.BlockSize:]))
		default:
			copy(free[used:], near[:n])
		}
		used += n
		s.at += n
		keys++
	}
	out.Commit(used)
	return keys
}

// move moves the first n bytes of src to the end of dst, large pieces by
// reference.
func move(pool *mbuf.Pool, dst, src *mbuf.Chain, n int) {
	for n > 0 {
		k := src.Head()
		m := min(n, k.Len())
		dst.AppendRange(pool, k, 0, m)
		src.Advance(pool, m)
		n -= m
	}
}
