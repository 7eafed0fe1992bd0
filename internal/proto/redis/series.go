package redis

import (
	"encoding/binary"
	"strconv"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A node of a cluster takes no request for keys of two slots. So a request for many keys
// becomes many requests for one key each, in a series (proxy/fan_series.go), and their
// replies are joined to the one reply that a request for all of them would have got:
//
//	MGET a    *1 $1 x ─┐
//	MGET b    *1 $-1  ─┼─► *3 $1 x $-1 $1 z
//	MGET c    *1 $1 z ─┘

// InSeries implements proxy.Sequencer.
func (*fragmenter) InSeries(req *msg.Request) bool {
	if req.FirstKey != 1 || req.Nkeys*req.KeyStep != len(req.Args)-1 {
		return false
	}
	switch commands[req.Type].merge {
	case mergeElements, mergeStatus, mergeSum:
		return true
	default:
		return false
	}
}

// FragmentSeries implements proxy.Sequencer.
func (f *fragmenter) FragmentSeries(req *msg.Request, dealt []uint16, pool *mbuf.Pool, outs []*mbuf.Chain) {
	var buf [32]byte
	head := append(buf[:0], '*')
	head = strconv.AppendInt(head, int64(1+req.KeyStep), 10)
	head = append(head, commands[req.Type].head...)
	for at := 0; len(dealt) > 0; {
		pieces := f.piecesFrom(req, at, len(dealt))
		req.View.DealBehind(pool, head, pieces, dealt, outs)
		dealt = dealt[len(pieces):]
		at += len(pieces) * req.KeyStep
	}
}

// arrayOfOne is the head of a reply about one key, as a little-endian number and as text.
const (
	arrayOfOne = '*' | '1'<<8 | lineEnd<<16
	oneText    = "*1\r\n"
)

// JoinReplies implements proxy.Sequencer.
func (*merger) JoinReplies(f *msg.Msg, data []byte, pool *mbuf.Pool, joined *mbuf.Chain) (n, size int) {
	left := int(f.Pending)
	kind := commands[f.Type].merge
	if joined.Len() == 0 {
		beginJoin(f, kind, pool, joined)
	}
	switch kind {
	case mergeElements:
		return joinElements(left, data, pool, joined)
	case mergeSum:
		for n < left && size < len(data) && data[size] == ':' {
			_, end, ok := shortNumber(data, size+1)
			if !ok {
				break
			}
			size = end
			n++
		}
		joined.Append(pool, data[:size])
	default:
		for n < left && isDone(data[size:]) {
			size += len(done)
			n++
		}
	}
	return n, size
}

// beginJoin appends what stands before the replies.
func beginJoin(f *msg.Msg, kind mergeKind, pool *mbuf.Pool, joined *mbuf.Chain) {
	switch kind {
	case mergeElements:
		writer{pool: pool, out: joined}.array(int(f.Nkeys))
	case mergeStatus:
		joined.AppendString(pool, done)
	default:
	}
}

// joinElements appends the elements of replies of one element each, while they are short
// bulks or nulls that are whole, at most left of them. It returns how many they are, and
// how long their replies.
//
// An element is copied as moveSmall does it.
func joinElements(left int, data []byte, pool *mbuf.Pool, joined *mbuf.Chain) (n, size int) {
	free, used := joined.Reserve(pool, min(len(data), left*2*smallElement)), 0
	last := head{word: 1} // nothing
	for ; n < left; n++ {
		near := data[size:]
		if len(near) < len(oneText)+len("_\r\n") || binary.LittleEndian.Uint32(near) != arrayOfOne {
			break
		}
		near = near[len(oneText):]
		var word uint64
		if len(near) >= 8 {
			word = binary.LittleEndian.Uint64(near)
		} else {
			var few [8]byte
			copy(few[:], near)
			word = binary.LittleEndian.Uint64(few[:])
		}
		if !last.isAt(word) {
			h, ok := elementHead(word)
			if !ok {
				break
			}
			last = h
		}
		end := last.end
		if end > len(near) || binary.LittleEndian.Uint16(near[end-2:]) != lineEnd {
			break
		}
		switch {
		case end <= smallElement && len(near) >= smallElement && len(free)-used >= smallElement:
			mbuf.CopyBlock((*[smallElement]byte)(free[used:used+smallElement:used+smallElement]), (*[smallElement]byte)(near[:smallElement:smallElement]))
			used += end
		case end <= len(free)-used:
			used += copy(free[used:], near[:end])
		default:
			joined.Commit(used)
			joined.Append(pool, near[:end])
			free, used = joined.Reserve(pool, smallElement), 0
		}
		size += len(oneText) + end
	}
	joined.Commit(used)
	return n, size
}

// elementHead is readHead, also for RESP3's null.
func elementHead(word uint64) (h head, ok bool) {
	const null = '_' | lineEnd<<8
	if word<<40 == null<<40 {
		return head{word: null, mask: 1<<24 - 1, size: 3, end: 3}, true
	}
	return readHead(word, true)
}

// JoinReply implements proxy.Sequencer.
func (m *merger) JoinReply(f *msg.Msg, r msg.Reply, pool *mbuf.Pool, joined *mbuf.Chain) bool {
	var flat mbuf.Chain
	defer flat.Release(pool)
	whole := r.Chain
	if whole == nil {
		flat.Append(pool, r.Flat)
		whole = &flat
	}
	kind := commands[f.Type].merge
	c := newCursor(whole)
	if !kind.takes(c.first()) {
		return false
	}
	if kind == mergeElements {
		if one, ok := m.readCount(&c, '*'); !ok || one != 1 {
			return false
		}
	}
	if joined.Len() == 0 {
		beginJoin(f, kind, pool, joined)
	}
	if kind != mergeStatus {
		whole.Advance(pool, c.used())
		joined.Splice(pool, whole)
	}
	return true
}

// EndJoin implements proxy.Sequencer.
func (m *merger) EndJoin(f *msg.Msg, pool *mbuf.Pool, joined *mbuf.Chain) (ok bool) {
	answered := int(f.Nkeys - f.Pending)
	kind := commands[f.Type].merge
	if kind == mergeStatus || kind == mergeElements && f.Pending == 0 {
		return true
	}
	var end mbuf.Chain
	w := writer{pool: pool, out: &end}
	c := newCursor(joined)
	if kind == mergeElements {
		w.array(answered)
		_, ok = m.readCount(&c, '*')
		joined.Advance(pool, c.used())
		end.Splice(pool, joined)
	} else {
		sum, n := int64(0), int64(0)
		for range answered {
			if n, ok = m.readCount(&c, ':'); ok {
				sum, ok = add(sum, n)
			}
			if !ok {
				return false
			}
		}
		joined.Release(pool)
		w.integer(sum)
	}
	joined.Splice(pool, &end)
	return ok
}
