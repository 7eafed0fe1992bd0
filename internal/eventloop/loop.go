// Package eventloop moves bytes between sockets and their handlers: one Loop
// per thread, many connections per Loop. It knows no messages.
//
//	             a turn of the loop
//	wait ─► receive: OnData, OnEOF, OnConnect, accept  (errors first);
//	        posted functions, where their wake-up stands among the events
//	     ─► Hook.OnTurn: what must happen once per turn, timeouts last
//	     ─► flush: one write per connection that has something to say: OnSent;
//	        those that can wait (FlushLate) only in a turn that wrote nothing
//	        else, or when they have waited for long enough
//	     ─► close the descriptors given up in this turn
//
// The interface has the shape of completions: a handler is given the bytes that
// were received and is told how many queued bytes have gone out. Readiness, by
// epoll, is below that line, and nothing above it can tell.
//
// A Loop and its connections belong to the goroutine in Run, which is locked to
// its thread. Only Post and Stop may be called from elsewhere.
package eventloop

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nuthatch/internal/mbuf"
)

const (
	// recvSize is the loop's receive buffer, in bytes: what one read takes at
	// the most. It bounds how long one connection holds up the others.
	recvSize = 64 << 10
	// maxEvents is how many events one turn takes from the kernel.
	maxEvents = 512
	// briefWait is how long, in milliseconds, a wait is hidden from the Go
	// scheduler: less than the ten after which it asks for the thread.
	briefWait = 9
	// maxIovecs is how many chunks one write sends.
	maxIovecs = 64
	// maxLate is how old, in nanoseconds, output may become that waits for more of
	// its kind, and lateSize how long, in bytes: by then a write costs little
	// against what it carries.
	maxLate  = int64(500 * time.Microsecond)
	lateSize = 16 << 10
)

// A Hook is told of each turn of a loop.
type Hook interface {
	// OnTurn runs in each turn after everything received was handled, and again
	// whenever output was flushed, until it leaves nothing to flush. It returns
	// when, in the loop's nanoseconds, the next turn must be, whether or not
	// anything is received; 0 if it need not.
	OnTurn(now int64) (next int64)
	// OnFlush runs before each flush.
	OnFlush()
}

// A source is an entry of the loop's table of descriptors.
type source interface {
	// ready is told what epoll found on the descriptor.
	ready(events uint32)
}

// A Loop is one event loop.
type Loop struct {
	// static after New
	epfd   int
	wakefd int
	hook   Hook
	epoch  time.Time
	recv   []byte
	// poll waits in the kernel for that many milliseconds (-1: for ever), hidden
	// from the Go scheduler or not, and fills events.
	poll func(timeout int, hidden bool) (n int, errno syscall.Errno)

	// owned by the goroutine in Run
	bufs    mbuf.Pool
	table   []source // by descriptor
	dirty   []*Conn  // have something to say
	late    []*Conn  // have something to say that can wait
	waiting int64    // since when there are any in late
	flushed bool     // something was written in this turn, which takes time
	again   []*Conn  // have something left to read
	reread  []*Conn  // again, while it is worked on; swapped with it
	closing []int    // descriptors to close at the end of the turn
	events  []syscall.EpollEvent
	iovecs  []syscall.Iovec
	now     int64
	next    int64 // when the next turn must be; 0: it need not
	// byHand: Step gives the time.
	byHand bool
	turns  uint64

	// shared
	stopped atomic.Bool
	mu      sync.Mutex
	posted  []posting
	running []posting // posted, while they run; swapped with posted
	// ended: wakefd is closed, and its number may be anybody's.
	ended bool
}

// New returns a loop that is not yet running. Its time is counted from epoch, so
// that loops of one epoch agree on it.
func New(epoch time.Time, hook Hook) (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventloop: epoll: %w", os.NewSyscallError("epoll_create1", err))
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("eventloop: wake queue: %w", os.NewSyscallError("eventfd", err))
	}
	l := &Loop{
		epfd:   epfd,
		wakefd: wakefd,
		hook:   hook,
		epoch:  epoch,
		recv:   make([]byte, recvSize),
		events: make([]syscall.EpollEvent, maxEvents),
		iovecs: make([]syscall.Iovec, 0, maxIovecs),
	}
	l.poll = l.epoll
	if err := l.register(wakefd, (*waker)(l), unix.EPOLLIN); err != nil {
		unix.Close(epfd)
		unix.Close(wakefd)
		return nil, fmt.Errorf("eventloop: wake queue: %w", err)
	}
	return l, nil
}

// Bufs is the loop's free list of chunks.
func (l *Loop) Bufs() *mbuf.Pool { return &l.bufs }

// Now is the time of the current turn: nanoseconds since the loop's epoch, on
// the monotonic clock. It is read once per turn.
func (l *Loop) Now() int64 { return l.now }

// Clock is the time at this moment, which Now is not: it costs a look at the
// clock.
func (l *Loop) Clock() int64 {
	if l.byHand {
		return l.now
	}
	return int64(time.Since(l.epoch))
}

// WallMicros turns a time of the loop into microseconds since the epoch.
func (l *Loop) WallMicros(now int64) int64 {
	return l.epoch.Add(time.Duration(now)).UnixMicro()
}

// Turns counts the turns so far.
func (l *Loop) Turns() uint64 { return l.turns }

// A posting is a function that the loop is to run, and the descriptor that it is
// for; -1: none.
type posting struct {
	f  func()
	fd int
}

// Post has f run by the loop, soon. It may be called from any goroutine, and
// never blocks on the loop. After the loop has ended f does not run; Post returns
// false if it has.
func (l *Loop) Post(f func()) bool { return l.post(posting{f, -1}) }

// Hand is Post of a function that takes the descriptor fd over. If the loop ends
// before it has run f, or has ended, the descriptor is closed.
func (l *Loop) Hand(fd int, f func()) bool {
	posted := l.post(posting{f, fd})
	if !posted {
		unix.Close(fd)
	}
	return posted
}

func (l *Loop) post(p posting) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.posted = append(l.posted, p)
	if len(l.posted) == 1 {
		l.wake()
	}
	return true
}

// Stop ends Run after the turn in progress. It may be called from any
// goroutine, more than once.
func (l *Loop) Stop() {
	l.stopped.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.wake()
	}
}

// wake ends the wait. The caller holds mu and has seen that the loop has not
// ended.
func (l *Loop) wake() {
	one := [8]byte{0: 1}
	// A full counter is a wake-up that is still to be seen; no other error can
	// come of an open eventfd.
	_, _ = unix.Write(l.wakefd, one[:])
}

// A waker is the loop in its role as owner of the eventfd that wakes it.
type waker Loop

func (w *waker) ready(uint32) {
	var b [8]byte
	_, _ = unix.Read(w.wakefd, b[:])
	l := (*Loop)(w)
	l.mu.Lock()
	l.posted, l.running = l.running[:0], l.posted
	l.mu.Unlock()
	for i, p := range l.running {
		l.running[i] = posting{}
		p.f()
	}
}

// Run is the loop. It returns when Stop was called or the kernel refuses to
// wait for events; by then every descriptor that the loop owned is closed, the
// handlers untold.
func (l *Loop) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.close()
	timeout := 0
	for !l.stopped.Load() {
		n, err := l.wait(timeout)
		if err != nil {
			return fmt.Errorf("eventloop: %w", os.NewSyscallError("epoll_wait", err))
		}
		timeout = l.turn(n)
	}
	if len(l.late) > 0 {
		// It has no other turn to wait for.
		l.flushLate()
		l.settle()
	}
	return nil
}

// turn handles n events and returns how long the next wait may last, in
// milliseconds; -1: for ever.
func (l *Loop) turn(n int) int { return l.turnAt(n, int64(time.Since(l.epoch))) }

// turnAt is turn at the time now.
func (l *Loop) turnAt(n int, now int64) int {
	l.turns++
	l.now = now
	if len(l.late) > 0 && now-l.waiting >= maxLate {
		l.flushLate()
	}
	l.readAgain()
	for i := range l.events[:n] {
		ev := &l.events[i]
		// A descriptor closed by an earlier event of this turn is no longer in
		// the table, and its number not yet given to another.
		if s := l.table[ev.Fd]; s != nil {
			s.ready(ev.Events)
		}
	}
	l.flushed = false
	l.next = l.settle()
	if len(l.late) > 0 && !l.flushed {
		l.flushLate()
		l.next = l.settle()
	}
	for _, fd := range l.closing {
		unix.Close(fd)
	}
	l.closing = l.closing[:0]
	if len(l.late) > 0 || len(l.again) > 0 {
		return 0
	}
	return l.until(l.now)
}

// until is how long the loop may wait from time now on, in milliseconds; -1: for
// ever.
func (l *Loop) until(now int64) int {
	if l.next == 0 {
		return -1
	}
	wait := l.next - now
	if wait <= 0 {
		return 0
	}
	// Rounded up: a turn too early would find nothing due, again and again. The
	// kernel counts in an int; a turn in 24 days is early enough.
	return int(min((wait-1)/int64(time.Millisecond)+1, math.MaxInt32))
}

// readAgain reads from the connections of which the last turn has left something.
func (l *Loop) readAgain() {
	l.again, l.reread = l.reread, l.again
	for i, c := range l.reread {
		l.reread[i] = nil
		c.again = false
		// It may be another connection than it was.
		if c.state == open && c.unread {
			c.read()
		}
	}
	l.reread = l.reread[:0]
}

// settle does what must be done once per turn, and again as long as that leaves
// something to flush: what was sent, or could not be, gives others something to do.
func (l *Loop) settle() (next int64) {
	next = l.hook.OnTurn(l.now)
	for len(l.dirty) > 0 {
		l.hook.OnFlush()
		l.flush()
		l.flushed = true
		next = l.hook.OnTurn(l.now)
	}
	return next
}

// flushLate has the output flushed that could wait.
func (l *Loop) flushLate() {
	for i, c := range l.late {
		l.late[i] = nil
		c.late = false
		c.Flush()
	}
	l.late = l.late[:0]
}

// wait fills l.events. A wait that may be short is hidden from the Go scheduler:
// to tell it costs two system calls in every turn that has to wait, and a thread
// of the runtime that looks in every 20 microseconds from then on. Only what turns
// out to be a long wait is told. The collector does not wait for the loop: the
// signal by which it asks for the thread ends the hidden wait at once. Nor do other
// goroutines, if there may run one more thread than there are loops.
//
// A hidden wait of a millisecond would do for that as well, but has the kernel set
// the processor's timer each time, as the next thing to happen; one near the end of
// what the scheduler allows mostly is not, and an idle proxy's request costs a
// fifth less.
func (l *Loop) wait(timeout int) (int, error) {
	brief := timeout
	if brief < 0 || brief > briefWait {
		brief = briefWait
	}
	n, errno := l.poll(brief, true)
	if errno == syscall.EINTR || errno == 0 && n == 0 && timeout != brief {
		if timeout > 0 {
			timeout = l.until(l.Clock()) // what the hidden wait has left of it
		}
		n, errno = l.poll(timeout, false)
	}
	switch errno {
	case 0:
		return n, nil
	case syscall.EINTR:
		return 0, nil
	default:
		return 0, errno
	}
}

// epoll asks the kernel once.
func (l *Loop) epoll(timeout int, hidden bool) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	if hidden {
		n, _, errno = syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epfd),
			uintptr(unsafe.Pointer(&l.events[0])), maxEvents, uintptr(timeout), 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epfd),
			uintptr(unsafe.Pointer(&l.events[0])), maxEvents, uintptr(timeout), 0, 0)
	}
	return int(n), errno
}

// flush writes the output of every connection that has some, once each.
func (l *Loop) flush() {
	// Handlers may add to the list while it is walked.
	for i := 0; i < len(l.dirty); i++ {
		c := l.dirty[i]
		l.dirty[i] = nil
		c.dirty = false
		c.write()
	}
	l.dirty = l.dirty[:0]
}

// register adds fd to the loop and to the table.
func (l *Loop) register(fd int, s source, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	for fd >= len(l.table) {
		l.table = append(l.table, nil)
	}
	l.table[fd] = s
	return nil
}

// watch changes what epoll reports of fd.
func (l *Loop) watch(fd int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	// A change needs no memory, so it can only fail for a descriptor that is not
	// ours, which the table rules out.
	_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_MOD, fd, &ev)
}

// unregister gives fd up. It is closed at the end of the turn, so that no other
// connection gets its number while events of the old one may be waiting.
func (l *Loop) unregister(fd int) {
	l.table[fd] = nil
	l.closing = append(l.closing, fd)
}

// forget gives up a descriptor that the loop does not own.
func (l *Loop) forget(fd int) {
	l.table[fd] = nil
	// It can only fail for a descriptor that is not ours, which the table rules out.
	_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, fd, nil)
}

// close gives back what the loop holds. A connection may still be closed
// afterwards: that gives back its output and nothing else.
func (l *Loop) close() {
	l.mu.Lock()
	l.ended = true
	for _, p := range l.posted {
		if p.fd >= 0 {
			unix.Close(p.fd)
		}
	}
	l.posted = nil
	l.mu.Unlock()
	for fd, s := range l.table {
		if _, borrowed := s.(*Listener); s != nil && !borrowed {
			unix.Close(fd)
		}
	}
	for _, fd := range l.closing {
		unix.Close(fd)
	}
	clear(l.table)
	l.closing = nil
	unix.Close(l.epfd)
}
