package redis

import (
	"encoding/binary"
	"math"

	"nuthatch/internal/msg"
)

// Limits of a reply: the length of a bulk in bytes, and the number of elements
// that may be outstanding, which bounds every count.
const (
	maxReplyBulk = 1 << 30
	maxElements  = 1 << 32
	maxReplyLine = 1 << 20
)

// shape is what follows a reply's first byte.
type shape uint8

const (
	noReply   shape = iota // the byte begins no reply
	line                   // a text up to the line's end
	integer                // a number
	bulk                   // a length, and so many bytes
	array                  // a count, and so many replies
	pairing                // a count, and twice as many replies
	attribute              // as pairing, and then the reply that it is about
)

// shapes are the first bytes of RESP2's replies and RESP3's.
var shapes = [256]shape{
	'+': line, '-': line, ':': integer, '$': bulk, '*': array,
	'_': line, '#': line, ',': line, '(': line, '!': bulk, '=': bulk,
	'~': array, '>': array, '%': pairing, '|': attribute,
}

// isNullable tells whether a length or count may be -1.
func isNullable(first byte) bool { return first == '$' || first == '*' }

// replyState is what a parser expects next.
type replyState uint8

const (
	replyFirst  replyState = iota // a reply's, or an element's, first byte
	replyLine                     // the rest of a text
	replyHeader                   // the rest of a number
	replyBody                     // a bulk, and its line end
	replyEnd                      // nothing: the reply is whole
	replyFailed                   // nothing: the bytes are not the protocol
)

// A replyParser implements msg.ReplyParser. The zero value is not ready: its
// outstanding is 1 before a reply.
type replyParser struct {
	state replyState
	// first is the byte that the element began with.
	first byte
	// cr, inLine: the carriage return has been seen.
	cr bool
	// outstanding is the number of elements, nested ones included, that must
	// still come; the one in progress counts.
	outstanding int64
	// bulkBody is that of a bulk. In a text its need is the number of bytes so far.
	bulkBody
	head header
	err  *msg.ProtocolError
}

// Reset implements msg.ReplyParser.
func (p *replyParser) Reset() {
	if p.state != replyFailed {
		p.state, p.outstanding = replyFirst, 1
	}
}

// Body implements msg.ReplyParser. The line end behind the body counts.
func (p *replyParser) Body() int {
	if p.state != replyBody {
		return 0
	}
	return p.need
}

// Parse implements msg.ReplyParser.
func (p *replyParser) Parse(data []byte) (n int, done bool, err *msg.ProtocolError) {
	i := 0
	for i < len(data) {
		switch p.state {
		case replyFirst:
			i = p.element(data, i)
		case replyLine:
			i = p.line(data, i)
		case replyHeader:
			i = p.header(data, i)
		case replyBody:
			i = p.body(data, i)
		case replyEnd, replyFailed:
			return i, p.state == replyEnd, p.err
		}
	}
	return i, p.state == replyEnd, p.err
}

// element reads elements while they are short numbers, bulks that are whole, or OK, and
// begins the next one.
func (p *replyParser) element(data []byte, i int) int {
	if p.outstanding >= manyElements {
		i = p.many(data, i)
	}
	for i < len(data) && (data[i] == '$' || data[i] == ':' || isDone(data[i:])) {
		if data[i] == '+' {
			i += len(done)
			p.finish()
			if p.state == replyEnd {
				return i
			}
			continue
		}
		n, next, ok := shortNumber(data, i+1)
		if !ok || data[i] == '$' && n > maxReplyBulk {
			break
		}
		if data[i] == '$' {
			body := next
			next += n + 2
			if next > len(data) || data[next-2] != '\r' || data[next-1] != '\n' {
				p.need, p.state = n+2, replyBody
				return body
			}
		}
		i = next
		p.finish()
		if p.state == replyEnd {
			return i
		}
	}
	if i == len(data) {
		return i
	}
	p.first = data[i]
	switch shapes[p.first] {
	case noReply:
		why := "a reply cannot begin with " + quote([]byte{p.first})
		switch p.first {
		case msg.TLSAlert:
			why = "an alert of TLS: the server wants it, see server_tls"
		case 'E':
			why += "; Memcached's ERROR does"
		}
		p.fail(why)
		return i
	case line:
		p.state, p.need, p.cr = replyLine, 0, false
	case integer, bulk, array, pairing, attribute:
		p.state, p.head = replyHeader, header{}
	}
	return i + 1
}

// isDone tells whether data begins with OK.
func isDone(data []byte) bool { return len(data) >= len(done) && string(data[:len(done)]) == done }

// manyElements: from so many elements on they are expected to be alike.
const manyElements = 8

// many reads elements while they are whole, correct and not very long bulks, or nulls.
// The rest, and the last one, are left to element.
func (p *replyParser) many(data []byte, i int) int {
	left, stop := p.outstanding, len(data)-8
	last := head{word: 1} // nothing
	for ; left > 1 && i <= stop; left-- {
		word := binary.LittleEndian.Uint64(data[i:])
		if !last.isAt(word) {
			h, ok := readHead(word, true)
			if !ok {
				break
			}
			last = h
		}
		end := i + last.end
		if end > stop || binary.LittleEndian.Uint16(data[end-2:]) != lineEnd {
			break
		}
		i = end
	}
	p.outstanding = left
	return i
}

// line skips the part of a text that has come.
func (p *replyParser) line(data []byte, i int) int {
	for ; i < len(data); i++ {
		c := data[i]
		p.need++
		if c > '\r' && !p.cr && p.need <= maxReplyLine {
			continue
		}
		switch {
		case p.cr && c == '\n':
			p.finish()
			return i + 1
		case p.cr || c == '\n':
			p.fail("a stray line end in a reply's text")
			return i
		case p.need > maxReplyLine:
			p.fail("a reply's text is too long")
			return i
		case c == '\r':
			p.cr = true
		}
	}
	return i
}

// header goes on reading a number.
func (p *replyParser) header(data []byte, i int) int {
	n, done := p.head.read(data[i:])
	i += n
	if !done {
		return i
	}
	v, ok := p.head.number()
	if !ok || v == -1 && !isNullable(p.first) && p.first != ':' || v < -1 && p.first != ':' {
		p.fail("a reply with an invalid number")
		return i
	}
	switch s := shapes[p.first]; s {
	case integer:
		p.finish()
	case bulk:
		p.beginBulk(v)
	case array, pairing, attribute:
		p.beginArray(s, v)
	case noReply, line:
	}
	return i
}

func (p *replyParser) beginBulk(n int64) {
	switch {
	case n < 0:
		p.finish()
	case n > maxReplyBulk:
		p.fail("a reply with a bulk that is too long")
	default:
		p.need, p.state = int(n)+2, replyBody
	}
}

func (p *replyParser) beginArray(s shape, n int64) {
	n = max(n, 0)
	if n > math.MaxInt32 {
		p.fail("a reply with too many elements")
		return
	}
	if s != array {
		n *= 2
	}
	if s == attribute {
		n++ // the reply that it is about is the one that is waited for
	}
	p.outstanding += n
	if p.outstanding > maxElements {
		p.fail("a reply with too many elements")
		return
	}
	p.finish()
}

// body goes on with a bulk.
func (p *replyParser) body(data []byte, i int) int {
	i, ok := p.skip(data, i)
	switch {
	case !ok:
		p.fail("a bulk in a reply is not followed by a line end")
	case p.need == 0:
		p.finish()
	}
	return i
}

// finish counts an element as done.
func (p *replyParser) finish() {
	p.outstanding--
	p.state = replyFirst
	if p.outstanding == 0 {
		p.state = replyEnd
	}
}

func (p *replyParser) fail(text string) {
	p.state, p.err = replyFailed, &msg.ProtocolError{Msg: text}
}
