package eventloop

import (
	"golang.org/x/sys/unix"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
)

// An engine moves the bytes of one loop's connections. It is everything below the loop.
// Only it knows descriptors:
//
//	Handler ◄─ OnConnect, OnData, OnLent, OnEnding, OnEOF, OnError, OnSent ─ engine
//	Handler ─ Flush, PauseRead, Close, ... ─► Conn ─ send, receive, release, ... ─► engine
//
// It tells its events through Conn: connected, and grant before it receives.
//
// There are three engines: epoll and uring, the kernel's, which have most in common
// (polled), and fake (for tests: no descriptors). The contract has the shape of
// completions, so that an engine that submits operations and learns of their end later
// fits it too:
//
//   - It may belong to a thread: the one that calls start.
//   - Bytes may have been received before Handler.Grant is asked for room, and there may
//     be no room, or reading paused, when they have come. Those, and what it may yet
//     receive in this way, are in Loop.ahead until a handler has had them.
//   - attach tells nothing itself: handlers are not ready before it has returned.
//   - A large body has a receive of its own, into memory that Handler.Lend gives.
//     That memory is the engine's until OnLent, or until release returns.
//   - A send completes in its own time: what is in flight stays at the front of the
//     output, at the same place, until OnSent says that it has gone. release takes over
//     what is in flight.
//   - What is submitted in a turn may go out with the next wait.
//   - release is the request to close. The socket's number is not given to another
//     connection as long as anything that is under way names it, at least until the
//     end of the turn.
//   - The end of the stream, and its breaking, are told while reading is paused: an
//     engine that has no receive under way then asks the kernel to tell it.
//
// All but wake is called by the loop's goroutine.
type engine interface {
	// start is called before all other methods except wake and close, on the goroutine
	// and the thread that will call them.
	start() error
	// wait waits for events, for at most timeout milliseconds; -1 is for ever. It
	// returns how many there are.
	wait(timeout int) (events int, err error)
	// deliver tells the connections all that the last wait has found.
	deliver(events int)
	// pending is how many connections have events that are known already, or must be
	// released. If it is not 0, the next wait must not last.
	pending() int
	// endTurn closes what was released in this turn.
	endTurn()
	// wake ends a wait, and has deliver run what was posted. It may be called from
	// any goroutine until close.
	wake()
	// close ends the engine, and closes every socket in it except listening ones.
	close()

	// dial makes a socket and begins to connect it. It returns the error of the call
	// that failed.
	dial(sa unix.Sockaddr, k socket.Keepalive) (fd int, inProgress bool, err error)
	// attach takes over the socket c.fd. If it is being connected, c.connected is
	// called later.
	attach(c *Conn) error
	// pass makes the socket of from, which is open, that of to, whose fd it is already. What
	// from was not told yet is to's.
	pass(from, to *Conn)
	// receive receives again, after c.noRead was cleared.
	receive(c *Conn)
	// send sends as much of out as possible now. out is c's output on the wire. OnSent
	// follows, at once or later. Bytes that are appended meanwhile may wait for the
	// next send.
	send(c *Conn, out *mbuf.Chain)
	// sendAll is called when send was called for all connections that are written to. The
	// engine may have put off what they are to send until now.
	sendAll()
	// inFlight is how many bytes at the front of the output may have been sent without
	// OnSent having reported it.
	inFlight(c *Conn) int
	// closeWrite tells the peer that no more comes.
	closeWrite(c *Conn)
	// release closes the socket of c, which is already detached.
	release(c *Conn)

	// listen accepts connections for ln, as long as it is not paused.
	listen(ln *Listener) error
	// pause stops accepting, or resumes it, as ln.paused says.
	pause(ln *Listener)
	// accept accepts one waiting connection, and reports whether there may be more.
	accept(ln *Listener) (more bool)
	// forget takes the socket out of the engine and leaves it open.
	forget(ln *Listener)

	sockets
}

// sockets are what can be done with a socket by its number, whether or not it
// belongs to a connection.
type sockets interface {
	// tune prepares a socket that was accepted.
	tune(fd int, k socket.Keepalive)
	// discard closes a socket that no connection has.
	discard(fd int)
	// unread is how many bytes have come and are not read; ok is false if that is not
	// known.
	unread(fd int) (n int, ok bool)
	// lastWords sends b if that is possible at once.
	lastWords(fd int, b []byte)
	// peerName and localName are the two ends' addresses.
	peerName(fd int) string
	localName(fd int) string
}

// kernelSockets are the kernel's.
type kernelSockets struct{}

func (kernelSockets) tune(fd int, k socket.Keepalive) { socket.Tune(fd, k) }

func (kernelSockets) discard(fd int) { unix.Close(fd) }

func (kernelSockets) unread(fd int) (n int, ok bool) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return n, err == nil
}

func (kernelSockets) lastWords(fd int, b []byte) {
	// If it cannot be sent at once, the peer sees only the close.
	_, _ = unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}

func (kernelSockets) peerName(fd int) string { return socket.PeerName(fd) }

func (kernelSockets) localName(fd int) string { return socket.LocalName(fd) }

func (kernelSockets) dial(sa unix.Sockaddr, k socket.Keepalive) (fd int, inProgress bool, err error) {
	fd, inProgress, err = socket.Dial(sa)
	if err == nil {
		socket.Tune(fd, k)
	}
	return fd, inProgress, err
}
