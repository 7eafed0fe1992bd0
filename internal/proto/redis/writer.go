package redis

import (
	"strconv"

	"nuthatch/internal/mbuf"
)

// A writer appends replies to a chain, in RESP2 or RESP3, and requests.
type writer struct {
	pool  *mbuf.Pool
	out   *mbuf.Chain
	resp3 bool
}

func (w writer) raw(s string) { w.out.AppendString(w.pool, s) }

func (w writer) number(first string, n int64) {
	w.raw(first)
	w.out.AppendInt(w.pool, n)
	w.raw("\r\n")
}

func (w writer) ok()             { w.raw(done) }
func (w writer) array(n int)     { w.number("*", int64(n)) }
func (w writer) integer(n int64) { w.number(":", n) }

// null is the null of a value.
func (w writer) null() {
	if w.resp3 {
		w.raw("_\r\n")
		return
	}
	w.raw("$-1\r\n")
}

// mapping begins a map of n pairs, which RESP2 has as an array of keys and
// values.
func (w writer) mapping(n int) {
	if w.resp3 {
		w.number("%", int64(n))
		return
	}
	w.array(2 * n)
}

// time is a time in microseconds since 1970, as TIME tells it.
func (w writer) time(micros int64) {
	const second = 1e6
	w.array(2)
	w.bulkString(strconv.FormatInt(micros/second, 10))
	w.bulkString(strconv.FormatInt(micros%second, 10))
}

// set begins a set of n elements, which RESP2 has as an array.
func (w writer) set(n int) {
	if w.resp3 {
		w.number("~", int64(n))
		return
	}
	w.array(n)
}

// verbatim is a text for people to read, which RESP2 has as a bulk.
func (w writer) verbatim(s string) {
	if !w.resp3 {
		w.bulkString(s)
		return
	}
	w.number("=", int64(len(s)+len("txt:")))
	w.raw("txt:")
	w.raw(s)
	w.raw("\r\n")
}

// verbatimChain is verbatim for a text in a chain, which is moved.
func (w writer) verbatimChain(text *mbuf.Chain) {
	if w.resp3 {
		w.number("=", int64(text.Len()+len("txt:")))
		w.raw("txt:")
	} else {
		w.number("$", int64(text.Len()))
	}
	w.out.Splice(w.pool, text)
	w.raw("\r\n")
}

func (w writer) status(s string) {
	w.raw("+")
	w.raw(s)
	w.raw("\r\n")
}

func (w writer) bulkString(s string) {
	w.number("$", int64(len(s)))
	w.raw(s)
	w.raw("\r\n")
}

// request is a request of the given words.
func (w writer) request(words ...string) {
	w.array(len(words))
	for _, s := range words {
		w.bulkString(s)
	}
}

// fail appends an error; its parts contain no line ends.
func (w writer) fail(parts ...string) {
	w.raw("-")
	for _, s := range parts {
		w.raw(s)
	}
	w.raw("\r\n")
}

// maxShown is how many bytes of a client's word an error shows. It is Redis's number.
const maxShown = 128

// plain is at most n bytes of b as an error of Redis shows them: up to a NUL, with
// spaces in place of line ends.
func plain(b []byte, n int) string {
	s := make([]byte, 0, min(len(b), n))
	for _, c := range b[:min(len(b), n)] {
		if c == 0 {
			break
		}
		if c == '\r' || c == '\n' {
			c = ' '
		}
		s = append(s, c)
	}
	return string(s)
}

// quote is b in single quotes, cut off after maxShown bytes, with escapes for bytes
// that are not printable ASCII.
func quote(b []byte) string {
	s := []byte{'\''}
	for _, c := range b[:min(len(b), maxShown)] {
		switch {
		case c == '\'' || c == '\\':
			s = append(s, '\\', c)
		case c < ' ' || c > '~':
			s = append(s, `\x`...)
			s = append(s, strconv.FormatUint(uint64(c)>>4, 16)...)
			s = append(s, strconv.FormatUint(uint64(c)&15, 16)...)
		default:
			s = append(s, c)
		}
	}
	s = append(s, '\'')
	if len(b) > maxShown {
		s = append(s, "..."...)
	}
	return string(s)
}
