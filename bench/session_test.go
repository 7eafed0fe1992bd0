package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTake gives a client every reply in pieces of each size.
func TestTake(t *testing.T) {
	want := memcachedGet(3)()
	other := bytes.Replace(want.reply, []byte("key:000000000000"), []byte("key:000000000042"), 1)
	for _, tt := range []struct {
		name  string
		reply []byte
		ok    bool
	}{
		{"as expected", want.reply, true},
		{"other keys", other, true},
		{"a miss", []byte("END\r\n"), false},
		{"an error", []byte("SERVER_ERROR Connection refused\r\n"), false},
		{"another end", append(slices.Clip(want.reply[:len(want.reply)-5]), "xyz\r\n"...), false},
	} {
		for size := 1; size <= len(tt.reply); size++ {
			if ok := takes(&want, tt.reply, size); ok != tt.ok {
				t.Errorf("%s, %d bytes at a time: taken %t", tt.name, size, ok)
			}
		}
	}
	for _, reply := range []string{"+OK\r\n", "+\r\n"} {
		if !takes(&exchange{reply: []byte(reply)}, []byte(reply), len(reply)) {
			t.Errorf("%q, which is no longer than the ends, is not taken", reply)
		}
	}
}

// takes feeds a reply to a client that waits for an exchange's.
func takes(e *exchange, reply []byte, size int) bool {
	c := loadClient{pending: []pending{{exchange: e}}}
	for b := reply; len(b) > 0; {
		n, done, err := c.take(b[:min(size, len(b))])
		if err != nil {
			return false
		}
		if b = b[n:]; done {
			return len(b) == 0
		}
	}
	return false
}

func TestTakeLeavesTheNextReply(t *testing.T) {
	c := loadClient{pending: []pending{{exchange: &exchange{reply: []byte("+OK\r\n")}}}}
	n, done, err := c.take([]byte("+OK\r\n+OK\r\n"))
	if n != 5 || !done || err != nil {
		t.Errorf("%d bytes, done %t, %v", n, done, err)
	}
}

// serveLines answers every line on every connection, but keeps the first
// answer back for a while.
func serveLines(t *testing.T, reply string, late time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answerLines(conn, reply, late)
		}
	}()
	return ln.Addr().String()
}

func answerLines(conn net.Conn, reply string, late time.Duration) {
	defer func() { _ = conn.Close() }()
	buf := make([]byte, 64<<10)
	for answered := 0; ; answered++ {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if answered == 1 { // the first that is measured: a session speaks once when it opens
			time.Sleep(late)
		}
		if _, err := io.WriteString(conn, strings.Repeat(reply, bytes.Count(buf[:n], []byte("\n")))); err != nil {
			return
		}
	}
}

func line(request, reply string) exchange {
	return exchange{request: []byte(request), reply: []byte(reply), requests: strings.Count(request, "\n")}
}

func openTest(t *testing.T, clients int, addr string, exchanges ...exchange) *session {
	t.Helper()
	s, err := openSession(t.Context(), exchanges, clients, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func TestClosedLoop(t *testing.T) {
	s := openTest(t, 7, serveLines(t, "STORED\r\n", 0), line("a\n", "STORED\r\n"), line("b\nc\n", "STORED\r\nSTORED\r\n"))
	res, err := s.closedLoop(t.Context(), 20*time.Millisecond)
	if err != nil || res.elapsed < 20*time.Millisecond || res.cpu <= 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if n := int(res.latency.TotalCount()); res.requests < n || res.requests > 2*n || n < 7 {
		t.Errorf("%d requests in %d exchanges of one or two", res.requests, n)
	}
	once, err := s.closedLoop(t.Context(), 0)
	if err != nil || once.latency.TotalCount() != 7 {
		t.Errorf("without a length: %d exchanges of 7 clients, %v", once.latency.TotalCount(), err)
	}
}

func TestLoadComplains(t *testing.T) {
	wanted := line("a\n", "STORED\r\n")
	_, err := openSession(t.Context(), []exchange{wanted}, 3, serveLines(t, "ERROR\r\n", 0))
	if err == nil || !strings.Contains(err.Error(), "ERROR") {
		t.Errorf("wrong replies: %v", err)
	}
	_, err = openSession(t.Context(), []exchange{wanted}, 3, serveLines(t, "STORED\r\nSTORED\r\n", 0))
	if err == nil || !strings.Contains(err.Error(), "nobody asked") {
		t.Errorf("two replies to a request: %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errTooSlow)
	defer cancel()
	if _, err = openSession(ctx, []exchange{wanted}, 3, serveLines(t, "", 0)); !errors.Is(err, errTooSlow) {
		t.Errorf("no replies: %v", err)
	}
}

// TestLargeRequests are more than a socket takes at once.
func TestLargeRequests(t *testing.T) {
	request := strings.Repeat("x", 8<<20) + "\n"
	s := openTest(t, 2, serveLines(t, "STORED\r\n", 0), line(request, "STORED\r\n"))
	if res, err := s.closedLoop(t.Context(), 0); err != nil || res.requests != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestOpenLoopOmitsNothing: while a server is silent for a time, requests go
// on being due, and all of them have waited.
func TestOpenLoopOmitsNothing(t *testing.T) {
	const (
		rate = 1000.0
		late = 100 * time.Millisecond
	)
	s := openTest(t, 1, serveLines(t, "STORED\r\n", late), line("a\n", "STORED\r\n"))
	res, err := s.openLoop(t.Context(), rate, 2*late)
	if err != nil {
		t.Fatal(err)
	}
	if want := int(rate * (2 * late).Seconds()); res.requests != want {
		t.Errorf("%d requests, want %d", res.requests, want)
	}
	// Of the hundred that were due in the silence, those of its first half have
	// waited for the other half at least. A closed loop would have seen one.
	waited := 0
	for _, bar := range res.latency.Distribution() {
		if bar.From >= int64(late/2) {
			waited += int(bar.Count)
		}
	}
	if waited < 45 {
		t.Errorf("%d requests have waited for %v or longer, want about 50", waited, late/2)
	}
}

func TestSourceAddress(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := bindSource(fd, 3); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: ln.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got := conn.RemoteAddr().String(); !strings.HasPrefix(got, "127.0.0.3:") {
		t.Errorf("it comes from %s, want 127.0.0.3", got)
	}
}
