package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Client speaks a protocol as bytes. Any failure, and any wait longer than
// Patience, fails the test; the Try methods return it instead. One goroutine
// may read and another may write. Methods that fail the test must be called on
// the test's goroutine.
type Client struct {
	t        testing.TB
	protocol Protocol
	conn     net.Conn
	in       *bufio.Reader
}

// Dial connects to a server or a proxy: "host:port", or a Unix socket's path.
// Writes go out at once (TCP_NODELAY). The connection is closed with the test.
func Dial(t testing.TB, protocol Protocol, addr string) *Client {
	t.Helper()
	c, err := TryDial(t, protocol, addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TryDial is Dial for goroutines other than the test's, and for addresses that
// may refuse.
func TryDial(t testing.TB, protocol Protocol, addr string) (*Client, error) {
	conn, err := Connect(t, addr)
	if err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Client{t: t, protocol: protocol, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// TrySend writes b.
func (c *Client) TrySend(b []byte) error {
	_, err := c.SendWithin(b, Patience)
	return err
}

// LocalAddr is the client's own end of the connection, as the other side sees
// it.
func (c *Client) LocalAddr() string { return c.conn.LocalAddr().String() }

// SendWithin writes b, or as much of it as goes out within d, and returns how
// many bytes did.
func (c *Client) SendWithin(b []byte, d time.Duration) (int, error) {
	if err := c.conn.SetWriteDeadline(time.Now().Add(d)); err != nil {
		return 0, fmt.Errorf("testkit: %w", err)
	}
	n, err := c.conn.Write(b)
	if err != nil {
		return n, fmt.Errorf("testkit: %w", err)
	}
	return n, nil
}

// Send writes b.
func (c *Client) Send(b []byte) {
	c.t.Helper()
	if err := c.TrySend(b); err != nil {
		c.t.Fatal(err)
	}
}

// TryReply reads one reply. With an error it returns the part of the reply that
// has come.
func (c *Client) TryReply() ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	return c.protocol.ReadReply(c.in)
}

// Reply reads one reply.
func (c *Client) Reply() string {
	c.t.Helper()
	b, err := c.TryReply()
	if err != nil {
		c.t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// TryExpect reads as many bytes as want has and compares them. Its error shows
// the first difference.
func (c *Client) TryExpect(want []byte) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return fmt.Errorf("testkit: %w", err)
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	at := 0
	for at < n && got[at] == want[at] {
		at++
	}
	if at < n {
		from := max(0, at-shownBytes/2)
		return fmt.Errorf("testkit: byte %d of %d: got %s, want %s", at, len(want), show(string(got[from:n])), show(string(want[from:])))
	}
	if err != nil {
		return fmt.Errorf("testkit: after %d of %d bytes: %w", n, len(want), err)
	}
	return nil
}

// Expect reads as many replies as it is given and compares them.
func (c *Client) Expect(replies ...string) {
	c.t.Helper()
	for i, want := range replies {
		if got := c.Reply(); got != want {
			c.t.Fatalf("reply %d of %d is %s, want %s", i+1, len(replies), show(got), show(want))
		}
	}
}

// Do sends a Redis command and returns its reply.
func (c *Client) Do(args ...string) string {
	c.t.Helper()
	c.Send(RESP(args...))
	return c.Reply()
}

// CloseWrite half-closes the connection: no more requests come.
func (c *Client) CloseWrite() {
	c.t.Helper()
	if err := c.closeWrite(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Client) closeWrite() error {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("testkit: %T cannot close one direction", c.conn)
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("testkit: %w", err)
	}
	return nil
}

// Close closes the connection.
func (c *Client) Close() { _ = c.conn.Close() }

// ExpectEnd waits until the other side has closed the connection and returns
// the bytes that came before.
func (c *Client) ExpectEnd() string {
	c.t.Helper()
	b, err := c.tryEnd()
	if err != nil {
		c.t.Fatalf("the connection does not end, after %s: %v", show(string(b)), err)
	}
	return string(b)
}

// tryEnd reads to the end of the stream, orderly or by a reset.
func (c *Client) tryEnd() ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return nil, fmt.Errorf("testkit: %w", err)
	}
	b, err := io.ReadAll(c.in)
	if err != nil && !isEnd(err) {
		return b, fmt.Errorf("testkit: %w", err)
	}
	return b, nil
}

// shownBytes is how much of a reply a failure shows, in bytes.
const shownBytes = 300

// show quotes s, shortened in the middle.
func show(s string) string {
	if len(s) <= shownBytes {
		return fmt.Sprintf("%q", s)
	}
	head, tail := s[:shownBytes/2], s[len(s)-shownBytes/2:]
	return fmt.Sprintf("%q...%q (%d bytes)", head, tail, len(s))
}

// Command splits a line into words for RESP: words are separated by spaces, and
// a word in double quotes has Go's string syntax.
func Command(line string) []string {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		word, rest := nextWord(line)
		words = append(words, word)
		line = rest
	}
	return words
}

func nextWord(line string) (word, rest string) {
	if line[0] == '"' {
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			panic(fmt.Sprintf("testkit: %q: %v", line, err))
		}
		word, err = strconv.Unquote(quoted)
		if err != nil {
			panic(fmt.Sprintf("testkit: %q: %v", line, err))
		}
		return word, line[len(quoted):]
	}
	word, rest, _ = strings.Cut(line, " ")
	return word, rest
}
