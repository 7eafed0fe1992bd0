package redis

import (
	"bytes"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Replies to requests that went, as they were, to all servers.

// mergeMin appends the least of the servers' numbers. For arrays of numbers, it begins
// an array of the least number at each place.
func (m *merger) mergeMin(pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	if m.cursors[0].first() == ':' {
		least, ok := m.least()
		if !ok {
			return msg.BadReply
		}
		writer{pool: pool, out: out}.integer(least)
		return msg.OK
	}
	n, ok := m.sameCount()
	if !ok {
		return msg.BadReply
	}
	if n == 0 {
		writer{pool: pool, out: out}.array(0)
		return msg.OK
	}
	writer{pool: pool, out: &m.made}.array(int(n))
	m.left = int(n)
	return msg.OK
}

// mergeMax appends the greatest of the servers' numbers.
func (m *merger) mergeMax(pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	return m.mergeNumbers(func(a, b int64) (int64, bool) { return max(a, b), true }, pool, out)
}

// moveLeast makes the next n elements of that array.
func (m *merger) moveLeast(n int, pool *mbuf.Pool) (ok bool) {
	for range n {
		least, ok := m.least()
		if !ok {
			return false
		}
		writer{pool: pool, out: &m.made}.integer(least)
	}
	return true
}

// least reads a number from every server and returns the least.
func (m *merger) least() (least int64, ok bool) {
	for i := range m.cursors {
		n, ok := m.readCount(&m.cursors[i], ':')
		if !ok {
			return 0, false
		}
		if i == 0 || n < least {
			least = n
		}
	}
	return least, true
}

// sameCount reads the beginning of an array from every server that is not absent
// and returns the number of its elements, if that is the same for all.
func (m *merger) sameCount() (n int64, ok bool) {
	n = -1
	for i := range m.cursors {
		c := &m.cursors[i]
		if c.absent {
			continue
		}
		m, ok := m.readCount(c, '*')
		if !ok || m < 0 || n >= 0 && m != n {
			return 0, false
		}
		n = m
	}
	return n, n >= 0
}

// mergeConcat appends the elements of all servers' arrays, sets or maps, all of one
// kind. A null has no elements. The elements are not looked at: what follows a reply's
// head is moved as it is, by reference if it is large.
func (m *merger) mergeConcat(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	kind, total := byte(0), int64(0)
	for i := range m.cursors {
		c := &m.cursors[i]
		if c.absent {
			continue
		}
		if m.isNull(c) {
			c.absent = true
			continue
		}
		first := c.first()
		if first != '*' && first != '~' && first != '%' || kind != 0 && first != kind {
			return msg.BadReply
		}
		n, ok := m.readCount(c, first)
		if !ok {
			return msg.BadReply
		}
		kind = first
		total += n
	}
	if kind == 0 {
		kind = '*'
	}
	w := writer{pool: pool, out: out}
	w.number(string(rune(kind)), total)
	for i := range m.cursors {
		if c := &m.cursors[i]; !c.absent {
			reply := &parent.Frags[i].Reply
			reply.Advance(pool, c.used())
			out.Splice(pool, reply)
		}
	}
	return msg.OK
}

// mergeAny moves one reply that is not null, of a random server, so that RANDOMKEY
// favours none. If all that answered have no key, a server that did not might have one.
func (m *merger) mergeAny(parent *msg.Msg, failure msg.Reason, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	n := len(m.cursors)
	start := int(m.rnd.Uint64() % uint64(n))
	null := -1
	for i := range n {
		at := (start + i) % n
		c := &m.cursors[at]
		if c.absent {
			continue
		}
		if !m.isNull(c) {
			out.Splice(pool, &parent.Frags[at].Reply)
			return msg.OK
		}
		null = at
	}
	switch {
	case failure != msg.OK:
		return failure
	case anyError(m.cursors):
		moveError(m.cursors, parent, pool, out)
	default:
		out.Splice(pool, &parent.Frags[null].Reply)
	}
	return msg.OK
}

func anyError(cursors []cursor) bool {
	for i := range cursors {
		if cursors[i].isError() {
			return true
		}
	}
	return false
}

// repliesDiffer is the answer if servers do not answer the same request in the same
// way.
const repliesDiffer = "ERR the servers of the pool give different answers; ask each of them itself"

// maxAlike is the longest bulk, head and line ends included, that counts as a name and
// must have the same bytes on all servers.
const maxAlike = 256

// mergeSame moves the first server's reply. Lines and names must be the same on all
// servers. Arrays, maps and long texts, such as FUNCTION DUMP's, have a different order
// on each server, so only their kind must be the same.
func (m *merger) mergeSame(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	chosen := -1
	for i := range m.cursors {
		switch {
		case m.cursors[i].absent:
		case chosen < 0:
			chosen = i
		case !alike(m.cursors, chosen, i, parent):
			writer{pool: pool, out: out}.fail(repliesDiffer)
			return msg.OK
		}
	}
	out.Splice(pool, &parent.Frags[chosen].Reply)
	return msg.OK
}

func alike(cursors []cursor, i, j int, parent *msg.Msg) bool {
	first := cursors[i].first()
	x, y := &parent.Frags[i].Reply, &parent.Frags[j].Reply
	switch s := shapes[first]; {
	case s == array, s == pairing, s == bulk && x.Len() > maxAlike:
		return cursors[j].first() == first
	default:
		return sameBytes(x, y)
	}
}

// sameBytes tells whether two chains hold the same.
func sameBytes(x, y *mbuf.Chain) bool {
	if x.Len() != y.Len() {
		return false
	}
	a, b := newCursor(x), newCursor(y)
	for {
		ab, bb := a.rest(), b.rest()
		n := min(len(ab), len(bb))
		if n == 0 {
			return true
		}
		if !bytes.Equal(ab[:n], bb[:n]) {
			return false
		}
		a.skip(n)
		b.skip(n)
	}
}

// mergeBusy moves the reply of a server that runs something: FUNCTION STATS, a
// map whose first value is null on all others. If none does, the first reply.
func (m *merger) mergeBusy(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	chosen := 0
	for i := range m.cursors {
		c := &m.cursors[i]
		first := c.first()
		if first != '*' && first != '%' {
			return msg.BadReply
		}
		if n, ok := m.readCount(c, first); !ok || n < 1 {
			return msg.BadReply
		}
		m.moveElement(c, nil, nil)
		if c.first() == 0 {
			return msg.BadReply // an array of one
		}
		if !m.isNull(c) {
			chosen = i
			break
		}
	}
	out.Splice(pool, &parent.Frags[chosen].Reply)
	return msg.OK
}

// notBusy is how a server answers SCRIPT KILL when it runs no script.
const notBusy = "-NOTBUSY"

// mergeOneOK moves the reply of a server that did what the request asks, if one did.
// Otherwise it moves the error of a server that could not, unless that had nothing to
// do.
func (m *merger) mergeOneOK(parent *msg.Msg, failure msg.Reason, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	chosen, idle := -1, -1
	for i := range m.cursors {
		c := &m.cursors[i]
		switch {
		case !c.absent:
			out.Splice(pool, &parent.Frags[i].Reply)
			return msg.OK
		case !c.isError():
		case hasPrefix(c, notBusy):
			idle = i
		case chosen < 0:
			chosen = i
		}
	}
	switch {
	case chosen >= 0:
	case failure != msg.OK:
		return failure
	default:
		chosen = idle
	}
	out.Splice(pool, &parent.Frags[chosen].Reply)
	return msg.OK
}

// hasPrefix tells whether what follows begins with prefix.
func hasPrefix(c *cursor, prefix string) bool {
	at := *c
	for len(prefix) > 0 {
		b := at.rest()
		n := min(len(b), len(prefix))
		if n == 0 || string(b[:n]) != prefix[:n] {
			return false
		}
		at.skip(n)
		prefix = prefix[n:]
	}
	return true
}

// mergePairSums begins to append names, and after each the sum of the servers' numbers:
// PUBSUB NUMSUB. All servers list the names that they were asked for.
func (m *merger) mergePairSums(pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	n, ok := m.sameCount()
	if !ok || n%2 != 0 {
		return msg.BadReply
	}
	if n == 0 {
		writer{pool: pool, out: out}.array(0)
		return msg.OK
	}
	writer{pool: pool, out: &m.made}.array(int(n))
	m.left = int(n / 2)
	return msg.OK
}

// movePairSums makes the next n of those pairs.
func (m *merger) movePairSums(n int, pool *mbuf.Pool) (ok bool) {
	for range n {
		first := true
		sum := int64(0)
		for i := range m.cursors {
			c := &m.cursors[i]
			if c.absent {
				continue
			}
			if first {
				m.moveElement(c, pool, &m.made)
				first = false
			} else {
				m.moveElement(c, nil, nil)
			}
			v, ok := m.readCount(c, ':')
			if ok {
				sum, ok = add(sum, v)
			}
			if !ok {
				return false
			}
		}
		writer{pool: pool, out: &m.made}.integer(sum)
	}
	return true
}
