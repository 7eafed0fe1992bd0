package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxQuoted bounds, in bytes, how much of a file's text an error repeats.
const maxQuoted = 80

// Error is one fault in a configuration file. It never holds the value of
// redis_auth.
type Error struct {
	// File is the file's name as it was given.
	File string
	// Line and Column count from 1. Column is 0 if only the line is known.
	Line, Column int
	// Pool is the pool's name, or empty outside of a pool.
	Pool string
	// Key is the key at fault, or empty if no single key is; keys of the block
	// "nuthatch:" are written "nuthatch.threads".
	Key string
	// Msg says what was found and what was expected.
	Msg string
}

// Error returns one line: file, line, pool, key, message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	b.WriteByte(':')
	b.WriteString(strconv.Itoa(e.Line))
	b.WriteString(": ")
	if e.Pool != "" {
		b.WriteString("pool ")
		b.WriteString(quote(e.Pool))
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors are all faults of one file, by line; at least one.
type Errors []*Error

// Error returns one line for each fault, without a newline at the end.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, for errors.As.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// sorted orders the faults by their place, in place: those of file before those of the
// files that it includes. What is said of a line of pool_defaults in several pools is said
// once.
func (es Errors) sorted(file string) Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(
			-compareBool(a.File == file, b.File == file), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
		)
	})
	return slices.CompactFunc(es, func(a, b *Error) bool {
		return a.Pool != b.Pool && a.Column > 0 && *a == Error{b.File, b.Line, b.Column, a.Pool, b.Key, b.Msg}
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// quote puts a file's text between single quotes, on one line and not too long.
func quote(s string) string {
	s = withoutLogin(s)
	cut := ""
	if len(s) > maxQuoted {
		n := maxQuoted
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s, cut = s[:n], "..."
	}
	q := strconv.Quote(s)
	return "'" + strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`) + cut + "'"
}

// withoutLogin is text without what may be a user and a password in a URL.
func withoutLogin(text string) string {
	begin, end := strings.Index(text, "://"), strings.LastIndexByte(text, '@')
	if begin < 0 || end < begin {
		return text
	}
	return text[:begin+len("://")] + "***" + text[end:]
}

// quoteAddress quotes what should be an address. What stands before the last @ may be a login.
func quoteAddress(text string) string {
	if end := strings.LastIndexByte(text, '@'); end >= 0 && !strings.Contains(text, "://") {
		text = "***" + text[end:]
	}
	return quote(text)
}

// quoteKey quotes a name that stands where a key is expected. It stops at the
// first character that no key has, so that a password in the wrong place is not
// shown.
func quoteKey(s string) string {
	for i := range len(s) {
		if c := lower(s[i]); c != '_' && c != '-' && c != '.' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return quote(s[:i] + "...")
		}
	}
	return quote(s)
}

// lineOf names a line, and its file if that is an included one.
func lineOf(node *yaml.Node) string {
	line := strconv.Itoa(node.Line)
	if file := sourceOf(node); file != "" {
		line += " of " + file
	}
	return line
}
