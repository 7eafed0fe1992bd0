package redis

import (
	"bytes"
	"strconv"

	"nuthatch/internal/msg"
)

// An inline is a request that a human typed: words in one line, as Redis takes
// them from telnet. Servers are sent the same request as RESP.
type inline struct {
	// line is the part of the request that has come, and later its words without
	// quotes.
	line []byte
	// resp is the whole request as RESP. Valid until the parser's next request.
	resp []byte
	// used: Finish is about the request in resp.
	used bool
}

// reset makes room for a new line and lets go of room that only a long line
// needed.
func (in *inline) reset() {
	in.line = in.line[:0]
	if cap(in.line) > keptLine {
		in.line = nil
	}
	in.resp = in.resp[:0]
	if cap(in.resp) > keptLine {
		in.resp = nil
	}
}

// split makes resp from line and appends the spans of its words, as they lie in
// resp, to spans. It returns an error if a quote is not closed, or if there are more than most
// words, or if one is longer than longest.
func (in *inline) split(spans []msg.Span, most, longest int) ([]msg.Span, *msg.ProtocolError) {
	line := bytes.TrimSuffix(in.line, []byte("\r"))
	r, w := 0, 0
	for {
		for r < len(line) && isSpace(line[r]) {
			r++
		}
		if r == len(line) {
			break
		}
		// A word is never longer than its quoted form, so that it can be
		// written over what has been read.
		next, end, ok := unquote(line, r, w)
		switch {
		case !ok:
			return spans[:0], errQuotes
		case len(spans) == most:
			return spans[:0], errCountBeforeAuth
		case end-w > longest:
			return spans[:0], errLengthBeforeAuth
		}
		spans = append(spans, msg.Span{Off: uint32(w), Len: uint32(end - w)})
		r, w = next, end
	}
	in.encode(spans)
	return spans, nil
}

// encode writes the words that lie at spans in line to resp, and moves the spans
// there.
func (in *inline) encode(spans []msg.Span) {
	in.used = true
	b := in.resp[:0]
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(spans)), 10)
	b = append(b, "\r\n"...)
	for i, s := range spans {
		b = append(b, '$')
		b = strconv.AppendUint(b, uint64(s.Len), 10)
		b = append(b, "\r\n"...)
		spans[i].Off = uint32(len(b))
		b = append(b, in.line[s.Off:s.End()]...)
		b = append(b, "\r\n"...)
	}
	in.resp = b
}

// unquote writes the word that begins at b[r] to b[w:], w <= r, by Redis's rules: "..."
// has the escapes of C and \xHH, '...' only \'. After a closing quote the word must
// end. It returns the offsets after what it has read and written.
func unquote(b []byte, r, w int) (next, end int, ok bool) {
	quote := byte(0)
	for ; r < len(b); r++ {
		c := b[r]
		switch {
		case quote == 0 && isSpace(c) && c != '\v' && c != '\f':
			return r, w, true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
			continue
		case quote != 0 && c == quote:
			r++
			return r, w, r == len(b) || isSpace(b[r])
		case quote == '"' && c == '\\':
			c, r = unescape(b, r)
		case quote == '\'' && c == '\\' && r+1 < len(b) && b[r+1] == '\'':
			c = '\''
			r++
		}
		b[w] = c
		w++
	}
	return r, w, quote == 0
}

// unescape returns what the escape that begins at b[r] stands for, and the offset
// of its last byte.
func unescape(b []byte, r int) (c byte, last int) {
	if r+3 < len(b) && b[r+1] == 'x' {
		if v, err := strconv.ParseUint(string(b[r+2:r+4]), 16, 8); err == nil {
			return byte(v), r + 3
		}
	}
	if r+1 == len(b) {
		return b[r], r
	}
	r++
	switch b[r] {
	case 'n':
		return '\n', r
	case 'r':
		return '\r', r
	case 't':
		return '\t', r
	case 'b':
		return '\b', r
	case 'a':
		return '\a', r
	default:
		return b[r], r
	}
}

// isSpace is C's isspace. Redis skips all of these between words, but only the more
// common ones end a word without quotes.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
