package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Protocol is the language of a pool and of its servers.
type Protocol int

const (
	// Memcache is the memcached text protocol.
	Memcache Protocol = iota
	// Redis is RESP.
	Redis
)

// String is the protocol's name.
func (p Protocol) String() string {
	if p == Redis {
		return "redis"
	}
	return "memcache"
}

var errFraming = errors.New("testkit: not a reply")

// ReadReply reads exactly one reply and returns its bytes as they came. At an
// error it returns what it has read of the reply.
func (p Protocol) ReadReply(r *bufio.Reader) ([]byte, error) {
	if p == Redis {
		return readRESP(r, nil)
	}
	return readText(r)
}

// Replies is how many replies a request gets: none for memcached's noreply and
// quit, else one.
func (p Protocol) Replies(request []byte) int {
	if p == Redis {
		return 1
	}
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	if bytes.HasSuffix(line, []byte(" noreply")) || string(line) == "quit" {
		return 0
	}
	return 1
}

// Sentinel is a request at the end of a transcript, which shows that the
// connection is alive and in step. Both proxies answer it even without servers,
// except memcached's, which needs one.
func (p Protocol) Sentinel() []byte {
	if p == Redis {
		return RESP("PING")
	}
	return []byte("get testkit-sentinel\r\n")
}

// RESP encodes a Redis command.
func RESP(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

// Bulk encodes a Redis bulk string, as a reply has it.
func Bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func readLine(r *bufio.Reader, into []byte) (all, line []byte, err error) {
	line, err = r.ReadBytes('\n')
	into = append(into, line...)
	if err != nil {
		return into, nil, fmt.Errorf("reading a line: %w", err)
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return into, nil, fmt.Errorf("%w: line %q", errFraming, line)
	}
	return into, line, nil
}

func readBody(r *bufio.Reader, into []byte, n int) ([]byte, error) {
	body := make([]byte, n+2)
	read, err := io.ReadFull(r, body)
	into = append(into, body[:read]...)
	if err != nil {
		return into, fmt.Errorf("reading %d bytes: %w", n, err)
	}
	if !bytes.HasSuffix(body, []byte("\r\n")) {
		return into, fmt.Errorf("%w: %d bytes end with %q", errFraming, n, body[n:])
	}
	return into, nil
}

// readRESP appends one reply of RESP2 or RESP3 to into.
func readRESP(r *bufio.Reader, into []byte) ([]byte, error) {
	into, line, err := readLine(r, into)
	if err != nil {
		return into, err
	}
	elements := 0 // for each that the line announces
	switch line[0] {
	case '+', '-', ':', '_', '#', ',', '(':
		return into, nil
	case '$', '!', '=':
	case '*', '~', '>':
		elements = 1
	case '%', '|':
		elements = 2
	default:
		return into, fmt.Errorf("%w: line %q", errFraming, line)
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil {
		return into, fmt.Errorf("%w: length: %w", errFraming, err)
	}
	if elements == 0 {
		if n < 0 {
			return into, nil
		}
		return readBody(r, into, n)
	}
	n *= elements
	if line[0] == '|' {
		n++ // what the attribute belongs to
	}
	for range n {
		if into, err = readRESP(r, into); err != nil {
			return into, err
		}
	}
	return into, nil
}

// readText reads one reply of memcached's text protocol: a line, or values and
// their END.
func readText(r *bufio.Reader) ([]byte, error) {
	var reply []byte
	for {
		var line []byte
		var err error
		if reply, line, err = readLine(r, reply); err != nil {
			return reply, err
		}
		fields := bytes.Fields(line)
		if string(fields[0]) != "VALUE" {
			return reply, nil
		}
		if len(fields) < 4 {
			return reply, fmt.Errorf("%w: line %q", errFraming, line)
		}
		n, err := strconv.Atoi(string(fields[3]))
		if err != nil {
			return reply, fmt.Errorf("%w: length: %w", errFraming, err)
		}
		if reply, err = readBody(r, reply, n); err != nil {
			return reply, err
		}
	}
}
