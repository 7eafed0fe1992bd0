package eventloop

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptBatch is how many connections one turn accepts from one listener.
const acceptBatch = 64

// An Acceptor gets a listener's connections.
type Acceptor interface {
	// OnAccept hands over the descriptor of a new connection, non-blocking and
	// close-on-exec. The acceptor owns it.
	OnAccept(fd int)
	// OnAcceptError says why no connection could be accepted. The connections
	// wait in the kernel; unless the acceptor pauses the listener it is asked
	// again in the next turn.
	OnAcceptError(err syscall.Errno)
}

// A Listener is a listening socket in a loop.
type Listener struct {
	loop     *Loop
	acceptor Acceptor
	fd       int
	paused   bool
}

// Listen has the loop accept from the listening, non-blocking socket fd. The
// loop does not own fd: Close leaves it open, for whoever made it.
func (l *Loop) Listen(fd int, a Acceptor) (*Listener, error) {
	ln := &Listener{loop: l, acceptor: a, fd: fd}
	if err := l.register(fd, ln, unix.EPOLLIN); err != nil {
		return nil, err
	}
	return ln, nil
}

// Pause stops accepting until Resume.
func (ln *Listener) Pause() {
	if !ln.paused {
		ln.paused = true
		ln.loop.watch(ln.fd, 0)
	}
}

// Resume accepts again.
func (ln *Listener) Resume() {
	if ln.paused {
		ln.paused = false
		ln.loop.watch(ln.fd, unix.EPOLLIN)
	}
}

// AcceptSome accepts connections that wait in the kernel, as many as it does in one
// turn, or at most so many, unless the listener is paused, or pauses. It returns how
// many, and whether there may be more.
func (ln *Listener) AcceptSome(most int) (n int, more bool) {
	most = min(most, acceptBatch)
	for ; n < most; n++ {
		if ln.paused || !ln.accept() {
			return n, false
		}
	}
	return n, true
}

// Close takes the socket out of the loop and leaves it open. Its descriptor may be
// closed, by whoever made it, once the turn is over.
func (ln *Listener) Close() {
	ln.paused = true
	ln.loop.forget(ln.fd)
}

func (ln *Listener) ready(uint32) {
	ln.AcceptSome(acceptBatch)
}

// accept hands over one connection, and reports whether there may be more.
func (ln *Listener) accept() bool {
	fd, _, err := unix.Accept4(ln.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == nil {
		ln.acceptor.OnAccept(fd)
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
