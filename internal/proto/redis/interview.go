package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"nuthatch/internal/config"
)

// What a server says of itself when it is asked, on a connection for that purpose and
// outside the event loops:
//
//	AUTH, HELLO, INFO, CONFIG GET * ──► server ──► Said ──► Survey, of all servers
//
// Only fields that a table of survey.go or config_get.go names are kept. So a server's
// password, which CONFIG GET shows too, is not.

// Said is what one server said. It is immutable.
type Said struct {
	// name and version are from HELLO; empty if it was refused.
	name, version string
	// info are fields of INFO, settings those of CONFIG GET.
	info, settings map[string]string
	// spaces are the databases that have keys, by their number.
	spaces map[int]keyspace
}

// A keyspace is a line of INFO about a database.
type keyspace struct {
	keys, expires, subexpiry int64
	// avgTTL is in milliseconds, of the keys that expire.
	avgTTL int64
}

const (
	// maxSaid bounds what a server may say, in bytes.
	maxSaid = 1 << 20
	// maxSaidLine bounds a line that is not a bulk's.
	maxSaidLine = 4 << 10
	// maxSaidElems bounds the elements of all answers.
	maxSaidElems = 1 << 14
	// maxSaidDepth is how deep elements of an answer may lie in others.
	maxSaidDepth = 4
)

var (
	errNoAnswer   = errors.New("the server's answer cannot be read")
	errTooMuch    = errors.New("the server says too much")
	errSaysNought = errors.New("the server refuses to say what it is")
)

// Interview asks a server what it is, on a fresh connection, and logs in first if there
// is a password. It is no error if the server refuses the login, or knows only some of
// the questions.
func Interview(conn io.ReadWriter, login config.Login) (*Said, error) {
	var questions []byte
	ask := func(words ...string) {
		questions = fmt.Appendf(questions, "*%d\r\n", len(words))
		for _, s := range words {
			questions = fmt.Appendf(questions, "$%d\r\n%s\r\n", len(s), s)
		}
	}
	auth := login.Words()
	if auth != nil {
		ask(append([]string{"AUTH"}, auth...)...)
	}
	ask("HELLO")
	ask("INFO")
	ask("CONFIG", "GET", "*")
	if _, err := conn.Write(questions); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxSaid}
	in := &answers{in: bufio.NewReaderSize(limited, maxSaidLine), left: limited}
	if auth != nil {
		if _, err := in.next(maxSaidDepth); err != nil {
			return nil, err
		}
	}
	s := &Said{info: make(map[string]string), settings: make(map[string]string), spaces: make(map[int]keyspace)}
	understood := false
	for _, take := range []func(replyValue) bool{s.takeHello, s.takeInfo, s.takeSettings} {
		v, err := in.next(maxSaidDepth)
		if err != nil {
			return nil, err
		}
		understood = take(v) || understood
	}
	if !understood {
		return nil, errSaysNought
	}
	return s, nil
}

func (s *Said) takeHello(v replyValue) bool {
	if shapes[v.first] != array {
		return false
	}
	s.name, s.version = v.field("server").text, v.field("version").text
	if !isPlainWord(s.name) || !isPlainWord(s.version) {
		s.name, s.version = "", ""
	}
	return s.name != ""
}

// isPlainWord reports whether what a server calls itself can be repeated.
func isPlainWord(text string) bool {
	return text != "" && len(text) <= maxWordSaid && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

const (
	// maxWordSaid bounds a name or a version, in bytes.
	maxWordSaid = 64
	// maxValueSaid bounds a value of INFO or CONFIG GET, in bytes.
	maxValueSaid = 1 << 10
	// maxSpaces bounds the databases of which INFO tells.
	maxSpaces = 1 << 10
)

func (s *Said) takeInfo(v replyValue) bool {
	if shapes[v.first] != bulk {
		return false
	}
	for line := range strings.SplitSeq(v.text, "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok || !isPlainValue(value) {
			continue
		}
		if number, ok := strings.CutPrefix(name, "db"); ok {
			s.takeSpace(number, value)
			continue
		}
		if _, wanted := infoFields[name]; wanted {
			s.info[name] = strings.Clone(value) // the text is not kept
		}
	}
	return len(s.info) > 0
}

// isPlainValue reports whether a value can be repeated in a line of INFO.
func isPlainValue(text string) bool {
	return len(text) <= maxValueSaid && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' })
}

// takeSpace reads "keys=1,expires=0,avg_ttl=0".
func (s *Said) takeSpace(number, value string) {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || len(s.spaces) >= maxSpaces {
		return
	}
	var k keyspace
	for part := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(part, "=")
		count, err := strconv.ParseInt(text, 10, 64)
		if err != nil || count < 0 {
			continue
		}
		switch name {
		case "keys":
			k.keys = count
		case "expires":
			k.expires = count
		case "subexpiry":
			k.subexpiry = count
		case "avg_ttl":
			k.avgTTL = count
		}
	}
	s.spaces[int(n)] = k
}

func (s *Said) takeSettings(v replyValue) bool {
	if shapes[v.first] != array {
		return false
	}
	for i := 0; i+1 < len(v.elems); i += 2 {
		name, value := v.elems[i].text, v.elems[i+1].text
		if _, wanted := settings[name]; wanted && isPlainValue(value) {
			s.settings[name] = value
		}
	}
	return len(s.settings) > 0
}

// answers reads what a server answers, in RESP2.
type answers struct {
	in   *bufio.Reader
	left *io.LimitedReader
	// elems is how many elements have come.
	elems int
}

// next reads an answer whose elements are nested at most depth deep.
func (a *answers) next(depth int) (v replyValue, err error) {
	b, err := a.in.ReadSlice('\n')
	switch {
	case err != nil && a.left.N <= 0:
		return v, errTooMuch
	case err != nil:
		return v, err
	case len(b) < len(":\r\n") || b[len(b)-2] != '\r':
		return v, errNoAnswer
	}
	v.first, v.text = b[0], string(b[1:len(b)-2])
	s := shapes[v.first]
	if s == line {
		return v, nil
	}
	if v.number, err = strconv.ParseInt(v.text, 10, 64); err != nil {
		return v, errNoAnswer
	}
	switch {
	case s == integer, v.number < 0 && (s == bulk || s == array):
		return v, nil
	case s == bulk:
		v.text, err = a.bulk(v.number)
		return v, err
	case s != array || depth == 0:
		return v, errNoAnswer
	}
	for range v.number {
		if a.elems++; a.elems > maxSaidElems {
			return v, errTooMuch
		}
		e, err := a.next(depth - 1)
		if err != nil {
			return v, err
		}
		v.elems = append(v.elems, e)
	}
	return v, nil
}

func (a *answers) bulk(n int64) (string, error) {
	if n > a.left.N+int64(a.in.Buffered()) {
		return "", errTooMuch
	}
	b := make([]byte, n+int64(len("\r\n")))
	if _, err := io.ReadFull(a.in, b); err != nil {
		return "", err
	}
	return string(b[:n]), nil
}
