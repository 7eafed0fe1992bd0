package redis

import (
	"bytes"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// verdicts judge replies. They are the same in every pool.
type verdicts struct{}

// Verdict implements proxy.Codec. If the command's replies are merged, the first byte
// shows whether the reply has a shape that can be merged. Any reply may be an error,
// and may have attributes before it. A push of RESP3 answers no request: the proxy asks
// for none on shared connections.
func (verdicts) Verdict(t msg.Type, r msg.Reply) msg.Verdict {
	first := firstByte(r)
	if first == '>' {
		return msg.OutOfStep
	}
	kind := commands[t].merge
	if kind == mergeNone || first == '-' || first == '!' || first == '|' || kind.takes(first) {
		return msg.Answers
	}
	return msg.OutOfStep
}

// takes tells whether a reply that begins with that byte, and is no error, can be
// merged.
func (kind mergeKind) takes(first byte) bool {
	switch kind {
	case mergeStatus:
		return first == '+'
	case mergeSum, mergeMax:
		return first == ':'
	case mergeMin:
		return first == ':' || first == '*'
	case mergeElements, mergeAllOf, mergePairSums, mergeScan:
		return first == '*'
	case mergeConcat, mergeUnion:
		return first == '*' || first == '~' || first == '%' || first == '_' || first == '$'
	case mergeBusy:
		return first == '*' || first == '%'
	case mergeLoad:
		return first == '$'
	case mergeNone, mergeAny, mergeSame, mergeOneOK, mergeBlocks, mergeEvery:
	}
	return true
}

// ErrorPrefix implements proxy.Codec: it is what stands before the first blank.
// A RESP3 error may be a text with its length before it.
func (verdicts) ErrorPrefix(r msg.Reply, buf []byte) (prefix []byte, refuses msg.Reason) {
	b := r.Flat
	if r.Chain != nil {
		for k := r.Chain.Head(); k != nil && len(buf) < maxErrorHead; k = k.Next() {
			b := k.Bytes()
			buf = append(buf, b[:min(len(b), maxErrorHead-len(buf))]...)
		}
		b = buf
	}
	switch {
	case len(b) == 0:
		return nil, msg.OK
	case b[0] == '!':
		_, b, _ = bytes.Cut(b, []byte("\r\n"))
	case b[0] == '-':
		b = b[1:]
	default:
		return nil, msg.OK
	}
	end := 0
	for end < len(b) && end <= stats.MaxErrorName && b[end] > ' ' {
		end++
	}
	prefix = b[:end:end]
	if prefix == nil {
		prefix = []byte{}
	}
	switch string(prefix) {
	case "NOAUTH", "WRONGPASS":
		refuses = msg.LoginRefused
	case "READONLY", "REDIRECT":
		refuses = msg.ReadOnly
	case "LOADING":
		refuses = msg.Loading
	case "MASTERDOWN":
		refuses = msg.MasterDown
	case "DENIED":
		refuses = msg.AccessDenied
	case "ERR":
		if bytes.HasPrefix(b[end:], []byte(" max number of clients")) {
			refuses = msg.NoDescriptors
		}
	}
	return prefix, refuses
}

// SizeOfKey implements proxy.Codec: of replies with an element for each key.
func (verdicts) SizeOfKey(t msg.Type, r msg.Reply, i int, _ []byte) int {
	if commands[t].merge != mergeElements {
		return 0
	}
	view := mbuf.Flat(r.Flat)
	if r.Chain != nil {
		view = mbuf.Whole(r.Chain)
	}
	// head reads the number in the line at off, and where the line ends. If the line is
	// not the head of an array or a bulk, the number is -1.
	head := func(off int, kind byte) (n int64, end int, ok bool) {
		var buf [maxHead]byte
		b, _ := view.Bytes(off, min(maxHead, view.Len()-off), buf[:0])
		at := bytes.IndexByte(b, '\n')
		if at < 0 || b[0] != kind && b[0] != '_' {
			return 0, 0, false
		}
		if n = -1; b[0] == kind {
			n, ok = lineNumber(b[:at+1])
		}
		return n, off + at + 1, ok || n < 0
	}
	n, off, ok := head(0, '*')
	if !ok || int64(i) >= n {
		return 0
	}
	for ; off < view.Len(); i-- {
		n, end, ok := head(off, '$')
		if !ok {
			return 0 // an element of another kind
		}
		if n >= 0 {
			end += int(n) + 2
		}
		if i == 0 {
			return end - off
		}
		off = end
	}
	return 0
}

// maxHead is the length, in bytes, of the longest line that SizeOfKey reads.
const maxHead = 32

// maxErrorHead is how many bytes of an error ErrorPrefix looks at: its length, if it
// has one, and its prefix.
const maxErrorHead = 24 + stats.MaxErrorName

func firstByte(r msg.Reply) byte {
	if r.Chain != nil {
		c := newCursor(r.Chain)
		return c.first()
	}
	if len(r.Flat) == 0 {
		return 0
	}
	return r.Flat[0]
}
