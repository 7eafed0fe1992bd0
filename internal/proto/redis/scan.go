package redis

import (
	"math"
	"math/bits"
	"strconv"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// SCAN goes from server to server. Its cursor says where it is:
//
//	cursor = server's cursor * number of servers + index of the server
//
// So 0 begins with the first server. The end of one server, whose cursor is 0, leads to
// the beginning of the next. The end of the last is 0 again. A full iteration returns
// what a full iteration of each server returns.

// invalidCursor is Redis's text.
const invalidCursor = "invalid cursor"

// CLUSTERSCAN is SCAN for the keys of a cluster. Here the pool's servers take the place
// of the cluster, and get SCAN.
const clusterScan = "clusterscan"

// noSlots is why CLUSTERSCAN is refused with SLOT.
const noSlots = "SLOT asks for a slot of a Redis Cluster; the keys of a pool are at its servers by other rules; leave it out"

// A scanner leads SCAN from server to server. All of its state is in the cursor.
type scanner struct{}

// hasSlot tells whether a CLUSTERSCAN has the option SLOT.
func hasSlot(req *msg.Request) bool {
	for i := 2; i < len(req.Args); i += 2 {
		if isWord(req, i, "slot") {
			return true
		}
	}
	return false
}

// OneServer implements proxy.ServerChooser: it picks the server that a SCAN's cursor
// names.
func (scanner) OneServer(req *msg.Request, nservers int) (server int, ok bool) {
	if commands[req.Type].name == clusterScan {
		if nservers == 1 {
			return 0, true // its cursors are the server's own affair
		}
		if hasSlot(req) {
			req.Error = noSlots
			return 0, false
		}
	}
	cursor, ok := cursorOf(req)
	if !ok {
		req.Error = invalidCursor
		return 0, false
	}
	return int(cursor % uint64(nservers)), true
}

// maxCursor is the longest cursor, in bytes.
const maxCursor = len("18446744073709551615")

// cursorOf is the cursor that a client sent.
func cursorOf(req *msg.Request) (cursor uint64, ok bool) {
	word := req.Args[1]
	if int(word.Len) > maxCursor {
		return 0, false
	}
	var buf [maxCursor]byte
	b, _ := req.View.Bytes(int(word.Off), int(word.Len), buf[:0])
	return parseCursor(b)
}

// parseCursor reads a number of 64 bits.
func parseCursor(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > maxCursor {
		return 0, false
	}
	for _, c := range b {
		hi, lo := bits.Mul64(n, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		if c-'0' > 9 || hi != 0 || carry != 0 {
			return 0, false
		}
		n = sum
	}
	return n, true
}

// AppendOne implements proxy.ServerChooser: it appends the request with the cursor
// that its server gave; 0 if nservers is.
func (scanner) AppendOne(req *msg.Request, nservers int, pool *mbuf.Pool, out *mbuf.Chain) {
	cursor := uint64(0)
	if nservers > 0 {
		cursor, _ = cursorOf(req)
		cursor /= uint64(nservers)
	}
	var buf, number [24]byte
	digits := strconv.AppendUint(number[:0], cursor, 10)
	b := append(buf[:0], "\r\n$"...)
	b = strconv.AppendInt(b, int64(len(digits)), 10)
	b = append(b, "\r\n"...)
	name := req.Args[0]
	if commands[req.Type].name == clusterScan {
		req.View.AppendTo(pool, out, 0, int(name.Off)-len("$11\r\n"))
		out.AppendString(pool, "$4\r\nSCAN")
	} else {
		req.View.AppendTo(pool, out, 0, name.End())
	}
	out.Append(pool, b)
	out.Append(pool, digits)
	rest := req.Args[1].End()
	req.View.AppendTo(pool, out, rest, req.View.Len()-rest)
}

// mergeScan moves a server's answer to SCAN, with the cursor for the next call in place
// of the server's own. The parent's Servers says how many servers there are.
func (m *merger) mergeScan(parent *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	if len(parent.Frags) == 0 { // of a cluster, all of which has been scanned
		writer{pool: pool, out: out}.raw("*2\r\n$1\r\n0\r\n*0\r\n")
		return msg.OK
	}
	f := parent.Frags[0]
	c := &m.cursors[0]
	if n, ok := m.readCount(c, '*'); !ok || n != 2 {
		return msg.BadReply
	}
	size, ok := m.readCount(c, '$')
	if !ok || size <= 0 || size > maxLine {
		return msg.BadReply
	}
	line := m.line(c)
	if len(line) != int(size)+2 {
		return msg.BadReply // the bulk itself holds a line end
	}
	cursor, ok := parseCursor(line[:size])
	if !ok {
		return msg.BadReply
	}
	next, ok := nextCursor(cursor, uint64(f.Server), uint64(parent.Servers))
	if at, after := f.Scan(); at > 0 {
		next, ok = nextNode(cursor, uint64(at), uint64(after))
	}
	if !ok {
		writer{pool: pool, out: out}.fail("ERR the server's cursor is too large to be shared with other servers")
		return msg.OK
	}
	var number [24]byte
	digits := strconv.AppendUint(number[:0], next, 10)
	w := writer{pool: pool, out: out}
	w.array(2)
	w.number("$", int64(len(digits)))
	out.Append(pool, digits)
	w.raw("\r\n")
	f.Reply.Advance(pool, c.used())
	out.Splice(pool, &f.Reply)
	return msg.OK
}

// nextNode is nextCursor in a cluster: at is the place of the node, and after that of the next
// one, as in msg.ScanPlace.
func nextNode(cursor, at, after uint64) (next uint64, ok bool) {
	if cursor == 0 {
		return after, true
	}
	if cursor <= math.MaxUint64/msg.ScanShort {
		return cursor*msg.ScanShort + at, true
	}
	if cursor > math.MaxUint64/msg.ScanLong {
		return 0, false
	}
	return cursor*msg.ScanLong + uint64(msg.LongScan(int(at))), true
}

// nextCursor is the cursor for the next call. ok is false if it does not fit in 64
// bits.
func nextCursor(cursor, server, servers uint64) (next uint64, ok bool) {
	if cursor == 0 {
		if server+1 == servers {
			return 0, true
		}
		return server + 1, true
	}
	if servers == 0 || cursor > (math.MaxUint64-server)/servers {
		return 0, false
	}
	return cursor*servers + server, true
}
