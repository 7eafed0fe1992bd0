package redis

import (
	"bytes"
	"math"
	"slices"
	"strconv"
)

// A replyValue is a reply, or an element of one, with its elements. It is for replies
// to the proxy's own questions, not for those to clients.
type replyValue struct {
	first  byte
	text   string
	number int64
	elems  []replyValue
}

// maxDepth is how deep the elements of a reply may be nested.
const maxDepth = 16

// readReply reads a whole reply, as a reply parser has accepted it.
func readReply(b []byte) (replyValue, bool) {
	v, rest, ok := readValue(b, maxDepth)
	return v, ok && len(rest) == 0
}

func readValue(b []byte, depth int) (v replyValue, rest []byte, ok bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 2 || depth == 0 {
		return v, nil, false
	}
	v.first, v.text = b[0], string(b[1:end-1])
	rest = b[end+1:]
	s := shapes[v.first]
	if s == line {
		return v, rest, true
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	v.number = n
	switch {
	case err != nil || s == noReply || s == attribute:
		return v, nil, false
	case s == integer || n < 0:
		return v, rest, true
	case s == bulk:
		if n > int64(len(rest)-2) {
			return v, nil, false
		}
		v.text = string(rest[:n])
		return v, rest[n+2:], true
	case s == pairing:
		n *= 2
	}
	for range n {
		var e replyValue
		if e, rest, ok = readValue(rest, depth-1); !ok {
			return v, nil, false
		}
		v.elems = append(v.elems, e)
	}
	return v, rest, true
}

// index is a number as the place of a word; 0 if it cannot be one.
func (v replyValue) index() int {
	n, _ := v.place()
	return n
}

// place is a number as the place of a word, counted from the beginning or, if negative,
// from the end. ok is false if it cannot be one.
func (v replyValue) place() (n int, ok bool) {
	if v.first != ':' || v.number < math.MinInt16 || v.number > math.MaxInt16 {
		return 0, false
	}
	return int(v.number), true
}

// has tells whether one of the elements is that word.
func (v replyValue) has(word string) bool {
	return slices.ContainsFunc(v.elems, func(e replyValue) bool { return e.text == word })
}

// field is the value of a map's key, which RESP2 has in an array; zero if there
// is none.
func (v replyValue) field(name string) replyValue {
	for i := 0; i+1 < len(v.elems); i += 2 {
		if v.elems[i].text == name {
			return v.elems[i+1]
		}
	}
	return replyValue{}
}
