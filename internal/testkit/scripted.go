package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Scripted server answers as a test's script says: late, in pieces, wrongly,
// or not at all.
type Scripted struct {
	t        testing.TB
	listener net.Listener
	script   func(*Talk)
	accepted atomic.Int64
	stopping chan struct{}
	stop     sync.Once
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// StartScripted listens on a free loopback port and runs script, on a goroutine
// of its own, for every connection that it accepts. When script returns, the
// connection is closed.
func StartScripted(t testing.TB, script func(*Talk)) *Scripted {
	t.Helper()
	return startScripted(t, listenFree(t), script)
}

// StartScriptedAt is StartScripted on a chosen address.
func StartScriptedAt(t testing.TB, addr string, script func(*Talk)) *Scripted {
	t.Helper()
	l, err := net.Listen(network(addr), addr)
	if err != nil {
		t.Fatal(err)
	}
	return startScripted(t, l, script)
}

func startScripted(t testing.TB, l net.Listener, script func(*Talk)) *Scripted {
	t.Helper()
	s := &Scripted{
		t: t, listener: l, script: script,
		stopping: make(chan struct{}), conns: map[net.Conn]struct{}{},
	}
	speaks(t, l.Addr().String(), InTLS())
	s.running.Go(s.accept)
	t.Cleanup(s.Stop)
	return s
}

// Addr is where it listens.
func (s *Scripted) Addr() string { return s.listener.Addr().String() }

// Accepted is how many connections it has accepted so far.
func (s *Scripted) Accepted() int { return int(s.accepted.Load()) }

// Stop closes the listener and every connection, and waits for the scripts to
// end. Errors in scripts after that are no failures.
func (s *Scripted) Stop() {
	s.stop.Do(func() {
		close(s.stopping)
		_ = s.listener.Close()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
	})
	s.running.Wait()
}

func (s *Scripted) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // Stop
		}
		s.mu.Lock()
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		talk := &Talk{server: s, n: int(s.accepted.Add(1))}
		s.running.Go(func() {
			defer s.forget(conn)
			talk.conn = answering(s.t, conn)
			talk.in = bufio.NewReader(talk.conn)
			s.script(talk)
		})
	}
}

func (s *Scripted) forget(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

// A Talk is a script's view of one connection. A step that fails reports to the
// test and ends the script.
type Talk struct {
	server *Scripted
	conn   net.Conn
	in     *bufio.Reader
	n      int
}

// N is the connection's number, from 1, in the order in which they came.
func (k *Talk) N() int { return k.n }

// fail ends the script; it is a failure of the test unless the server is being
// stopped.
func (k *Talk) fail(format string, args ...any) {
	select {
	case <-k.server.stopping:
	default:
		k.server.t.Errorf("scripted server, connection %d: %s", k.n, fmt.Sprintf(format, args...))
	}
	runtime.Goexit()
}

// Expect reads exactly the given bytes.
func (k *Talk) Expect(want string) {
	got := make([]byte, len(want))
	n, err := io.ReadFull(k.in, got)
	if err != nil {
		k.fail("%v after %q, expecting %q", err, got[:n], want)
	}
	if string(got) != want {
		k.fail("got %q, expecting %q", got, want)
	}
}

// Command reads a Redis command. ok is false when the peer has closed.
func (k *Talk) Command() (args []string, ok bool) {
	n, ok := k.length('*')
	if !ok {
		return nil, false
	}
	for range n {
		size, ok := k.length('$')
		if !ok {
			return nil, false
		}
		arg := make([]byte, size+2)
		if _, err := io.ReadFull(k.in, arg); err != nil {
			return nil, false
		}
		args = append(args, string(arg[:size]))
	}
	return args, true
}

func (k *Talk) length(mark byte) (n int, ok bool) {
	line, ok := k.Line()
	if !ok {
		return 0, false
	}
	if line == "" || line[0] != mark {
		k.fail("got line %q, expecting %q", line, mark)
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil {
		k.fail("got line %q: %v", line, err)
	}
	return n, true
}

// Line reads a line and returns it without its end. ok is false when the peer
// has closed.
func (k *Talk) Line() (line string, ok bool) {
	line, err := k.in.ReadString('\n')
	if err != nil {
		return "", false
	}
	return strings.TrimSuffix(line, "\r\n"), true
}

// Reply writes s. If the peer has gone, the next read reports it.
func (k *Talk) Reply(s string) { _, _ = io.WriteString(k.conn, s) }

// Pour writes s, and reports whether the peer is still there.
func (k *Talk) Pour(s string) bool {
	_, err := io.WriteString(k.conn, s)
	return err == nil
}

// ReplyPieces writes s in pieces of at most size bytes with a pause before each.
func (k *Talk) ReplyPieces(s string, size int, pause time.Duration) {
	for len(s) > 0 && k.Late(pause) {
		n := min(size, len(s))
		k.Reply(s[:n])
		s = s[n:]
	}
}

// Late waits for d, which is what a late server does. It is false if the server
// was stopped meanwhile.
func (k *Talk) Late(d time.Duration) bool {
	select {
	case <-k.server.stopping:
		return false
	case <-time.After(d):
		return true
	}
}

// Hang neither reads nor answers until the server is stopped.
func (k *Talk) Hang() { <-k.server.stopping }

// Drain reads everything and does not answer, until the peer closes.
func (k *Talk) Drain() { _, _ = io.Copy(io.Discard, k.in) }

// Close closes the connection in order: the peer reads what was written, then
// the end.
func (k *Talk) Close() { _ = k.conn.Close() }

// Reset closes the connection with a RST.
func (k *Talk) Reset() {
	reset(k.conn)
}
