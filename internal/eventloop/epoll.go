package eventloop

import (
	"errors"
	"fmt"
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

// epoll reports what comes once, when it comes (edge-triggered). So it need not look at
// a connection again to see whether it was read. So the engine itself must know where
// something is left. A read that fills its buffer may leave more. A read that does not
// has emptied the socket, unless something stopped it. Room for output is watched from
// the first time that it lacks. For TCP the kernel reports it only if it lacked. (On a
// unix socket a read also stops after passed descriptors. A peer that passes some waits
// until it sends more.)
const (
	bytesCome = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
	breaks    = unix.EPOLLHUP | unix.EPOLLERR
	stops     = unix.EPOLLRDHUP | unix.EPOLLPRI | breaks
)

// A source is an entry of the table of descriptors.
type source interface {
	// ready gets what epoll found on the descriptor.
	ready(e *epoll, events uint32)
}

// A readiness is the state of a connection in epoll's engine.
type readiness struct {
	// again: the connection is in the list of connections with something left to read.
	again bool
	// unread: something may be left in the socket. epoll will not report it.
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

// An epoll is the engine on epoll.
type epoll struct {
	kernelSockets

	// static after construction
	loop   *Loop
	epfd   int
	wakefd int
	recv   []byte
	// poll waits in the kernel for that many milliseconds (-1: for ever), hidden
	// from the Go scheduler or not, and fills events.
	poll func(timeout int, hidden bool) (n int, errno syscall.Errno)

	// owned by the loop's goroutine
	table   []source // by descriptor
	again   []*Conn  // have something left to read
	reread  []*Conn  // again, while it is worked on; swapped with it
	closing []int    // descriptors to close at the end of the turn
	events  []syscall.EpollEvent
	iovecs  []syscall.Iovec
}

func newEpoll(l *Loop) (*epoll, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", os.NewSyscallError("epoll_create1", err))
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("wake queue: %w", os.NewSyscallError("eventfd", err))
	}
	e := &epoll{
		loop:   l,
		epfd:   epfd,
		wakefd: wakefd,
		recv:   make([]byte, recvSize),
		events: make([]syscall.EpollEvent, maxEvents),
		iovecs: make([]syscall.Iovec, 0, maxIovecs),
	}
	e.poll = e.ask
	if err := e.register(wakefd, (*waker)(l), unix.EPOLLIN); err != nil {
		unix.Close(epfd)
		unix.Close(wakefd)
		return nil, fmt.Errorf("wake queue: %w", err)
	}
	return e, nil
}

// start implements engine.
func (e *epoll) start() error { return nil }

// wake implements engine. The caller holds the loop's mu and has seen that the loop
// has not ended.
func (e *epoll) wake() {
	one := [8]byte{0: 1}
	// A full counter means that a wake-up is pending already. An open eventfd has no
	// other error.
	_, _ = unix.Write(e.wakefd, one[:])
}

// A waker is the loop in its role as owner of the eventfd that wakes it.
type waker Loop

func (w *waker) ready(e *epoll, _ uint32) {
	var b [8]byte
	_, _ = unix.Read(e.wakefd, b[:])
	(*Loop)(w).runPosted()
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
func (e *epoll) wait(timeout int) (int, error) {
	brief := timeout
	if brief < 0 || brief > briefWait {
		brief = briefWait
	}
	n, errno := e.poll(brief, true)
	if errno == syscall.EINTR || errno == 0 && n == 0 && timeout != brief {
		if timeout > 0 {
			timeout = e.loop.until(e.loop.Clock()) // what the hidden wait has left of it
		}
		n, errno = e.poll(timeout, false)
	}
	switch errno {
	case 0:
		return n, nil
	case syscall.EINTR:
		return 0, nil
	default:
		return 0, os.NewSyscallError("epoll_wait", errno)
	}
}

// ask asks the kernel once.
func (e *epoll) ask(timeout int, hidden bool) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	if hidden {
		n, _, errno = syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(e.epfd),
			uintptr(unsafe.Pointer(&e.events[0])), maxEvents, uintptr(timeout), 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(e.epfd),
			uintptr(unsafe.Pointer(&e.events[0])), maxEvents, uintptr(timeout), 0, 0)
	}
	return int(n), errno
}

// deliver implements engine. What the last turn has left comes first.
func (e *epoll) deliver(events int) {
	e.readAgain()
	for i := range e.events[:events] {
		ev := &e.events[i]
		// A descriptor closed by an earlier event of this turn is no longer in the
		// table, and its number is not used again yet.
		if s := e.table[ev.Fd]; s != nil {
			s.ready(e, ev.Events)
		}
	}
}

// pending implements engine.
func (e *epoll) pending() int { return len(e.again) + len(e.closing) }

// readAgain reads from connections where the last turn has left something.
func (e *epoll) readAgain() {
	e.again, e.reread = e.reread, e.again
	for i, c := range e.reread {
		e.reread[i] = nil
		c.again = false
		// It may be another connection than it was.
		if c.live() && c.unread {
			e.read(c)
		}
	}
	e.reread = e.reread[:0]
}

// endTurn implements engine.
func (e *epoll) endTurn() {
	n := min(len(e.closing), maxCloses)
	for _, fd := range e.closing[:n] {
		unix.Close(fd)
	}
	e.closing = e.closing[:copy(e.closing, e.closing[n:])]
}

// register adds fd to epoll and to the table.
func (e *epoll) register(fd int, s source, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(e.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	for fd >= len(e.table) {
		e.table = append(e.table, nil)
	}
	e.table[fd] = s
	return nil
}

// watch changes what epoll reports of fd.
func (e *epoll) watch(fd int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	// A change needs no memory. So it can fail only for a descriptor that is not ours,
	// which the table rules out.
	_ = unix.EpollCtl(e.epfd, unix.EPOLL_CTL_MOD, fd, &ev)
}

// close implements engine.
func (e *epoll) close() {
	for fd, s := range e.table {
		if _, borrowed := s.(*Listener); s != nil && !borrowed {
			unix.Close(fd)
		}
	}
	for _, fd := range e.closing {
		unix.Close(fd)
	}
	clear(e.table)
	e.closing = nil
	unix.Close(e.epfd)
}

// attach implements engine.
func (e *epoll) attach(c *Conn) error {
	c.readiness = readiness{again: c.again, interest: bytesCome}
	if c.state == connecting {
		c.interest |= unix.EPOLLOUT
	}
	return e.register(c.fd, c, c.interest)
}

// pass implements engine. What epoll reports stays the same.
func (e *epoll) pass(from, to *Conn) {
	e.table[to.fd] = to
	to.readiness = from.readiness
	to.again = false // from is in that list, and skipped there
	if to.unread {
		e.readLater(to)
	}
}

// receive implements engine.
func (e *epoll) receive(c *Conn) {
	if c.unread {
		e.readLater(c)
	}
}

// readLater has the next turn read, without an event from epoll.
func (e *epoll) readLater(c *Conn) {
	if !c.again {
		c.again = true
		e.again = append(e.again, c)
	}
}

// closeWrite implements engine.
func (e *epoll) closeWrite(c *Conn) {
	// If the peer is gone, an error or an end of file follows.
	_ = unix.Shutdown(c.fd, unix.SHUT_WR)
}

// release implements engine. The descriptor is closed at the end of the turn, so
// that no other connection gets its number while events of the old one may be
// waiting.
func (e *epoll) release(c *Conn) {
	e.table[c.fd] = nil
	e.closing = append(e.closing, c.fd)
}

// ready implements source. Errors come first.
func (c *Conn) ready(e *epoll, events uint32) {
	if c.state == connecting {
		c.connectReady(e, events)
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
		e.read(c)
	}
	if events&unix.EPOLLOUT != 0 && c.blocked {
		c.sendLater()
	}
}

// note keeps what events report only once.
func (c *Conn) note(events uint32) {
	c.behind = c.behind || events&stops != 0
	c.broken = c.broken || events&breaks != 0
	c.ending = c.ending || events&unix.EPOLLRDHUP != 0
}

// connectReady handles the end of an attempt to connect.
func (c *Conn) connectReady(e *epoll, events uint32) {
	if errno := c.pendingError(); errno != 0 {
		c.handler.OnError(errno)
		return
	}
	if events&(unix.EPOLLIN|stops) != 0 {
		// epoll does not report again what came with this event.
		c.note(events)
		c.unread = true
		e.readLater(c)
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

// read receives once. What is left in the socket is read in the next turn, after other
// connections had their turn.
func (e *epoll) read(c *Conn) {
	if c.eof {
		return
	}
	c.unread = true
	if e.loop.load.receivedEnough() {
		e.readLater(c)
		return
	}
	buf, most := c.grant()
	switch {
	case !c.live():
		return
	case c.noRead && c.broken:
		// The pause is younger than the event that told of it.
		c.handler.OnError(c.socketError())
		return
	case c.noRead:
		if c.ending && !c.endingTold {
			c.endingTold = true
			c.handler.OnEnding()
		}
		return
	}
	lent := len(buf) > 0
	if !lent {
		buf = e.recv[:min(most, len(e.recv))]
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(c.fd),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	switch {
	case errno == syscall.EAGAIN:
		c.unread = false
	case errno == syscall.EINTR:
		e.readLater(c)
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
		e.loop.load.received += int(n)
		if c.unread = int(n) == len(buf) || c.behind; c.unread {
			e.readLater(c)
		}
		if lent {
			c.handler.OnLent(int(n))
			return
		}
		c.handler.OnData(buf[:n])
		invariant.Poison(buf[:n])
	}
}

// send implements engine. If the peer takes everything at once, the rest is sent after
// other connections had their turn.
func (e *epoll) send(c *Conn, out *mbuf.Chain) {
	sent, full := 0, false
	for out.Len() > 0 && sent < maxSend {
		n, errno := e.write(c.fd, out)
		if full = errno == syscall.EAGAIN; full {
			break
		}
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			c.handler.OnError(errno)
			return
		}
		out.Advance(&e.loop.bufs, n)
		sent += n
	}
	e.loop.load.sent += sent
	if c.blocked = full; !full && out.Len() > 0 {
		c.sendLater()
	}
	if c.blocked && c.interest&unix.EPOLLOUT == 0 {
		c.interest |= unix.EPOLLOUT
		e.watch(c.fd, c.interest)
	}
	c.handler.OnSent(sent)
}

// inFlight implements engine: sent bytes are reported at once.
func (e *epoll) inFlight(*Conn) int { return 0 }

// write makes one system call: write if the output is in one piece, writev otherwise.
func (e *epoll) write(fd int, out *mbuf.Chain) (int, syscall.Errno) {
	head := out.Head()
	if b := head.Bytes(); head.Next() == nil {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	}
	iov, size := e.iovecs[:0], 0
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

// listen implements engine.
func (e *epoll) listen(ln *Listener) error { return e.register(ln.fd, ln, unix.EPOLLIN) }

// pause implements engine.
func (e *epoll) pause(ln *Listener) {
	if ln.paused {
		e.watch(ln.fd, 0)
	} else {
		e.watch(ln.fd, unix.EPOLLIN)
	}
}

// forget implements engine.
func (e *epoll) forget(ln *Listener) {
	e.table[ln.fd] = nil
	// It can fail only for a descriptor that is not ours, which the table rules out.
	_ = unix.EpollCtl(e.epfd, unix.EPOLL_CTL_DEL, ln.fd, nil)
}

// ready implements source.
func (ln *Listener) ready(*epoll, uint32) { ln.AcceptSome(acceptBatch) }

// accept implements engine.
func (e *epoll) accept(ln *Listener) bool {
	fd, sa, err := unix.Accept4(ln.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return ln.accepted(fd, socket.IP(sa), err)
}
