package eventloop

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
)

// A Network connects loops without descriptors, for tests. Their sockets are numbers,
// and bytes sent from one end are in the other's buffer at once. Nothing happens by
// itself, so the same calls bring the same events:
//
//	Peer (the test's) ── in ──► fakeSocket ── fake, the engine ── Conn ── Handler
//	                  ◄── in ──
//
// All of a network belongs to one goroutine.
type Network struct {
	// Window is how many bytes a socket holds that nobody has read yet.
	Window int
	// Completions: sends and connects end in a later turn, as with an engine of
	// completions, and received bytes count as Loop.Ahead.
	Completions bool

	recv    []byte
	sockets []*fakeSocket // by number
	ports   map[string]*fakeSocket
}

// defaultWindow is as small as to make short writes frequent.
const defaultWindow = 64 << 10

// NewNetwork returns a network on which nobody listens.
func NewNetwork() *Network {
	return &Network{Window: defaultWindow, recv: make([]byte, recvSize), ports: map[string]*fakeSocket{}}
}

// A fakeSocket is one end of a connection, or a listening socket.
type fakeSocket struct {
	net  *Network
	fd   int
	name string
	// engine is the end's, nil if the test has it; conn or ln is who it is for.
	engine *fake
	conn   *Conn
	ln     *Listener

	// other is the other end.
	other *fakeSocket
	// in is what has come and not been read.
	in []byte
	// ended: nothing comes after in. reset: after in the connection is broken. told:
	// the engine has told the end. shut: this end sends no more.
	ended, reset, told, shut bool
	// endingTold: the engine has told that the end is near.
	endingTold bool
	closed     bool
	// blocked: the other end had no room.
	blocked bool
	// sending: a send has begun, and inFlight bytes of the output have gone by it.
	// before: something had come before it, and is told before its end.
	sending, before bool
	inFlight        int
	// refused: there is nobody whom it could be connected to.
	refused bool
	// listed: in the engine's list of those with something to tell.
	listed bool
	// waiting are the ends that wait to be accepted.
	waiting []*fakeSocket
}

// A fake is the engine of one loop.
type fake struct {
	net         *Network
	loop        *Loop
	ready, told []*fakeSocket
	woken       atomic.Bool
}

// New returns a loop on the network. It must be run by hand.
func (n *Network) New(epoch time.Time, hook Hook) (*Loop, error) {
	l := &Loop{hook: hook, epoch: epoch}
	l.engine = &fake{net: n, loop: l}
	return l, nil
}

func (n *Network) socket(name string) *fakeSocket {
	s := &fakeSocket{net: n, fd: len(n.sockets), name: name}
	n.sockets = append(n.sockets, s)
	return s
}

// pair makes a connection.
func (n *Network) pair(from, to string) (near, far *fakeSocket) {
	near, far = n.socket(from), n.socket(to)
	near.other, far.other = far, near
	return near, far
}

// Listen returns a new listening socket, for Loop.Listen.
func (n *Network) Listen(sa unix.Sockaddr) *ListenSocket {
	return &ListenSocket{n.listen(sa).fd, &fake{net: n}}
}

func (n *Network) listen(sa unix.Sockaddr) *fakeSocket {
	s := n.socket(socket.Name(sa))
	n.ports[s.name] = s
	return s
}

// connect begins a connection to the address, and returns this end of it; nil if
// nobody listens there.
func (n *Network) connect(sa unix.Sockaddr) *fakeSocket {
	return n.connectFrom(fmt.Sprintf("peer-%d", len(n.sockets)), sa)
}

// connectFrom is connect, with the name of this end.
func (n *Network) connectFrom(name string, sa unix.Sockaddr) *fakeSocket {
	port := n.ports[socket.Name(sa)]
	if port == nil {
		return nil
	}
	near, far := n.pair(name, port.name)
	port.waiting = append(port.waiting, far)
	port.note()
	return near
}

// note has the engine, if there is one, look at the socket in the next turn.
func (s *fakeSocket) note() {
	if s.engine != nil && !s.listed && !s.closed {
		s.listed = true
		s.engine.ready = append(s.engine.ready, s)
	}
}

// write puts bytes into the other end's buffer, as many as have room.
func (s *fakeSocket) write(b []byte) (int, error) {
	switch far := s.other; {
	case s.shut || s.closed || s.reset:
		return 0, unix.EPIPE
	case far.closed:
		s.reset = true
		s.note()
		return 0, unix.EPIPE
	case len(far.in) >= s.net.Window:
		s.blocked = true
		return 0, unix.EAGAIN
	default:
		n := min(len(b), s.net.Window-len(far.in))
		far.in = append(far.in, b[:n]...)
		far.count(n)
		far.note()
		return n, nil
	}
}

// count counts n bytes that have come to an engine, or have been read from it.
func (s *fakeSocket) count(n int) {
	if s.engine != nil && s.net.Completions {
		s.engine.loop.ahead += n
	}
}

// read takes bytes out of the buffer.
func (s *fakeSocket) read(b []byte) (int, error) {
	switch {
	case s.closed:
		return 0, unix.EBADF
	case len(s.in) > 0:
		n := copy(b, s.in)
		if s.in = s.in[n:]; len(s.in) == 0 {
			s.in = nil // the kernel keeps nothing either
		}
		s.count(-n)
		if s.other.blocked {
			s.other.note()
		}
		return n, nil
	case s.reset:
		return 0, unix.ECONNRESET
	case s.ended:
		return 0, nil
	}
	return 0, unix.EAGAIN
}

// shutdown sends no more.
func (s *fakeSocket) shutdown() {
	if !s.shut {
		s.shut = true
		s.other.ended = true
		s.other.note()
	}
}

// close gives the end up: with bytes that it has not read, that is a reset.
func (s *fakeSocket) close() {
	if s.closed {
		return
	}
	s.closed = true
	s.count(-len(s.in))
	if s.other != nil {
		s.other.ended = true
		s.other.reset = s.other.reset || len(s.in) > 0
		s.other.note()
	}
	for _, w := range s.waiting {
		w.in = append(w.in, 0) // a connection that nobody accepts is reset
		w.close()
	}
	s.waiting = nil
	if s.net.ports[s.name] == s {
		delete(s.net.ports, s.name)
	}
}

// start implements engine.
func (e *fake) start() error { return nil }

// wake implements engine.
func (e *fake) wake() { e.woken.Store(true) }

// wait implements engine. It never waits.
func (e *fake) wait(int) (int, error) {
	n := len(e.ready)
	if e.woken.Load() {
		n++
	}
	return n, nil
}

// pending implements engine.
func (e *fake) pending() int { return 0 }

// deliver implements engine.
func (e *fake) deliver(int) {
	e.ready, e.told = e.told[:0], e.ready
	if e.woken.Swap(false) {
		e.loop.runPosted()
	}
	for i, s := range e.told {
		e.told[i] = nil
		s.listed = false
		if s.closed {
			continue
		}
		switch {
		case s.ln != nil:
			s.ln.AcceptSome(acceptBatch)
			if len(s.waiting) > 0 && !s.ln.paused {
				s.note()
			}
		case s.conn != nil:
			e.tell(s, s.conn)
		}
	}
}

// tell tells a connection its pending events.
func (e *fake) tell(s *fakeSocket, c *Conn) {
	if c.state == connecting {
		if s.refused {
			c.handler.OnError(syscall.ECONNREFUSED)
			return
		}
		s.note() // of what came with this news
		c.connected()
		return
	}
	if s.sending && !s.before {
		e.sent(s, c)
	}
	switch {
	case s.closed:
	case c.noRead && s.reset:
		c.handler.OnError(syscall.EPIPE)
	case c.noRead && s.ended && !s.told:
		e.tellEnding(s, c)
	case c.noRead || len(s.in) == 0 && !s.ended && !s.reset || s.told && !s.reset:
	default:
		e.give(s, c)
	}
	switch {
	case s.closed:
	case s.sending:
		e.sent(s, c)
	case s.blocked && len(s.other.in) < e.net.Window:
		s.blocked = false
		c.sendLater()
	}
}

// tellEnding tells, once, that nothing comes after what has come.
func (e *fake) tellEnding(s *fakeSocket, c *Conn) {
	if !s.endingTold {
		s.endingTold = true
		c.handler.OnEnding()
	}
}

// sent tells that a send has ended.
func (e *fake) sent(s *fakeSocket, c *Conn) {
	n := s.inFlight
	s.sending, s.inFlight = false, 0
	out := c.wire()
	out.Advance(&e.loop.bufs, n)
	if out.Len() > 0 {
		c.sendLater() // what was appended meanwhile, or had no room
	}
	c.handler.OnSent(n)
}

// give gives the connection what has come, as one receive would.
func (e *fake) give(s *fakeSocket, c *Conn) {
	buf, most := c.grant()
	if c.noRead || !c.live() {
		if c.live() && s.reset {
			c.handler.OnError(syscall.EPIPE)
		} else if c.live() && s.ended {
			e.tellEnding(s, c)
		}
		return
	}
	lent := len(buf) > 0
	if !lent {
		buf = e.net.recv[:min(most, len(e.net.recv))]
	}
	n, err := s.read(buf)
	switch {
	case err != nil:
		c.handler.OnError(syscall.ECONNRESET)
		return
	case n == 0:
		s.told = true
		c.handler.OnEOF()
		return
	case lent:
		c.handler.OnLent(n)
	default:
		c.handler.OnData(buf[:n])
		invariant.Poison(buf[:n])
	}
	if len(s.in) > 0 || s.ended || s.reset {
		s.note()
	}
}

// endTurn implements engine.
func (e *fake) endTurn() {}

// close implements engine.
func (e *fake) close() {
	for _, s := range e.net.sockets {
		if s.engine == e && s.ln == nil {
			s.close()
		}
	}
}

// dial implements engine.
func (e *fake) dial(sa unix.Sockaddr, _ socket.Keepalive) (fd int, inProgress bool, err error) {
	near := e.net.connect(sa)
	switch {
	case near == nil && !e.net.Completions:
		return -1, false, unix.ECONNREFUSED
	case near == nil:
		near = e.net.socket("nobody")
		near.other = near
		near.refused = true
	}
	return near.fd, e.net.Completions, nil
}

// attach implements engine.
func (e *fake) attach(c *Conn) error {
	s := e.net.sockets[c.fd]
	s.engine, s.conn = e, c
	s.count(len(s.in))
	s.note()
	return nil
}

// pass implements engine.
func (e *fake) pass(_, to *Conn) {
	s := e.net.sockets[to.fd]
	s.conn = to
	s.note()
}

// receive implements engine.
func (e *fake) receive(c *Conn) { e.net.sockets[c.fd].note() }

// send implements engine.
func (e *fake) send(c *Conn, out *mbuf.Chain) {
	s := e.net.sockets[c.fd]
	if s.sending {
		return
	}
	for k := out.Head(); k != nil; k = k.Next() {
		b := k.Bytes()
		n, err := s.write(b)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			c.handler.OnError(syscall.EPIPE)
			return
		}
		s.inFlight += n
		if n < len(b) {
			s.blocked = true
			break
		}
	}
	if e.net.Completions && s.inFlight > 0 {
		s.sending, s.before = true, len(s.in) > 0
		s.note()
		return
	}
	n := s.inFlight
	s.inFlight = 0
	out.Advance(&e.loop.bufs, n)
	c.handler.OnSent(n)
}

// sendAll implements engine.
func (e *fake) sendAll() {}

// inFlight implements engine.
func (e *fake) inFlight(c *Conn) int { return e.net.sockets[c.fd].inFlight }

// closeWrite implements engine.
func (e *fake) closeWrite(c *Conn) { e.net.sockets[c.fd].shutdown() }

// release implements engine.
func (e *fake) release(c *Conn) {
	s := e.net.sockets[c.fd]
	s.conn = nil
	s.close()
}

// listen implements engine.
func (e *fake) listen(ln *Listener) error {
	s := e.net.sockets[ln.fd]
	s.engine, s.ln = e, ln
	s.note()
	return nil
}

// pause implements engine.
func (e *fake) pause(ln *Listener) { e.net.sockets[ln.fd].note() }

// accept implements engine.
func (e *fake) accept(ln *Listener) bool {
	s := e.net.sockets[ln.fd]
	if len(s.waiting) == 0 {
		return ln.accepted(-1, netip.Addr{}, unix.EAGAIN)
	}
	far := s.waiting[0]
	s.waiting = s.waiting[1:]
	from, _ := netip.ParseAddrPort(far.other.name) // not valid unless it came by DialFrom
	return ln.accepted(far.fd, from.Addr(), nil)
}

// forget implements engine.
func (e *fake) forget(ln *Listener) {
	s := e.net.sockets[ln.fd]
	s.engine, s.ln = nil, nil
}

func (e *fake) tune(int, socket.Keepalive) {}

func (e *fake) discard(fd int) { e.net.sockets[fd].close() }

func (e *fake) unread(fd int) (n int, ok bool) { return len(e.net.sockets[fd].in), true }

func (e *fake) lastWords(fd int, b []byte) { _, _ = e.net.sockets[fd].write(b) }

func (e *fake) peerName(fd int) string {
	if s := e.net.sockets[fd]; s.other != nil {
		return s.other.name
	}
	return "unknown"
}

func (e *fake) localName(fd int) string { return e.net.sockets[fd].name }
