package redis

import (
	"encoding/binary"
	"math/bits"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Replies to requests that were split by their keys: each server answered for
// its own.

// mergeElements begins to append the servers' elements in the order of the keys.
func (m *merger) mergeElements(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	for i := range m.cursors {
		c := &m.cursors[i]
		if c.absent {
			continue
		}
		if n, ok := m.readCount(c, '*'); !ok || n != int64(parent.Frags[i].Nkeys) {
			return msg.BadReply
		}
	}
	writer{pool: pool, out: out}.array(int(parent.Nkeys))
	m.left = int(parent.Nkeys)
	return msg.OK
}

// moveElements appends the next elements, each from the fragment that seq names.
func (m *merger) moveElements(parent *msg.Msg, seq []uint16, pool *mbuf.Pool, out *mbuf.Chain) {
	for len(seq) > 0 {
		seq = seq[m.moveSmall(seq, pool, out):]
		if len(seq) == 0 {
			break
		}
		f := seq[0]
		seq = seq[1:]
		c := &m.cursors[f]
		switch {
		case c.absent:
			m.appendAbsent(parent, parent.Frags[f], pool, out)
		case !c.moveBulk(pool, out):
			m.moveElement(c, pool, out)
		}
	}
}

// smallElement is the length, in bytes, up to which elements are copied without looking
// at their exact length; those of up to twice as much are copied in two such pieces.
const smallElement = mbuf.BlockSize

// moveSmall appends the next elements, each from the fragment that seq names, while
// they are short bulks in one chunk, and returns how many.
//
// An element is copied as if it had smallElement bytes, or twice as many, if there are as
// many bytes to copy and room for them. The surplus is overwritten by the next element, or
// never used.
func (m *merger) moveSmall(seq []uint16, pool *mbuf.Pool, out *mbuf.Chain) int {
	free, used := out.Reserve(pool, smallElement), 0
	cursors := m.cursors
	last := head{word: 1} // nothing
	done := 0
	for _, f := range seq {
		c := &cursors[f]
		near := c.near[c.at:]
		if len(near) < smallElement || len(free)-used < smallElement {
			break
		}
		word := binary.LittleEndian.Uint64(near)
		if !last.isAt(word) {
			h, ok := readHead(word, true)
			if !ok {
				break
			}
			last = h
		}
		n := last.end
		switch {
		case n <= smallElement:
			// Slices of a known capacity are the cheapest to make.
			mbuf.CopyBlock((*[smallElement]byte)(free[used:used+smallElement:used+smallElement]), (*[smallElement]byte)(near[:smallElement:smallElement]))
		case n <= 2*smallElement && len(near) >= 2*smallElement && len(free)-used >= 2*smallElement:
			dst, src := free[used:used+2*smallElement:used+2*smallElement], near[:2*smallElement:2*smallElement]
			mbuf.CopyBlock((*[smallElement]byte)(dst), (*[smallElement]byte)(src))
			mbuf.CopyBlock((*[smallElement]byte)(dst[smallElement:]), (*[smallElement]byte)(src[smallElement:]))
		case n < mbuf.ShareMin && n <= len(near) && n <= len(free)-used:
			copy(free[used:], near[:n])
		default:
			n = 0
		}
		if n == 0 {
			break
		}
		used += n
		c.at += n
		done++
	}
	out.Commit(used)
	return done
}

// maxErrorElement is the longest error, in bytes, that is repeated for each key
// of the server that gave it.
const maxErrorElement = 512

// appendAbsent appends the element for a key whose server failed, or answered with an
// error: an error that says so, or a null.
func (m *merger) appendAbsent(parent, f *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) {
	nulls := m.partial != config.PartialErrors && m.kind != mergeBlocks
	switch {
	case nulls && parent.RESP3:
		out.AppendString(pool, "_\r\n")
	case nulls:
		out.AppendString(pool, "$-1\r\n")
	case f.Err != msg.OK && m.kind == mergeBlocks:
		appendError(pool, out, f.Why(f.Err)) // was it sent?
	case f.Err != msg.OK:
		appendError(pool, out, parent.Why(f.Err))
	case f.Reply.Len() > maxErrorElement:
		appendError(pool, out, "the server answered with an error too long to repeat")
	default:
		for k := f.Reply.Head(); k != nil; k = k.Next() {
			out.Append(pool, k.Bytes())
		}
	}
}

// noBlock is why a transaction of several servers has no reply, of which no part has been
// carried out as far as is known.
func (m *merger) noBlock(parent *msg.Msg) msg.Reason {
	why := msg.OK
	for _, f := range parent.Frags {
		switch {
		case f.Err == msg.OK:
		case why == msg.OK, f.Sent != 0 && parent.Sent == 0:
			why, parent.Sent = f.Err, f.Sent
		}
	}
	return why
}

// mergeStatuses appends OK if every server answered with a status.
func mergeStatuses(cursors []cursor, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	for i := range cursors {
		if cursors[i].first() != '+' {
			return msg.BadReply
		}
	}
	out.AppendString(pool, done)
	return msg.OK
}

// mergeSum appends the sum of the servers' numbers.
func (m *merger) mergeSum(pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	return m.mergeNumbers(add, pool, out)
}

// mergeNumbers appends what with makes of 0 and the servers' numbers, one after the other.
func (m *merger) mergeNumbers(with func(a, b int64) (int64, bool), pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	sum := int64(0)
	for i := range m.cursors {
		c := &m.cursors[i]
		if c.absent {
			continue
		}
		n, ok := m.readCount(c, ':')
		if ok {
			sum, ok = with(sum, n)
		}
		if !ok {
			return msg.BadReply
		}
	}
	writer{pool: pool, out: out}.integer(sum)
	return msg.OK
}

// add is a+b, if that is a number that Redis could have sent.
func add(a, b int64) (sum int64, ok bool) {
	s, _ := bits.Add64(uint64(a), uint64(b), 0)
	sum = int64(s)
	return sum, (a < 0) != (b < 0) || (a < 0) == (sum < 0)
}
