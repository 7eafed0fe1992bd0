package memcache

import (
	"bytes"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// maxCode is the length, in bytes, of the longest word that a reply begins with.
const maxCode = len("CLIENT_ERROR")

// codeOf is the word that a reply begins with, or nothing for a number. A word
// that lies across chunks is gathered in buf.
func codeOf(r msg.Reply, buf *[maxCode]byte) []byte {
	b := r.Flat
	if r.Chain != nil {
		b = buf[:gather(buf[:], r.Chain)]
	}
	end := 0
	for end < len(b) && (b[end] >= 'A' && b[end] <= 'Z' || b[end] == '_') {
		end++
	}
	return b[:end]
}

// gather copies the beginning of the chain to dst and returns its length.
func gather(dst []byte, c *mbuf.Chain) (n int) {
	for k := c.Head(); k != nil && n < len(dst); k = k.Next() {
		n += copy(dst[n:], k.Bytes())
	}
	return n
}

// Verdict implements proxy.Codec: it tells by the reply's first word whether it
// can answer the command. A server that says less, or more, than it was asked
// (one that wants a login first, say) is found out by the first reply that
// cannot be meant for its request.
func (p *Protocol) Verdict(t msg.Type, r msg.Reply) msg.Verdict {
	replies := commands[t].replies
	if len(replies) == 0 {
		return msg.Answers
	}
	var buf [maxCode]byte
	code := codeOf(r, &buf)
	if slices.Contains(replies, string(code)) || bytes.HasSuffix(code, []byte("ERROR")) {
		return msg.Answers
	}
	return msg.OutOfStep
}

// ErrorPrefix implements proxy.Codec.
func (p *Protocol) ErrorPrefix(r msg.Reply, buf []byte) (prefix []byte, refuses msg.Reason) {
	var code [maxCode]byte
	prefix = codeOf(r, &code)
	if !bytes.HasSuffix(prefix, []byte("ERROR")) {
		return nil, msg.OK
	}
	if text := head(r, buf); bytes.HasPrefix(text, []byte("ERROR Too many open connections")) {
		refuses = msg.NoDescriptors
	}
	return append(buf[:0], prefix...), refuses
}

// head is the beginning of the reply, in buf or where it lies.
func head(r msg.Reply, buf []byte) []byte {
	if r.Chain == nil {
		return r.Flat
	}
	buf = buf[:cap(buf)]
	return buf[:gather(buf, r.Chain)]
}

// maxValueLine is the length, in bytes, of the longest line before a value: its key,
// flags, length and unique number.
const maxValueLine = 320

// SizeOfKey implements proxy.Codec: of the values that come with their keys.
func (p *Protocol) SizeOfKey(_ msg.Type, r msg.Reply, i int, key []byte) int {
	view := mbuf.Flat(r.Flat)
	if r.Chain != nil {
		view = mbuf.Whole(r.Chain)
	}
	for off := 0; off < view.Len() && i >= 0; i-- {
		var b []byte
		b, p.scratch = view.Bytes(off, min(maxValueLine, view.Len()-off), p.scratch)
		name, head, body := valueOf(b)
		if head == 0 {
			return 0
		}
		size := head + body + len(crlf)
		if bytes.Equal(name, key) || len(key) == msg.NoteKey && bytes.HasPrefix(name, key) {
			return size
		}
		off += size
	}
	return 0
}

// valueOf returns the key of the value that b begins with, the length of its line, the
// line end included, and that of the body behind it. If b does not begin with the line of
// a value, head is 0.
func valueOf(b []byte) (key []byte, head, body int) {
	if end, head, body := plainValue(b); head > 0 {
		return b[len(valueWord):end], head, body
	}
	at := bytes.IndexByte(b, '\n')
	if at < 0 || !bytes.HasPrefix(b, []byte(valueWord)) {
		return nil, 0, 0
	}
	n, ok := valueLength(bytes.TrimSuffix(b[:at], []byte("\r")), 4)
	if !ok {
		return nil, 0, 0
	}
	key = bytes.TrimLeft(b[len(valueWord):at+1], " ")
	return key[:blankFrom(key, 0)], at + 1, n
}

// Silent implements proxy.Silencer: it tells by the reply's code whether
// memcached sends it to a quiet request.
func (p *Protocol) Silent(t msg.Type, r msg.Reply) bool {
	var buf [maxCode]byte
	return slices.Contains(commands[t].silent, string(codeOf(r, &buf)))
}
