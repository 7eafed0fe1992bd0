package eventloop

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptBatch is how many connections one turn accepts from one listener.
const acceptBatch = 64

// An Acceptor gets a listener's connections.
type Acceptor interface {
	// OnAccept hands over a new connection. The acceptor owns it, and passes it on.
	OnAccept(a Accepted)
	// OnAcceptError says why no connection could be accepted. The connections wait in
	// the kernel. Unless the acceptor pauses the listener, the next turn tries again.
	OnAcceptError(err syscall.Errno)
}

// A Listener is a listening socket in a loop.
type Listener struct {
	loop     *Loop
	acceptor Acceptor
	fd       int
	paused   bool
}

// Listen makes the loop accept from the socket, which stays the caller's: Close leaves
// it open.
func (l *Loop) Listen(s *ListenSocket, a Acceptor) (*Listener, error) {
	ln := &Listener{loop: l, acceptor: a, fd: s.fd}
	if err := l.engine.listen(ln); err != nil {
		return nil, err
	}
	return ln, nil
}

// Name is the address that it accepts connections on.
func (ln *Listener) Name() string { return ln.loop.engine.localName(ln.fd) }

// Pause stops accepting until Resume.
func (ln *Listener) Pause() {
	if !ln.paused {
		ln.paused = true
		ln.loop.engine.pause(ln)
	}
}

// Resume accepts again.
func (ln *Listener) Resume() {
	if ln.paused {
		ln.paused = false
		ln.loop.engine.pause(ln)
	}
}

// AcceptSome accepts connections that wait in the kernel, at most most and at most as
// many as in one turn, unless the listener is paused. It returns how many it was, and
// whether there may be more.
func (ln *Listener) AcceptSome(most int) (n int, more bool) {
	most = min(most, acceptBatch)
	for ; n < most; n++ {
		if ln.paused || !ln.loop.engine.accept(ln) {
			return n, false
		}
	}
	return n, true
}

// Close takes the socket out of the loop and leaves it open. It may be closed, by
// whoever opened it, once the turn is over.
func (ln *Listener) Close() {
	ln.paused = true
	ln.loop.engine.forget(ln)
}

// accepted passes a connection from that peer, or the error in its place, to the acceptor.
// It reports whether there may be more.
func (ln *Listener) accepted(fd int, peer netip.Addr, err error) (more bool) {
	if err == nil {
		ln.acceptor.OnAccept(Accepted{ln.loop, fd, peer})
		return true
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case !ok || errno == unix.EAGAIN:
		return false
	case errno == unix.EINTR || errno == unix.ECONNABORTED:
		return true
	}
	ln.acceptor.OnAcceptError(errno)
	return false
}
