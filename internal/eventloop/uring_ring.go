package eventloop

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
)

// Numbers of the kernel's linux/io_uring.h.
const (
	ioringOpPollAdd     = 6
	ioringOpSendmsg     = 9
	ioringOpAsyncCancel = 14
	ioringOpSend        = 26
	ioringOpRecv        = 27

	ioringPollAddMulti = 1 << 0

	iosqeCQESkipSuccess = 1 << 6
	ioringCQEFMore      = 1 << 1
	ioringCQENonempty   = 1 << 2

	ioringSetupCQSize       = 1 << 3
	ioringSetupRDisabled    = 1 << 6
	ioringSetupSubmitAll    = 1 << 7
	ioringSetupTaskrunFlag  = 1 << 9
	ioringSetupSingleIssuer = 1 << 12
	ioringSetupDeferTaskrun = 1 << 13

	ioringFeatSingleMmap = 1 << 0
	ioringFeatNoDrop     = 1 << 1
	ioringFeatExtArg     = 1 << 8

	ioringSQCQOverflow = 1 << 1
	ioringSQTaskrun    = 1 << 2

	ioringEnterGetEvents = 1 << 0
	ioringEnterExtArg    = 1 << 3

	ioringRegisterEnableRings = 12

	ioringOffSQRing = 0
	ioringOffSQEs   = 0x10000000
)

// uringParams is the kernel's io_uring_params.
type uringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32

	sq struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// An sqe is the kernel's io_uring_sqe: an operation to be done.
type sqe struct {
	op, flags uint8
	ioprio    uint16
	fd        int32
	off       uint64
	addr      uint64
	len       uint32
	opFlags   uint32
	userData  uint64
	_         [3]uint64
}

// A cqe is the kernel's io_uring_cqe: an operation that is done.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// waitArg is the kernel's io_uring_getevents_arg.
type waitArg struct {
	_, _    uint64
	timeout uint64 // the address of a timespec
}

const (
	// ringEntries is how many operations can wait to be submitted, and ringResults how
	// many results can wait to be taken before the kernel keeps more of them aside.
	ringEntries = 256
	ringResults = 4096
	// ringPatience is how long a ring for which there is no memory is tried for, each
	// ringPause.
	ringPatience = 500 * time.Millisecond
	ringPause    = 10 * time.Millisecond
)

// A ring is a pair of queues that are shared with the kernel: operations go in, their
// results come out. The queues lie outside of Go's heap.
//
//	sqHead ≤ submitted ≤ tail ≤ sqHead + ringEntries     (the kernel moves sqHead)
//	cqHead ≤ cqTail                                      (the kernel moves cqTail)
//
// A ring belongs to one thread (SINGLE_ISSUER): the one that enables it. What has become
// ready is looked at only when this thread asks for it (DEFER_TASKRUN), in enter. So
// between two enters nothing happens in the ring.
type ring struct {
	fd          int
	features    uint32 // the kernel's, by ioringFeat...
	queues, ops []byte // the mappings
	sqes        []sqe
	cqes        []cqe
	// array is where the kernel looks for the place of each operation. It is filled
	// once: each has its own.
	sqHead, sqTail, sqFlags, cqHead, cqTail *uint32
	// tail is behind the last operation that was written.
	tail    uint32
	enabled bool
	arg     waitArg
	timeout unix.Timespec
	stats   RingStats
}

// newRing makes a ring that nobody can use yet. Its error names the call.
func newRing() (*ring, error) {
	r := new(ring)
	err := r.setUp()
	return r, err
}

// setUp is newRing in r.
func (r *ring) setUp() error {
	p := uringParams{
		flags: ioringSetupRDisabled | ioringSetupCQSize | ioringSetupSubmitAll |
			ioringSetupTaskrunFlag | ioringSetupSingleIssuer | ioringSetupDeferTaskrun,
		cqEntries: ringResults,
	}
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	// The kernel frees the memory of rings some time after they were closed.
	for end := time.Now().Add(ringPatience); errno == syscall.ENOMEM && time.Now().Before(end); time.Sleep(ringPause) {
		fd, _, errno = syscall.Syscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	}
	if errno != 0 {
		return os.NewSyscallError("io_uring_setup", errno)
	}
	r.fd, r.features = int(fd), p.features
	err := r.mapQueues(&p)
	if err != nil {
		r.close()
	}
	return err
}

// mapQueues maps what the kernel has made.
func (r *ring) mapQueues(p *uringParams) error {
	if need := uint32(ioringFeatSingleMmap | ioringFeatNoDrop | ioringFeatExtArg); p.features&need != need {
		return fmt.Errorf("io_uring_setup: the kernel has the features %#x, and %#x are needed", p.features, need)
	}
	size := max(p.sq.array+p.sqEntries*4, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	var err error
	const shared = unix.MAP_SHARED | unix.MAP_POPULATE
	if r.queues, err = unix.Mmap(r.fd, ioringOffSQRing, int(size), unix.PROT_READ|unix.PROT_WRITE, shared); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	size = p.sqEntries * uint32(unsafe.Sizeof(sqe{}))
	if r.ops, err = unix.Mmap(r.fd, ioringOffSQEs, int(size), unix.PROT_READ|unix.PROT_WRITE, shared); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queues[at])) }
	r.sqHead, r.sqTail, r.sqFlags = word(p.sq.head), word(p.sq.tail), word(p.sq.flags)
	r.cqHead, r.cqTail = word(p.cq.head), word(p.cq.tail)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&r.ops[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&r.queues[p.cq.cqes])), p.cqEntries)
	for i := range p.sqEntries {
		*word(p.sq.array + 4*i) = i
	}
	r.tail = *r.sqTail
	return nil
}

// bytes is how much memory the ring takes.
func (r *ring) bytes() int { return len(r.queues) + len(r.ops) }

// enable makes the ring the calling thread's.
func (r *ring) enable() error {
	_, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), ioringRegisterEnableRings, 0, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	r.enabled = true
	return nil
}

// close gives the ring back. Nothing may be under way in it.
func (r *ring) close() {
	for _, mem := range [][]byte{r.queues, r.ops} {
		if mem != nil {
			_ = unix.Munmap(mem) // it is our mapping
		}
	}
	unix.Close(r.fd)
}

// unsubmitted is how many operations the kernel has not taken yet.
func (r *ring) unsubmitted() uint32 { return r.tail - atomic.LoadUint32(r.sqHead) }

// add returns the place of one more operation. It is valid until the next enter, which
// submits it, or the next add.
func (r *ring) add() *sqe {
	if r.unsubmitted() == uint32(len(r.sqes)) {
		// The kernel must take some first.
		for r.unsubmitted() == uint32(len(r.sqes)) {
			switch r.enter(0, 0, true) {
			case 0, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY:
			default:
				// The ring cannot be used any more, which the next enter tells too.
				r.tail = atomic.LoadUint32(r.sqHead)
			}
		}
	}
	s := &r.sqes[r.tail&uint32(len(r.sqes)-1)]
	*s = sqe{}
	r.tail++
	return s
}

// idle reports whether the kernel has nothing to take and nothing to tell, so that an
// enter that does not wait would do nothing.
func (r *ring) idle() bool {
	return r.unsubmitted() == 0 && *r.cqHead == atomic.LoadUint32(r.cqTail) && !r.hasMore()
}

// hasMore reports whether there may be something that the next enter will tell.
func (r *ring) hasMore() bool {
	return atomic.LoadUint32(r.sqFlags)&(ioringSQCQOverflow|ioringSQTaskrun) != 0
}

// enter submits what was added, and has the kernel look at what has become ready. With
// results it waits until there is one, for at most timeout milliseconds (-1: for ever).
// It is hidden from the Go scheduler or not.
func (r *ring) enter(results uint32, timeout int, hidden bool) syscall.Errno {
	atomic.StoreUint32(r.sqTail, r.tail)
	n := r.unsubmitted()
	invariant.Check(n <= uint32(len(r.sqes)), "eventloop: more operations than the ring has room for")
	flags, arg, size := uintptr(ioringEnterGetEvents), uintptr(0), uintptr(0)
	if results > 0 && timeout >= 0 {
		r.timeout = unix.NsecToTimespec(int64(timeout) * int64(time.Millisecond))
		r.arg.timeout = uint64(uintptr(unsafe.Pointer(&r.timeout)))
		flags |= ioringEnterExtArg
		arg, size = uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg)
	}
	r.stats.Enters++
	var took uintptr
	var errno syscall.Errno
	if hidden {
		took, _, errno = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), uintptr(results), flags, arg, size)
	} else {
		took, _, errno = syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), uintptr(results), flags, arg, size)
	}
	if errno == 0 {
		r.stats.Submissions += int64(took)
	}
	return errno
}

// take has each result told to f, and makes room for more. It reports whether the kernel
// keeps others aside, which the next enter brings.
func (r *ring) take(f func(*cqe)) (more bool) {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	r.stats.Completions += int64(tail - head)
	for ; head != tail; head++ {
		f(&r.cqes[head&uint32(len(r.cqes)-1)])
	}
	atomic.StoreUint32(r.cqHead, head)
	if more = atomic.LoadUint32(r.sqFlags)&ioringSQCQOverflow != 0; more {
		r.stats.Overflows++
	}
	return more
}

// RingStats are the counters of a loop's ring; zero on epoll.
type RingStats struct {
	// Enters counts calls of io_uring_enter, Submissions the operations that went to the
	// kernel by them, Completions their results, and Overflows how often results had to
	// wait outside of the ring.
	Enters, Submissions, Completions, Overflows int64
	// BufferBytes is the memory of the ring, and of the buffers that it receives into.
	BufferBytes int64
}
