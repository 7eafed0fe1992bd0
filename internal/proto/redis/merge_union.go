package redis

import (
	"bytes"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// maxUnion is the most bytes of replies in which repeated names are looked for. In
// larger replies they stay.
const maxUnion = 1 << 20

// mergeUnion appends the names that the servers' lists have, each of them once. Replies
// that are no lists of names are joined as they are.
func (m *merger) mergeUnion(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	total := 0
	for i := range m.cursors {
		if !m.cursors[i].absent {
			total += parent.Frags[i].Reply.Len()
		}
	}
	if total > maxUnion {
		return m.mergeConcat(parent, pool, out)
	}
	var names [][]byte
	known := make(map[string]bool)
	for i := range m.cursors {
		if m.cursors[i].absent {
			continue
		}
		listed, ok := bulksOf(parent.Frags[i].Reply.AppendTo(nil))
		if !ok { // they may be anything
			return m.mergeConcat(parent, pool, out)
		}
		for _, name := range listed {
			if !known[string(name)] {
				known[string(name)] = true
				names = append(names, name)
			}
		}
	}
	w := writer{pool: pool, out: out}
	w.array(len(names))
	for _, name := range names {
		w.number("$", int64(len(name)))
		out.Append(pool, name)
		w.raw("\r\n")
	}
	return msg.OK
}

// bulksOf are the elements of an array of bulks.
func bulksOf(reply []byte) (bulks [][]byte, ok bool) {
	n, rest, ok := headOf('*', reply)
	for ; ok && n > 0; n-- {
		var length int64
		length, rest, ok = headOf('$', rest)
		if !ok || length < 0 || length+2 > int64(len(rest)) {
			return nil, false
		}
		bulks = append(bulks, rest[:length])
		rest = rest[length+2:]
	}
	return bulks, ok
}

// headOf reads the line that a reply begins with.
func headOf(kind byte, reply []byte) (n int64, rest []byte, ok bool) {
	end := bytes.IndexByte(reply, '\n') + 1
	if end == 0 || reply[0] != kind {
		return 0, nil, false
	}
	n, ok = lineNumber(reply[:end])
	return n, reply[end:], ok
}
