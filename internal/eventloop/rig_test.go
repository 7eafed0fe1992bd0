package eventloop

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long, in milliseconds, a test waits for what must come.
const patience = 5000

// A rig is a loop whose turns the test runs one by one, so that what one turn
// does is seen before the next. At the test's end it fails if descriptors or
// chunks are left.
type rig struct {
	*Loop
	t testing.TB
	// onTurn is the hook's, if it is not nil.
	onTurn func(now int64) int64
	// flushes counts the hook's calls before a flush.
	flushes int
}

// OnTurn implements Hook.
func (r *rig) OnTurn(now int64) int64 {
	if r.onTurn != nil {
		return r.onTurn(now)
	}
	return 0
}

// OnWake implements Hook.
func (r *rig) OnWake() {}

// OnFlush implements Hook.
func (r *rig) OnFlush() { r.flushes++ }

func newRig(t testing.TB) *rig {
	t.Helper()
	before := descriptors(t)
	r := &rig{t: t}
	l, err := NewOn(engineOf(t), time.Now(), r)
	if err != nil {
		t.Fatal(err)
	}
	if engineOf(t) == IOUring {
		// A ring is one thread's, which the kernel interrupts when the ring is gone. So the
		// thread ends with the test.
		runtime.LockOSThread()
	}
	if err := l.start(); err != nil {
		t.Fatal(err)
	}
	r.Loop = l
	t.Cleanup(func() {
		l.turn(0) // closes what was given up outside of a turn
		if n := l.bufs.Live(); n != 0 && !t.Failed() {
			t.Errorf("%d chunks are in use at the end", n)
		}
		l.close()
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors are open at the end, %d were at the beginning", after, before)
		}
	})
	return r
}

// eachEngine runs a test on each of the kernel's engines.
func eachEngine(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for _, e := range []Engine{Epoll, IOUring} {
		t.Run(e.String(), f)
	}
}

// engineOf is the engine that eachEngine runs the test on.
func engineOf(t testing.TB) Engine {
	if strings.Contains(t.Name(), "/"+IOUring.String()) {
		return IOUring
	}
	return Epoll
}

// watchesRoom reports whether the kernel was asked to tell of room for output.
func (r *rig) watchesRoom(c *probe) bool {
	if u, ok := r.engine.(*uring); ok {
		return u.table[c.fd].armed&(1<<pollRoom) != 0
	}
	return c.interest&unix.EPOLLOUT != 0
}

// polled is what the engines of the kernel have in common.
func (r *rig) polled() *polled {
	if u, ok := r.engine.(*uring); ok {
		return &u.polled
	}
	return &r.engine.(*epoll).polled
}

// wait waits as the loop does.
func (r *rig) wait(timeout int) (int, error) { return r.engine.wait(timeout) }

// descriptors counts the process's open descriptors.
func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// step runs one turn on whatever is ready, which must be something.
func (r *rig) step() {
	r.t.Helper()
	if err := r.tryStep(); err != nil {
		r.t.Fatal(err)
	}
}

// tryStep is step for a benchmark's inner loop.
func (r *rig) tryStep() error {
	timeout := patience
	if r.engine.pending() > 0 {
		timeout = 0
	}
	for range 3 { // a signal may end a wait
		n, err := r.wait(timeout)
		if err != nil {
			return err
		}
		if n > 0 || timeout == 0 {
			r.turn(n)
			return nil
		}
	}
	return errors.New("the loop waits for nothing")
}

// until runs turns until cond holds.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	for turns := 0; !cond(); turns++ {
		if turns == 10000 {
			r.t.Fatalf("%s: not after %d turns", what, turns)
		}
		r.step()
	}
}

// quiet fails if the loop has anything to do.
func (r *rig) quiet(when string) {
	r.t.Helper()
	n, err := r.wait(0)
	if err != nil {
		r.t.Fatal(err)
	}
	switch e := r.engine.(type) {
	case *epoll:
		for _, ev := range e.events[:n] {
			r.t.Errorf("%s: descriptor %d still reports %#x", when, ev.Fd, ev.Events)
		}
	case *uring:
		for _, ev := range e.found[e.next:] {
			r.t.Errorf("%s: descriptor %d still reports %#x, kind %d", when, ev.fd, ev.res, ev.kind)
		}
	}
	for _, c := range r.polled().again {
		if c.state != open || !c.unread || c.noRead {
			continue
		}
		r.t.Errorf("%s: descriptor %d is still to be read", when, c.fd)
	}
}

// A probe is a connection that notes what its handler is told. A function that
// is not nil has its say first.
type probe struct {
	Conn
	rig  *rig
	data []byte
	log  []string // one word for each call
	errs []syscall.Errno
	sent int
	// endings is how often it was told that the end is near.
	endings int

	onConnect func()
	onData    func(data []byte)
	onEOF     func()
	onError   func(err syscall.Errno)
	onSent    func(n int)
	lend      func() []byte
	onLent    func(n int)
}

func (p *probe) note(what string) {
	p.log = append(p.log, what)
	if !p.Attached() {
		p.rig.t.Errorf("%s was called on a closed connection", what)
	}
}

func (p *probe) OnConnect() {
	p.note("connect")
	if p.onConnect != nil {
		p.onConnect()
	}
}

func (p *probe) OnData(data []byte) {
	p.note("data")
	if len(data) == 0 || len(data) > recvSize {
		p.rig.t.Errorf("%d bytes of data in one call", len(data))
	}
	p.data = append(p.data, data...)
	if p.onData != nil {
		p.onData(data)
	}
}

func (p *probe) OnEOF() {
	p.note("eof")
	if p.onEOF != nil {
		p.onEOF()
	}
}

func (p *probe) OnEnding() { p.endings++ }

func (p *probe) OnError(err syscall.Errno) {
	p.note("error")
	p.errs = append(p.errs, err)
	if p.onError != nil {
		p.onError(err)
	}
	p.Close()
}

func (p *probe) OnSent(n int) {
	p.note("sent")
	p.sent += n
	if p.onSent != nil {
		p.onSent(n)
	}
}

func (p *probe) Grant() int {
	if !p.Attached() {
		p.rig.t.Error("room was asked of a closed connection")
	}
	return Unlimited
}

func (p *probe) Lend() []byte {
	if p.lend == nil {
		return nil
	}
	p.note("lend")
	return p.lend()
}

func (p *probe) OnLent(n int) {
	p.note("lent")
	if p.onLent != nil {
		p.onLent(n)
	}
}

// say appends s to the output and has it flushed.
func (p *probe) say(s string) {
	p.Out().AppendString(&p.rig.bufs, s)
	p.Flush()
}

// wantLog fails unless the handler was told just this.
func (p *probe) wantLog(want ...string) {
	p.rig.t.Helper()
	if !slices.Equal(p.log, want) {
		p.rig.t.Errorf("the handler was told %v, want %v", p.log, want)
	}
}

// attach makes a probe of an open socket. It is closed when the test ends.
func (r *rig) attach(fd int) *probe {
	r.t.Helper()
	p := &probe{rig: r}
	r.attachAs(p, fd, false)
	return p
}

func (r *rig) attachAs(p *probe, fd int, inProgress bool) {
	r.t.Helper()
	if err := r.Loop.attach(&p.Conn, fd, inProgress, p); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Close)
}

// connectTo is unix.Connect of a blocking socket. The signals by which Go's scheduler asks for
// the thread end no attempt: it goes on, and a second call tells its end.
func connectTo(fd int, sa unix.Sockaddr) error {
	err := unix.Connect(fd, sa)
	for errors.Is(err, unix.EINTR) {
		if err = unix.Connect(fd, sa); errors.Is(err, unix.EISCONN) {
			return nil
		}
	}
	return err
}

// accept is unix.Accept4, which such signals do not end.
func accept(ln, flags int) (fd int, err error) {
	for {
		if fd, _, err = unix.Accept4(ln, flags); !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// pair attaches one end of a connection and returns the other.
func (r *rig) pair(kind string) (*probe, *peer) {
	r.t.Helper()
	if kind == "tcp" {
		ln, sa := listenTCP(r.t)
		client := newPeer(r.t, unix.AF_INET)
		if err := connectTo(client.fd, sa); err != nil {
			r.t.Fatal(err)
		}
		fd, err := accept(ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			r.t.Fatal(err)
		}
		return r.attach(fd), client
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		r.t.Fatal(err)
	}
	return r.attach(fds[0]), own(r.t, fds[1])
}

// eachKind runs a test over TCP and over a unix socket.
func eachKind(t *testing.T, f func(t *testing.T, kind string)) {
	t.Helper()
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

// listenTCP is a blocking listening socket on a free port of the loopback.
func listenTCP(t testing.TB) (int, unix.Sockaddr) {
	t.Helper()
	p := newPeer(t, unix.AF_INET)
	if err := unix.Bind(p.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(p.fd, 1); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(p.fd)
	if err != nil {
		t.Fatal(err)
	}
	return p.fd, sa
}

// A peer is the far end of a connection: a blocking socket that gives up when
// patience is at its end.
type peer struct {
	t  testing.TB
	fd int
}

func newPeer(t testing.TB, family int) *peer {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return own(t, fd)
}

func own(t testing.TB, fd int) *peer {
	t.Helper()
	p := &peer{t, fd}
	t.Cleanup(p.close)
	limit := unix.Timeval{Sec: patience / 1000}
	for _, o := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, o, &limit); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *peer) write(s string) {
	p.t.Helper()
	if n, err := unix.Write(p.fd, []byte(s)); n != len(s) || err != nil {
		p.t.Fatalf("the peer wrote %d of %d bytes: %v", n, len(s), err)
	}
}

// want reads len(s) bytes, which must be s.
func (p *peer) want(s string) {
	p.t.Helper()
	b := make([]byte, len(s))
	for n := 0; n < len(b); {
		k, err := unix.Read(p.fd, b[n:])
		if k <= 0 {
			p.t.Fatalf("the peer received %q, then %d, %v; want %q", b[:n], k, err, s)
		}
		n += k
	}
	if string(b) != s {
		p.t.Fatalf("the peer received %q, want %q", b, s)
	}
}

// wantEnd reads the end of the stream.
func (p *peer) wantEnd() {
	p.t.Helper()
	var b [8]byte
	if n, err := unix.Read(p.fd, b[:]); n != 0 || err != nil {
		p.t.Fatalf("the peer received %d bytes, %v; want the end", n, err)
	}
}

// drain reads what there is, at most max bytes, without waiting.
func (p *peer) drain(most int) []byte {
	p.t.Helper()
	b := make([]byte, most)
	n, _, err := unix.Recvfrom(p.fd, b, unix.MSG_DONTWAIT)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return b[:n]
}

// endWriting says that no more comes.
func (p *peer) endWriting() {
	p.t.Helper()
	if err := unix.Shutdown(p.fd, unix.SHUT_WR); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

// reset closes a TCP socket with a RST.
func (p *peer) reset() {
	p.t.Helper()
	if err := unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		p.t.Fatal(err)
	}
	p.close()
}

// noise returns n bytes that do not compress or repeat.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// wantBytes compares long byte strings without printing them.
func wantBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d bytes, want %d; they differ at %d", what, len(got), len(want), at)
}

// without runs f while the process may open no more than spare further
// descriptors.
func without(t testing.TB, spare int, f func()) {
	t.Helper()
	var held []int
	for range spare + 1 {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, fd)
	}
	limit := slices.Max(held)
	for _, fd := range held {
		unix.Close(fd)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	f()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	// The first directory that is read, and the first timer, open descriptors that stay.
	time.AfterFunc(time.Hour, func() {})
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
