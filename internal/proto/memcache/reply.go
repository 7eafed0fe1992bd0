package memcache

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"

	"nuthatch/internal/msg"
)

// maxReplyLine bounds a line of a reply, without its end, in bytes. The longest
// that a server has a use for is an error in words.
const maxReplyLine = 4 << 10

// lineKind is what a reply's line, known by its first word, means to the reply.
type lineKind uint8

const (
	// foreignLine is no line of a reply.
	foreignLine lineKind = iota
	// valueLine is followed by a body, and then by another line of the reply.
	valueLine
	// lastValueLine is followed by a body, and is a reply of its own with it.
	lastValueLine
	// moreLine is followed by another line of the reply.
	moreLine
	// endLine ends a reply of any number of lines.
	endLine
	// errorLine ends a reply of any number of lines, with words behind it.
	errorLine
	// soleLine is a reply of its own, of one word.
	soleLine
	// textLine is a reply of its own, with words behind it.
	textLine
)

var replyLines = []struct {
	word string
	kind lineKind
}{
	{"VALUE", valueLine},
	{"END", endLine},
	{"HD", textLine},
	{"VA", lastValueLine},
	{"EN", textLine},
	{"STORED", soleLine},
	{"NOT_STORED", soleLine},
	{"EXISTS", soleLine},
	{"NOT_FOUND", soleLine},
	{"DELETED", soleLine},
	{"TOUCHED", soleLine},
	{"OK", soleLine},
	{"ERROR", errorLine},
	{"CLIENT_ERROR", errorLine},
	{"SERVER_ERROR", errorLine},
	{"VERSION", textLine},
	{"STAT", moreLine},
	{"RESET", soleLine},
	{"NS", textLine},
	{"EX", textLine},
	{"NF", textLine},
	{"ME", textLine},
	{"MN", textLine},
	{"ITEM", moreLine},
	{"PREFIX", moreLine},
}

// kindOf tells what a line is, its CR taken off.
func kindOf(line []byte) lineKind {
	word, rest := line, []byte(nil)
	if n := bytes.IndexByte(line, ' '); n >= 0 {
		word, rest = line[:n], line[n:]
	}
	for i := range replyLines {
		if replyLines[i].word != string(word) {
			continue
		}
		k := replyLines[i].kind
		if (k == soleLine || k == endLine) && !blank(rest) {
			return foreignLine
		}
		return k
	}
	if _, ok := parseUint(word); ok && blank(rest) {
		return soleLine
	}
	return foreignLine
}

// A replyParser finds replies in a server's bytes.
//
//	line ─┬─ one of its own ─────────────────────────────► a reply
//	  ▲   ├─ END or an error, behind blocks or alone ────► a reply
//	  │   ├─ VA ─► body ─────────────────────────────────► a reply
//	  │   └─ VALUE ─► body ─┐
//	  └─────────────────────┘
type replyParser struct {
	// err is sticky.
	err *msg.ProtocolError
	// head is the line so far, if it came in several reads.
	head []byte
	valueBody
	// block: the reply has begun with lines that others must follow.
	block bool
	// last: the body is the reply's end.
	last bool
}

// Parse implements msg.ReplyParser.
func (p *replyParser) Parse(data []byte) (n int, done bool, err *msg.ProtocolError) {
	for n < len(data) && p.err == nil {
		if p.lack > 0 {
			n += p.parseBody(data[n:])
			if p.last && p.lack == 0 && p.err == nil {
				return n, true, nil
			}
			continue
		}
		if len(p.head) == 0 {
			n += p.parseValues(data[n:])
			if n == len(data) {
				break
			}
		}
		m, done := p.parseLine(data[n:])
		n += m
		if done {
			return n, true, nil
		}
	}
	return n, false, p.err
}

func (p *replyParser) parseBody(data []byte) int {
	n, ok := p.skip(data)
	if !ok {
		p.fail("memcache: the server sent a value that does not end with a line end")
		return 0
	}
	return n
}

// parseValues takes the values that data begins with, as long as they are whole and
// as memcached writes them. What follows is left to parseLine.
func (p *replyParser) parseValues(data []byte) int {
	var line plainLine
	n := 0
	_, head, body := plainValue(data) // most replies have no more
	for {
		end := n + head + body + len(crlf)
		if head == 0 || end > len(data) || data[end-2] != '\r' || data[end-1] != '\n' {
			return n
		}
		p.block = true
		n = end
		if len(data)-n < minPlain {
			return n
		}
		head, body = line.value(data[n:])
	}
}

// A plainLine is what the lines of plain values have in common that a server sends one after
// the other: how long the key is, and what stands behind it. The zero value is nothing. To
// compare a line with the one before is less work than to read it, and the processor can go
// on behind the value, where it would have to wait for the number.
type plainLine struct {
	// key is the offset of the space behind the key. rest is the eight bytes from there,
	// those that mask selects: " flags bytes" and the line end.
	key        int
	rest, mask uint64
	// head and body are as plainValue returns them; 0: nothing.
	head, body int
}

// value is plainValue of a line that may be like the last one.
func (l *plainLine) value(b []byte) (head, body int) {
	if l.isAt(b) {
		return l.head, l.body
	}
	key, head, body := plainValue(b)
	if size := head - key; head > 0 && size <= 8 && key+8 <= len(b) {
		mask := ^uint64(0) >> (64 - 8*size)
		*l = plainLine{key, binary.LittleEndian.Uint64(b[key:]) & mask, mask, head, body}
	}
	return head, body
}

// isAt reports whether b begins with a line like l.
func (l *plainLine) isAt(b []byte) bool {
	if l.head == 0 || len(b) < l.key+8 || !beginsValue(b) || binary.LittleEndian.Uint64(b[l.key:])&l.mask != l.rest {
		return false
	}
	// A key that ends earlier is another one.
	i := len(valueWord)
	for ; i+8 <= l.key; i += 8 {
		if blanks(binary.LittleEndian.Uint64(b[i:])) != 0 {
			return false
		}
	}
	return i == l.key || blanks(binary.LittleEndian.Uint64(b[i:]))<<(64-8*(l.key-i)) == 0
}

// valueWord is what the line of a value begins with.
const valueWord = "VALUE "

// minPlain is the length of the shortest plain value with its line, in bytes.
const minPlain = len("VALUE k 0 0\r\n\r\n")

// beginsValue reports whether b, of at least eight bytes, begins with valueWord.
func beginsValue(b []byte) bool {
	const word = 'V' | 'A'<<8 | 'L'<<16 | 'U'<<24 | 'E'<<32 | ' '<<40
	return binary.LittleEndian.Uint64(b)<<16 == word<<16
}

// plainValue looks at the line that b begins with. If it is "VALUE key flags bytes" with
// single spaces and a body of less than a gigabyte, key is the offset behind the key, head is
// the length of the line, its end included, and body that of the body behind it. If it is
// not, or not all here, head is 0.
func plainValue(b []byte) (key, head, body int) {
	if len(b) < minPlain || !beginsValue(b) {
		return 0, 0, 0
	}
	i := blankFrom(b, len(valueWord))
	if i == len(valueWord) || i == len(b) || b[i] != ' ' {
		return 0, 0, 0
	}
	key = i
	i++
	flags := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == flags || i > flags+10 || i == len(b) || b[i] != ' ' {
		return 0, 0, 0
	}
	i++
	for from := i; i+1 < len(b) && i < from+10; i++ {
		d := b[i] - '0'
		if d <= 9 {
			body = body*10 + int(d)
			continue
		}
		if i == from || b[i] != '\r' || b[i+1] != '\n' {
			break
		}
		return key, i + 2, body
	}
	return 0, 0, 0
}

// blankFrom returns the offset in b of the first byte from i on that is a space or a
// control character; len(b) if there is none.
func blankFrom(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if found := blanks(binary.LittleEndian.Uint64(b[i:])); found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	for i < len(b) && b[i] > ' ' {
		i++
	}
	return i
}

func (p *replyParser) parseLine(data []byte) (n int, done bool) {
	line, _, ended := bytes.Cut(data, lf)
	n = len(line)
	if len(p.head)+n > maxReplyLine {
		p.fail("memcache: the server sent a line that is too long for a reply")
		return 0, false
	}
	if !ended || len(p.head) > 0 {
		p.head = append(p.head, line...)
		line = p.head
	}
	if !ended {
		if c := line[0]; c-'A' > 'Z'-'A' && c-'0' > 9 {
			p.foreign(line)
		}
		return n, false
	}
	p.head = p.head[:0]
	return n + 1, p.understand(line)
}

// understand takes a line, its LF taken off, and reports whether it ends the
// reply.
func (p *replyParser) understand(line []byte) (done bool) {
	if len(line) == 0 || line[len(line)-1] != '\r' {
		p.foreign(line)
		return false
	}
	line = line[:len(line)-1]
	switch kindOf(line) {
	case valueLine:
		n, ok := valueLength(line, 4)
		if !ok {
			break
		}
		p.lack, p.block = n+2, true
		return false
	case lastValueLine:
		n, ok := valueLength(line, 2)
		if !ok || p.block {
			break
		}
		p.lack, p.last = n+2, true
		return false
	case moreLine:
		p.block = true
		return false
	case endLine, errorLine:
		return true
	case soleLine, textLine:
		if !p.block {
			return true
		}
	case foreignLine:
	}
	p.foreign(line)
	return false
}

func (p *replyParser) fail(why string) { p.err = &msg.ProtocolError{Msg: why} }

// foreign fails for a line that is not part of a reply.
func (p *replyParser) foreign(line []byte) {
	const enough = 40
	p.fail("memcache: the server sent " + strconv.Quote(string(line[:min(len(line), enough)])) + ", which is not a reply")
}

// Body implements msg.ReplyParser.
func (p *replyParser) Body() int { return p.lack }

// Reset implements msg.ReplyParser.
func (p *replyParser) Reset() { *p = replyParser{head: p.head[:0]} }

// valueLength returns the length of the body that follows a line, its line end
// taken off: of "VALUE key flags bytes", and for gets and gats the unique, the
// 4th word; of "VA bytes", and flags, the 2nd.
func valueLength(line []byte, nth int) (n int, ok bool) {
	begin, end := 0, 0
	for range nth {
		begin = end
		for begin < len(line) && line[begin] == ' ' {
			begin++
		}
		end = begin
		for end < len(line) && line[end] != ' ' {
			end++
		}
	}
	v, ok := parseUint(line[begin:end])
	return int(v), ok && v <= math.MaxInt32
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' {
			return false
		}
	}
	return true
}

// blanks has the highest bit set of the lowest byte of word that is a space or a control
// character, and perhaps of bytes above it; 0: there is none. A byte less than 0x21 borrows
// into its highest bit (the "hasless" of Bit Twiddling Hacks, Sean Eron Anderson).
func blanks(word uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	return (word - ones*0x21) &^ word & highs
}
