package redis

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// The slow, obvious parsers that the real ones are compared with. They see all
// bytes at once, copy freely and go back as they like.

// A wanted is what a parser should find in some bytes: the messages that are
// whole, and what comes behind them.
type wanted struct {
	// requests are the words of each, nil for one that is to be ignored.
	requests [][]string
	// sizes are the lengths of the messages in bytes.
	sizes []int
	// err is the error that ends them, or "" if the rest is a message's
	// beginning, or nothing.
	err string
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// refLine splits data behind its first line, whose text it returns. An open line
// is one that may still become whole; a bad one never will.
func refLine(data []byte) (text string, rest []byte, open, long bool) {
	at := bytes.IndexByte(data, '\r')
	if at > maxLine || at < 0 && len(data) > maxLine {
		return "", nil, false, true
	}
	if at < 0 || at+1 == len(data) {
		return "", nil, true, false
	}
	if data[at+1] != '\n' {
		return "not a line", data[at+1:], false, false
	}
	return string(data[:at]), data[at+2:], false, false
}

func refNumber(text string) (int64, bool) {
	if !wholeNumber.MatchString(text) {
		return 0, false
	}
	v, err := strconv.ParseInt(text, 10, 64)
	return v, err == nil
}

// refRequests is the reference for a request parser with a limit.
func refRequests(data []byte, limit int) wanted {
	var w wanted
	for len(data) > 0 {
		words, size, err := refRequest(data, limit)
		if err != "" || size == 0 {
			w.err = err
			break
		}
		w.requests = append(w.requests, words)
		w.sizes = append(w.sizes, size)
		data = data[size:]
	}
	return w
}

// refRequest returns the first request's words and size; a size of 0 if it is not
// whole.
func refRequest(data []byte, limit int) (words []string, size int, err string) {
	if data[0] == 0x16 { // a TLS record
		return nil, 0, "a client with TLS on a port without TLS"
	}
	if data[0] != '*' {
		return refInline(data, limit)
	}
	text, rest, open, long := refLine(data[1:])
	if open {
		return nil, 0, ""
	}
	if long {
		return nil, 0, "too big mbulk count string"
	}
	count, ok := refNumber(text)
	if !ok || count > maxArgs {
		return nil, 0, "invalid multibulk length"
	}
	for ; count > 0; count-- {
		if len(rest) == 0 {
			return nil, 0, ""
		}
		if rest[0] != '$' {
			shown := strings.NewReplacer("\r", " ", "\n", " ").Replace(string(rest[:1]))
			return nil, 0, "expected '$', got '" + shown + "'"
		}
		text, body, open, long := refLine(rest[1:])
		if open {
			return nil, 0, ""
		}
		if long {
			return nil, 0, "too big bulk count string"
		}
		n, ok := refNumber(text)
		if !ok || n < 0 || n > maxBulk {
			return nil, 0, "invalid bulk length"
		}
		if len(data)-len(body)+int(n)+2 > limit {
			return nil, 0, "request exceeds the limit of " + strconv.Itoa(limit) + " bytes"
		}
		for i, want := range []byte("\r\n") {
			if len(body) > int(n)+i && body[int(n)+i] != want {
				return nil, 0, `expected "\r\n" behind a bulk`
			}
		}
		if len(body) < int(n)+2 {
			return nil, 0, ""
		}
		words = append(words, string(body[:n]))
		rest = body[n+2:]
	}
	return words, len(data) - len(rest), ""
}

func refInline(data []byte, limit int) (words []string, size int, err string) {
	at := bytes.IndexByte(data, '\n')
	text := data
	if at >= 0 {
		text = data[:at]
	}
	if len(text) > limit && limit < maxLine {
		return nil, 0, "request exceeds the limit of " + strconv.Itoa(limit) + " bytes"
	}
	if len(text) > maxLine {
		return nil, 0, "too big inline request"
	}
	if at < 0 {
		return nil, 0, ""
	}
	words, ok := refWords(strings.TrimSuffix(string(text), "\r"))
	if !ok {
		return nil, 0, "unbalanced quotes in request"
	}
	return words, at + 1, ""
}

// The parts of an inline request's line, each anchored at the line's beginning.
var (
	spaces     = regexp.MustCompile(`^[ \t-\r]*`)
	plainRun   = regexp.MustCompile(`^[^ \t\n\r"']+`)
	inDoubles  = regexp.MustCompile(`(?s)^"((?:[^"\\]|\\.)*)"`)
	escape     = regexp.MustCompile(`(?s)\\x[0-9a-fA-F]{2}|\\.`)
	charEscape = map[string]string{"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
)

// latin1 makes every byte a rune, for regular expressions over bytes.
func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

func bytesOf(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func refWords(text string) (words []string, ok bool) {
	text = latin1(text)
	for {
		text = text[len(spaces.FindString(text)):]
		if text == "" {
			return words, true
		}
		word := ""
		run := plainRun.FindString(text)
		text = text[len(run):]
		word += run
		if text != "" && (text[0] == '"' || text[0] == '\'') {
			body, rest, closed := refQuoted(text)
			if !closed || rest != "" && spaces.FindString(rest) == "" {
				return nil, false
			}
			word += body
			text = rest
		}
		words = append(words, bytesOf(word))
	}
}

// refQuoted returns what the quotes at the beginning of text hold.
func refQuoted(text string) (body, rest string, closed bool) {
	if text[0] == '\'' {
		return refSingle(text)
	}
	m := inDoubles.FindStringSubmatch(text)
	if m == nil {
		return "", "", false
	}
	body = escape.ReplaceAllStringFunc(m[1], func(e string) string {
		if v, err := strconv.ParseUint(strings.TrimPrefix(e, `\x`), 16, 8); err == nil && len(e) == 4 {
			return string(rune(v))
		}
		if c, known := charEscape[e[1:]]; known {
			return c
		}
		return e[1:]
	})
	return body, text[len(m[0]):], true
}

// refSingle: in single quotes, \' alone is an escape, whatever is before it.
func refSingle(text string) (body, rest string, closed bool) {
	for i := 1; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\'`):
			body += "'"
			i++
		case text[i] == '\'':
			return body, text[i+1:], true
		default:
			body += text[i : i+1]
		}
	}
	return "", "", false
}

// refReplies is the reference for a reply parser.
func refReplies(data []byte) wanted {
	var w wanted
	for len(data) > 0 {
		left := int64(1)
		rest, err := refReply(data, &left)
		if err != "" || rest == nil {
			w.err = err
			break
		}
		w.sizes = append(w.sizes, len(data)-len(rest))
		data = rest
	}
	return w
}

// refReply returns what is behind the first reply: nil if it is not whole. left
// counts the elements that are announced and have not begun.
func refReply(data []byte, left *int64) (rest []byte, err string) {
	if len(data) == 0 {
		return nil, ""
	}
	first := data[0]
	switch first {
	case '+', '-', '_', '#', ',', '(':
		at := bytes.IndexAny(data[1:], "\r\n")
		if at < 0 || data[1+at] == '\r' && len(data) == at+2 {
			return nil, ""
		}
		if !bytes.HasPrefix(data[1+at:], []byte("\r\n")) {
			return nil, "stray line end"
		}
		*left--
		return data[at+3:], ""
	case ':', '$', '!', '=', '*', '~', '>', '%', '|':
	case 0x15: // a TLS record
		return nil, "an alert of TLS"
	default:
		return nil, "cannot begin"
	}
	text, rest, open, long := refLine(data[1:])
	if open {
		return nil, ""
	}
	n, ok := refNumber(text)
	if long || !ok || first != ':' && (n < -1 || n == -1 && first != '$' && first != '*') {
		return nil, "invalid number"
	}
	*left--
	return refElements(first, n, rest, left)
}

// refElements returns what is behind the bulk or the elements that a header with
// the number n announces.
func refElements(first byte, n int64, rest []byte, left *int64) ([]byte, string) {
	switch first {
	case ':':
		return rest, ""
	case '$', '!', '=':
		if n < 0 {
			return rest, ""
		}
		if n > maxReplyBulk {
			return nil, "too long"
		}
		for i, want := range []byte("\r\n") {
			if len(rest) > int(n)+i && rest[int(n)+i] != want {
				return nil, "not followed by a line end"
			}
		}
		if len(rest) < int(n)+2 {
			return nil, ""
		}
		return rest[n+2:], ""
	}
	if n > 1<<31-1 {
		return nil, "too many elements"
	}
	switch first {
	case '%':
		n *= 2
	case '|':
		n = 2*n + 1
	}
	if *left += max(n, 0); *left >= maxElements {
		return nil, "too many elements"
	}
	for ; n > 0; n-- {
		var err string
		if rest, err = refReply(rest, left); err != "" || rest == nil {
			return nil, err
		}
	}
	return rest, ""
}
