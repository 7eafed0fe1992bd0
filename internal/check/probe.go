package check

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/inet"
)

// errReply means that an answer was not what it should be.
var errReply = errors.New("unexpected answer")

// maxBulk is the most bytes of one answer, and maxLine those of a line of one.
const (
	maxBulk = 16 << 20
	maxLine = 64 << 10
)

// A probe is a command that changes nothing, and the counter that shows how often a
// server got it.
type probe struct {
	name string
	args []string // behind the key
	// counter is the one that counts it, in INFO commandstats or stats.
	counter string
}

// probesOf are commands that nutcracker forwards, the least used first. Memcached
// counts decrements by themselves, and a decrement of a missing key changes
// nothing.
func probesOf(p *config.Pool) []probe {
	if p.Protocol == config.Memcached {
		return []probe{
			{"decr", []string{"0"}, "decr_misses"},
			{"incr", []string{"0"}, "incr_misses"},
			{"touch", []string{"0"}, "touch_misses"},
		}
	}
	probes := []probe{
		{"ZLEXCOUNT", []string{"-", "+"}, ""},
		{"ZCOUNT", []string{"0", "0"}, ""},
		{"GETBIT", []string{"0"}, ""},
		{"BITCOUNT", nil, ""},
		{"SRANDMEMBER", nil, ""},
		{"LINDEX", []string{"0"}, ""},
		{"STRLEN", nil, ""},
	}
	for i := range probes {
		probes[i].counter = "cmdstat_" + strings.ToLower(probes[i].name)
	}
	return probes
}

// A wire is a connection to a server or to nutcracker.
type wire struct {
	conn     net.Conn
	in       *bufio.Reader
	protocol config.Protocol
}

// dial connects, and logs in with auth, the words of AUTH, unless that is nil. secure is nil, or has the
// connection speak TLS.
func dial(ctx context.Context, p *config.Pool, address string, auth []string, secure func(net.Conn) net.Conn) (*wire, error) {
	network := config.NetworkTCP
	if strings.HasPrefix(address, "/") {
		network = config.NetworkUnix
	}
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(ctx, network, inet.CanonicalHostPort(address))
	if err != nil {
		return nil, err
	}
	if secure != nil {
		conn = secure(conn)
	}
	w := newWire(conn, p.Protocol)
	if auth == nil {
		return w, nil
	}
	if _, err := w.call(append([]string{"AUTH"}, auth...)...); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

func newWire(conn net.Conn, protocol config.Protocol) *wire {
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, maxLine), protocol: protocol}
}

// ask asks for a key that is not there.
func (w *wire) ask(q *probe, key string) error {
	if w.protocol == config.Redis {
		_, err := w.call(append([]string{q.name, key}, q.args...)...)
		return err
	}
	line, err := w.say(q.name + " " + key + " " + strings.Join(q.args, " ") + "\r\n")
	if err == nil && line != "NOT_FOUND" {
		err = fmt.Errorf("%w to %s: %.100q", errReply, q.name, line)
	}
	return err
}

// count is how often the server has got a probe's command.
func (w *wire) count(q *probe) (int, error) {
	if w.protocol == config.Redis {
		text, err := w.call("INFO", "commandstats")
		if err != nil {
			return 0, err
		}
		return callsOf(text, q.counter)
	}
	line, err := w.say("stats\r\n")
	count := "0"
	for ; err == nil && line != "END"; line, err = w.line() {
		if value, ok := strings.CutPrefix(line, "STAT "+q.counter+" "); ok {
			count = value
		}
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(count)
}

// callsOf reads a line of INFO commandstats; a command that was never called has
// none.
func callsOf(text, counter string) (int, error) {
	_, rest, ok := strings.Cut(text, counter+":calls=")
	if !ok {
		return 0, nil
	}
	calls, _, _ := strings.Cut(rest, ",")
	return strconv.Atoi(calls)
}

// store stores a key that expires after a while.
func (w *wire) store(key string) error {
	if w.protocol == config.Redis {
		_, err := w.call("SETEX", key, strconv.Itoa(scratchTTL), "x")
		return err
	}
	line, err := w.say(fmt.Sprintf("set %s 0 %d 1\r\nx\r\n", key, scratchTTL))
	if err == nil && line != "STORED" {
		err = fmt.Errorf("%w to set: %.100q", errReply, line)
	}
	return err
}

// take deletes a key, and reports whether it was there.
func (w *wire) take(key string) (bool, error) {
	if w.protocol == config.Redis {
		n, err := w.call("DEL", key)
		return n == "1", err
	}
	line, err := w.say("delete " + key + "\r\n")
	return line == "DELETED", err
}

// call sends a Redis command and returns its answer, a simple one.
func (w *wire) call(args ...string) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	line, err := w.say(b.String())
	if err != nil {
		return "", err
	}
	if line == "" {
		return "", errReply
	}
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '-':
		return "", fmt.Errorf("%s: %s", args[0], line[1:])
	case '$':
		return w.bulk(line[1:])
	}
	return "", fmt.Errorf("%w to %s: %.100q", errReply, args[0], line)
}

// bulk reads the rest of a bulk string.
func (w *wire) bulk(length string) (string, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n > maxBulk {
		return "", errReply
	}
	if n < 0 {
		return "", nil
	}
	text := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(w.in, text); err != nil {
		return "", err
	}
	return string(text[:n]), nil
}

// say sends text and reads a line.
func (w *wire) say(text string) (string, error) {
	if err := w.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(w.conn, text); err != nil {
		return "", err
	}
	return w.line()
}

func (w *wire) line() (string, error) {
	line, err := w.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of more than %d bytes", errReply, maxLine)
	}
	return strings.TrimRight(string(line), "\r\n"), err
}
