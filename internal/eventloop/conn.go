package eventloop

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
)

// A Handler gets a connection's bytes and events. The loop calls its methods, never
// while another method of the same handler runs.
type Handler interface {
	// OnConnect: the connection has been made.
	OnConnect()
	// OnData: these bytes were received. They are valid until it returns.
	OnData(data []byte)
	// OnEOF: the peer will send no more. Nothing is read from now on.
	OnEOF()
	// OnEnding: the peer will send no more. It is called, at most once, if that is
	// known while reading is paused and not all is read. OnEOF follows when all is
	// read.
	OnEnding()
	// OnError: the connection is broken, or could not be made. The handler must
	// close it.
	OnError(err syscall.Errno)
	// OnSent: the output was flushed, and the kernel took n bytes of it. n is 0 if the
	// output was empty, or if the kernel took nothing.
	OnSent(n int)
	// Grant is called before bytes are received. It returns how many may be received:
	// Unlimited or, when memory is scarce, a few. If Grant or Lend calls PauseRead,
	// nothing is received until ResumeRead.
	Grant() int
	// Lend is called after Grant. It returns the handler's own memory if the bytes
	// belong there, otherwise nil. The handler must not touch that memory until OnLent,
	// which is then called in place of OnData, or until the connection is closed. If
	// nothing was received, neither is called.
	Lend() []byte
	OnLent(n int)
}

// Unlimited is a Grant for as many bytes as one receive takes.
const Unlimited = math.MaxInt

// A state is the state of a connection.
type state uint8

const (
	detached   state = iota // no descriptor
	connecting              // waits for the kernel to connect it
	securing                // waits for its stage
	open
)

// A Conn is one connected, or connecting, stream socket. It is embedded in what
// handles it, so that a connection is one object. The zero value is detached.
type Conn struct {
	loop    *Loop
	handler Handler
	out     mbuf.Chain
	// fd is the socket's number. Only the engine knows what it means.
	fd    int
	state state
	// dirty: the connection is in the loop's list of connections to flush. late: it is
	// in the list of those whose flush can wait.
	dirty, late bool
	// noRead: nothing is read until ResumeRead.
	noRead bool
	// staged is the Wire of a connection with a stage, otherwise nil. The Wire is then
	// the handler.
	staged *Wire

	// owned by the engine
	readiness
}

// attach gives the open, non-blocking socket fd to the connection, and the connection
// to the loop. With inProgress the socket is still being connected, and OnConnect or
// OnError follows. On error fd is closed.
func (l *Loop) attach(c *Conn, fd int, inProgress bool, h Handler) error {
	invariant.Check(c.state == detached, "eventloop: attached twice")
	invariant.Check(c.out.Len() == 0, "eventloop: attached with output of an earlier connection")
	c.loop, c.fd, c.handler = l, fd, h
	c.state, c.noRead, c.staged = open, false, nil
	if inProgress {
		c.state = connecting
	}
	if err := l.engine.attach(c); err != nil {
		c.state = detached
		l.engine.discard(fd)
		return err
	}
	return nil
}

// Dial begins to connect to the address, and attaches the connection. If the connection
// is made at once, inProgress is false, and OnConnect is not called. Otherwise
// OnConnect or OnError follows. If a call fails, Dial returns its error, and the
// connection is detached. The address is only read, and may be in use elsewhere. st is
// the stage, or nil. With a stage the connection is made when the stage is ready.
func (l *Loop) Dial(c *Conn, sa unix.Sockaddr, k socket.Keepalive, h Handler, st Stage) (inProgress bool, err error) {
	fd, inProgress, err := l.engine.dial(sa, k)
	if err != nil {
		return false, err
	}
	return inProgress || st != nil, l.attachStaged(c, fd, inProgress, h, st)
}

// ShownFD is the number that the log and CLIENT LIST show of the connection. It is for
// display only, and means nothing once the connection is closed.
func (c *Conn) ShownFD() int { return c.fd }

// PeerName is the address of the other end. It is "unknown" once the connection is
// closed.
func (c *Conn) PeerName() string {
	if c.state == detached {
		return "unknown"
	}
	return c.loop.engine.peerName(c.fd)
}

// LocalName is the address of our end. It is "unknown" once the connection is closed.
func (c *Conn) LocalName() string {
	if c.state == detached {
		return "unknown"
	}
	return c.loop.engine.localName(c.fd)
}

// Unread is how many bytes have come that the handler has not got yet. ok is false if
// that is not known.
func (c *Conn) Unread() (n int, ok bool) {
	if c.state != open {
		return 0, false
	}
	n, ok = c.loop.engine.unread(c.fd)
	if w := c.staged; w != nil {
		n += w.back.Len() + w.stage.Partial()
	}
	return n, ok
}

// LastWords sends b at once, if possible, without the output. It is for a connection
// that has no output and is about to be closed.
func (c *Conn) LastWords(b []byte) {
	invariant.Check(c.out.Len() == 0, "eventloop: last words before the output")
	switch {
	case c.state != open:
	case c.staged != nil:
		c.staged.lastWords(b)
	default:
		c.loop.engine.lastWords(c.fd, b)
	}
}

// Open reports whether the connection is made and not closed.
func (c *Conn) Open() bool { return c.state == open }

// Attached reports whether the connection is made, or is being made.
func (c *Conn) Attached() bool { return c.state != detached }

// Out is the connection's output. What is appended is sent at the end of the turn, if
// Flush is called. Its bytes belong to the loop, and are released when they are sent,
// and by Close. The bytes at its front may be on their way, so only Close may remove
// them.
func (c *Conn) Out() *mbuf.Chain { return &c.out }

// InFlight is how many bytes at the front of the output may have been sent without
// OnSent having reported it.
func (c *Conn) InFlight() int {
	if c.state != open {
		return 0
	}
	n := c.loop.engine.inFlight(c)
	if c.staged != nil {
		return c.staged.inFlight(n)
	}
	return n
}

// Flush has the output written at the end of this turn, or as soon as the
// connection is made.
func (c *Conn) Flush() {
	if !c.dirty && c.state == open {
		c.sendLater()
	}
}

// live reports whether bytes can be sent and received, be they only the stage's.
func (c *Conn) live() bool { return c.state == securing || c.state == open }

// sendLater is Flush for any output, the handler's or the stage's.
func (c *Conn) sendLater() {
	if !c.dirty && c.live() {
		c.dirty = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// wire is what goes to the peer.
func (c *Conn) wire() *mbuf.Chain {
	if c.staged != nil {
		return &c.staged.out
	}
	return &c.out
}

// FlushLate has the output written at the end of the first turn that writes nothing
// else. Other writes take time, and meanwhile more output may come that can be sent
// together with this. The output is written at the latest at the end of the first turn
// that begins half a millisecond later. Long output is written at the end of this turn.
func (c *Conn) FlushLate() {
	if c.out.Len() >= lateSize {
		c.Flush()
		return
	}
	if !c.late && !c.dirty && c.state == open {
		l := c.loop
		if len(l.late) == 0 {
			l.waiting = l.now
		}
		c.late = true
		l.late = append(l.late, c)
	}
}

// PauseRead stops receiving. The kernel is not told, so a short pause costs nothing.
func (c *Conn) PauseRead() {
	if c.staged != nil {
		c.staged.pause()
		return
	}
	c.noRead = true
}

// ResumeRead receives again.
func (c *Conn) ResumeRead() {
	if c.staged != nil {
		c.staged.resume()
		return
	}
	if c.noRead {
		c.noRead = false
		if c.state == open {
			c.loop.engine.receive(c)
		}
	}
}

// Close closes the connection and drops its output. It is safe to call more
// than once, and from within the handler's methods: none is called afterwards.
func (c *Conn) Close() {
	if c.state == detached {
		return
	}
	w := c.staged
	if w != nil {
		w.farewell()
	}
	c.state, c.staged = detached, nil
	c.loop.engine.release(c)
	c.out.Release(&c.loop.bufs)
	if w != nil {
		w.release()
	}
}

// CloseWrite tells the peer that nothing more comes. Reading goes on.
func (c *Conn) CloseWrite() {
	invariant.Check(c.out.Len() == 0, "eventloop: output is left behind the end of the stream")
	switch {
	case !c.live():
	case c.staged != nil:
		c.staged.closeWrite()
	default:
		c.loop.engine.closeWrite(c)
	}
}

// connected is called by the engine when the socket is connected.
func (c *Conn) connected() {
	if c.staged != nil {
		c.state = securing
		c.staged.goOn()
		return
	}
	c.made()
}

// made tells the handler that the connection is made.
func (c *Conn) made() {
	c.state = open
	c.Flush()
	c.handler.OnConnect()
}

// grant asks the handler for room. It returns the memory that the handler lends, or
// nil, and how many bytes may be received. Afterwards reading may be paused, or the
// connection closed.
func (c *Conn) grant() (own []byte, most int) {
	if c.noRead {
		return nil, 0
	}
	most = c.handler.Grant()
	if c.noRead || !c.live() {
		return nil, 0
	}
	if own = c.handler.Lend(); len(own) > 0 {
		most = len(own)
	}
	return own, most
}
