package admin

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nuthatch/internal/logging"
	"nuthatch/internal/stats"
)

var layout = stats.Layout{{Name: "alpha", Servers: []string{"a", "b"}}}

func snapshot() *stats.Snapshot {
	s := stats.Sum(layout, nil)
	s.Source, s.Version, s.Uptime, s.Timestamp = "host", "1.2.3", 4, 5
	return s
}

func listen(t *testing.T, snapshot func() *stats.Snapshot) *StatsPort {
	t.Helper()
	p, err := ListenStats(net.Listen, "127.0.0.1", 0, snapshot, StatsMemory{}, logging.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOneDocumentAndTheEnd(t *testing.T) {
	want := snapshot().AppendJSON(nil)
	p := listen(t, snapshot)
	for name, request := range map[string]string{
		"nothing":      "",
		"HTTP request": "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"much":         strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, p.Addr())
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(c, request) // may be cut short
			}()
			got, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("the stream ends with %v instead of its end", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			_ = c.Close()
			<-sent
		})
	}
}

func TestNoSnapshotNoDocument(t *testing.T) {
	p := listen(t, func() *stats.Snapshot { return nil })
	got, err := io.ReadAll(dial(t, p.Addr()))
	if err != nil || len(got) != 0 {
		t.Errorf("got %q and %v, want the end of the stream", got, err)
	}
}

func TestAddresses(t *testing.T) {
	dir, err := os.MkdirTemp("", "st") // a short path: socket names have at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, c := range []struct{ addr, wantPrefix string }{
		{"127.0.0.1", "127.0.0.1:"},
		{"0.0.0.0", "0.0.0.0:"},
		{"localhost", "127.0.0.1:"},
		{"::1", "[::1]:"},
		{filepath.Join(dir, "stats.sock"), filepath.Join(dir, "stats.sock")},
	} {
		t.Run(c.addr, func(t *testing.T) {
			p, err := ListenStats(net.Listen, c.addr, 0, snapshot, StatsMemory{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Addr().String(); !strings.HasPrefix(got, c.wantPrefix) {
				t.Errorf("listens on %s, want %s…", got, c.wantPrefix)
			}
			if got, err := io.ReadAll(dial(t, p.Addr())); err != nil || !bytes.Equal(got, snapshot().AppendJSON(nil)) {
				t.Errorf("got %q and %v", got, err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListenErrors(t *testing.T) {
	taken := listen(t, snapshot).Addr().(*net.TCPAddr).Port
	for _, c := range []struct {
		what, addr string
		port       int
		want       error // nil: any
	}{
		{"a port in use", "127.0.0.1", taken, syscall.EADDRINUSE},
		{"an address of another host", "192.0.2.1", 0, syscall.EADDRNOTAVAIL},
		{"a negative port", "127.0.0.1", -1, nil},
		{"a port out of range", "127.0.0.1", 65536, nil},
		{"no directory", "/nonexistent/stats.sock", 0, nil},
	} {
		p, err := ListenStats(net.Listen, c.addr, c.port, snapshot, StatsMemory{}, nil)
		if err == nil {
			t.Errorf("%s: listens on %v", c.what, p.Addr())
			_ = p.Close()
			continue
		}
		if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, err, c.want)
		}
		if !strings.HasPrefix(err.Error(), "statistics port") {
			t.Errorf("%s: %q does not say what it is about", c.what, err)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	const clients = 3 * maxStatsConns
	var running, most atomic.Int32
	full := make(chan struct{})
	var once sync.Once // the bound is reached again after release
	release := make(chan struct{})
	p := listen(t, func() *stats.Snapshot {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		if n == maxStatsConns {
			once.Do(func() { close(full) })
		}
		<-release
		return snapshot()
	})
	want := snapshot().AppendJSON(nil)
	var wg sync.WaitGroup
	for range clients {
		c := dial(t, p.Addr())
		wg.Go(func() {
			got, err := io.ReadAll(c)
			_ = c.Close()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q and %v", got, err)
			}
		})
	}
	<-full
	close(release)
	wg.Wait()
	if got := most.Load(); got != maxStatsConns {
		t.Errorf("%d connections at a time, want %d", got, maxStatsConns)
	}
}

// Clients that have their document and do not close must not hold Close.
func TestCloseCutsOffWhoIsBeingServed(t *testing.T) {
	called := make(chan struct{}, maxStatsConns)
	p, err := ListenStats(net.Listen, "127.0.0.1", 0, func() *stats.Snapshot {
		called <- struct{}{}
		return snapshot()
	}, StatsMemory{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range maxStatsConns {
		c := dial(t, p.Addr())
		<-called
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= statsLinger {
		t.Errorf("Close took %v", took)
	}
	if c, err := net.Dial("tcp", p.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("it still listens after Close")
	}
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// Clients that have their document and do not close keep nobody out: the first of
// them is closed when there are too many.
func TestWhoDoesNotCloseKeepsNobodyOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newStatsPort(l, snapshot, StatsMemory{}, logging.Discard())
	p.linger = time.Hour
	p.running.Go(p.accept)
	t.Cleanup(func() { _ = p.Close() })
	want := snapshot().AppendJSON(nil)
	for i := range 3 * (maxStatsConns + maxStatsLeaving) {
		if got, err := io.ReadAll(dial(t, p.Addr())); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("client %d got %q and %v", i, got, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.conns); n > maxStatsConns+maxStatsLeaving {
		t.Errorf("there are %d connections", n)
	}
}

// A document is counted before it is made, with the answers of the admin listener.
func TestDocumentsAreCounted(t *testing.T) {
	const servers = 1000
	var room atomic.Int64
	b := NewBudget(room.Load)
	p, err := ListenStats(net.Listen, "127.0.0.1", 0, snapshot, StatsMemory{b, func() int { return servers }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		room int64
		want string
	}{
		{servers*statsPerServer - 1, ""},
		{servers * statsPerServer, string(snapshot().AppendJSON(nil))},
		{servers * statsPerServer, string(snapshot().AppendJSON(nil))},
	} {
		room.Store(tt.room)
		c := dial(t, p.Addr())
		if got, err := io.ReadAll(c); err != nil || string(got) != tt.want {
			t.Errorf("with room for %d bytes: %q and %v, want %q", tt.room, got, err, tt.want)
		}
		_ = c.Close()
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if b.used != 0 {
		t.Errorf("%d bytes are in use in the end", b.used)
	}
}

// A client that never reads is given up when the write deadline passes.
func TestSlowClientIsGivenUp(t *testing.T) {
	p := &StatsPort{}
	server, client := net.Pipe() // unbuffered: a write waits for its reader
	defer func() { _ = client.Close() }()
	defer func() { _ = server.Close() }()
	deadlines := &deadlineConn{Conn: server}
	err := p.send(deadlines, []byte("document"))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a passed deadline", err)
	}
	if got := deadlines.asked; got <= 0 || got > statsWriteTimeout {
		t.Errorf("the write deadline is in %v, want %v", got, statsWriteTimeout)
	}
}

// deadlineConn notes how far away the write deadline is, and makes it pass.
type deadlineConn struct {
	net.Conn
	asked time.Duration
}

func (c *deadlineConn) SetWriteDeadline(t time.Time) error {
	c.asked = time.Until(t)
	return c.Conn.SetWriteDeadline(time.Now().Add(-time.Second))
}
