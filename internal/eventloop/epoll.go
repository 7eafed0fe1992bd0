package eventloop

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nuthatch/internal/mbuf"
)

// A source is an entry of the table of descriptors.
type source interface {
	// ready gets what epoll found on the descriptor.
	ready(e *epoll, events uint32)
}

// An epoll is the engine on epoll.
type epoll struct {
	polled

	// static after construction
	epfd int

	// owned by the loop's goroutine
	table  []source // by descriptor
	events []syscall.EpollEvent
}

func newEpoll(l *Loop) (*epoll, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", os.NewSyscallError("epoll_create1", err))
	}
	common, err := makePolled(l)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("wake queue: %w", err)
	}
	e := &epoll{
		polled: common,
		epfd:   epfd,
		events: make([]syscall.EpollEvent, maxEvents),
	}
	e.poll, e.call = e.ask, "epoll_wait"
	if err := e.register(e.wakefd, (*waker)(l), unix.EPOLLIN); err != nil {
		unix.Close(epfd)
		unix.Close(e.wakefd)
		return nil, fmt.Errorf("wake queue: %w", err)
	}
	return e, nil
}

// start implements engine.
func (e *epoll) start() error { return nil }

// A waker is the loop in its role as owner of the eventfd that wakes it.
type waker Loop

func (*waker) ready(e *epoll, _ uint32) { e.woken() }

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
	e.readAgain(e.read)
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
	e.takeOver(from, to)
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
	if c.heard(&e.polled, events) {
		e.read(c)
	}
	if events&unix.EPOLLOUT != 0 && c.blocked {
		c.sendLater()
	}
}

// read receives once.
func (e *epoll) read(c *Conn) {
	if buf, lent, ok := e.room(c); ok {
		n, errno := receiveInto(c.fd, buf)
		e.received(c, buf, lent, n, errno)
	}
}

// send implements engine.
func (e *epoll) send(c *Conn, out *mbuf.Chain) {
	sent, full, ok := e.pour(c, out, 0)
	if !ok {
		return
	}
	if full && c.interest&unix.EPOLLOUT == 0 {
		c.interest |= unix.EPOLLOUT
		e.watch(c.fd, c.interest)
	}
	e.poured(c, out, sent, full)
}

// sendAll implements engine: what was to be sent has been.
func (e *epoll) sendAll() {}

// inFlight implements engine: sent bytes are reported at once.
func (e *epoll) inFlight(*Conn) int { return 0 }

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
