package redis

import "math"

// maxLine is the length, in bytes, from which Redis refuses a line: an inline
// request, a count or a length.
const maxLine = 64 << 10

// A header is the number in a line such as "*2\r\n" or "$16\r\n", as far as it has been
// read. The line's first byte is not part of it. In the zero value nothing has been
// read.
type header struct {
	// value is the number without its sign.
	value uint64
	// size is the number of bytes before the line's end.
	size int
	neg  bool
	// bad: this is no number as Redis writes it.
	bad bool
	// cr: the carriage return has been seen.
	cr bool
}

// read goes on reading the line in data, up to and including its end. If it is not
// done, n == len(data). A line that exceeds maxLine is done and bad.
func (h *header) read(data []byte) (n int, done bool) {
	for i, c := range data {
		if h.cr {
			h.bad = h.bad || c != '\n'
			return i + 1, true
		}
		if c == '\r' {
			h.cr = true
			continue
		}
		h.digit(c)
		if h.size > maxLine {
			return i + 1, true
		}
	}
	return len(data), false
}

// digit reads one byte of the number. As in Redis, "+1", "01" and "-0" are not numbers.
func (h *header) digit(c byte) {
	switch {
	case c == '-' && h.size == 0:
		h.neg = true
	case c < '0' || c > '9',
		h.value == 0 && h.hasDigit(),
		c == '0' && h.neg && h.size == 1,
		h.value > (math.MaxUint64-9)/10:
		h.bad = true
	default:
		h.value = h.value*10 + uint64(c-'0')
	}
	h.size++
}

func (h *header) hasDigit() bool { return h.size > 1 || h.size == 1 && !h.neg }

// tooLong: the line exceeds maxLine.
func (h *header) tooLong() bool { return h.size > maxLine }

// number is the number in a line that is done; ok tells whether it is one.
func (h *header) number() (v int64, ok bool) {
	if h.bad || !h.hasDigit() || h.tooLong() {
		return 0, false
	}
	if h.neg {
		return -int64(h.value), h.value <= 1<<63
	}
	return int64(h.value), h.value <= math.MaxInt64
}

// shortNumber reads a number of one to nine digits, and its line end, at data[i]. It
// returns the number and the offset after the line end. If something else stands there,
// or not all of it has come, ok is false, and next is where the first nine digits end.
func shortNumber(data []byte, i int) (n, next int, ok bool) {
	j := i
	for j < len(data) && data[j]-'0' <= 9 && j < i+9 {
		n = n*10 + int(data[j]-'0')
		j++
	}
	if j+1 >= len(data) || data[j] != '\r' || data[j+1] != '\n' || j == i || data[i] == '0' && j > i+1 {
		return n, j, false
	}
	return n, j + 2, true
}

// lineEnd is "\r\n" as a little-endian number.
const lineEnd = '\n'<<8 | '\r'

// shortBulk reads the head of a bulk of at most 99 bytes, such as "$16\r\n", from
// the word that it begins, little-endian. It returns the bulk's length and the
// head's; the latter is 0 if anything else is there.
func shortBulk(word uint64) (n, size int) {
	d := uint32(byte(word>>8) - '0')
	if byte(word) != '$' || d > 9 {
		return 0, 0
	}
	if word>>16&0xffff == lineEnd {
		return int(d), 4
	}
	e := uint32(byte(word>>16) - '0')
	if d == 0 || e > 9 || word>>24&0xffff != lineEnd {
		return 0, 0
	}
	return int(d*10 + e), 5
}

// A head is the head of a bulk that was read. The next bulk is compared with it, since
// it is likely to have the same length. To compare is not only less work than to read a
// number. The processor also predicts the result and goes on after the bulk, where it
// would have to wait for a number.
type head struct {
	// word is the first eight bytes of the bulk, those that mask selects.
	word, mask uint64
	// size is the length of the head, end that of all of the bulk.
	size, end int
}

// isAt tells whether word is the beginning of a bulk with that head, and so of that
// length.
func (h *head) isAt(word uint64) bool { return word&h.mask == h.word }

// readHead reads the head of a bulk of at most 9999 bytes from its first eight bytes.
// With nulls, RESP2's null counts as one. ok is false if anything else stands there.
func readHead(word uint64, nulls bool) (h head, ok bool) {
	const null = '$' | '-'<<8 | '1'<<16 | lineEnd<<24
	if nulls && word<<24 == null<<24 {
		return head{word: null, mask: 1<<40 - 1, size: 5, end: 5}, true
	}
	if byte(word) != '$' {
		return head{}, false
	}
	n, digits := 0, 0
	for w := word >> 8; digits < 4; w >>= 8 {
		d := byte(w) - '0'
		if d > 9 {
			break
		}
		n = n*10 + int(d)
		digits++
	}
	leading0 := digits > 1 && byte(word>>8) == '0'
	if digits == 0 || leading0 || word>>(8+8*digits)&0xffff != lineEnd {
		return head{}, false
	}
	size := 1 + digits + 2
	mask := uint64(1)<<(8*size) - 1
	return head{word: word & mask, mask: mask, size: size, end: size + n + 2}, true
}

// read reads the head of an argument, as readHead does, into h. It is not inlined, so that the
// loop around it keeps its registers.
//
//go:noinline
func (h *head) read(word uint64) (ok bool) {
	*h, ok = readHead(word, false)
	return ok
}

// A bulkBody is how far a bulk has come: an argument of a request, or a bulk in a reply.
type bulkBody struct {
	// need is the number of bytes missing, the line end's two included.
	need int
}

// skip skips the part of the bulk that data has from i on, and checks its line end. ok
// is false if the line end is wrong.
func (b *bulkBody) skip(data []byte, i int) (next int, ok bool) {
	if b.need > 2 {
		n := min(b.need-2, len(data)-i)
		b.need -= n
		i += n
	}
	for b.need <= 2 && b.need > 0 && i < len(data) {
		if data[i] != "\n\r"[b.need-1] {
			return i, false
		}
		b.need--
		i++
	}
	return i, true
}
