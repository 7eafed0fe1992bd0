package memcache

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// The meta commands have their words behind the key, each a flag: a letter, and
// for some a token behind it. Two of them concern a proxy.
//
// With q a command is quiet: memcached answers only what is out of the ordinary.
// It is taken out, so that the server answers in any case, and Silent tells
// which of its answers memcached would have kept to itself.
//
// With b the key is base64, and is placed by what it decodes to: the same key,
// sent in either form, belongs to the same server.

// takeFlags looks through the words from the first that is a flag, and returns
// what is wrong with them, or "". The words are the server's to judge but for a
// second q, which, left in, would silence it.
func (p *requestParser) takeFlags(c *command, line []byte) string {
	r := &p.req
	for _, word := range p.args[min(c.flags, len(p.args)):] {
		switch line[word.Off] {
		case 'q':
			if r.Quiet {
				return c.twice
			}
			r.Quiet = true
			r.Omit = msg.Span{Off: word.Off - 1, Len: word.Len + 1}
		case 'b':
			p.decodeKey(c, line)
		}
	}
	return ""
}

// decodeKey has the request placed by its decoded key. A key that cannot be
// decoded is refused by whatever server it goes to.
func (p *requestParser) decodeKey(c *command, line []byte) {
	key, ok := appendBase64(p.decoded[:0], wordOf(line, p.args[c.key]))
	if ok {
		p.decoded = key
		p.req.PlaceKey = key
	}
}

// foreignDigit is the value of a byte that is no base64 digit.
const foreignDigit = 0xff

// base64Digits are the values of base64's digits. The pad counts as a 0.
var base64Digits = func() (values [256]byte) {
	for i := range values {
		values[i] = foreignDigit
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(digits) {
		values[digits[i]] = byte(i)
	}
	values['='] = 0
	return values
}()

// appendBase64 appends what memcached decodes b to. It is lenient: bytes that
// are no digits are passed over, and what follows the first group with a pad is
// not looked at. It is not ok where memcached refuses the key.
func appendBase64(dst, b []byte) (decoded []byte, ok bool) {
	digits := 0
	for _, c := range b {
		if base64Digits[c] != foreignDigit {
			digits++
		}
	}
	if digits == 0 || digits%4 != 0 {
		return dst, false
	}
	var group, n, pad int
	for _, c := range b {
		v := base64Digits[c]
		if v == foreignDigit {
			continue
		}
		if c == '=' {
			pad++
		}
		group = group<<6 | int(v)
		if n++; n < 4 {
			continue
		}
		dst = append(dst, byte(group>>16), byte(group>>8), byte(group))
		if pad > 0 {
			return dst[:len(dst)-min(pad, 3)], pad <= 2
		}
		group, n = 0, 0
	}
	return dst, true
}

// appendFacts appends the proxy's own statistics.
func (p *Protocol) appendFacts(pool *mbuf.Pool, out *mbuf.Chain) {
	if p.facts != nil {
		p.facts(func(name, value string) {
			out.AppendString(pool, "STAT ")
			out.AppendString(pool, name)
			out.AppendString(pool, " ")
			out.AppendString(pool, value)
			out.AppendString(pool, crlf)
		})
	}
	out.AppendString(pool, "END\r\n")
}
