package main

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// relayRoom is the room for requests to the server, and for replies. leastRoom
	// must be free to read a client.
	relayRoom = 256 << 10
	leastRoom = 64 << 10
	// lateSize is how long requests become before they no longer wait for more.
	lateSize = 16 << 10
	// briefWait is how long, in milliseconds, a wait is hidden from the Go
	// scheduler: less than the ten after which it asks for the thread.
	briefWait = 9
	// relayEvents is all that a relay asks of epoll, once for each connection.
	relayEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	endEvents   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// relayPing is what the relay answers itself, if a client that waits for nothing sends it
// alone, and relayPong is the answer.
const relayPing = "*1\r\n$4\r\nPING\r\n"

var relayPong = []byte("+PONG\r\n")

// relay is a proxy that does what every proxy must, and nothing else.
//
//	a turn:  requests are received into out, the clients whose they are are queued;
//	         replies are received into in, and written from there to those clients;
//	     ─►  out is written, if no reply was in this turn: otherwise there is a look
//	         for more first
//
// Only bytes that a client's socket has no room for are copied. So a partial
// request blocks the stream to the server until its rest has come. No proxy could
// do that, but it is good enough to measure with.
type relay struct {
	epoll, listener, server int
	request, reply          framer

	clients []*relayClient // by descriptor
	events  []syscall.EpollEvent
	queue   relayQueue
	in      []byte
	out     unsent
	// blocked: the server takes no more at the moment; nobody is read.
	blocked bool
	// owner is the client that is in the middle of a request.
	owner *relayClient
	// unread have bytes left to read, which epoll does not report again; reread
	// are those being read.
	unread, reread []*relayClient
	serverUnread   bool
	// answered: replies were written in this turn.
	answered bool
}

// relayClient is a client's connection.
type relayClient struct {
	fd     int // -1 when it is closed
	out    unsent
	ending bool // the end of what it sends has come, or an error
	unread bool // it is in the relay's list
}

// run relays until the server's connection ends or something is not understood.
func (r *relay) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		n, err := r.wait()
		if err != nil {
			return err
		}
		if err := r.turn(n); err != nil {
			return err
		}
	}
}

// wait returns the number of events. A wait that may be short is hidden from the Go
// scheduler, whom to tell costs system calls.
func (r *relay) wait() (int, error) {
	timeout, brief := -1, briefWait
	if r.goesOn() {
		timeout, brief = 0, 0
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.epoll),
		uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), uintptr(brief), 0, 0)
	if errno == syscall.EINTR || errno == 0 && n == 0 && timeout != brief {
		n, _, errno = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(r.epoll),
			uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events)), uintptr(timeout), 0, 0)
	}
	if errno == syscall.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("epoll: %w", errno)
	}
	return int(n), nil
}

// goesOn tells whether there is something to do without an event.
func (r *relay) goesOn() bool {
	switch {
	case r.serverUnread:
		return true
	case r.blocked:
		return false
	case len(r.out.buf) > 0:
		return true
	case r.owner != nil:
		return r.owner.unread
	default:
		return len(r.unread) > 0
	}
}

// turn handles n events.
func (r *relay) turn(n int) error {
	r.answered = false
	if r.serverUnread {
		if err := r.readServer(); err != nil {
			return err
		}
	}
	r.unread, r.reread = r.reread[:0], r.unread
	for _, c := range r.reread {
		if c.unread = false; c.fd >= 0 {
			if err := r.read(c); err != nil {
				return err
			}
		}
	}
	for i := range r.events[:n] {
		if err := r.handle(&r.events[i]); err != nil {
			return err
		}
	}
	if waiting := len(r.out.buf); !r.blocked && waiting > 0 && (!r.answered || waiting >= lateSize) {
		return r.flush()
	}
	return nil
}

func (r *relay) handle(ev *syscall.EpollEvent) error {
	switch int(ev.Fd) {
	case r.listener:
		return r.accept()
	case r.server:
		if ev.Events&unix.EPOLLOUT != 0 && r.blocked {
			if err := r.flush(); err != nil {
				return err
			}
		}
		if ev.Events&(unix.EPOLLIN|endEvents) != 0 && !r.serverUnread {
			return r.readServer()
		}
		return nil
	}
	// It may be another client than the event is about, which does no harm.
	c := r.clients[ev.Fd]
	if c == nil {
		return nil
	}
	if ev.Events&unix.EPOLLOUT != 0 && len(c.out.buf) > 0 {
		if errno := c.out.flush(c.fd); errno != 0 {
			return r.drop(c)
		}
	}
	if ev.Events&endEvents != 0 {
		c.ending = true
	}
	if ev.Events&(unix.EPOLLIN|endEvents) != 0 && !c.unread {
		return r.read(c)
	}
	return nil
}

// mayRead tells whether a client's bytes may go to the server.
func (r *relay) mayRead(c *relayClient) bool { return !r.blocked && (r.owner == nil || r.owner == c) }

// later makes a client be read in a later turn.
func (r *relay) later(c *relayClient) {
	if !c.unread {
		c.unread = true
		r.unread = append(r.unread, c)
	}
}

// read receives requests from a client.
func (r *relay) read(c *relayClient) error {
	if !r.mayRead(c) {
		r.later(c)
		return nil
	}
	room := r.out.buf[len(r.out.buf):cap(r.out.buf)]
	n, errno := receive(c.fd, room)
	switch {
	case errno == syscall.EAGAIN:
		return nil
	case errno != 0 || n == 0:
		return r.drop(c)
	}
	if n == len(room) || c.ending {
		r.later(c)
	}
	if r.owner == nil && string(room[:n]) == relayPing {
		return r.answer(c, relayPong)
	}
	r.out.buf = r.out.buf[:len(r.out.buf)+n]
	requests, whole := 0, false
	for b := room[:n]; len(b) > 0; {
		taken, done, err := r.request.next(b)
		if err != nil {
			return fmt.Errorf("request: %w: %s", err, abridged(b))
		}
		if whole = done; done {
			requests++
		}
		b = b[taken:]
	}
	if r.owner = nil; !whole {
		r.owner = c
	}
	if requests > 0 {
		r.queue.push(c, requests)
	}
	if cap(r.out.buf)-len(r.out.buf) < leastRoom {
		return r.flush()
	}
	return nil
}

// readServer receives replies, and writes each client's at once.
func (r *relay) readServer() error {
	n, errno := receive(r.server, r.in)
	r.serverUnread = n == len(r.in)
	switch {
	case errno == syscall.EAGAIN:
		return nil
	case errno != 0:
		return fmt.Errorf("server: %w", errno)
	case n == 0:
		return errors.New("the server closed the connection")
	}
	for b := r.in[:n]; len(b) > 0; {
		first := r.queue.first()
		if first == nil {
			return fmt.Errorf("a reply that nobody asked for: %s", abridged(b))
		}
		size := 0
		for size < len(b) && first.requests > 0 {
			taken, done, err := r.reply.next(b[size:])
			if err != nil {
				return fmt.Errorf("reply: %w: %s", err, abridged(b[size:]))
			}
			if size += taken; done {
				first.requests--
			}
		}
		if err := r.answer(first.client, b[:size]); err != nil {
			return err
		}
		if first.requests == 0 {
			r.queue.pop()
		}
		b = b[size:]
	}
	return nil
}

// answer writes to a client, and keeps what its socket does not take.
func (r *relay) answer(c *relayClient, b []byte) error {
	if c.fd < 0 {
		return nil
	}
	r.answered = true
	if len(c.out.buf) == 0 {
		n, errno := send(c.fd, b)
		if errno != 0 && errno != syscall.EAGAIN {
			return r.drop(c)
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
	c.out.buf = append(c.out.buf, b...)
	if errno := c.out.flush(c.fd); errno != 0 {
		return r.drop(c)
	}
	return nil
}

// flush writes requests to the server.
func (r *relay) flush() error {
	if errno := r.out.flush(r.server); errno != 0 {
		return fmt.Errorf("server: %w", errno)
	}
	r.blocked = len(r.out.buf) > 0
	return nil
}

func (r *relay) accept() error {
	for {
		fd, _, err := unix.Accept4(r.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		for fd >= len(r.clients) {
			r.clients = append(r.clients, nil)
		}
		r.clients[fd] = &relayClient{fd: fd}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("nodelay: %w", err)
		}
		if err := r.watch(fd, relayEvents); err != nil {
			return err
		}
	}
}

// drop closes a client. Replies that it awaits will be read and dropped.
func (r *relay) drop(c *relayClient) error {
	if c == r.owner {
		return errors.New("a client has left in the middle of a request")
	}
	r.clients[c.fd] = nil
	_ = unix.Close(c.fd) // nothing is left to be lost
	c.fd = -1
	return nil
}

// watch adds a descriptor to epoll.
func (r *relay) watch(fd int, events uint32) error {
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// unsent is what a socket has not taken yet.
type unsent struct {
	buf  []byte // empty when all of it is sent
	sent int    // of buf
}

// flush writes as much as the socket takes.
func (u *unsent) flush(fd int) syscall.Errno {
	for u.sent < len(u.buf) {
		n, errno := send(fd, u.buf[u.sent:])
		if errno == syscall.EAGAIN {
			return 0
		}
		if errno != 0 {
			return errno
		}
		u.sent += n
	}
	u.buf, u.sent = u.buf[:0], 0
	return 0
}

// relayQueue has the clients whose replies are to come, in order.
type relayQueue struct {
	ring        []awaited // a power of two
	head, after uint      // both grow for ever
}

// awaited are replies to one client, one after the other.
type awaited struct {
	client   *relayClient
	requests int
}

// first is what the next reply belongs to; nil if none is awaited. It is valid
// until pop or push.
func (q *relayQueue) first() *awaited {
	if q.head == q.after {
		return nil
	}
	return &q.ring[q.head&uint(len(q.ring)-1)]
}

func (q *relayQueue) pop() { q.head++ }

func (q *relayQueue) push(c *relayClient, requests int) {
	if q.after != q.head {
		if last := &q.ring[(q.after-1)&uint(len(q.ring)-1)]; last.client == c {
			last.requests += requests
			return
		}
	}
	if n := uint(len(q.ring)); q.after-q.head == n {
		ring := make([]awaited, max(2*n, 64))
		for i := q.head; i != q.after; i++ {
			ring[i&uint(len(ring)-1)] = q.ring[i&(n-1)]
		}
		q.ring = ring
	}
	q.ring[q.after&uint(len(q.ring)-1)] = awaited{c, requests}
	q.after++
}

// receive and send make one system call, which does not block and of which the Go
// scheduler is not told.
func receive(fd int, b []byte) (int, syscall.Errno) { return transfer(syscall.SYS_RECVFROM, fd, b, 0) }

func send(fd int, b []byte) (int, syscall.Errno) {
	return transfer(syscall.SYS_SENDTO, fd, b, unix.MSG_NOSIGNAL)
}

func transfer(call uintptr, fd int, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
