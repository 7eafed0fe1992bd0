// Package sentinelport has a pool be found by clients of Redis Sentinel. It is a small server
// beside the event loops, which answers what such clients ask, as redis-sentinel 7.0.15 does.
//
//	client ─ SENTINEL GET-MASTER-ADDR-BY-NAME ─► conn ─► emulate.Map: the proxy for this client
//	client ─ SUBSCRIBE +switch-master ─────────► conn ◄─ Wake: the map has changed
//
// A connection has a goroutine that reads and answers. One that has subscribed has another one,
// which tells it where to go, so that a client that does not read holds up nobody else.
package sentinelport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/inet"
	"nuthatch/internal/logging"
	"nuthatch/internal/socket"
)

const (
	// acceptPause is the wait after a failure to accept, as when descriptors run out.
	acceptPause = 100 * time.Millisecond
	// writeTime is how long a client may take to read what it is sent.
	writeTime = 5 * time.Second
	// shakeTime is how long a handshake of TLS may take.
	shakeTime = 10 * time.Second
)

// Settings are what a Port answers, and to whom. A reload makes others.
type Settings struct {
	// Name is what clients call the pool.
	Name string
	// Board has the proxies that live.
	Board *emulate.Board
	// Access is from where clients may come.
	Access config.Access
	// Login tells whether a user may log in with a password; nil: there is none that could.
	Login func(user, password []byte) bool
	// Open: clients need not log in. LoginTime is how long they may take if they must; 0 is
	// no bound.
	Open      bool
	LoginTime time.Duration
	// Secure is TLS over a connection, for the first read or write to begin; nil: there is none.
	Secure func(net.Conn) net.Conn
	// Most is how many clients there may be at a time.
	Most int
	// Version is the program's.
	Version string
}

// A Port answers as a Sentinel at one address. Its methods may be called from any goroutine.
type Port struct {
	// static after construction
	listener net.Listener
	place    config.Address
	log      *logging.Logger
	started  time.Time

	settings atomic.Pointer[scope]
	running  sync.WaitGroup
	closing  chan struct{} // closed by Close
	once     sync.Once

	mu sync.Mutex
	// conns are the present connections; nil after Close.
	conns   map[*conn]struct{}
	serving bool
	lastID  int64
	counts  Counts
}

// Counts are what a Port has counted.
type Counts struct {
	// Clients are connected now, and Subscribers of them are told of changes.
	Clients, Subscribers int
	// Refused came from where nobody is let in, or when there were too many clients.
	Refused int64
	// LoginsFailed is how often a client has said a wrong name or password.
	LoginsFailed int64
	// Switches is how often a client was told to use another proxy.
	Switches int64
}

// A scope is Settings, with the lists ready to be asked.
type scope struct {
	Settings
	allow, deny inet.Networks
}

// New returns a port with a listener that was opened for that address. It does not serve yet,
// and owns the listener.
func New(listener net.Listener, place config.Address, log *logging.Logger) *Port {
	return &Port{
		listener: listener, place: place, log: log, started: time.Now(),
		conns: make(map[*conn]struct{}), closing: make(chan struct{}),
	}
}

// Set has s hold from now on. It comes before Serve.
func (p *Port) Set(s Settings) {
	p.settings.Store(&scope{s, s.Access.AllowFrom.Networks(), s.Access.DenyFrom.Networks()})
	p.Wake()
}

// Serve begins to serve. A second call does nothing.
func (p *Port) Serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving || p.conns == nil {
		return
	}
	p.serving = true
	p.running.Go(p.accept)
}

// Wake has clients told that are to use another proxy than before.
func (p *Port) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.wakeUp()
	}
}

// Addr is the address that it listens on.
func (p *Port) Addr() net.Addr { return p.listener.Addr() }

// Place is the address that it was opened for.
func (p *Port) Place() config.Address { return p.place }

// File returns a copy of the listening socket for another process.
func (p *Port) File() (*os.File, error) {
	c, ok := p.listener.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return socket.FileOf(c)
}

// Counts are what it has counted so far.
func (p *Port) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.counts
	n.Clients = len(p.conns)
	return n
}

// Close stops listening, closes all connections, and returns when all goroutines have ended. A
// second call does nothing.
func (p *Port) Close() {
	p.once.Do(func() {
		close(p.closing)
		_ = p.listener.Close() // nothing is left to do
		p.mu.Lock()
		for c := range p.conns {
			c.end()
		}
		p.conns = nil
		p.mu.Unlock()
	})
	p.running.Wait()
}

// accept takes connections until the port is closed.
func (p *Port) accept() {
	for {
		c, err := p.listener.Accept()
		if err == nil {
			p.take(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p.log.Warn("accept failed where a pool answers as a Sentinel", slog.String("addr", p.Addr().String()), slog.String("error", err.Error()))
		select {
		case <-time.After(acceptPause):
		case <-p.closing:
			return
		}
	}
}

// take serves a connection, or refuses it.
func (p *Port) take(socket net.Conn) {
	s := p.settings.Load()
	from := netip.Addr{}
	if at, ok := socket.RemoteAddr().(*net.TCPAddr); ok {
		from = at.AddrPort().Addr().Unmap()
	}
	refusal := ""
	if !s.allow.Empty() && !s.allow.Contains(from) || s.deny.Contains(from) {
		refusal = "-ERR clients from this address are not let in\r\n"
	}
	p.mu.Lock()
	switch {
	case p.conns == nil:
		p.mu.Unlock()
		_ = socket.Close() // Close missed it
		return
	case refusal == "" && len(p.conns) >= s.Most:
		refusal = "-ERR max number of clients reached\r\n"
	}
	if refusal != "" {
		p.counts.Refused++
		p.mu.Unlock()
		p.refuse(socket, s, refusal)
		return
	}
	p.lastID++
	c := newConn(p, socket, s, from.String(), p.lastID)
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	p.running.Go(func() { c.serve(s) })
}

// refuse closes a connection, and says why if that can be read. It does not wait for the client.
func (p *Port) refuse(socket net.Conn, s *scope, why string) {
	if s.Secure == nil && socket.SetWriteDeadline(time.Now().Add(writeTime)) == nil {
		_, _ = socket.Write([]byte(why)) // an empty socket has room for it
	}
	_ = socket.Close() // it is given up
}

// forget notes that a connection has ended.
func (p *Port) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// count changes what is counted.
func (p *Port) count(change func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.counts)
}

// secure is a connection over which clients speak, after the handshake of TLS if there is one.
func (s *scope) secure(socket net.Conn) (net.Conn, error) {
	if s.Secure == nil {
		return socket, nil
	}
	secured := s.Secure(socket)
	if shaken, ok := secured.(interface {
		HandshakeContext(ctx context.Context) error
	}); ok {
		ctx, cancel := context.WithTimeout(context.Background(), shakeTime)
		defer cancel()
		return secured, shaken.HandshakeContext(ctx)
	}
	return secured, nil
}
