package testkit

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Wire carries connections to a real server or proxy, with the faults of a
// network:
//
//	client ──► Wire ──(Up: late, slow, in pieces, cut)──► server
//	client ◄──(Down: the same)── Wire ◄────────────────── server
type Wire struct {
	t        testing.TB
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	faults  Faults
	links   map[*link]struct{}
}

// Faults are what happens to a connection's two directions.
type Faults struct{ Up, Down Fault }

// A Fault is what happens to what is sent in one direction. The zero value is
// nothing.
type Fault struct {
	// Latency is the delay of everything.
	Latency time.Duration
	// Rate is how many bytes arrive in a second, 0: any number.
	Rate int
	// Piece is how many bytes arrive at a time, 0: any number.
	Piece int
	// End is how it ends, After how many bytes of a connection.
	End   End
	After int
}

// End is how a direction of a connection ends.
type End int

const (
	// Never means that its sender ends it.
	Never End = iota
	// Closed means that both sides see an orderly end of the connection.
	Closed
	// Broken means that both sides see a reset.
	Broken
	// Half means that the receiver sees the sender's half-close, and may go on itself.
	// What the sender sends from then on is lost.
	Half
	// Hole means that nothing more arrives, and neither side notices.
	Hole
)

// StartWire listens on a free loopback port for connections to target.
func StartWire(t testing.TB, target string, faults Faults) *Wire {
	t.Helper()
	l := listenFree(t)
	speaks(t, l.Addr().String(), speaksTLS(target))
	w := &Wire{t: t, listener: l, target: target, faults: faults, links: map[*link]struct{}{}}
	w.running.Go(w.accept)
	t.Cleanup(w.Stop)
	return w
}

// Addr is where it listens.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Set sets the faults from now on, also for existing connections.
func (w *Wire) Set(faults Faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = faults
	for l := range w.links {
		l.set(faults)
	}
}

// Break resets every connection.
func (w *Wire) Break() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.links {
		l.end(Broken)
	}
}

// Stop ends all connections and accepts no more.
func (w *Wire) Stop() {
	w.mu.Lock()
	w.stopped = true
	_ = w.listener.Close()
	for l := range w.links {
		l.end(Closed)
	}
	w.mu.Unlock()
	w.running.Wait()
}

func (w *Wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return // Stop
		}
		far, err := net.DialTimeout(network(w.target), w.target, Patience)
		if err != nil {
			reset(near) // nobody listens: the client sees the same
			continue
		}
		l := &link{near: near, far: far, gone: make(chan struct{})}
		w.mu.Lock()
		stopped := w.stopped
		l.set(w.faults)
		w.links[l] = struct{}{}
		w.mu.Unlock()
		if stopped {
			l.end(Closed)
		}
		w.running.Go(func() {
			l.carry()
			w.mu.Lock()
			delete(w.links, l)
			w.mu.Unlock()
		})
	}
}

// A link is one connection over a wire.
type link struct {
	near, far net.Conn
	ending    sync.Once
	gone      chan struct{}

	mu     sync.Mutex
	faults Faults
}

func (l *link) set(f Faults) {
	l.mu.Lock()
	l.faults = f
	l.mu.Unlock()
}

// fault is what happens in one direction now.
func (l *link) fault(up bool) Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if up {
		return l.faults.Up
	}
	return l.faults.Down
}

func (l *link) carry() {
	var both sync.WaitGroup
	both.Go(func() { l.pump(l.near, l.far, true) })
	both.Go(func() { l.pump(l.far, l.near, false) })
	both.Wait()
	l.end(Closed)
}

// end ends the link as Closed or Broken. The first end counts.
func (l *link) end(how End) {
	l.ending.Do(func() {
		close(l.gone)
		for _, c := range []net.Conn{l.near, l.far} {
			if how == Broken {
				reset(c)
			} else {
				_ = c.Close()
			}
		}
	})
}

// Reset closes a connection with a RST.
func Reset(c net.Conn) { reset(c) }

func reset(c net.Conn) {
	c = Raw(c)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// A parcel is what was read at once, and when.
type parcel struct {
	b  []byte
	at time.Time
}

// parcels bounds what is under way in one direction.
const parcels = 256

// pump carries one direction. It reads on while what it read before is late.
func (l *link) pump(from, to net.Conn, up bool) {
	way := make(chan parcel, parcels)
	var arriving sync.WaitGroup
	arriving.Go(func() { l.arrive(to, way, up) })
	for {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		if n > 0 {
			select {
			case way <- parcel{b[:n], time.Now()}:
			case <-l.gone:
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.end(Broken) // one side was reset: so is the other
			}
			break
		}
	}
	close(way)
	arriving.Wait()
}

// arrive delivers what is under way, with the present fault.
func (l *link) arrive(to net.Conn, way <-chan parcel, up bool) {
	total := 0
	for p := range way {
		for b := p.b; len(b) > 0; {
			f := l.fault(up)
			n := len(b)
			if f.Piece > 0 {
				n = min(n, f.Piece)
			}
			if f.End != Never {
				n = min(n, f.After-total)
			}
			l.sleep(time.Until(p.at.Add(f.Latency)))
			if n > 0 {
				_, _ = to.Write(b[:n]) // the other direction finds that the peer has gone
			}
			total += max(n, 0)
			if f.Rate > 0 {
				l.sleep(time.Duration(n) * time.Second / time.Duration(f.Rate))
			}
			if f.End != Never && total >= f.After {
				l.cut(to, f.End)
				for range way {
					continue // lost
				}
				return
			}
			b = b[n:]
		}
	}
	closeWrite(to)
}

func (l *link) cut(to net.Conn, how End) {
	switch how {
	case Closed, Broken:
		l.end(how)
	case Half:
		closeWrite(to)
	case Hole, Never:
	}
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (l *link) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-l.gone:
	}
}

// Unanswered returns a loopback address with a listener that does not accept
// and whose backlog is full: connecting never ends.
func Unanswered(t testing.TB) string {
	t.Helper()
	addr := FreeAddr(t)
	listenUnanswered(t, addr)
	return addr
}

// listenUnanswered listens at addr as Unanswered says. The port may have been a
// server's a moment ago, whose ended connections the kernel still remembers.
func listenUnanswered(t testing.TB, addr string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	sa := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	reuse := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := errors.Join(reuse, unix.Bind(fd, sa), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for range 8 { // far more than a backlog of 0 holds
		if err := beginConnect(t, sa); err != nil {
			t.Fatal(err)
		}
	}
}

// beginConnect opens a connection, or begins to, that stays for the test.
func beginConnect(t testing.TB, sa unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, syscall.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}
