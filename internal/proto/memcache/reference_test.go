package memcache_test

import (
	"encoding/base64"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"nuthatch/internal/msg"
)

// The reference parsers say in the plainest words what the parsers must find.
// They see all bytes at once, and look at them as often as they like.

var (
	longLine   = regexp.MustCompile(`^ {0,100}gets? `)
	storage    = regexp.MustCompile(`^(set|add|replace|append|prepend|cas)$`)
	digits     = regexp.MustCompile(`^[0-9]+$`)
	exptime    = regexp.MustCompile(`^-?[0-9]+$`)
	refused    = regexp.MustCompile(`^(cache_memlimit|shutdown|slabs|lru|lru_crawler|watch|extstore|refresh_certs|debugtime|misbehave)$`)
	meta       = regexp.MustCompile(`^m[gsda]$`)
	wordBounds = map[string][2]int{"get": {2, 1 << 30}, "gets": {2, 1 << 30}, "gat": {3, 1 << 30}, "gats": {3, 1 << 30}, "set": {5, 6}, "add": {5, 6}, "replace": {5, 6}, "append": {5, 6}, "prepend": {5, 6}, "cas": {6, 7}, "delete": {2, 4}, "incr": {3, 4}, "decr": {3, 4}, "touch": {3, 4}, "version": {1, 1 << 30}, "quit": {1, 1 << 30}, "bget": {2, 1 << 30}, "mg": {2, 1 << 30}, "ms": {2, 1 << 30}, "md": {2, 1 << 30}, "ma": {2, 1 << 30}, "me": {1, 1 << 30}, "mn": {1, 1 << 30}, "flush_all": {1, 3}, "verbosity": {2, 3}, "stats": {1, 1 << 30}}
	// silent are the commands that take a noreply, by the first word that it can be.
	silent = map[int]*regexp.Regexp{
		2: regexp.MustCompile(`^(set|add|replace|append|prepend|cas|delete|incr|decr|touch)$`),
		1: regexp.MustCompile(`^(flush_all|verbosity|cache_memlimit|slabs|lru|lru_crawler|extstore|refresh_certs)$`),
	}
	changing    = regexp.MustCompile(`^stats (servers )?(reset|sizes_enable|sizes_disable|detail [^ ]+)( |$)`)
	dump        = regexp.MustCompile(`^stats (servers )?detail dump( |$)`)
	badLineByte = regexp.MustCompile("[\x00\r]")
)

func referenceStream(data string, maxRequest int) (s stream) {
	for len(data) > 0 {
		line, _, ended := strings.Cut(data, "\n")
		tooLong := len(line) > 2048 && (!longLine.MatchString(line) || len(line) >= maxRequest)
		if data[0] == 0x80 || data[0] == 0x16 || data[0] == '*' || tooLong { // the binary protocol, TLS, Redis
			s.failed = true
			return s
		}
		s.rest = len(data)
		if !ended {
			return s
		}
		r, body := referenceLine(line, maxRequest)
		r.raw = line + "\n"
		if body > 0 {
			if len(data) < len(r.raw)+body {
				return s
			}
			r.raw = data[:len(r.raw)+body]
			if !strings.HasSuffix(r.raw, "\r\n") {
				r.treatment, r.err = msg.Local, "CLIENT_ERROR bad data chunk"
			}
		}
		s.requests = append(s.requests, r)
		data = data[len(r.raw):]
		n := min(len(data), r.skip)
		data = data[n:]
		s.rest = r.skip - n
	}
	return s
}

// referenceLine understands a line without its LF. body is how much is to follow
// for the request.
func referenceLine(line string, maxRequest int) (r seen, body int) {
	fits := int64(maxRequest) - int64(len(line)+1) - 2
	line = strings.TrimSuffix(line, "\r")
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' })
	r.treatment, r.err = msg.Local, "ERROR"
	if len(words) == 0 {
		return r, 0
	}
	length := int64(-1)
	at := map[bool]int{true: 4, false: 2}[storage.MatchString(words[0])]
	if (at == 4 || words[0] == "ms") && len(words) > at && below(words[at], "2147483645") {
		length, _ = strconv.ParseInt(words[at], 10, 64)
		r.skip = int(length) + 2
	}
	bounds, known := wordBounds[words[0]]
	gone := !known && !refused.MatchString(words[0])
	if gone && len(words[0]) > 1 && !strings.ContainsRune("gsacidt", rune(words[0][0])) && strings.HasPrefix(words[len(words)-1], "HTTP/") {
		return seen{treatment: msg.Quit}, 0
	}
	if gone || known && (len(words) < bounds[0] || len(words) > bounds[1]) {
		r.skip = 0 // no storage command: what follows is a line
		return r, 0
	}
	twice := false
	for from, commands := range silent {
		if commands.MatchString(words[0]) && len(words) > from && words[len(words)-1] == "noreply" {
			r.noReply, r.omit = true, " noreply"
			if twice = len(words) > from+1 && words[len(words)-2] == "noreply"; twice {
				break
			}
		}
	}
	r.err = objection(line, words, length)
	if twice {
		r.err = "CLIENT_ERROR bad command line format"
	}
	if r.err == "" && meta.MatchString(words[0]) {
		r.err = flags(words, &r)
	}
	switch {
	case r.err != "":
	case length >= 0 && length > fits:
		r.err = "SERVER_ERROR object too large for cache"
	default:
		body, r.skip = r.skip, 0
		r.treatment, r.keys = fate(words)
	}
	if words[0] == "stats" && r.err == "" && len(words) > 1 && words[1] == "servers" {
		r.omit = " servers"
	}
	if words[0] == "me" && r.err == "" && len(words) > 2 && words[2] == "b" {
		r.place = unbase64(words[1])
	}
	return r, body
}

func objection(line string, words []string, length int64) string {
	const badFormat = "CLIENT_ERROR bad command line format"
	if refused.MatchString(words[0]) {
		why := "It administers one server: send it there."
		switch words[0] {
		case "shutdown":
			why = "It would end a server."
		case "watch":
			why = "It would take a connection that all clients share."
		}
		return "SERVER_ERROR '" + words[0] + "' is not supported by nuthatch. " + why
	}
	if text := strings.Join(words, " "); changing.MatchString(text) && !dump.MatchString(text) {
		return "SERVER_ERROR 'stats' is not supported by nuthatch. It changes servers that other clients share: send it there."
	}
	if words[0] == "flush_all" {
		return "CLIENT_ERROR flush_all not allowed: the pool's allow_flush is off"
	}
	_, keys := fate(words)
	if storage.MatchString(words[0]) || words[0] == "ms" || strings.HasSuffix(words[0], "get") || strings.HasSuffix(words[0], "gets") || strings.HasPrefix(words[0], "gat") {
		for _, key := range keys {
			if len(key) > 250 {
				return badFormat
			}
		}
	}
	bad := badLineByte.MatchString(line) || words[0] == "me" && len(words) == 1
	if storage.MatchString(words[0]) {
		bad = bad || length < 0 || !below(words[2], "4294967295") ||
			!exptime.MatchString(words[3]) || !below(strings.TrimPrefix(words[3], "-"), "9223372036854775807") ||
			words[0] == "cas" && !below(words[5], "18446744073709551615")
	}
	switch {
	case bad:
		return badFormat
	case words[0] == "mg" && len(words) > 19:
		return "CLIENT_ERROR options flags are too long"
	case meta.MatchString(words[0]) && len(words) > 19:
		return "CLIENT_ERROR options flags too long"
	case words[0] == "ms" && length < 0:
		return badFormat
	}
	return ""
}

// flags finds what the flags of a meta command ask of a proxy.
func flags(words []string, r *seen) string {
	from := 2
	if words[0] == "ms" {
		from = 3
	}
	for _, word := range words[from:] {
		switch {
		case word[0] == 'b':
			r.place = unbase64(words[1])
		case word[0] == 'q' && r.quiet && (words[0] == "mg" || words[0] == "ms"):
			return "CLIENT_ERROR duplicate flag"
		case word[0] == 'q' && r.quiet:
			return "CLIENT_ERROR invalid or duplicate flag"
		case word[0] == 'q':
			r.quiet, r.omit = true, " "+word
		}
	}
	return ""
}

// unbase64 decodes as memcached does: what is no digit is dropped first, and
// what follows the first group with a pad. Empty: it refuses.
func unbase64(s string) string {
	s = regexp.MustCompile(`[^A-Za-z0-9+/=]+`).ReplaceAllString(s, "")
	if len(s)%4 != 0 {
		return ""
	}
	if pad := strings.Index(s, "="); pad >= 0 {
		s = s[:pad/4*4+4]
	}
	tail := ""
	if len(s) > 0 {
		tail = s[len(s)-4:]
	}
	pads := strings.Count(tail, "=")
	if pads > 2 {
		return ""
	}
	// A pad counts as a 0 wherever it stands, and takes a byte off the end.
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(s, "=", "A"))
	if err != nil {
		panic(err)
	}
	return string(b[:len(b)-pads])
}

// fate is what becomes of a good request, and its keys.
func fate(words []string) (treatment msg.Treatment, keys []string) {
	switch words[0] {
	case "get", "gets", "bget":
		keys = words[1:]
	case "gat", "gats":
		keys = words[2:]
	case "version":
		keys = words[:1]
	case "quit":
		return msg.Quit, nil
	case "mn":
		return msg.Local, nil
	case "verbosity", "flush_all":
		return msg.Broadcast, nil
	case "stats":
		if len(words) == 1 {
			return msg.Local, nil
		}
		return msg.Broadcast, nil
	default:
		keys = words[1:min(2, len(words))]
	}
	if len(keys) > 1 {
		return msg.Fragment, keys
	}
	return msg.Forward, keys
}

// below tells whether s is a decimal number that is not above bound.
func below(s, bound string) bool {
	if !digits.MatchString(s) {
		return false
	}
	v, _ := new(big.Int).SetString(s, 10)
	b, _ := new(big.Int).SetString(bound, 10)
	return v.Cmp(b) <= 0
}

var (
	valueWord = regexp.MustCompile(`^VALUE(?: +[^ ]+){2} +([0-9]+)(?: .*)?$`)
	metaValue = regexp.MustCompile(`^VA +([0-9]+)(?: .*)?$`)
	errorLine = regexp.MustCompile(`(?s)^(ERROR|CLIENT_ERROR|SERVER_ERROR)( .*)?$`)
	soleLine  = regexp.MustCompile(`^(STORED|NOT_STORED|EXISTS|NOT_FOUND|DELETED|TOUCHED|OK|RESET|[0-9]+) *$`)
	textLine  = regexp.MustCompile(`(?s)^(VERSION|HD|EN|NS|EX|NF|ME|MN)( .*)?$`)
	moreLine  = regexp.MustCompile(`(?s)^(STAT|ITEM|PREFIX)( .*)?$`)
	endLine   = regexp.MustCompile(`^END *$`)
	firstByte = regexp.MustCompile(`^[A-Z0-9]`)
)

// referenceReplies cuts data into replies. Failed: what follows them is none.
func referenceReplies(data string) (replies []string, failed bool) {
	for len(data) > 0 {
		n, bad := referenceReply(data)
		if bad || n == 0 {
			return replies, bad
		}
		replies = append(replies, data[:n])
		data = data[n:]
	}
	return replies, false
}

// referenceReply returns the length of the reply that data begins with, 0 if it
// is not complete.
func referenceReply(data string) (n int, bad bool) {
	block := false
	for n < len(data) {
		line, _, ended := strings.Cut(data[n:], "\n")
		if len(line) > 4096 || !ended && !firstByte.MatchString(line) {
			return 0, true
		}
		if !ended {
			return 0, false
		}
		n += len(line) + 1
		line, ok := strings.CutSuffix(line, "\r")
		value, last := valueWord.FindStringSubmatch(line), false
		if !block && metaValue.MatchString(line) {
			value, last = metaValue.FindStringSubmatch(line), true
		}
		switch {
		case !ok:
			return 0, true
		case endLine.MatchString(line) || errorLine.MatchString(line):
			return n, false
		case moreLine.MatchString(line):
			block = true
		case !block && (textLine.MatchString(line) || soleLine.MatchString(line) && (line[0] > '9' || below(strings.TrimRight(line, " "), "18446744073709551615"))):
			return n, false
		case len(value) == 2 && below(value[1], "2147483647"):
			block = true
			size, _ := strconv.Atoi(value[1])
			end := n + size
			if end < len(data) && data[end] != '\r' || end+1 < len(data) && data[end+1] != '\n' {
				return 0, true
			}
			n = end + 2
			if last && n <= len(data) {
				return n, false
			}
		default:
			return 0, true
		}
	}
	return 0, false
}
