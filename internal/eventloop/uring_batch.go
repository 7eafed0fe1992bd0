package eventloop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
)

const (
	// maxReceives is how many receives a batch has, and maxBatch how many sends.
	// receiveSize is the most that a receive of a batch takes, in bytes: what fills it
	// is read on by itself, into more.
	maxReceives = 32
	maxBatch    = 64
	receiveSize = 16 << 10
	// stagger keeps the beginnings of the buffers apart in the processor's caches.
	stagger = 5 * 64

	vectorsBytes  = maxBatch * maxIovecs * int(unsafe.Sizeof(iovec{}))
	messagesBytes = maxBatch * int(unsafe.Sizeof(msghdr{}))
	receivesBytes = maxReceives * (receiveSize + stagger)
	batchBytes    = (vectorsBytes + messagesBytes + receivesBytes + 4095) &^ 4095

	// ringBytes is what a ring takes, in whole pages with what the kernel needs of it for
	// itself, and uringBytes what a loop does.
	ringBytes  = (ringEntries*(int(unsafe.Sizeof(sqe{}))+4)+ringResults*int(unsafe.Sizeof(cqe{})))&^4095 + 4096
	uringBytes = batchBytes + ringBytes
)

// An iovec is the kernel's, and msghdr too, without pointers: they lie outside of Go's
// heap. What they point to is in a connection's output meanwhile.
type iovec struct {
	base uintptr
	len  uint64
}

type msghdr struct {
	name       uintptr
	nameLen    uint64
	iov        uintptr
	iovLen     uint64
	control    uintptr
	controlLen uint64
	flags      uint64
}

// A batch is operations that go to the kernel together: receives while events are
// delivered, sends while output is flushed.
//
//	add ─► submit: they are done, and have a result ─► told, in their order
//
// Between submit and told a handler may close or pause any connection of the batch.
type batch struct {
	ops [maxBatch]operation
	// n is how many there are. Those before done were submitted; ending is how many of
	// them have no result yet.
	n, done, ending int
	// telling: results are being told, and nothing may be added.
	telling bool

	buffers  []byte
	vectors  []iovec
	messages []msghdr
}

// An operation is a receive, or a send.
type operation struct {
	fd  int
	gen uint32
	// out is what is sent from; nil: it is a receive.
	out *mbuf.Chain
	// size is how many bytes it is about at the most, res how many it was, or a
	// negative error.
	size int
	res  int32
	// more: the socket has more than was received.
	more bool
}

// place gives the batch its memory.
func (b *batch) place(mem []byte) {
	b.vectors = unsafe.Slice((*iovec)(unsafe.Pointer(&mem[0])), maxBatch*maxIovecs)
	mem = mem[vectorsBytes:]
	b.messages = unsafe.Slice((*msghdr)(unsafe.Pointer(&mem[0])), maxBatch)
	b.buffers = mem[messagesBytes:][:receivesBytes]
}

// buffer is where the operation at i receives.
func (b *batch) buffer(i int) []byte {
	at := i * (receiveSize + stagger)
	return b.buffers[at : at+receiveSize : at+receiveSize]
}

// ended gets the result of the operation at i.
func (b *batch) ended(i uint32, c *cqe) {
	invariant.Check(int(i) < b.done && b.ending > 0, "eventloop: a result of no operation")
	b.ops[i].res, b.ops[i].more = c.res, c.flags&ioringCQENonempty != 0
	b.ending--
}

// drop forgets what was not submitted.
func (b *batch) drop() { b.n, b.done = 0, 0 }

// add adds an operation for the connection.
func (u *uring) add(c *Conn, out *mbuf.Chain, size int) {
	invariant.Check(!u.telling, "eventloop: an operation is added to a batch whose results are told")
	ent := &u.table[c.fd]
	invariant.Check(!ent.inBatch, "eventloop: two operations of a connection at once")
	ent.inBatch = true
	u.ops[u.n] = operation{fd: c.fd, gen: ent.gen, out: out, size: size}
	u.n++
}

// submit has the operations of the batch done.
func (u *uring) submit() {
	if u.done == u.n {
		return
	}
	from := u.done
	u.done, u.ending = u.n, u.n-from
	for i := from; i < u.n; i++ {
		if op := &u.ops[i]; op.out == nil {
			u.putReceive(i, op)
		} else {
			u.putSend(i, op)
		}
	}
	for u.ending > 0 {
		u.enter(0, 0, true)
		if u.broken != 0 {
			for i := from; i < u.n; i++ {
				u.ops[i].res = -int32(u.broken)
			}
			u.ending = 0
		}
	}
}

func (u *uring) putReceive(i int, op *operation) {
	s := u.ring.add()
	s.op, s.fd, s.userData = ioringOpRecv, int32(op.fd), userData(batched, 0, uint32(i))
	s.addr, s.len = uint64(uintptr(unsafe.Pointer(&u.buffer(i)[0]))), uint32(op.size)
	s.opFlags = unix.MSG_DONTWAIT
}

func (u *uring) putSend(i int, op *operation) {
	s := u.ring.add()
	s.fd, s.userData, s.opFlags = int32(op.fd), userData(batched, 0, uint32(i)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT
	head := op.out.Head()
	if b := head.Bytes(); head.Next() == nil {
		s.op, s.addr, s.len = ioringOpSend, uint64(uintptr(unsafe.Pointer(&b[0]))), uint32(len(b))
		op.size = len(b)
		return
	}
	vectors := u.vectors[i*maxIovecs : (i+1)*maxIovecs]
	n, size := 0, 0
	for k := head; k != nil && n < maxIovecs && size < maxSend; k = k.Next() {
		if b := k.Bytes(); len(b) > 0 {
			vectors[n] = iovec{uintptr(unsafe.Pointer(&b[0])), uint64(len(b))}
			size += len(b)
			n++
		}
	}
	u.messages[i] = msghdr{iov: uintptr(unsafe.Pointer(&vectors[0])), iovLen: uint64(n)}
	s.op, s.addr, s.len = ioringOpSendmsg, uint64(uintptr(unsafe.Pointer(&u.messages[i]))), 1
	op.size = size
}

// read receives once from the connection, in the batch. What is lent, or was left behind by a
// receive that was filled, is large, and received at once.
func (u *uring) read(c *Conn) {
	if u.n == maxReceives || u.n > 0 && u.loop.load.received+(u.n+1)*receiveSize > maxTurnBytes {
		if u.receiveAll(); !c.live() {
			return // closed by another's handler
		}
	}
	ent := &u.table[c.fd]
	if ent.inBatch {
		return // it is being read
	}
	left := c.unread
	buf, lent, ok := u.room(c)
	switch {
	case !ok:
	case ent.held != nil:
		u.takeHeld(c, ent, buf, lent)
	case lent || left:
		n, errno := receiveInto(c.fd, buf)
		more := stopped(c.fd, n, len(buf))
		u.received(c, buf, lent, n, errno)
		u.goOn(c, more)
	default:
		u.add(c, nil, min(len(buf), receiveSize))
	}
}

// receiveAll has the receives of the batch done, and tells what they have brought.
func (u *uring) receiveAll() {
	if u.n == 0 || u.telling {
		return
	}
	if op := &u.ops[0]; u.n == 1 && u.done == 0 {
		// A batch of one costs more than a system call of its own.
		u.done = 1
		n, errno := receiveInto(op.fd, u.buffer(0)[:op.size])
		op.more = stopped(op.fd, n, op.size)
		if op.res = int32(n); errno != 0 {
			op.res = -int32(errno)
		}
	}
	u.submit()
	u.telling = true
	for i := range u.n {
		op := &u.ops[i]
		if c := u.owner(op); c != nil {
			u.arrived(c, op, u.buffer(i)[:op.size])
		}
	}
	u.telling = false
	u.drop()
}

// owner is the connection that the operation is still for, or nil. Its end is told now.
func (u *uring) owner(op *operation) *Conn {
	ent := &u.table[op.fd]
	if ent.gen != op.gen {
		return nil
	}
	ent.inBatch = false
	return ent.conn
}

// arrived tells what a receive of the batch has brought.
func (u *uring) arrived(c *Conn, op *operation, buf []byte) {
	n, errno := int(op.res), syscall.Errno(0)
	if op.res < 0 {
		n, errno = 0, syscall.Errno(-op.res)
	}
	switch {
	case !c.noRead || errno != 0:
		u.received(c, buf, false, n, errno)
		u.goOn(c, op.more)
	case n == 0:
		// The end of the stream is there to be read again.
		c.behind, c.ending = true, true
		c.tellEnding()
	default:
		// Reading was paused by another connection's handler. Room was granted before.
		u.loop.load.received += n
		held := new(mbuf.Chain)
		held.Append(&u.loop.bufs, buf[:n])
		u.table[op.fd].held = held
		invariant.Poison(buf[:n])
	}
}

// stopped reports whether a receive of n bytes has stopped at urgent bytes, though there was
// room for size. A receive in a batch is told that with its result.
func stopped(fd, n, size int) bool {
	if n <= 0 || n == size {
		return false
	}
	var atMark int32
	_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), unix.SIOCATMARK, uintptr(unsafe.Pointer(&atMark)))
	return errno == 0 && atMark != 0
}

// goOn has the next turn read what is behind urgent bytes: no poll tells of it.
func (u *uring) goOn(c *Conn, more bool) {
	if more && c.live() && !c.eof {
		c.unread = true
		u.readLater(c)
	}
}

// takeHeld gives the handler what was held for it, as much as buf has room for. What
// follows is read in the next turn.
func (u *uring) takeHeld(c *Conn, ent *entry, buf []byte, lent bool) {
	held, n := ent.held, 0
	for n < len(buf) && held.Len() > 0 {
		k := copy(buf[n:], held.Head().Bytes())
		held.Advance(&u.loop.bufs, k)
		n += k
	}
	if held.Len() == 0 {
		ent.held = nil
	}
	u.readLater(c)
	if lent {
		c.handler.OnLent(n)
		return
	}
	c.handler.OnData(buf[:n])
	invariant.Poison(buf[:n])
}

// unhold releases what is held.
func (u *uring) unhold(ent *entry) {
	if ent.held != nil {
		ent.held.Release(&u.loop.bufs)
		ent.held = nil
	}
}

// send implements engine.
func (u *uring) send(c *Conn, out *mbuf.Chain) {
	if u.n == maxBatch || u.table[c.fd].inBatch {
		// A handler that is told has closed this connection, or had sent some of its output
		// already, and now has more.
		if u.sendAll(); !c.live() {
			return
		}
	}
	if out.Len() == 0 {
		u.sent(c, out, 0, false)
		return
	}
	u.add(c, out, out.Len())
}

// sendAll implements engine.
func (u *uring) sendAll() {
	if u.n == 0 || u.telling {
		return
	}
	if u.n == 1 && u.done == 0 {
		op := u.ops[0]
		c := u.owner(&op)
		u.drop()
		if sent, full, ok := u.pour(c, op.out, 0); ok {
			u.sent(c, op.out, sent, full)
		}
		return
	}
	u.submit()
	u.telling = true
	for i := range u.n {
		op := u.ops[i]
		u.ops[i].out = nil
		if c := u.owner(&op); c != nil {
			u.gone(c, &op)
		}
	}
	u.telling = false
	u.drop()
}

// gone tells what a send of the batch has sent. It sends on if the kernel has taken all of
// it, and there is more.
func (u *uring) gone(c *Conn, op *operation) {
	errno := syscall.Errno(0)
	if op.res < 0 {
		errno = syscall.Errno(-op.res)
	}
	switch errno {
	case 0, syscall.EAGAIN, syscall.EINTR:
	default:
		c.handler.OnError(errno)
		return
	}
	sent := max(0, int(op.res))
	op.out.Advance(&u.loop.bufs, sent)
	sent, full, ok := sent, errno == syscall.EAGAIN, true
	if !full {
		sent, full, ok = u.pour(c, op.out, sent)
	}
	if ok {
		u.sent(c, op.out, sent, full)
	}
}

// sent tells what was sent.
func (u *uring) sent(c *Conn, out *mbuf.Chain, sent int, full bool) {
	if full {
		u.arm(c.fd, pollRoom)
	}
	u.poured(c, out, sent, full)
}

// inFlight implements engine.
func (u *uring) inFlight(c *Conn) int {
	if !u.table[c.fd].inBatch {
		return 0
	}
	for i := range u.n {
		if op := &u.ops[i]; op.fd == c.fd && op.out != nil {
			return op.size
		}
	}
	return 0
}
