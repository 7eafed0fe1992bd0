package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxLineSearch bounds how many lines decode walks back over to find the line
// of a syntax error.
const maxLineSearch = 64

// yamlLine takes a message of the YAML library apart. The library leaves the
// line out when it is the first.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// decode reads text, which must be a single YAML document and no other program's
// configuration, to its root node; the node is nil if the document is empty. Nodes keep parts
// of text.
func decode(file string, text []byte) (*yaml.Node, *Error) {
	root, fault := decodeYAML(file, text)
	if root != nil || fault != nil {
		if e := foreign(file, text, root); e != nil {
			return nil, e
		}
	}
	if fault != nil {
		return nil, fault
	}
	return root, nil
}

// decodeYAML reads text as decode does. With a second document there are both the root of the
// first one and a fault.
func decodeYAML(file string, text []byte) (*yaml.Node, *Error) {
	if e := checkBytes(text); e != nil {
		e.File = file
		return nil, e
	}
	lines := &lineReader{rest: text}
	dec := yaml.NewDecoder(lines)
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, syntaxError(file, text, lines.count, err)
	}
	err = dec.Decode(&second)
	if err == nil {
		return doc.Content[0], &Error{
			File: file, Line: second.Line, Column: second.Column,
			Msg: "a second document begins here; expected one",
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, syntaxError(file, text, lines.count, err)
	}
	setSource(doc.Content[0], "")
	return doc.Content[0], nil
}

// checkBytes finds what no YAML file may hold. The library would name an offset
// instead of a line.
func checkBytes(text []byte) *Error {
	line := 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			return &Error{Line: line, Msg: "the file is not UTF-8 here"}
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', 0x7f <= r && r <= 0x9f && r != '\u0085':
			return &Error{Line: line, Msg: "control character " + strconv.QuoteRuneToASCII(r)}
		}
		text = text[size:]
	}
	return nil
}

// syntaxHints are added to the library's messages that contain a text. The
// library names the wrong line with some of them: that of the block's
// beginning, less one.
var syntaxHints = []struct {
	contains, hint string
	wrongLine      bool
}{
	{"tab character", "; indent with spaces", true},
	{"expected node content", "; a value that begins with '[' or '{', such as an IPv6 address, must be quoted", true},
	{"did not find expected ','", "; a value that begins with '[' or '{', such as an IPv6 address, must be quoted", true},
	{"did not find expected", "; is the line indented like its neighbours, with a colon and a space after the key?", true},
	{"mapping values are not allowed", "; is the line indented like its neighbours, and is there one key to a line?", false},
	{"could not find expected ':'", "; a key is followed by a colon and a space", false},
	{"unexpected end of stream", "; is there a quote left open?", false},
}

// syntaxError makes an Error of the library's. count is how many lines the
// library had asked for when it gave up.
func syntaxError(file string, text []byte, count int, err error) *Error {
	e := &Error{File: file, Line: 1, Msg: "YAML: the file cannot be read"}
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return e
	}
	if n, err := strconv.Atoi(m[1]); err == nil {
		e.Line = n
	}
	if strings.HasPrefix(m[2], "unknown anchor") {
		// The library repeats the name, which may be a password that begins
		// with an asterisk.
		e.Msg = "YAML: a value that begins with '*' must be quoted; aliases are not supported"
		e.Line = failingLine(text, count)
		return e
	}
	e.Msg = "YAML: " + m[2]
	if strings.Contains(m[2], "cannot start any token") {
		e.Line = failingLine(text, count)
		e.Msg += tokenHint(lineAt(text, e.Line))
		return e
	}
	for _, h := range syntaxHints {
		if strings.Contains(m[2], h.contains) {
			e.Msg += h.hint
			if h.wrongLine {
				e.Line = failingLine(text, count)
			}
			break
		}
	}
	return e
}

// tokenHint explains why no value begins at the first character of the line that YAML
// reserves.
func tokenHint(line string) string {
	body := strings.TrimLeft(line, " ")
	switch {
	case strings.HasPrefix(body, "\t"):
		return "; the line is indented with a tab: indent with spaces"
	case strings.Contains(body, "@"), strings.Contains(body, "`"):
		return "; a value that begins with '@' or '`' must be quoted"
	case strings.Contains(body, "%"):
		return "; a value that begins with '%' must be quoted"
	}
	return "; is there a tab, or a value that must be quoted?"
}

// lineAt is a line of a text, counted from 1.
func lineAt(text []byte, n int) string {
	for line := range bytes.Lines(text) {
		if n--; n == 0 {
			return string(line)
		}
	}
	return ""
}

// failingLine returns the line at which parsing fails: the one after the
// longest part of the file that can be parsed. It is at most line count.
func failingLine(text []byte, count int) int {
	ends := make([]int, 0, count)
	for i, c := range text {
		if c == '\n' && len(ends) < count {
			ends = append(ends, i+1)
		}
	}
	for n, steps := min(count-1, len(ends)), 0; n > 0 && steps < maxLineSearch; n, steps = n-1, steps+1 {
		var node yaml.Node
		if yaml.Unmarshal(text[:ends[n-1]], &node) == nil {
			return n + 1
		}
	}
	return max(count, 1)
}

// lineReader hands text out a line at a time and counts the lines, which tells
// how far its reader has come.
type lineReader struct {
	rest  []byte
	count int
	// inLine is true if the last line counted was not handed out whole.
	inLine bool
}

// Read implements io.Reader; a read ends with the line.
func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		return 0, io.EOF
	}
	if !l.inLine {
		l.count++
	}
	end := bytes.IndexByte(l.rest, '\n') + 1
	if end == 0 {
		end = len(l.rest)
	}
	n := copy(p, l.rest[:end])
	l.inLine = n < end
	l.rest = l.rest[n:]
	return n, nil
}
