package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/testkit"
)

// dialHTTP connects to the stage's listener and waits until it has noticed.
func (s *stage) dialHTTP() net.Conn {
	s.t.Helper()
	c, err := net.Dial(s.port.Addr().Network(), s.port.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	testkit.Await(s.t, "the connection to be noticed", func() error {
		if !s.port.isBusy() {
			return errors.New("it is not")
		}
		return nil
	})
	return c
}

// ask sends a request over a connection and returns the answer.
func ask(t *testing.T, c net.Conn, path string) *http.Response {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// TestLeaveAnswersWhoHasConnected, though the request comes later.
func TestLeaveAnswersWhoHasConnected(t *testing.T) {
	s := newStage(t)
	c := s.dialHTTP()
	s.port.Leave()
	testkit.Await(t, "nobody to listen", func() error {
		late, err := net.Dial("tcp", s.port.Addr().String())
		if err == nil {
			late.Close()
			return errors.New("somebody does")
		}
		return nil
	})
	if answer := ask(t, c, "/readyz"); answer.StatusCode != http.StatusOK || !answer.Close {
		t.Errorf("status %d, closes: %t", answer.StatusCode, answer.Close)
	}
}

// TestCloseEndsSilentConnections, and does not wait for them for long.
func TestCloseEndsSilentConnections(t *testing.T) {
	s := newStage(t)
	c := s.dialHTTP()
	s.port.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestCloseWithoutServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := NewHTTP(l, config.Address{Host: "127.0.0.1"}, HTTPOptions{Instance: newInstance(t), Recorder: NewRecorder(newInstance(t)), Logger: logging.Discard()})
	h.Close()
	h.Serve()
	h.Close()
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("somebody listens")
	}
}

// TestUnixSocketTellsWho: the kernel's word for who gave an order.
func TestUnixSocketTellsWho(t *testing.T) {
	dir, err := os.MkdirTemp("", "ad") // a short path: socket names have at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	in := newInstance(t)
	h := NewHTTP(l, config.Address{Network: config.NetworkUnix, Path: path}, HTTPOptions{
		Instance: in, Logger: logging.Discard(), Tokens: func() []config.Secret { return []config.Secret{"t0ken"} },
	})
	h.Serve()
	t.Cleanup(h.Close)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /api/v1/reload HTTP/1.1\r\nHost: any\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200") {
		t.Fatalf("without a token, over a unix socket: %s, %v", text, err)
	}
	if want := fmt.Sprintf("reload admin uid=%d,pid=%d", os.Getuid(), os.Getpid()); in.orders[0] != want {
		t.Errorf("the order is %q, want %q", in.orders[0], want)
	}
}

// TestLargeHeader is refused.
func TestLargeHeader(t *testing.T) {
	s := newStage(t)
	c := s.dialHTTP()
	go func() { _, _ = io.WriteString(c, "GET /"+strings.Repeat("k", 2*maxHTTPHeader)+" HTTP/1.1\r\n") }()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", answer.StatusCode)
	}
}

// TestFileStaysNonBlocking: a process that is started with it must not change it
// for us.
func TestFileStaysNonBlocking(t *testing.T) {
	s, p := newStage(t), listen(t, snapshot)
	for name, file := range map[string]func() (*os.File, error){"HTTP": s.port.File, "statistics": p.File} {
		f, err := file()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0) // Fd is what os/exec calls
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%s: the socket's flags are %#o, %v", name, flags, err)
		}
	}
}
