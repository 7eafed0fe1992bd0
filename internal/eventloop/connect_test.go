package eventloop

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// connect starts a connection to sa without waiting for it.
func connect(t *testing.T, sa unix.Sockaddr) (fd int, inProgress bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	switch err := unix.Connect(fd, sa); err {
	case nil:
		return fd, false
	case unix.EINPROGRESS:
		return fd, true
	default:
		t.Fatal(err)
		return 0, false
	}
}

// TestConnect: what was said before the connection was made goes out when it is.
func TestConnect(t *testing.T) { eachEngine(t, testConnect) }

func testConnect(t *testing.T) {
	r := newRig(t)
	ln, sa := listenTCP(t)
	fd, inProgress := connect(t, sa)
	if !inProgress {
		t.Fatal("connected at once")
	}
	c := &probe{rig: r}
	r.attachAs(c, fd, true)
	if c.Open() || !c.Attached() {
		t.Error("a connection that is being made is open, or not attached")
	}
	c.say("early")
	c.onConnect = func() {
		if !c.Open() {
			t.Error("not open in OnConnect")
		}
		c.say(" bird")
	}
	r.until("connected", func() bool { return len(c.log) >= 2 })
	c.wantLog("connect", "sent")
	nfd, err := accept(ln, 0)
	if err != nil {
		t.Fatal(err)
	}
	peer := own(t, nfd)
	peer.want("early bird")
	peer.write("hello")
	r.step()
	c.wantLog("connect", "sent", "data")
	r.quiet("connected")
}

// refusing is an address that nobody listens on, held until the test ends.
func refusing(t *testing.T) unix.Sockaddr {
	t.Helper()
	p := newPeer(t, unix.AF_INET)
	if err := unix.Bind(p.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(p.fd)
	if err != nil {
		t.Fatal(err)
	}
	return sa
}

func TestConnectRefused(t *testing.T) { eachEngine(t, testConnectRefused) }

func testConnectRefused(t *testing.T) {
	r := newRig(t)
	fd, inProgress := connect(t, refusing(t))
	if !inProgress {
		t.Fatal("connected at once")
	}
	c := &probe{rig: r}
	r.attachAs(c, fd, true)
	c.say("lost")
	r.step()
	c.wantLog("error")
	if c.errs[0] != syscall.ECONNREFUSED {
		t.Errorf("error %v, want %v", c.errs[0], syscall.ECONNREFUSED)
	}
	if c.Out().Len() != 0 {
		t.Error("a closed connection has output")
	}
}

// TestAttachFails: the descriptor is closed, and the connection can be attached
// to another.
func TestAttachFails(t *testing.T) {
	r := newRig(t)
	f, err := unix.Open("/proc/self/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0) // which epoll does not take
	if err != nil {
		t.Fatal(err)
	}
	c := &probe{rig: r}
	if err := r.Loop.attach(&c.Conn, f, false, c); err == nil || !strings.Contains(err.Error(), "epoll_ctl") {
		t.Errorf("Attach = %v, want an error that names epoll_ctl", err)
	}
	if _, err := unix.FcntlInt(uintptr(f), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor is still open (%v)", err)
	}
	if c.Attached() {
		t.Error("the connection is attached")
	}
	c.Close()
}
