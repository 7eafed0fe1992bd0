package eventloop

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// An acceptance notes what a listener accepted.
type acceptance struct {
	t        testing.TB
	fds      []int
	errs     []syscall.Errno
	onAccept func()
	onError  func()
}

func (a *acceptance) OnAccept(c Accepted) {
	a.fds = append(a.fds, c.fd)
	a.t.Cleanup(func() { unix.Close(c.fd) })
	if a.onAccept != nil {
		a.onAccept()
	}
}

func (a *acceptance) OnAcceptError(err syscall.Errno) {
	a.errs = append(a.errs, err)
	if a.onError != nil {
		a.onError()
	}
}

// listen has the rig accept from a unix socket, and returns its address. There
// whoever has connected waits to be accepted, at once.
func (r *rig) listen(backlog int) (*Listener, *acceptance, unix.Sockaddr) {
	r.t.Helper()
	fd := newPeer(r.t, unix.AF_UNIX).fd
	if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil { // to a name that the kernel chooses
		r.t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		r.t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		r.t.Fatal(err)
	}
	a := &acceptance{t: r.t}
	ln, err := r.Listen(&ListenSocket{fd: fd}, a)
	if err != nil {
		r.t.Fatal(err)
	}
	return ln, a, sa
}

// dial makes n connections that wait to be accepted.
func dial(t *testing.T, sa unix.Sockaddr, n int) (peers []*peer) {
	t.Helper()
	for range n {
		p := newPeer(t, unix.AF_UNIX)
		if err := connectTo(p.fd, sa); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
	}
	return peers
}

// TestAcceptBatch: one turn accepts a bounded number, the rest follows.
func TestAcceptBatch(t *testing.T) { eachEngine(t, testAcceptBatch) }

func testAcceptBatch(t *testing.T) {
	r := newRig(t)
	_, a, sa := r.listen(256)
	dial(t, sa, acceptBatch+20)
	r.step()
	if len(a.fds) != acceptBatch {
		t.Errorf("the first turn accepted %d, want %d", len(a.fds), acceptBatch)
	}
	r.step()
	if len(a.fds) != acceptBatch+20 || len(a.errs) != 0 {
		t.Errorf("two turns accepted %d, want %d; errors %v", len(a.fds), acceptBatch+20, a.errs)
	}
	r.quiet("after all were accepted")
	for _, fd := range a.fds {
		if n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || n&unix.O_NONBLOCK == 0 {
			t.Fatalf("an accepted socket is blocking (%v)", err)
		}
		if n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || n&unix.FD_CLOEXEC == 0 {
			t.Fatalf("an accepted socket survives an exec (%v)", err)
		}
	}
}

func TestAcceptedIsTheConnection(t *testing.T) { eachEngine(t, testAcceptedIsTheConnection) }

func testAcceptedIsTheConnection(t *testing.T) {
	r := newRig(t)
	_, a, sa := r.listen(1)
	far := dial(t, sa, 1)[0]
	r.step()
	fd, err := unix.FcntlInt(uintptr(a.fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := r.attach(fd)
	far.write("ping")
	r.step()
	c.say("pong")
	r.turn(0)
	far.want("pong")
	if string(c.data) != "ping" {
		t.Errorf("received %q", c.data)
	}
}

func TestListenerPause(t *testing.T) { eachEngine(t, testListenerPause) }

func testListenerPause(t *testing.T) {
	r := newRig(t)
	ln, a, sa := r.listen(16)
	a.onAccept = func() {
		if len(a.fds) == 2 {
			ln.Pause()
			ln.Pause()
		}
	}
	dial(t, sa, 5)
	r.step()
	if len(a.fds) != 2 {
		t.Errorf("%d were accepted before the pause took effect, want 2", len(a.fds))
	}
	r.quiet("paused")
	ln.Resume()
	ln.Resume()
	r.step()
	if len(a.fds) != 5 {
		t.Errorf("%d were accepted, want 5", len(a.fds))
	}
}

// TestAcceptWithoutDescriptors: the acceptor is told, the connection waits.
func TestAcceptWithoutDescriptors(t *testing.T) { eachEngine(t, testAcceptWithoutDescriptors) }

func testAcceptWithoutDescriptors(t *testing.T) {
	r := newRig(t)
	ln, a, sa := r.listen(16)
	dial(t, sa, 2)
	without(t, 1, r.step)
	if len(a.fds) != 1 || len(a.errs) != 1 || a.errs[0] != syscall.EMFILE {
		t.Fatalf("%d were accepted, errors %v; want one and %v", len(a.fds), a.errs, syscall.EMFILE)
	}
	a.onError = ln.Pause
	without(t, 0, r.step) // asked again, since the acceptor did not pause
	if len(a.errs) != 2 {
		t.Errorf("errors %v, want two", a.errs)
	}
	r.quiet("paused")
	ln.Resume()
	r.step()
	if len(a.fds) != 2 {
		t.Errorf("%d were accepted, want 2", len(a.fds))
	}
}

// TestAcceptNobody: a connection that another took first is no error, and
// nothing to wait for.
func TestAcceptNobody(t *testing.T) { eachEngine(t, testAcceptNobody) }

func testAcceptNobody(t *testing.T) {
	r := newRig(t)
	ln, a, _ := r.listen(1)
	ln.AcceptSome(acceptBatch)
	if len(a.fds) != 0 || len(a.errs) != 0 {
		t.Errorf("accepted %v, errors %v, of nobody", a.fds, a.errs)
	}
}

func TestListenFails(t *testing.T) { eachEngine(t, testListenFails) }

func testListenFails(t *testing.T) {
	r := newRig(t)
	call := map[Engine]string{Epoll: "epoll_ctl", IOUring: "fcntl"}[engineOf(t)]
	if ln, err := r.Listen(&ListenSocket{fd: -1}, &acceptance{t: t}); ln != nil || err == nil || !strings.Contains(err.Error(), call) {
		t.Errorf("Listen = %v, %v, want an error that names %s", ln, err, call)
	}
}

// A listener that is about to be closed accepts as many as it is told, in pieces, and
// no more, however many come meanwhile.
func TestAcceptSome(t *testing.T) { eachEngine(t, testAcceptSome) }

func testAcceptSome(t *testing.T) {
	r := newRig(t)
	ln, a, sa := r.listen(2 * acceptBatch)
	dial(t, sa, acceptBatch+10)
	if n, more := ln.AcceptSome(5); n != 5 || !more {
		t.Errorf("of 5: %d, and %v that there are more", n, more)
	}
	if n, more := ln.AcceptSome(1000); n != acceptBatch || !more {
		t.Errorf("of 1000 in one turn: %d, and %v that there are more", n, more)
	}
	if n, more := ln.AcceptSome(1000); n != 5 || more {
		t.Errorf("of those that were left: %d, and %v that there are more", n, more)
	}
	if n, more := ln.AcceptSome(0); n != 0 || !more {
		t.Errorf("of none: %d, and %v that there are more", n, more)
	}
	ln.Pause()
	if n, more := ln.AcceptSome(1); n != 0 || more {
		t.Errorf("of a listener that pauses: %d, and %v that there are more", n, more)
	}
	if len(a.fds) != acceptBatch+10 {
		t.Errorf("%d were accepted", len(a.fds))
	}
}
