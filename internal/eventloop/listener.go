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

func (ln *Listener) ready(uint32) {
	for i := 0; i < acceptBatch && !ln.paused; i++ {
		fd, _, err := unix.Accept4(ln.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == nil {
			ln.acceptor.OnAccept(fd)
			continue
		}
		errno, ok := errors.AsType[syscall.Errno](err)
		if !ok || errno == unix.EAGAIN {
			return
		}
		if errno == unix.EINTR || errno == unix.ECONNABORTED {
			continue
		}
		ln.acceptor.OnAcceptError(errno)
		return
	}
}
