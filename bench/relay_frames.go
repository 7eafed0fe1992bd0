package main

import (
	"bytes"
	"fmt"
	"strings"
)

// framer finds where messages end in a stream of bytes that comes in pieces.
type framer interface {
	// next takes bytes from the start of b, to the end of one message or of b, and
	// tells whether that is where the message ends.
	next(b []byte) (taken int, done bool, err error)
}

// maxLength is above every length and number that is no mistake.
const maxLength = 1 << 30

// respFramer knows RESP2: arrays of bulk strings, which requests are, and replies.
// The zero value is ready for the first message.
type respFramer struct {
	open bool // within a message
	kind byte // what the line began with; 0 between lines
	null bool // its number is negative
	num  int  // what has come of its number
	left int  // values that are still to come, the one of the line included
	body int  // bytes of a bulk string, with the end of its line, that are still to come
}

func (f *respFramer) next(b []byte) (taken int, done bool, err error) {
	i := 0
	for i < len(b) {
		if f.body > 0 {
			n := min(f.body, len(b)-i)
			i += n
			if f.body -= n; f.body == 0 && f.left == 0 {
				f.open = false
				return i, true, nil
			}
			continue
		}
		if f.kind == 0 {
			if !f.open {
				f.open, f.left = true, 1
			}
			f.kind, f.num, f.null = b[i], 0, false
			i++
		}
		n, ended := f.line(b[i:])
		i += n
		if !ended {
			break
		}
		if err := f.endLine(); err != nil {
			return i, false, err
		}
		if f.left == 0 && f.body == 0 {
			f.open = false
			return i, true, nil
		}
	}
	return i, false, nil
}

// line takes the rest of a line, as far as it has come.
func (f *respFramer) line(b []byte) (taken int, ended bool) {
	if f.kind != '$' && f.kind != '*' {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return i + 1, true
		}
		return len(b), false
	}
	num := f.num
	for i, c := range b {
		switch {
		case '0' <= c && c <= '9' && num < maxLength:
			num = num*10 + int(c-'0')
		case c == '\n':
			f.num = num
			return i + 1, true
		case c == '-' && num == 0:
			f.null = true
		case c != '\r':
			num = maxLength // which endLine refuses
		}
	}
	f.num = num
	return len(b), false
}

// endLine draws the conclusions of a line.
func (f *respFramer) endLine() error {
	kind := f.kind
	f.kind = 0
	f.left--
	switch {
	case f.num >= maxLength:
		return fmt.Errorf("a line with %q has no number that can be", kind)
	case kind == '$' && !f.null:
		f.body = f.num + len("\r\n")
	case kind == '*' && !f.null:
		f.left += f.num
	case strings.IndexByte("$*+-:", kind) < 0:
		return fmt.Errorf("a line begins with %q", kind)
	}
	return nil
}

// textFramer knows the get and set of memcached's text protocol, and the replies to
// them. The zero value is ready for the first message.
type textFramer struct {
	first byte // of the line
	word  int  // of the line, counted from 1; 0 between lines
	num   int  // what has come of the length
	body  int  // bytes of a value, with the end of its line, that are still to come
}

// lengthWord is which word of a line, by its first byte, is the length of a value
// that follows: 0 for none.
func lengthWord(first byte) int {
	switch first {
	case 's': // set KEY FLAGS EXPTIME LENGTH
		return 5
	case 'V': // VALUE KEY FLAGS LENGTH, with more of the reply behind the value
		return 4
	}
	return 0
}

func (f *textFramer) next(b []byte) (taken int, done bool, err error) {
	for i := 0; i < len(b); i++ {
		if f.body > 0 {
			n := min(f.body, len(b)-i)
			i += n - 1
			if f.body -= n; f.body == 0 && f.first == 's' {
				return i + 1, true, nil
			}
			continue
		}
		c := b[i]
		switch {
		case f.word == 0:
			f.first, f.word, f.num = c, 1, 0
		case c == ' ':
			f.word++
		case c == '\n':
			if done, err = f.endLine(); done || err != nil {
				return i + 1, done, err
			}
		case '0' <= c && c <= '9' && f.word == lengthWord(f.first) && f.num < maxLength:
			f.num = f.num*10 + int(c-'0')
		}
	}
	return len(b), false, nil
}

// endLine tells whether a line ends a message.
func (f *textFramer) endLine() (bool, error) {
	words, length := f.word, lengthWord(f.first)
	f.word = 0
	switch {
	case length == 0 && strings.IndexByte("gSENC", f.first) >= 0: // get; STORED, END, and errors
		return true, nil
	case length == 0:
		return false, fmt.Errorf("a line begins with %q", f.first)
	case words < length || f.num >= maxLength:
		return false, fmt.Errorf("a line with %q has no length that can be", f.first)
	}
	f.body = f.num + len("\r\n")
	return false, nil
}
