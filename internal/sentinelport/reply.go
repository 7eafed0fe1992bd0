package sentinelport

import "strconv"

// A reply is what a client is sent, in its version of RESP.
type reply struct {
	bytes []byte
	resp3 bool
}

func (r *reply) raw(text string) { r.bytes = append(r.bytes, text...) }

func (r *reply) number(first byte, n int64) {
	r.bytes = append(r.bytes, first)
	r.bytes = strconv.AppendInt(r.bytes, n, 10)
	r.raw("\r\n")
}

func (r *reply) array(n int)      { r.number('*', int64(n)) }
func (r *reply) integer(n int64)  { r.number(':', n) }
func (r *reply) status(s string)  { r.raw("+" + s + "\r\n") }
func (r *reply) fail(s string)    { r.raw("-" + s + "\r\n") }
func (r *reply) ok()              { r.status("OK") }
func (r *reply) pair(k, v string) { r.bulk(k); r.bulk(v) }

func (r *reply) bulk(s string) {
	r.number('$', int64(len(s)))
	r.raw(s + "\r\n")
}

func (r *reply) list(all []string) {
	r.array(len(all))
	for _, s := range all {
		r.bulk(s)
	}
}

// verbatim is a text with lines.
func (r *reply) verbatim(s string) {
	if !r.resp3 {
		r.bulk(s)
		return
	}
	const kind = "txt:"
	r.number('=', int64(len(kind)+len(s)))
	r.raw(kind + s + "\r\n")
}

func (r *reply) mapping(n int) {
	if r.resp3 {
		r.number('%', int64(n))
		return
	}
	r.array(2 * n)
}

// push begins a message that was not asked for.
func (r *reply) push(n int) {
	if r.resp3 {
		r.number('>', int64(n))
		return
	}
	r.array(n)
}

// nothing is the reply where an array, or a text, is not there.
func (r *reply) nothing(array bool) {
	switch {
	case r.resp3:
		r.raw("_\r\n")
	case array:
		r.raw("*-1\r\n")
	default:
		r.raw("$-1\r\n")
	}
}

// bulks are texts, one behind the other.
func (r *reply) bulks(all ...string) {
	for _, s := range all {
		r.bulk(s)
	}
}
