package admin

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"nuthatch/internal/inet"
	"nuthatch/internal/logging"
	"nuthatch/internal/stats"
)

const (
	// maxStatsConns is how many clients of the statistics port are given a document
	// at a time; more wait in the listener's backlog.
	maxStatsConns = 16
	// maxStatsLeaving is how many clients that have their document may take their
	// time to close. One more replaces the first of them.
	maxStatsLeaving = 64
	// statsPerServer is the memory of a document, in bytes, for each server. It was
	// measured with 5,000 servers.
	statsPerServer = 4 << 10
	// statsWriteTimeout is how long a client may take to read the document.
	statsWriteTimeout = 5 * time.Second
	// statsLinger is how long a client may take to close after the document. A
	// socket that is closed with unread bytes in it (of an HTTP request, say) is
	// reset, and the reset may overtake the document; so those are read first.
	statsLinger = time.Second
	// statsAcceptPause is the wait after a failure to accept, as when descriptors
	// run out.
	statsAcceptPause = 100 * time.Millisecond
)

// StatsPort is nutcracker's statistics port: every connection gets one JSON
// document without a header, whatever it sends, and is closed. It runs in
// goroutines of its own.
//
//	backlog ─► a slot ─► memory ─► document ─► leaving ─► closed: by the client, after
//	                                                      statsLinger, or by who comes
//	                                                      when too many are leaving
type StatsPort struct {
	// static after construction
	listener net.Listener
	snapshot func() *stats.Snapshot
	memory   StatsMemory
	logger   *logging.Logger
	linger   time.Duration

	slots   chan struct{} // one token per connection that is given a document
	closing chan struct{} // closed by Close
	once    sync.Once
	running sync.WaitGroup

	mu sync.Mutex
	// conns are the present connections; nil after Close. The value is a connection's
	// place in leaving, if it stands there.
	conns map[net.Conn]*list.Element
	// leaving have their document, the first one first.
	leaving list.List
}

// StatsMemory bounds the documents of a statistics port that are under way.
type StatsMemory struct {
	// Budget is the memory of all answers; nil: there is no bound.
	Budget *Budget
	// Servers is how many servers a document is about.
	Servers func() int
}

// take waits for room for a document, and returns what gives it back.
func (m StatsMemory) take() (give func(), err error) {
	if m.Budget == nil {
		return func() {}, nil
	}
	n := int64(m.Servers()) * statsPerServer
	if n <= smallAnswer {
		return func() {}, nil
	}
	if err := m.Budget.take(context.Background(), n); err != nil {
		return nil, err
	}
	return func() { m.Budget.give(n) }, nil
}

// Listen opens a listening socket, as net.Listen does, or finds one that the
// process was started with.
type Listen func(network, address string) (net.Listener, error)

// ListenStats listens on addr and port and serves until Close. addr is an IP
// address or a host name, of which the first address is taken; 0.0.0.0 is IPv4
// only, :: both. An addr that begins with a slash is the path of a unix socket,
// which must not exist, and port is not used. Port 0 lets the system choose (on
// the command line nutcracker refuses it, and so does nuthatch).
//
// snapshot is called once per connection, by several goroutines at a time; nil
// from it means that there is nothing to show (the process is about to end) and
// closes the connection. It should return within a second or so, as Close waits
// for it.
func ListenStats(
	listen Listen, addr string, port int, snapshot func() *stats.Snapshot, memory StatsMemory, logger *logging.Logger,
) (*StatsPort, error) {
	network, address, err := statsAddress(addr, port)
	if err != nil {
		return nil, err
	}
	listener, err := listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("statistics port: %w", err)
	}
	p := newStatsPort(listener, snapshot, memory, logger)
	p.running.Go(p.accept)
	return p, nil
}

func newStatsPort(listener net.Listener, snapshot func() *stats.Snapshot, memory StatsMemory, logger *logging.Logger) *StatsPort {
	return &StatsPort{
		listener: listener,
		snapshot: snapshot,
		memory:   memory,
		logger:   logger,
		linger:   statsLinger,
		slots:    make(chan struct{}, maxStatsConns),
		closing:  make(chan struct{}),
		conns:    make(map[net.Conn]*list.Element),
	}
}

// statsAddress gives net.Listen's arguments.
func statsAddress(addr string, port int) (network, address string, err error) {
	if strings.HasPrefix(addr, "/") {
		return "unix", addr, nil
	}
	if port < 0 || port > 65535 {
		return "", "", fmt.Errorf("statistics port %d is not in 0..65535", port)
	}
	addr = inet.Canonical(addr)
	network = "tcp"
	if ip, err := netip.ParseAddr(addr); err == nil && ip.Is4() {
		network = "tcp4" // with "tcp", 0.0.0.0 would be :: as well
	}
	return network, net.JoinHostPort(addr, strconv.Itoa(port)), nil
}

// File returns a copy of the listening socket for another process, which goes on
// listening when this one does not.
func (p *StatsPort) File() (*os.File, error) { return fileOf(p.listener) }

// OwnPath says whether Close removes a unix socket's path. A socket that Listen
// found keeps its path until this says otherwise.
func (p *StatsPort) OwnPath(own bool) {
	if l, ok := p.listener.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(own)
	}
}

// Addr gives the address that the port listens on.
func (p *StatsPort) Addr() net.Addr {
	return p.listener.Addr()
}

// Close stops listening, closes all connections, and returns when all
// goroutines have ended. A second Close does nothing.
func (p *StatsPort) Close() error {
	var err error
	p.once.Do(func() {
		close(p.closing)
		err = p.listener.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close() // nobody is interested any more
		}
		p.conns = nil
		p.mu.Unlock()
	})
	p.running.Wait()
	if err != nil {
		return fmt.Errorf("statistics port: %w", err)
	}
	return nil
}

// accept takes one connection per free slot.
func (p *StatsPort) accept() {
	for {
		select {
		case p.slots <- struct{}{}:
		case <-p.closing:
			return
		}
		c, err := p.listener.Accept()
		if err == nil && p.enter(c) {
			p.running.Go(func() { p.serve(c) })
			continue
		}
		<-p.slots
		if err == nil || errors.Is(err, net.ErrClosed) {
			return
		}
		p.logger.Warn("accept on the statistics port failed", slog.Any("error", err))
		select {
		case <-time.After(statsAcceptPause):
		case <-p.closing:
			return
		}
	}
}

// enter registers a connection, unless the port is closed; then it closes it.
func (p *StatsPort) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		_ = c.Close() // Close missed it
		return false
	}
	p.conns[c] = nil
	return true
}

// letGo notes that the client has its document. If very many have theirs and do not
// close, the first of them is closed.
func (p *StatsPort) letGo(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return
	}
	p.conns[c] = p.leaving.PushBack(c)
	if p.leaving.Len() > maxStatsLeaving {
		first := p.leaving.Remove(p.leaving.Front()).(net.Conn)
		p.conns[first] = nil
		_ = first.Close() // whoever waits for its end takes it out
	}
}

func (p *StatsPort) removeConn(c net.Conn) {
	_ = c.Close() // what mattered has been written, or the failure logged
	p.mu.Lock()
	defer p.mu.Unlock()
	if place := p.conns[c]; place != nil {
		p.leaving.Remove(place)
	}
	delete(p.conns, c)
}

func (p *StatsPort) serve(c net.Conn) {
	defer p.removeConn(c)
	if p.document(c) {
		p.letGo(c)
		p.end(c)
	}
}

// document gives the client its document, and its slot to the next one. It reports
// whether the client has it.
func (p *StatsPort) document(c net.Conn) bool {
	defer func() { <-p.slots }()
	give, err := p.memory.take()
	if err == nil {
		defer give()
		snapshot := p.snapshot()
		if snapshot == nil {
			return false
		}
		err = p.send(c, snapshot.AppendJSON(nil))
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		p.logger.Warn("sending statistics failed",
			slog.String("client", c.RemoteAddr().String()), slog.Any("error", err))
	}
	return err == nil
}

// send writes the document and the end of the stream.
func (p *StatsPort) send(c net.Conn, document []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(statsWriteTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(document); err != nil {
		return err
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		// ENOTCONN: the client has read the document and closed first.
		if err := half.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
			return err
		}
	}
	return nil
}

// end reads until the client closes, as long as statsLinger allows.
func (p *StatsPort) end(c net.Conn) {
	if err := c.SetReadDeadline(time.Now().Add(p.linger)); err == nil {
		_, _ = io.Copy(io.Discard, c) // any end is the end: closed, reset, too slow
	}
}
