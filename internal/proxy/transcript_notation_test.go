package proxy_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// tooLong is how long, in bytes, a text is shown in full.
const tooLong = 60

// token is a word of a story: a text in quotes, perhaps many times, or any other.
var token = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(?:\*[0-9]+)?|\S+`)

// text is what a word stands for.
func (s *story) text(w string) string {
	if !strings.HasPrefix(w, `"`) {
		return s.key(w)
	}
	end := strings.LastIndexByte(w, '"') + 1
	t, err := strconv.Unquote(w[:end])
	if err != nil {
		s.t.Fatalf("%s: %v", w, err)
	}
	if times, ok := strings.CutPrefix(w[end:], "*"); ok {
		t = strings.Repeat(t, number(times))
	}
	return t
}

// request is the bytes of a line that a client says.
func (s *story) request(line string) string {
	if bytes, ok := strings.CutPrefix(line, "raw "); ok {
		return s.text(bytes)
	}
	words := token.FindAllString(line, -1)
	for i, w := range words {
		words[i] = s.text(w)
	}
	if s.talk.pool.Protocol == config.Redis {
		return command(words...)
	}
	return strings.Join(words, " ") + "\r\n"
}

// reply is the bytes of a line that a server says.
func (s *story) reply(line string) string {
	switch {
	case strings.HasPrefix(line, "raw "):
		return s.text(line[4:])
	case s.talk.pool.Protocol == config.Memcached:
		return s.request(line)
	case strings.HasPrefix(line, "-MOVED ") || strings.HasPrefix(line, "-ASK "):
		words := strings.Fields(line)
		node := s.talk.stubs[strings.Index("abc", words[2])]
		return fmt.Sprintf("%s %d %s:%d\r\n", words[0], hashkit.Slot([]byte(s.key(words[1]))), node.host(), nodePort)
	case strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-"):
		return line + "\r\n"
	}
	out, rest := s.value(token.FindAllString(line, -1))
	if len(rest) > 0 {
		s.t.Fatalf("%q: %q stands behind the reply", line, rest)
	}
	return out
}

// value is the bytes of the first reply among words, and the words behind it.
func (s *story) value(words []string) (out string, rest []string) {
	w := words[0]
	rest = words[1:]
	switch {
	case w == "nil":
		return "$-1\r\n", rest
	case strings.HasPrefix(w, `"`):
		return bulk(s.text(w)), rest
	case strings.HasPrefix(w, ":") || strings.HasPrefix(w, "+"):
		return w + "\r\n", rest
	case keyWord.MatchString(w):
		return bulk(s.key(w)), rest
	case w == ">":
		out, rest = s.value(rest)
		return ">" + out[1:], rest
	case w != "[" && w != "{":
		s.t.Fatalf("%q is no reply", w)
	}
	n := 0
	for rest[0] != "]" && rest[0] != "}" {
		var element string
		element, rest = s.value(rest)
		out += element
		n++
	}
	if w == "{" {
		return fmt.Sprintf("%%%d\r\n", n/2) + out, rest[1:]
	}
	return fmt.Sprintf("*%d\r\n", n) + out, rest[1:]
}

// shown is what a client has heard, as stories have it.
func (s *story) shown(in []byte, ended string) string {
	var b strings.Builder
	if s.talk.pool.Protocol == config.Memcached {
		for line := range strings.Lines(string(in)) {
			b.WriteString(clipped(strings.TrimRight(line, "\r\n")) + "\n")
		}
		in = nil
	}
	for len(in) > 0 {
		shown, n := one(in)
		if n == 0 {
			fmt.Fprintf(&b, "(begun) %q\n", clipped(string(in)))
			break
		}
		b.WriteString(shown + "\n")
		in = in[n:]
	}
	if b.Len() == 0 && ended == "" {
		return "(nothing)\n"
	}
	return s.named(b.String()) + ended
}

// one is the first reply in b as stories have it, and its length; 0 if it is not whole.
func one(b []byte) (shown string, n int) {
	if n, err := (resp{}).frame(b); n == 0 && b[0] != '>' {
		if err != nil {
			return fmt.Sprintf("(no reply) %q", b), len(b)
		}
		return "", 0
	}
	line, n := cutLine(b)
	if n == 0 {
		return "", 0
	}
	count, err := strconv.Atoi(line[1:])
	switch {
	case strings.IndexByte("+-:#,(", line[0]) >= 0:
		return line, n
	case line[0] == '_' || err == nil && count < 0:
		return "nil", n
	case strings.IndexByte("$!=", line[0]) >= 0:
		return strconv.Quote(clipped(string(b[n : n+count]))), n + count + 2
	}
	open, end := "[", "]"
	switch line[0] {
	case '%':
		open, end, count = "{", "}", 2*count
	case '>':
		open = "> ["
	}
	parts := []string{open}
	for range count {
		part, m := one(b[n:])
		if m == 0 {
			return "", 0
		}
		parts, n = append(parts, part), n+m
	}
	return strings.Join(append(parts, end), " "), n
}

// clipped is a text, the middle of a long one left out.
func clipped(t string) string {
	if len(t) <= tooLong {
		return t
	}
	return fmt.Sprintf("%s... (%d bytes)", t[:20], len(t))
}

// short are words, long ones clipped.
func short(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = clipped(w)
	}
	return out
}
