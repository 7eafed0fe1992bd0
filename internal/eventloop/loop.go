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
// The interface has the shape of completions: a handler gets the bytes that were
// received, and is told how many bytes of its output were sent. An engine below moves
// the bytes. Nothing above it can tell which engine it is.
//
// A Loop and its connections belong to the goroutine in Run, which is locked to
// its thread. Only Post and Stop may be called from elsewhere.
package eventloop

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nuthatch/internal/mbuf"
)

const (
	// recvSize is the most that one receive takes, in bytes. It bounds how long one
	// connection delays the others.
	recvSize = 64 << 10
	// maxLate is how old, in nanoseconds, output may become that waits for more.
	// lateSize is how long, in bytes: for that many bytes the cost of a write does not
	// matter.
	maxLate  = int64(500 * time.Microsecond)
	lateSize = 16 << 10
	// firstConns is for how many connections a loop's lists have room from the start.
	firstConns = 64
)

// A Hook is told of each turn of a loop.
type Hook interface {
	// OnWake runs at the beginning of each turn, before anything received is handled.
	OnWake()
	// OnTurn runs in each turn after everything received was handled, and again after
	// each flush, until nothing is left to flush. It returns when, in the loop's
	// nanoseconds, the next turn must be even if nothing is received; 0: there need not
	// be one.
	OnTurn(now int64) (next int64)
	// OnFlush runs before each flush.
	OnFlush()
}

// A Loop is one event loop.
type Loop struct {
	// static after New
	engine engine
	hook   Hook
	epoch  time.Time

	// owned by the goroutine in Run
	bufs    mbuf.Pool
	dirty   []*Conn // have something to say
	late    []*Conn // have something to say that can wait
	waiting int64   // since when there are any in late
	flushed bool    // something was written in this turn, which takes time
	load    load
	// stirred are the wires that have something left to do. stirring is the same list
	// while it is worked on; the two are swapped.
	stirred, stirring []*Wire
	// staged is how many bytes the stages hold. plain is where they put what they
	// unwrap. gathered is where the bytes to be wrapped lie in one piece.
	staged          int
	plain, gathered []byte
	// ahead is how many bytes the engine has received, or may receive, before a handler
	// has granted room.
	ahead int
	now   int64
	next  int64 // when the next turn must be; 0: it need not
	// byHand: Step gives the time. started: the engine is started.
	byHand, started bool
	turns           uint64
	// timed: the time of turns is measured. longest is the longest so far.
	timed   bool
	longest time.Duration

	// shared
	stopped atomic.Bool
	mu      sync.Mutex
	posted  []posting
	running []posting // posted, while they run; swapped with posted
	// ended: the engine is closed, and cannot be woken.
	ended bool
}

// New is NewOn with epoll.
func New(epoch time.Time, hook Hook) (*Loop, error) { return NewOn(Epoll, epoch, hook) }

// NewOn returns a loop on that engine that is not yet running. Its time is counted from
// epoch, so that loops of one epoch agree on it.
func NewOn(kind Engine, epoch time.Time, hook Hook) (*Loop, error) {
	l := &Loop{hook: hook, epoch: epoch}
	var err error
	switch kind {
	case Epoll:
		l.engine, err = newEpoll(l)
	case IOUring:
		l.engine, err = newUring(l)
	default:
		err = fmt.Errorf("%s is none", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("eventloop: %w", err)
	}
	return l, nil
}

// RingStats returns the counters of the loop's ring. It must run on the loop.
func (l *Loop) RingStats() RingStats {
	if u, ok := l.engine.(*uring); ok {
		return u.ring.stats
	}
	return RingStats{}
}

// Bufs is the loop's free list of chunks.
func (l *Loop) Bufs() *mbuf.Pool { return &l.bufs }

// Now is the time of the current turn: nanoseconds since the loop's epoch, on
// the monotonic clock. It is read once per turn.
func (l *Loop) Now() int64 { return l.now }

// Clock reads the clock. Unlike Now, it is the present time.
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

// Ahead is how many bytes have been received, or may be, before a handler has granted
// room, plus the bytes that the stages hold. They count for the process's memory.
func (l *Loop) Ahead() int { return l.ahead + l.staged }

// Turns counts the turns so far.
func (l *Loop) Turns() uint64 { return l.turns }

// A posting is a function for the loop to run, and the descriptor that it takes over;
// -1: none.
type posting struct {
	f  func()
	fd int
}

// Post has f run on the loop, soon. It may be called from any goroutine, and never
// blocks on the loop. If the loop has ended, f does not run, and Post returns false.
func (l *Loop) Post(f func()) bool { return l.post(posting{f, -1}) }

func (l *Loop) post(p posting) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.posted = append(l.posted, p)
	if len(l.posted) == 1 {
		l.engine.wake()
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
		l.engine.wake()
	}
}

// runPosted runs what was posted.
func (l *Loop) runPosted() {
	l.mu.Lock()
	l.posted, l.running = l.running[:0], l.posted
	l.mu.Unlock()
	for i, p := range l.running {
		l.running[i] = posting{}
		p.f()
	}
}

// Run is the loop. It returns when Stop was called, or when the kernel refuses to wait
// for events. By then every descriptor that the loop owned is closed. The handlers are
// not told.
func (l *Loop) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.close()
	if err := l.start(); err != nil {
		return err
	}
	timeout := 0
	for !l.stopped.Load() {
		n, err := l.engine.wait(timeout)
		if err != nil {
			return fmt.Errorf("eventloop: %w", err)
		}
		timeout = l.timedTurn(n)
	}
	// There is no other turn.
	l.flushLate()
	for len(l.dirty) > 0 {
		l.load = load{}
		l.settle()
	}
	return nil
}

// start starts the engine, once.
func (l *Loop) start() error {
	if l.started {
		return nil
	}
	l.started = true
	// Lists of a few bytes would share cache lines with those of other loops.
	l.dirty, l.late = slices.Grow(l.dirty, firstConns), slices.Grow(l.late, firstConns)
	l.stirred, l.stirring = slices.Grow(l.stirred, firstConns), slices.Grow(l.stirring, firstConns)
	if err := l.engine.start(); err != nil {
		return fmt.Errorf("eventloop: %w", err)
	}
	return nil
}

// turn handles n events and returns how long the next wait may last, in
// milliseconds; -1: for ever.
func (l *Loop) turn(n int) int { return l.turnAt(n, int64(time.Since(l.epoch))) }

// turnAt is turn with the time now.
func (l *Loop) turnAt(n int, now int64) int {
	l.turns++
	l.now = now
	l.load = load{}
	l.hook.OnWake()
	if len(l.late) > 0 && now-l.waiting >= maxLate {
		l.flushLate()
	}
	if len(l.stirred) > 0 {
		l.stir()
	}
	l.engine.deliver(n)
	l.flushed = false
	l.next = l.settle()
	if len(l.late) > 0 && !l.flushed {
		l.flushLate()
		l.next = l.settle()
	}
	l.engine.endTurn()
	if len(l.late) > 0 || len(l.dirty) > 0 || len(l.stirred) > 0 || l.engine.pending() > 0 {
		return 0
	}
	return l.until(l.now)
}

// until is how long the loop may wait from now, in milliseconds; -1: for ever.
func (l *Loop) until(now int64) int {
	if l.next == 0 {
		return -1
	}
	wait := l.next - now
	if wait <= 0 {
		return 0
	}
	// Rounded up: a turn that is too early would find nothing due, again and again. The
	// kernel counts in an int; a turn in 24 days is early enough.
	return int(min((wait-1)/int64(time.Millisecond)+1, math.MaxInt32))
}

// settle runs the hook and flushes, again and again until nothing is left to flush:
// what was sent, or could not be sent, gives others something to do.
func (l *Loop) settle() (next int64) {
	next = l.hook.OnTurn(l.now)
	for len(l.dirty) > 0 && !l.load.sentEnough() {
		l.hook.OnFlush()
		l.flush()
		l.flushed = true
		next = l.hook.OnTurn(l.now)
	}
	return next
}

// flushLate flushes the output that could wait.
func (l *Loop) flushLate() {
	for i, c := range l.late {
		l.late[i] = nil
		c.late = false
		c.Flush()
	}
	l.late = l.late[:0]
}

// flush writes the output of every connection that has some, once each, as much as one
// turn may write. The rest is written first in the next turn.
func (l *Loop) flush() {
	// Handlers may add to the list while it is walked.
	i := 0
	for ; i < len(l.dirty) && !l.load.sentEnough(); i++ {
		c := l.dirty[i]
		l.dirty[i] = nil
		c.dirty = false
		out := &c.out
		if c.staged != nil {
			out = c.staged.seal()
		}
		if c.live() {
			l.load.sends++
			l.engine.send(c, out)
		}
	}
	l.engine.sendAll()
	n := copy(l.dirty, l.dirty[i:])
	clear(l.dirty[n:])
	l.dirty = l.dirty[:n]
}

// close releases what the loop holds. A connection may still be closed afterwards: that
// only releases its output.
func (l *Loop) close() {
	l.mu.Lock()
	l.ended = true
	for _, p := range l.posted {
		if p.fd >= 0 {
			l.engine.discard(p.fd)
		}
	}
	l.posted = nil
	l.mu.Unlock()
	l.engine.close()
}
