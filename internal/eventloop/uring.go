package eventloop

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/pages"
)

// A uring is the engine on io_uring. Polls stand in the ring for as long as their
// descriptors do, and tell what has become ready. The receives of a turn go to the kernel
// together, in one batch, and so do its sends:
//
//	wait ─► polls tell ─► deliver: room is asked for, receives are added
//	                               └─► one enter ─► OnData, ...
//	     flush: sends are added ─► one enter ─► OnSent       (sendAll)
//	            └ what has become ready meanwhile is found too: no wait
//	     endTurn: cancels are added ─► one enter ─► close
//
// A receive or a send never waits in the kernel (MSG_DONTWAIT): it is over when the enter
// that submits it returns.
//
// Invariant: between two enters nothing but polls is under way. So the kernel holds no
// memory of ours while a handler runs; a connection that waits holds no buffer; and what
// closes a connection has only its polls to cancel.
type uring struct {
	polled
	batch

	// ring stands here itself, so that what it writes is in no cache line of another loop.
	ring ring

	// static after construction
	//
	// memory is where the batch's receives and vectors lie.
	memory *pages.Region

	// owned by the loop's goroutine
	//
	// table has the descriptors by their number.
	table []entry
	// found are the events that the ring has told, from next on. due of them are
	// delivered by this turn.
	found     []event
	next, due int
	// interrupted: a signal ended the last enter.
	interrupted bool
	// broken is the error of an enter after which the ring cannot be used.
	broken syscall.Errno
}

// An entry is what the engine knows of a descriptor.
type entry struct {
	// conn or ln is who it is for; both are nil while it waits to be closed.
	conn *Conn
	ln   *Listener
	// gen tells apart the connections that have had the number. It is in the polls'
	// user data.
	gen uint32
	// armed are the polls that name the descriptor, a bit for each kind.
	//
	// Invariant: a descriptor is closed, and its entry used anew, only when there are
	// none.
	armed uint8
	// cancelled: their end was asked for.
	cancelled bool
	// inBatch: an operation of the batch is for it, and its end was not told.
	inBatch bool
	// held has been received, and not been taken, since reading was paused meanwhile.
	// While there is any, the connection counts as unread.
	held *mbuf.Chain
}

// A kind is a kind of operation, and of user data:
//
//	kind (8 bits) | generation (24) | descriptor, or place in the batch (32)
type kind uint8

const (
	pollBytes  kind = iota // for what comes, until it is cancelled
	pollRoom               // for room to send, from the first time that it lacked, and for the end of connecting
	pollAccept             // once, for connections to accept
	pollWake               // for wake, until it is cancelled
	batched                // a receive or a send
	cancelling             // the cancelling itself
)

// An event is what a poll has told.
type event struct {
	kind kind
	fd   int32
	gen  uint32
	// res are the events, or a negative error.
	res int32
}

// pollsFor is what pollBytes asks for: no urgent bytes (EPOLLPRI), for the ring tells of those
// whenever bytes come, as the kernel's wake-ups do. A receive stops short of urgent bytes. That
// something is behind them is found where the receive's result is taken.
const pollsFor = unix.EPOLLIN | unix.EPOLLRDHUP

const genMask = 1<<24 - 1

func userData(k kind, gen, n uint32) uint64 {
	return uint64(k)<<56 | uint64(gen&genMask)<<32 | uint64(n)
}

func newUring(l *Loop) (*uring, error) {
	u := new(uring)
	if err := u.ring.setUp(); err != nil {
		return nil, fmt.Errorf("io_uring: %w", err)
	}
	common, err := makePolled(l)
	if err != nil {
		u.ring.close()
		return nil, fmt.Errorf("wake queue: %w", err)
	}
	memory := pages.Map(batchBytes)
	if memory == nil {
		u.ring.close()
		unix.Close(common.wakefd)
		return nil, fmt.Errorf("io_uring: %w", os.NewSyscallError("mmap", unix.ENOMEM))
	}
	u.polled, u.memory = common, memory
	u.place(memory.Bytes)
	u.poll, u.call = u.ask, "io_uring_enter"
	u.ring.stats.BufferBytes = int64(u.ring.bytes() + batchBytes)
	return u, nil
}

// start implements engine.
func (u *uring) start() error {
	if err := u.ring.enable(); err != nil {
		return err
	}
	u.entry(u.wakefd)
	u.arm(u.wakefd, pollWake)
	return nil
}

// ask asks the kernel once.
func (u *uring) ask(timeout int, hidden bool) (int, syscall.Errno) {
	if u.broken != 0 {
		return 0, u.broken
	}
	u.interrupted = false
	if u.next == len(u.found) && (timeout != 0 || !u.ring.idle()) {
		results := uint32(1)
		if timeout == 0 {
			results = 0
		}
		u.enter(results, timeout, hidden)
		// One enter looks at some of what has become ready. One that brings nothing ends it:
		// the kernel may have set its flag behind the work that the flag was for, and it stays
		// set until something else becomes ready.
		for more := true; more && len(u.found)-u.next < maxEvents && u.ring.hasMore() && u.broken == 0; {
			told := u.ring.stats.Completions
			u.enter(0, 0, true)
			more = u.ring.stats.Completions > told
		}
	}
	u.due = min(len(u.found)-u.next, maxEvents)
	if u.due == 0 && u.interrupted {
		return 0, syscall.EINTR
	}
	return u.due, u.broken
}

// enter submits what was added, and finds what has become ready.
func (u *uring) enter(results uint32, timeout int, hidden bool) {
	errno := u.ring.enter(results, timeout, hidden)
	u.ring.take(u.completed)
	u.interrupted = errno == syscall.EINTR
	switch errno {
	case 0, syscall.EINTR, syscall.ETIME:
	case syscall.EAGAIN, syscall.EBUSY:
		// The kernel lacks memory, or room for results, and has it soon.
	default:
		u.broken = errno
	}
}

// completed gets a result.
func (u *uring) completed(c *cqe) {
	k, n := kind(c.userData>>56), uint32(c.userData)
	switch k {
	case batched:
		u.ended(n, c)
		return
	case cancelling:
		return
	case pollBytes, pollRoom, pollAccept, pollWake:
	}
	ent := &u.table[n]
	gen := uint32(c.userData>>32) & genMask
	invariant.Check(gen == ent.gen&genMask, "eventloop: a poll has outlived its descriptor")
	if over := c.flags&ioringCQEFMore == 0; over {
		ent.armed &^= 1 << k
		if k != pollAccept && !ent.cancelled {
			u.arm(int(n), k) // the ring was full, or the kernel lacked memory
		}
	}
	if c.res != 0 && c.res != -int32(unix.ECANCELED) {
		u.found = append(u.found, event{k, int32(n), ent.gen, c.res})
	}
}

// deliver implements engine. What the last turn has left comes first.
func (u *uring) deliver(events int) {
	u.readAgain(u.read)
	for range min(events, u.due) {
		ev := u.found[u.next]
		u.next++
		u.due--
		// An entry may have changed hands, or lost its owner, since.
		switch ent := &u.table[ev.fd]; {
		case ev.kind == pollWake:
			u.receiveAll()
			u.woken()
		case ent.gen != ev.gen:
		case ent.ln != nil:
			u.receiveAll()
			u.acceptable(ent.ln)
		case ent.conn != nil:
			u.ready(ent.conn, ev)
		}
	}
	if u.next == len(u.found) {
		u.found, u.next = u.found[:0], 0
	}
	u.receiveAll()
}

// ready tells a connection what a poll has told.
func (u *uring) ready(c *Conn, ev event) {
	if ev.res < 0 {
		c.handler.OnError(syscall.Errno(-ev.res))
		return
	}
	events := uint32(ev.res)
	if c.heard(&u.polled, events) {
		u.read(c)
	}
	if events&unix.EPOLLOUT != 0 && c.blocked {
		c.sendLater()
	}
}

// pending implements engine.
func (u *uring) pending() int {
	return len(u.again) + len(u.closing) + len(u.found) - u.next - u.due
}

// entry gives a descriptor that has no owner a new generation.
func (u *uring) entry(fd int) *entry {
	for fd >= len(u.table) {
		u.table = append(u.table, entry{})
	}
	ent := &u.table[fd]
	invariant.Check(ent.armed == 0 && ent.conn == nil && ent.ln == nil && ent.held == nil, "eventloop: a descriptor is given away that is in use")
	*ent = entry{gen: ent.gen + 1}
	return ent
}

// arm adds a poll of that kind, unless there is one.
func (u *uring) arm(fd int, k kind) {
	ent := &u.table[fd]
	if ent.armed&(1<<k) != 0 {
		return
	}
	ent.armed |= 1 << k
	s := u.ring.add()
	s.op, s.fd, s.userData = ioringOpPollAdd, int32(fd), userData(k, ent.gen, uint32(fd))
	switch k {
	case pollBytes:
		s.len, s.opFlags = ioringPollAddMulti, pollsFor
	case pollWake:
		s.len, s.opFlags = ioringPollAddMulti, unix.EPOLLIN
	case pollRoom:
		// Not for once: that would end at once, and again, when the peer sends no more.
		s.len, s.opFlags = ioringPollAddMulti, unix.EPOLLOUT
	case pollAccept:
		s.opFlags = unix.EPOLLIN
	case batched, cancelling:
		invariant.Check(false, "eventloop: no kind of poll")
	}
}

// disarm asks for the end of a descriptor's polls.
func (u *uring) disarm(fd int) {
	ent := &u.table[fd]
	if ent.cancelled {
		return
	}
	ent.cancelled = true
	for k := pollBytes; k <= pollWake; k++ {
		if ent.armed&(1<<k) != 0 {
			s := u.ring.add()
			s.op, s.flags, s.fd = ioringOpAsyncCancel, iosqeCQESkipSuccess, -1
			s.addr, s.userData = userData(k, ent.gen, uint32(fd)), userData(cancelling, 0, 0)
		}
	}
}

// endTurn implements engine. A descriptor is closed when no poll names it: the file would
// stay open for as long as one does.
func (u *uring) endTurn() {
	if len(u.closing) == 0 {
		return
	}
	n := min(len(u.closing), maxCloses)
	for _, fd := range u.closing[:n] {
		u.disarm(fd)
	}
	u.enter(0, 0, true)
	kept := u.closing[:0]
	for i, fd := range u.closing {
		if i >= n || u.table[fd].armed != 0 && u.broken == 0 {
			kept = append(kept, fd)
		} else {
			unix.Close(fd)
		}
	}
	u.closing = kept
}

// close implements engine.
func (u *uring) close() {
	u.drop()
	for fd := range u.table {
		ent := &u.table[fd]
		if ent.conn != nil {
			u.closing = append(u.closing, fd)
		}
		ent.conn, ent.ln = nil, nil
		u.unhold(ent)
	}
	if u.ring.enabled {
		u.disarmAll()
	}
	for _, fd := range u.closing {
		unix.Close(fd)
	}
	u.closing = nil
	unix.Close(u.wakefd)
	u.ring.close()
	u.loop.ahead -= int(u.ring.stats.BufferBytes)
}

// disarmAll ends all polls.
func (u *uring) disarmAll() {
	for fd := range u.table {
		u.disarm(fd)
	}
	armed := func() bool {
		for i := range u.table {
			if u.table[i].armed != 0 {
				return true
			}
		}
		return false
	}
	for u.broken == 0 && armed() {
		u.enter(0, 0, true)
	}
}

// attach implements engine.
func (u *uring) attach(c *Conn) error {
	c.readiness = readiness{again: c.again}
	u.entry(c.fd).conn = c
	u.arm(c.fd, pollBytes)
	if c.state == connecting {
		u.arm(c.fd, pollRoom)
	}
	return nil
}

// pass implements engine. The polls stay the same.
func (u *uring) pass(from, to *Conn) {
	u.table[to.fd].conn = to
	u.takeOver(from, to)
}

// release implements engine. What is to be sent or received for the connection is, before
// its memory is gone.
func (u *uring) release(c *Conn) {
	ent := &u.table[c.fd]
	if ent.inBatch {
		u.submit()
	}
	ent.conn = nil
	u.unhold(ent)
	u.closing = append(u.closing, c.fd)
}

// closeWrite implements engine.
func (u *uring) closeWrite(c *Conn) {
	if u.table[c.fd].inBatch {
		u.submit()
	}
	u.polled.closeWrite(c)
}

// unread implements engine.
func (u *uring) unread(fd int) (n int, ok bool) {
	n, ok = u.polled.unread(fd)
	if held := u.table[fd].held; held != nil {
		n += held.Len()
	}
	return n, ok
}

// listen implements engine.
func (u *uring) listen(ln *Listener) error {
	if _, err := unix.FcntlInt(uintptr(ln.fd), unix.F_GETFD, 0); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	u.entry(ln.fd).ln = ln
	u.pause(ln)
	return nil
}

// pause implements engine. A poll that is there already is left to end by itself.
func (u *uring) pause(ln *Listener) {
	if !ln.paused {
		u.arm(ln.fd, pollAccept)
	}
}

// acceptable accepts some connections. A poll for the others tells at once.
func (u *uring) acceptable(ln *Listener) {
	if ln.paused {
		return
	}
	ln.AcceptSome(acceptBatch)
	if u.table[ln.fd].ln == ln {
		u.pause(ln)
	}
}

// forget implements engine. The socket may be closed at the end of the turn, so the poll
// ends now.
func (u *uring) forget(ln *Listener) {
	ent := &u.table[ln.fd]
	ent.ln = nil
	u.disarm(ln.fd)
	for ent.armed != 0 && u.broken == 0 {
		u.enter(0, 0, true)
	}
}
