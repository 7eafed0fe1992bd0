package eventloop

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type hookFunc func(now int64) int64

func (f hookFunc) OnTurn(now int64) int64 { return f(now) }
func (f hookFunc) OnWake()                {}
func (f hookFunc) OnFlush()               {}

// A running loop runs in its own goroutine, as in the proxy.
type running struct {
	*Loop
	t     *testing.T
	ended chan error
}

func run(t *testing.T, hook Hook) *running {
	t.Helper()
	before := runtime.NumGoroutine()
	l, err := NewOn(engineOf(t), time.Now(), hook)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{l, t, make(chan error, 1)}
	go func() { r.ended <- l.Run() }()
	t.Cleanup(func() {
		r.Stop()
		if err := <-r.ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
		for deadline := time.Now().Add(patience * time.Millisecond); runtime.NumGoroutine() > before; {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines are left, %d were before", runtime.NumGoroutine(), before)
				break
			}
			runtime.Gosched()
		}
	})
	return r
}

// end stops the loop and waits until Run has returned.
func (r *running) end() {
	r.t.Helper()
	r.Stop()
	err := <-r.ended
	if err != nil {
		r.t.Errorf("Run returned %v", err)
	}
	r.ended <- nil // for the cleanup
}

// do runs f on the loop and waits for it.
func (r *running) do(f func()) {
	r.t.Helper()
	done := make(chan struct{})
	r.Post(func() { f(); close(done) })
	receive(r.t, "a posted function", done)
}

func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience * time.Millisecond):
		t.Fatalf("%s: waited in vain", what)
	}
	return v
}

func never(int64) int64 { return 0 }

// TestPost posts from many goroutines: every function runs once, on the loop,
// and each goroutine's in its order.
func TestPost(t *testing.T) { eachEngine(t, testPost) }

func testPost(t *testing.T) {
	r := run(t, hookFunc(never))
	const posters, each = 8, 500
	var got [posters][]int // by the loop alone: the race detector watches
	var wg sync.WaitGroup
	for i := range posters {
		wg.Go(func() {
			for j := range each {
				r.Post(func() { got[i] = append(got[i], j) })
			}
		})
	}
	wg.Wait()
	r.do(func() {
		for i := range got {
			if len(got[i]) != each || !slices.IsSorted(got[i]) {
				t.Errorf("goroutine %d: %d functions ran, of %d, in order: %t", i, len(got[i]), each, slices.IsSorted(got[i]))
			}
		}
	})
}

// TestPostFromLoop: what a posted function posts runs too, in a later turn.
func TestPostFromLoop(t *testing.T) { eachEngine(t, testPostFromLoop) }

func testPostFromLoop(t *testing.T) {
	r := run(t, hookFunc(never))
	done := make(chan bool, 1)
	r.Post(func() {
		first := r.Turns()
		r.Post(func() {
			r.Post(func() { done <- r.Turns() == first+2 })
		})
	})
	if !receive(t, "the innermost function", done) {
		t.Error("functions posted by posted ones did not run one per turn")
	}
}

// TestPostIsFlushed: the output of a posted function goes out in the same turn.
func TestPostIsFlushed(t *testing.T) { eachEngine(t, testPostIsFlushed) }

func testPostIsFlushed(t *testing.T) {
	r := newRig(t)
	c, far := r.pair("unix")
	r.Post(func() { c.say("hello") })
	r.step()
	far.want("hello")
	r.quiet("after the posted function ran")
}

func TestStop(t *testing.T) { eachEngine(t, testStop) }

func testStop(t *testing.T) {
	tests := []struct {
		name string
		stop func(l *Loop)
	}{
		{"once", func(l *Loop) { l.Stop() }},
		{"twice", func(l *Loop) { l.Stop(); l.Stop() }},
		{"from the loop", func(l *Loop) { l.Post(l.Stop) }},
		{"from many", func(l *Loop) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(l.Stop)
			}
			wg.Wait()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := descriptors(t)
			r := run(t, hookFunc(never))
			tt.stop(r.Loop)
			if err := receive(t, "the end of Run", r.ended); err != nil {
				t.Errorf("Run returned %v", err)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors are open, %d were before", after, before)
			}
			r.ended <- nil
		})
	}
}

// TestStopBeforeRun gives back a loop that is not needed after all.
func TestStopBeforeRun(t *testing.T) { eachEngine(t, testStopBeforeRun) }

func testStopBeforeRun(t *testing.T) {
	before := descriptors(t)
	l, err := NewOn(engineOf(t), time.Now(), hookFunc(never))
	if err != nil {
		t.Fatal(err)
	}
	l.Stop()
	if err := l.Run(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if l.Turns() != 0 {
		t.Errorf("%d turns were run", l.Turns())
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

// TestAfterTheEnd: who posts to a loop that has ended, or stops it again, must
// not write to whatever has its descriptors now.
func TestAfterTheEnd(t *testing.T) { eachEngine(t, testAfterTheEnd) }

func testAfterTheEnd(t *testing.T) {
	r := run(t, hookFunc(never))
	wakefd := (&rig{t: t, Loop: r.Loop}).polled().wakefd
	r.end()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	far, near := own(t, fds[0]), fds[1]
	if near != wakefd && far.fd != wakefd {
		if err := unix.Dup3(near, wakefd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(wakefd)
	}
	defer unix.Close(near)
	r.Post(func() { t.Error("a function ran after the end") })
	r.Stop()
	for _, fd := range []int{near, far.fd} {
		var b [16]byte
		if n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("somebody else's socket received %d bytes, %v", n, err)
		}
	}
}

// TestEndClosesConnections: the peers see the end, the listening socket stays
// its maker's, and closing a connection afterwards gives back its output.
func TestEndClosesConnections(t *testing.T) { eachEngine(t, testEndClosesConnections) }

func testEndClosesConnections(t *testing.T) {
	before := descriptors(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	more, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	lnfd, _ := listenTCP(t)
	r := run(t, hookFunc(never))
	c, given := &probe{rig: &rig{t: t, Loop: r.Loop}}, &probe{rig: &rig{t: t, Loop: r.Loop}}
	r.do(func() {
		if err := r.attach(&c.Conn, fds[0], false, c); err != nil {
			t.Error(err)
		}
		if err := r.attach(&given.Conn, more[0], false, given); err != nil {
			t.Error(err)
		}
		if _, err := r.Listen(&ListenSocket{fd: lnfd}, &acceptance{t: t}); err != nil {
			t.Error(err)
		}
		c.Out().AppendString(&r.bufs, "never flushed")
		given.Close()
	})
	r.end()
	for _, fd := range []int{fds[1], more[1]} {
		var b [1]byte
		if n, err := unix.Read(fd, b[:]); n != 0 || err != nil {
			t.Errorf("the peer received %d bytes, %v, want the end", n, err)
		}
		unix.Close(fd)
	}
	c.wantLog()
	c.Close()
	if n := r.bufs.Live(); n != 0 {
		t.Errorf("%d chunks are in use after the last connection was closed", n)
	}
	if after := descriptors(t); after != before+1 { // the listening socket
		t.Errorf("%d descriptors are open, want %d", after, before+1)
	}
}

// TestTurnDeadline: what the hook asks for becomes the next wait's length.
func TestTurnDeadline(t *testing.T) { eachEngine(t, testTurnDeadline) }

func testTurnDeadline(t *testing.T) {
	const ms = int64(time.Millisecond)
	tests := []struct {
		name string
		in   int64 // nanoseconds from the turn's beginning
		want int   // milliseconds
	}{
		{"never", math.MinInt64, -1},
		{"overdue", -5 * ms, 0},
		{"now", 0, 0},
		{"a nanosecond", 1, 1},
		{"a millisecond", ms, 1},
		{"a little more", ms + 1, 2},
		{"a second", 1000 * ms, 1000},
		{"a year", 365 * 24 * 3600 * 1000 * ms, math.MaxInt32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.onTurn = func(now int64) int64 {
				if now != r.Now() {
					t.Errorf("the hook was told %d, Now says %d", now, r.Now())
				}
				if tt.in == math.MinInt64 {
					return 0
				}
				return now + tt.in
			}
			if got := r.turn(0); got != tt.want {
				t.Errorf("the next wait is %d ms, want %d", got, tt.want)
			}
		})
	}
	r := newRig(t)
	r.onTurn = func(int64) int64 { return math.MaxInt64 }
	if got := r.turn(0); got != math.MaxInt32 {
		t.Errorf("at the end of time the next wait is %d ms, want %d", got, math.MaxInt32)
	}
}

// TestLoopWakesForItsHook: with nothing received the hook has its turn when it
// asked for it, not before, and without turns in between.
func TestLoopWakesForItsHook(t *testing.T) { eachEngine(t, testLoopWakesForItsHook) }

func testLoopWakesForItsHook(t *testing.T) {
	const due, rounds = int64(3 * time.Millisecond), 10
	var asked int64
	woken := make(chan uint64, 1)
	turns := uint64(0)
	early := 0
	hook := hookFunc(func(now int64) int64 {
		turns++
		if asked != 0 && now < asked {
			early++
		}
		if turns > rounds {
			select {
			case woken <- turns:
			default:
			}
			return 0
		}
		asked = now + due
		return asked
	})
	r := run(t, hook)
	receive(t, "the hook's last turn", woken)
	r.do(func() {
		if early != 0 {
			t.Errorf("%d of %d turns came before they were due", early, turns)
		}
	})
}

// TestPostWakesWait: a loop that waits for ever, or for long, is woken.
func TestPostWakesWait(t *testing.T) { eachEngine(t, testPostWakesWait) }

func testPostWakesWait(t *testing.T) {
	for name, next := range map[string]int64{"for ever": 0, "for long": int64(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			r := run(t, hookFunc(func(int64) int64 { return next }))
			for range 100 {
				r.do(func() {})
			}
		})
	}
}

// TestHookRunsAgainAfterFlush: what is sent may give the hook something to do,
// and its output goes out in the same turn.
func TestHookRunsAgainAfterFlush(t *testing.T) { eachEngine(t, testHookRunsAgainAfterFlush) }

func testHookRunsAgainAfterFlush(t *testing.T) {
	r := newRig(t)
	c, far := r.pair("unix")
	calls := 0
	answer := false
	c.onSent = func(int) { answer = c.sent == 1 }
	r.onTurn = func(now int64) int64 {
		calls++
		if answer {
			answer = false
			c.say("b")
		}
		return now + int64(calls)*int64(time.Second)
	}
	c.say("a")
	if got := r.turn(0); got != 3000 {
		t.Errorf("the next wait is %d ms, want what the last call asked for", got)
	}
	far.want("ab")
	if calls != 3 || r.Turns() != 1 {
		t.Errorf("the hook ran %d times in %d turns, want 3 in one", calls, r.Turns())
	}
}

func TestTime(t *testing.T) {
	r := newRig(t)
	wall := time.Now()
	last := r.Now()
	for range 3 {
		r.turn(0)
		if r.Now() <= last {
			t.Errorf("the time went from %d to %d", last, r.Now())
		}
		last = r.Now()
	}
	if got := r.WallMicros(last); got < wall.UnixMicro() || got > time.Now().UnixMicro() {
		t.Errorf("WallMicros = %d, it was between %d and %d", got, wall.UnixMicro(), time.Now().UnixMicro())
	}
	if got := r.WallMicros(last+5000) - r.WallMicros(last); got != 5 {
		t.Errorf("5000 ns are %d µs", got)
	}
}

// TestManyConnections: the table grows, every connection gets its own bytes, and
// none is left out when more are ready than one turn takes, or all speak at once.
func TestManyConnections(t *testing.T) { eachEngine(t, testManyConnections) }

func testManyConnections(t *testing.T) {
	r := newRig(t)
	const n = maxEvents + 50
	var conns []*probe
	var peers []*peer
	for range n {
		c, far := r.pair("unix")
		conns, peers = append(conns, c), append(peers, far)
	}
	for i, p := range peers {
		p.write(strings.Repeat("x", 1+i%7))
	}
	r.wantBatch(maxEvents)
	r.wantBatch(n - maxEvents)
	for i, c := range conns {
		if len(c.data) != 1+i%7 {
			t.Errorf("connection %d received %d bytes, want %d", i, len(c.data), 1+i%7)
		}
		c.say(strings.Repeat("y", 1+i%5))
	}
	for range n/maxSends + 1 {
		r.turn(0)
	}
	for i, p := range peers {
		p.want(strings.Repeat("y", 1+i%5))
	}
}

// TestRunFails: the kernel's refusal to wait ends Run with an error.
func TestRunFails(t *testing.T) { eachEngine(t, testRunFails) }

func testRunFails(t *testing.T) {
	before := descriptors(t)
	l, err := NewOn(engineOf(t), time.Now(), hookFunc(never))
	if err != nil {
		t.Fatal(err)
	}
	other, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	// In the place of the engine's descriptor stands one that is none.
	place, call, refusal := 0, "", syscall.Errno(0)
	switch e := l.engine.(type) {
	case *epoll:
		place, call, refusal = e.epfd, "epoll_wait", unix.EINVAL
	case *uring:
		place, call, refusal = e.ring.fd, "io_uring_register", unix.EOPNOTSUPP
	}
	if err := unix.Dup3(other, place, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	unix.Close(other)
	err = l.Run()
	if !errors.Is(err, refusal) || !strings.Contains(err.Error(), call) {
		t.Errorf("Run returned %v, want an error that names %s", err, call)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func TestNewFails(t *testing.T) { eachEngine(t, testNewFails) }

func testNewFails(t *testing.T) {
	first := map[Engine]string{Epoll: "epoll_create1", IOUring: "io_uring_setup"}[engineOf(t)]
	for spare, call := range []string{first, "eventfd"} {
		before := descriptors(t)
		var err error
		without(t, spare, func() { _, err = NewOn(engineOf(t), time.Now(), hookFunc(never)) })
		if !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), call) {
			t.Errorf("with %d descriptors New returned %v, want an error that names %s", spare, err, call)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors are open, %d were before", after, before)
		}
	}
}

// A descriptor that was handed to a loop is whoever's the function gives it to, or is
// closed if the loop ends first.
func TestHand(t *testing.T) { eachEngine(t, testHand) }

func testHand(t *testing.T) {
	before := descriptors(t)
	fd := func() int {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	l, err := NewOn(engineOf(t), time.Now(), &rig{t: t})
	if err != nil {
		t.Fatal(err)
	}
	kept, ran := fd(), 0
	runs := func(Accepted) { ran++ }
	Accepted{loop: l, fd: kept}.Hand(l, runs)
	if _, err := l.Step(1); err != nil || ran != 1 {
		t.Fatalf("the function ran %d times, %v", ran, err)
	}
	Accepted{loop: l, fd: fd()}.Hand(l, runs)
	l.Post(func() { ran++ })
	l.Stop()
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	if (Accepted{loop: l, fd: fd()}).Hand(l, runs) {
		t.Error("a loop that has ended takes a descriptor")
	}
	unix.Close(kept)
	if after := descriptors(t); ran != 1 || after != before {
		t.Errorf("%d functions ran, and %d descriptors are open, %d were before", ran, after, before)
	}
}
