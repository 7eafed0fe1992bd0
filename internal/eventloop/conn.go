package eventloop

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
)

// A Handler is what a connection does with its bytes. Its methods are called by
// the loop, never while another method of the same handler runs.
type Handler interface {
	// OnConnect: the connection that was being made is made.
	OnConnect()
	// OnData: these bytes were received. They are valid until it returns.
	OnData(data []byte)
	// OnEOF: the peer will send no more. Nothing is read from now on.
	OnEOF()
	// OnError: the connection is broken, or could not be made. The handler must
	// close it.
	OnError(err syscall.Errno)
	// OnSent: the output was flushed, and the kernel took n more bytes of it. n is
	// 0 if the output was empty, or if the kernel took nothing.
	OnSent(n int)
	// Lend is called before bytes are received; PauseRead in it puts that off. It
	// returns where they are to be received, if the handler knows that they belong
	// in a place of its own; nil otherwise. What was received
	// there is told by OnLent instead of OnData; neither comes if nothing was.
	Lend() []byte
	OnLent(n int)
}

// A state is where a connection stands.
type state uint8

const (
	detached   state = iota // no descriptor
	connecting              // waits for the kernel to connect it
	open
)

// A Conn is one connected, or connecting, stream socket. It is embedded in what
// handles it, so that a connection is one object. The zero value is detached.
type Conn struct {
	loop    *Loop
	handler Handler
	out     mbuf.Chain
	fd      int
	state   state
	// dirty: the connection is in the loop's list of those to flush; late: in that
	// of those that can wait; again: in that of those with something left to read.
	dirty, late, again bool
	// noRead: nothing is to be read, until ResumeRead.
	noRead bool
	// unread: something may be left in the socket, which epoll will not tell of.
	unread bool
	// behind: behind what can be read there is something that a read stops short of:
	// the end of the stream (eof, once it was read), an error, or urgent bytes, which
	// are passed over. broken: the connection is of no use any more.
	behind, eof, broken bool
	// blocked: the kernel took less than the output holds.
	blocked bool
	// interest is what epoll is asked for. It grows only.
	interest uint32
}

// epoll tells once of what comes, when it comes (edge-triggered): it then need not
// look at a connection again to see that it was read. So the loop must know itself
// where something is left: a read that fills its buffer leaves more, one that does
// not has emptied the socket, unless it stopped short of something. Room for output
// is asked for when it lacks for the first time, and stays asked for: of TCP's the
// kernel tells only if it lacked. (On a unix socket a read also stops short behind
// descriptors that are passed. A peer that does that waits until it sends more.)
const (
	bytesCome = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
	breaks    = unix.EPOLLHUP | unix.EPOLLERR
	stops     = unix.EPOLLRDHUP | unix.EPOLLPRI | breaks
)

// Attach gives the open, non-blocking socket fd to the connection, and the
// connection to the loop. With inProgress the socket is still being connected;
// OnConnect or OnError will tell. On error fd is closed.
func (l *Loop) Attach(c *Conn, fd int, inProgress bool, h Handler) error {
	invariant.Check(c.state == detached, "eventloop: attached twice")
	invariant.Check(c.out.Len() == 0, "eventloop: attached with output of an earlier connection")
	c.state, c.interest = open, bytesCome
	if inProgress {
		c.state, c.interest = connecting, bytesCome|unix.EPOLLOUT
	}
	if err := l.register(fd, c, c.interest); err != nil {
		c.state = detached
		unix.Close(fd)
		return err
	}
	c.loop, c.fd, c.handler = l, fd, h
	c.noRead, c.unread, c.blocked = false, false, false
	c.behind, c.eof, c.broken = false, false, false
	return nil
}

// FD is the connection's descriptor, for the log. It is meaningless once the
// connection is closed.
func (c *Conn) FD() int { return c.fd }

// Open reports whether the connection is made and not closed.
func (c *Conn) Open() bool { return c.state == open }

// Attached reports whether the connection is made, or being made.
func (c *Conn) Attached() bool { return c.state != detached }

// Out is the connection's output: what is appended goes out at the end of the
// turn, if Flush is called. Bytes in it belong to the loop; they are released as
// they are sent, and by Close.
func (c *Conn) Out() *mbuf.Chain { return &c.out }

// Flush has the output written at the end of this turn, or as soon as the
// connection is made.
func (c *Conn) Flush() {
	if !c.dirty && c.state == open {
		c.dirty = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// FlushLate has the output written at the end of the first turn that writes nothing
// else: what is written elsewhere takes its time, in which more may come to be sent
// with this. It goes out at the end of the first turn that begins half a millisecond
// later, at the latest; at the end of this turn if it is long.
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

// PauseRead stops receiving. epoll is not told, so that a short pause costs
// nothing.
func (c *Conn) PauseRead() { c.noRead = true }

// ResumeRead receives again.
func (c *Conn) ResumeRead() {
	if c.noRead {
		c.noRead = false
		if c.unread && c.state == open {
			c.readAgain()
		}
	}
}

// readAgain has the next turn read, without being told to by epoll.
func (c *Conn) readAgain() {
	if !c.again {
		c.again = true
		c.loop.again = append(c.loop.again, c)
	}
}

// Close closes the connection and drops its output. It is safe to call more
// than once, and from within the handler's methods: none is called afterwards.
func (c *Conn) Close() {
	if c.state == detached {
		return
	}
	c.state = detached
	c.loop.unregister(c.fd)
	c.out.Release(&c.loop.bufs)
}

// CloseWrite says to the peer that nothing more comes. Reading goes on.
func (c *Conn) CloseWrite() {
	invariant.Check(c.out.Len() == 0, "eventloop: output is left behind the end of the stream")
	if c.state == open {
		// A peer that is gone shows as an error or an end of file.
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	}
}

// ready implements source. Errors come first.
func (c *Conn) ready(events uint32) {
	if c.state == connecting {
		c.connected(events)
		return
	}
	c.note(events)
	if c.broken && (c.noRead || c.eof) {
		// No read will find the error.
		c.handler.OnError(c.socketError())
		return
	}
	// One that was read in this turn already waits for the next.
	if events&(unix.EPOLLIN|stops) != 0 && !c.again {
		c.read()
	}
	if events&unix.EPOLLOUT != 0 && c.blocked && c.state == open {
		c.Flush()
	}
}

// note keeps what events tell only once.
func (c *Conn) note(events uint32) {
	c.behind = c.behind || events&stops != 0
	c.broken = c.broken || events&breaks != 0
}

func (c *Conn) connected(events uint32) {
	if errno := c.pending(); errno != 0 {
		c.handler.OnError(errno)
		return
	}
	c.state = open
	if events&(unix.EPOLLIN|stops) != 0 {
		// Of what came with this news epoll tells no second time.
		c.note(events)
		c.unread = true
		c.readAgain()
	}
	c.Flush()
	c.handler.OnConnect()
}

// socketError is the error pending on the socket; EPIPE if there is none.
func (c *Conn) socketError() syscall.Errno {
	if errno := c.pending(); errno != 0 {
		return errno
	}
	return syscall.EPIPE
}

// pending is the error pending on the socket, or why that cannot be known; 0 if
// there is none.
func (c *Conn) pending() syscall.Errno {
	n, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil {
		return syscall.Errno(n)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return syscall.EPIPE
}

// read receives once. What is left in the socket is read in the next turn, after
// the others had theirs.
func (c *Conn) read() {
	if c.eof {
		return
	}
	c.unread = true
	var buf []byte
	if !c.noRead {
		buf = c.handler.Lend()
	}
	switch {
	case c.state != open:
		return
	case c.noRead && c.broken:
		// The pause is younger than the event that told of it.
		c.handler.OnError(c.socketError())
		return
	case c.noRead:
		return
	}
	lent := len(buf) > 0
	if !lent {
		buf = c.loop.recv
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	switch {
	case errno == syscall.EAGAIN:
		c.unread = false
	case errno == syscall.EINTR:
		c.readAgain()
	case errno != 0:
		c.handler.OnError(errno)
	case n == 0:
		c.unread, c.eof = false, true
		c.handler.OnEOF()
		if c.broken && c.state == open {
			// No other read will find it.
			c.handler.OnError(c.socketError())
		}
	default:
		if c.unread = int(n) == len(buf) || c.behind; c.unread {
			c.readAgain()
		}
		if lent {
			c.handler.OnLent(int(n))
			return
		}
		c.handler.OnData(buf[:n])
		invariant.Poison(buf[:n])
	}
}

// write sends what the output holds, as far as the kernel takes it.
func (c *Conn) write() {
	if c.state != open {
		return
	}
	sent := 0
	for c.out.Len() > 0 {
		n, errno := c.send()
		if errno == syscall.EAGAIN {
			break
		}
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			c.handler.OnError(errno)
			return
		}
		c.out.Advance(&c.loop.bufs, n)
		sent += n
	}
	c.blocked = c.out.Len() > 0
	if c.blocked && c.interest&unix.EPOLLOUT == 0 {
		c.interest |= unix.EPOLLOUT
		c.loop.watch(c.fd, c.interest)
	}
	c.handler.OnSent(sent)
}

// send makes one system call: a write if the output is in one piece, a gathering
// one otherwise.
func (c *Conn) send() (int, syscall.Errno) {
	head := c.out.Head()
	if b := head.Bytes(); head.Next() == nil {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(c.fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	}
	iov := c.loop.iovecs[:0]
	for k := head; k != nil && len(iov) < maxIovecs; k = k.Next() {
		if b := k.Bytes(); len(b) > 0 {
			v := syscall.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			iov = append(iov, v)
		}
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(c.fd),
		uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	clear(iov)
	return int(n), errno
}
