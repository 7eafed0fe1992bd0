package eventloop

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
)

const (
	// maxEvents is how many events one turn takes from the kernel.
	maxEvents = 512
	// briefWait is how long, in milliseconds, a wait is hidden from the Go scheduler.
	// After ten the scheduler asks for the thread.
	briefWait = 9
	// maxIovecs is how many chunks one write sends.
	maxIovecs = 64
)

// The kernel reports what comes once, when it comes (edge-triggered). So the engine need
// not look at a connection again to see whether it was read. So the engine itself must
// know where something is left. A read that fills its buffer may leave more. A read that
// does not has emptied the socket, unless something stopped it. Room for output is
// watched from the first time that it lacks. For TCP the kernel reports it only if it
// lacked. (On a unix socket a read also stops after passed descriptors. A peer that passes
// some waits until it sends more.)
const (
	bytesCome = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
	breaks    = unix.EPOLLHUP | unix.EPOLLERR
	stops     = unix.EPOLLRDHUP | unix.EPOLLPRI | breaks
)

// A readiness is the state of a connection in an engine of the kernel.
type readiness struct {
	// again: the connection is in the list of connections with something left to read.
	again bool
	// unread: something may be left in the socket. The kernel will not report it.
	unread bool
	// behind: after the readable bytes comes something that stops a read: the end of
	// the stream (eof, once it was read), an error, or urgent bytes, which are skipped.
	// broken: the connection cannot be used any more.
	behind, eof, broken bool
	// ending: the peer will send no more. endingTold: the handler knows.
	ending, endingTold bool
	// blocked: the kernel took less than the output holds.
	blocked bool
	// interest is what epoll is asked to report. It only grows.
	interest uint32
}

// A polled is what the kernel's two engines have in common: both are told when a socket
// is ready. They differ in how they are told, and in how bytes are received and sent:
//
//	epoll   epoll_wait tells; a system call for each receive and each send
//	uring   polls in a ring tell; the receives of a turn, and its sends, go to the
//	        kernel with one system call
type polled struct {
	kernelSockets

	// static after construction
	loop   *Loop
	wakefd int
	recv   []byte
	// poll waits in the kernel for that many milliseconds (-1: for ever), hidden
	// from the Go scheduler or not, and keeps the events.
	poll func(timeout int, hidden bool) (n int, errno syscall.Errno)
	// call is the name of the system call that poll makes.
	call string

	// owned by the loop's goroutine
	again  []*Conn // have something left to read
	reread []*Conn // again, while it is worked on; swapped with it
	// closing are descriptors to close at the end of the turn.
	closing []int
	iovecs  []syscall.Iovec
}

// makePolled makes the common part of an engine.
func makePolled(l *Loop) (polled, error) {
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return polled{}, os.NewSyscallError("eventfd", err)
	}
	return polled{
		loop:   l,
		wakefd: wakefd,
		recv:   make([]byte, recvSize),
		iovecs: make([]syscall.Iovec, 0, maxIovecs),
	}, nil
}

// wake implements engine. The caller holds the loop's mu and has seen that the loop
// has not ended.
func (p *polled) wake() {
	one := [8]byte{0: 1}
	// A full counter means that a wake-up is pending already. An open eventfd has no
	// other error.
	_, _ = unix.Write(p.wakefd, one[:])
}

// woken is called when wake was.
func (p *polled) woken() {
	var b [8]byte
	_, _ = unix.Read(p.wakefd, b[:])
	p.loop.runPosted()
}

// wait implements engine. A wait that may be short is hidden from the Go scheduler: a
// call through the scheduler costs two system calls in every turn that has to wait, and
// a thread of the runtime that then looks in every 20 microseconds. Only a wait that
// turns out to be long goes through the scheduler. The collector does not have to wait
// for the loop: the signal by which it asks for the thread ends the hidden wait at
// once. Other goroutines do not have to wait either, if one more thread may run than
// there are loops.
//
// A hidden wait of one millisecond would also do. But then the kernel would set the
// processor's timer each time, since that is the next thing to happen. With a longer
// wait it mostly need not, and a request to an idle proxy costs a fifth less.
func (p *polled) wait(timeout int) (int, error) {
	brief := timeout
	if brief < 0 || brief > briefWait {
		brief = briefWait
	}
	n, errno := p.poll(brief, true)
	for errno == syscall.EINTR || errno == 0 && n == 0 && timeout != brief {
		if timeout > 0 {
			timeout = p.loop.until(p.loop.Clock()) // what the last wait has left of it
		}
		brief = timeout
		n, errno = p.poll(timeout, false)
	}
	if errno != 0 {
		return 0, os.NewSyscallError(p.call, errno)
	}
	return n, nil
}

// readAgain has read called for the connections where the last turn has left something.
func (p *polled) readAgain(read func(c *Conn)) {
	p.again, p.reread = p.reread, p.again
	for i, c := range p.reread {
		p.reread[i] = nil
		c.again = false
		// It may be another connection than it was.
		if c.live() && c.unread {
			read(c)
		}
	}
	p.reread = p.reread[:0]
}

// takeOver makes what is known of from what is known of to.
func (p *polled) takeOver(from, to *Conn) {
	to.readiness = from.readiness
	to.again = false // from is in that list, and skipped there
	if to.unread {
		p.readLater(to)
	}
}

// receive implements engine.
func (p *polled) receive(c *Conn) {
	if c.unread {
		p.readLater(c)
	}
}

// readLater has the next turn read, without an event from the kernel.
func (p *polled) readLater(c *Conn) {
	if !c.again {
		c.again = true
		p.again = append(p.again, c)
	}
}

// heard notes what the kernel reports of the connection, which may be an error. It reports
// whether the connection is to be read from.
func (c *Conn) heard(p *polled, events uint32) bool {
	if c.state == connecting {
		c.connectReady(p, events)
		return false
	}
	c.note(events)
	if c.broken && (c.noRead || c.eof) {
		// No read will find the error.
		c.handler.OnError(c.socketError())
		return false
	}
	// One that was read in this turn already waits for the next.
	return events&(unix.EPOLLIN|stops) != 0 && !c.again
}

// note keeps what events report only once.
func (c *Conn) note(events uint32) {
	c.behind = c.behind || events&stops != 0
	c.broken = c.broken || events&breaks != 0
	c.ending = c.ending || events&unix.EPOLLRDHUP != 0
}

// connectReady handles the end of an attempt to connect.
func (c *Conn) connectReady(p *polled, events uint32) {
	if errno := c.pendingError(); errno != 0 {
		c.handler.OnError(errno)
		return
	}
	if events&(unix.EPOLLIN|stops) != 0 {
		// The kernel does not report again what came with this event.
		c.note(events)
		c.unread = true
		p.readLater(c)
	}
	c.connected()
}

// socketError is the error pending on the socket; EPIPE if there is none.
func (c *Conn) socketError() syscall.Errno {
	if errno := c.pendingError(); errno != 0 {
		return errno
	}
	return syscall.EPIPE
}

// pendingError is the error pending on the socket, or the error of asking for it; 0 if
// there is none.
func (c *Conn) pendingError() syscall.Errno {
	n, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil {
		return syscall.Errno(n)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return syscall.EPIPE
}

// room asks the handler for room for what is to be received. ok is false if nothing is
// received now.
func (p *polled) room(c *Conn) (buf []byte, lent, ok bool) {
	if c.eof {
		return nil, false, false
	}
	c.unread = true
	if p.loop.load.receivedEnough() {
		p.readLater(c)
		return nil, false, false
	}
	buf, most := c.grant()
	switch {
	case !c.live():
		return nil, false, false
	case c.noRead && c.broken:
		// The pause is younger than the event that told of it.
		c.handler.OnError(c.socketError())
		return nil, false, false
	case c.noRead:
		c.tellEnding()
		return nil, false, false
	}
	if len(buf) > 0 {
		return buf, true, true
	}
	return p.recv[:min(most, len(p.recv))], false, true
}

// tellEnding tells the handler, once, that the peer will send no more, if that is known.
func (c *Conn) tellEnding() {
	if c.ending && !c.endingTold {
		c.endingTold = true
		c.handler.OnEnding()
	}
}

// receiveInto receives once.
func receiveInto(fd int, buf []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	return int(r), errno
}

// received tells the handler what a receive into buf has brought. What is left in the
// socket is read in the next turn, after other connections had their turn.
func (p *polled) received(c *Conn, buf []byte, lent bool, n int, errno syscall.Errno) {
	switch {
	case errno == syscall.EAGAIN:
		c.unread = false
	case errno == syscall.EINTR:
		p.readLater(c)
	case errno != 0:
		c.handler.OnError(errno)
	case n == 0:
		c.unread, c.eof = false, true
		c.handler.OnEOF()
		if c.broken && c.live() {
			// No other read will find it.
			c.handler.OnError(c.socketError())
		}
	default:
		p.loop.load.received += n
		if c.unread = n == len(buf) || c.behind; c.unread {
			p.readLater(c)
		}
		if lent {
			c.handler.OnLent(n)
			return
		}
		c.handler.OnData(buf[:n])
		invariant.Poison(buf[:n])
	}
}

// pour sends as much of out as possible, of which sent bytes are gone in this turn. It
// returns how many are now. full: the kernel took less than there is. ok is false after an
// error, which the handler was told.
func (p *polled) pour(c *Conn, out *mbuf.Chain, sent int) (all int, full, ok bool) {
	for out.Len() > 0 && sent < maxSend {
		n, errno := p.write(c.fd, out)
		if errno == syscall.EAGAIN {
			return sent, true, true
		}
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			c.handler.OnError(errno)
			return sent, false, false
		}
		out.Advance(&p.loop.bufs, n)
		sent += n
	}
	return sent, false, true
}

// poured tells the handler what pour has sent. If the peer takes everything at once, the
// rest is sent after other connections had their turn.
func (p *polled) poured(c *Conn, out *mbuf.Chain, sent int, full bool) {
	p.loop.load.sent += sent
	if c.blocked = full; !full && out.Len() > 0 {
		c.sendLater()
	}
	c.handler.OnSent(sent)
}

// write makes one system call: write if the output is in one piece, writev otherwise.
func (p *polled) write(fd int, out *mbuf.Chain) (int, syscall.Errno) {
	head := out.Head()
	if b := head.Bytes(); head.Next() == nil {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	}
	iov, size := p.iovecs[:0], 0
	for k := head; k != nil && len(iov) < maxIovecs && size < maxSend; k = k.Next() {
		if b := k.Bytes(); len(b) > 0 {
			size += len(b)
			v := syscall.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			iov = append(iov, v)
		}
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd),
		uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	clear(iov)
	return int(n), errno
}

// closeWrite implements engine.
func (p *polled) closeWrite(c *Conn) {
	// If the peer is gone, an error or an end of file follows.
	_ = unix.Shutdown(c.fd, unix.SHUT_WR)
}

// accept implements engine.
func (p *polled) accept(ln *Listener) bool {
	fd, sa, err := unix.Accept4(ln.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return ln.accepted(fd, socket.IP(sa), err)
}
