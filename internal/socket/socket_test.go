package socket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen opens a listening socket that is closed when the test ends.
func listen(t *testing.T, s ListenSpec) int {
	t.Helper()
	s.Backlog = 16
	fd, err := Listen(t.Context(), s)
	if err != nil {
		t.Fatalf("Listen(%+v): %v", s, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// boundTo is the address that fd is bound to.
func boundTo(t *testing.T, fd int) unix.Sockaddr {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return sa
}

// dial connects to sa and waits until it is connected.
func dial(t *testing.T, sa unix.Sockaddr) int {
	t.Helper()
	fd, inProgress, err := Dial(sa)
	if err != nil {
		t.Fatalf("Dial(%s): %v", Name(sa), err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if inProgress {
		await(t, fd, unix.POLLOUT)
	}
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || n != 0 {
		t.Fatalf("connect to %s: %v %v", Name(sa), syscall.Errno(n), err)
	}
	return fd
}

func await(t *testing.T, fd int, events int16) {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	if n, err := unix.Poll(p, 5000); n != 1 || err != nil {
		t.Fatalf("descriptor %d: nothing happens: %v", fd, err)
	}
}

// accept takes the connection that waits at a listening socket.
func accept(t *testing.T, ln int) int {
	t.Helper()
	await(t, ln, unix.POLLIN)
	fd, _, err := unix.Accept(ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// checkFlags: every socket is non-blocking and closed on exec.
func checkFlags(t *testing.T, what string, fd int) {
	t.Helper()
	if n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || n&unix.O_NONBLOCK == 0 {
		t.Errorf("%s is blocking (%v)", what, err)
	}
	if n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || n&unix.FD_CLOEXEC == 0 {
		t.Errorf("%s survives an exec (%v)", what, err)
	}
}

// hasIPv6 tells whether this machine's loopback speaks it, by other means than
// the package's own.
func hasIPv6() bool {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

func TestListenAndDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	tests := []struct {
		name     string
		spec     ListenSpec
		prefix   string // of the name of what was bound
		peerName string // what a client's name starts with
	}{
		{"tcp4", ListenSpec{Host: "127.0.0.1"}, "127.0.0.1:", "127.0.0.1:"},
		{"every address", ListenSpec{}, "0.0.0.0:", "127.0.0.1:"},
		{"tcp6", ListenSpec{Host: "::1"}, "[::1]:", "[::1]:"},
		{"unix", ListenSpec{Path: path}, path, "unix"},
		{"unix with reuse of its port", ListenSpec{Path: path + "2", ReusePort: true}, path + "2", "unix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.spec.Host == "::1" && !hasIPv6() {
				if _, err := Listen(t.Context(), tt.spec); !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
					t.Errorf("without IPv6 the error is %v", err)
				}
				return
			}
			ln := listen(t, tt.spec)
			checkFlags(t, "a listening socket", ln)
			if got := LocalName(ln); !strings.HasPrefix(got, tt.prefix) {
				t.Errorf("LocalName is %q, want it to start with %q", got, tt.prefix)
			}
			client := dial(t, boundTo(t, ln))
			checkFlags(t, "a connecting socket", client)
			server := accept(t, ln)
			if got, want := PeerName(client), Name(boundTo(t, server)); got != want {
				t.Errorf("the client's peer is %q, the server's socket %q", got, want)
			}
			if got := PeerName(server); !strings.HasPrefix(got, tt.peerName) {
				t.Errorf("the server's peer is %q, want it to start with %q", got, tt.peerName)
			}
			if _, err := unix.Write(client, []byte("ping")); err != nil {
				t.Fatal(err)
			}
			await(t, server, unix.POLLIN)
			var b [8]byte
			if n, err := unix.Read(server, b[:]); err != nil || string(b[:n]) != "ping" {
				t.Errorf("received %q, %v", b[:n], err)
			}
		})
	}
}

func TestNameOfNoSocket(t *testing.T) {
	if got := PeerName(-1); got != "unknown" {
		t.Errorf("PeerName of no socket is %q", got)
	}
	if got := LocalName(-1); got != "unknown" {
		t.Errorf("LocalName of no socket is %q", got)
	}
	if got := Name(&unix.SockaddrNetlink{}); got != "unknown" {
		t.Errorf("Name of another family is %q", got)
	}
}

// TestDialErrors: the error is the bare error number of the call that failed.
func TestDialErrors(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	unix.Close(idle(t, stale))
	full := idle(t, filepath.Join(dir, "full"))
	t.Cleanup(func() { unix.Close(full) })
	fillBacklog(t, boundTo(t, full))
	tests := []struct {
		name string
		sa   unix.Sockaddr
		want error
	}{
		{"no such path", &unix.SockaddrUnix{Name: filepath.Join(dir, "missing")}, unix.ENOENT},
		{"nobody listens", &unix.SockaddrUnix{Name: stale}, unix.ECONNREFUSED},
		{"a full backlog", boundTo(t, full), unix.EAGAIN},
		{"a path too long", &unix.SockaddrUnix{Name: "/" + strings.Repeat("x", 200)}, unix.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fd, inProgress, err := Dial(tt.sa)
			var errno syscall.Errno
			if !errors.As(err, &errno) || err != error(errno) { //nolint:errorlint // the bare number is the point
				t.Errorf("Dial returned %v (%T), want a bare error number", err, err)
			}
			if fd != -1 || inProgress || !errors.Is(err, tt.want) {
				t.Errorf("Dial = %d, %t, %v, want -1, false, %v", fd, inProgress, err, tt.want)
			}
		})
	}
}

// idle is a listening unix socket with a backlog of 0, which the caller closes.
func idle(t *testing.T, path string) int {
	t.Helper()
	fd, err := Listen(t.Context(), ListenSpec{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func fillBacklog(t *testing.T, sa unix.Sockaddr) {
	t.Helper()
	for range 16 {
		fd, _, err := Dial(sa)
		if err != nil {
			return
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	t.Fatal("the backlog does not fill")
}

// TestDialWithoutDescriptors: the error of making the socket is as bare as that
// of connecting it, and Listen names the call.
func TestDialWithoutDescriptors(t *testing.T) {
	next, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(next)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, _, dialErr := Dial(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 1})
	_, listenErr := Listen(t.Context(), ListenSpec{Host: "127.0.0.1"})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if dialErr != error(unix.EMFILE) { //nolint:errorlint // the bare number is the point
		t.Errorf("Dial returned %v (%T), want the bare EMFILE", dialErr, dialErr)
	}
	if listenErr == nil || listenErr.Error() != "socket: too many open files" {
		t.Errorf("Listen returned %v", listenErr)
	}
}

func TestDialRefused(t *testing.T) {
	bound, err := open(&unix.SockaddrInet4{})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(bound)
	if err := unix.Bind(bound, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	fd, inProgress, err := Dial(boundTo(t, bound)) // which nobody listens on
	if err != nil || !inProgress {
		t.Fatalf("Dial = %d, %t, %v, want a connection in progress", fd, inProgress, err)
	}
	defer unix.Close(fd)
	await(t, fd, unix.POLLOUT)
	if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || syscall.Errno(n) != unix.ECONNREFUSED {
		t.Errorf("the pending error is %v (%v), want %v", syscall.Errno(n), err, unix.ECONNREFUSED)
	}
}

func TestPortTaken(t *testing.T) {
	ln := listen(t, ListenSpec{Host: "127.0.0.1"})
	taken, ok := boundTo(t, ln).(*unix.SockaddrInet4)
	if !ok {
		t.Fatal("not an IPv4 address")
	}
	for _, reuse := range []bool{false, true} { // both must ask for it
		_, err := Listen(t.Context(), ListenSpec{Host: "127.0.0.1", Port: taken.Port, ReusePort: reuse})
		if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "bind") {
			t.Errorf("reuse %t: the error is %v, want one that names bind and %v", reuse, err, unix.EADDRINUSE)
		}
	}
}

func TestReusePort(t *testing.T) {
	first := listen(t, ListenSpec{Host: "127.0.0.1", ReusePort: true})
	sa, ok := boundTo(t, first).(*unix.SockaddrInet4)
	if !ok {
		t.Fatal("not an IPv4 address")
	}
	second := listen(t, ListenSpec{Host: "127.0.0.1", Port: sa.Port, ReusePort: true})
	if LocalName(first) != LocalName(second) {
		t.Errorf("%s and %s are not one port", LocalName(first), LocalName(second))
	}
}

// TestPortFreedByItsConnections: a port whose last owner's connections are still
// fading away can be listened on at once.
func TestPortFreedByItsConnections(t *testing.T) {
	ln := listen(t, ListenSpec{Host: "127.0.0.1"})
	sa, ok := boundTo(t, ln).(*unix.SockaddrInet4)
	if !ok {
		t.Fatal("not an IPv4 address")
	}
	client := dial(t, sa)
	server := accept(t, ln)
	// The side that shuts down first is the one that keeps the port for a while.
	if err := unix.Shutdown(server, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	await(t, client, unix.POLLIN)
	if err := unix.Shutdown(client, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	await(t, server, unix.POLLIN)
	if err := unix.Shutdown(ln, unix.SHUT_RD); err != nil {
		t.Fatal(err)
	}
	listen(t, ListenSpec{Host: "127.0.0.1", Port: sa.Port})
}

func TestUnixMode(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	for _, tt := range []struct{ mode, want fs.FileMode }{{0, 0o700}, {0o660, 0o660}, {0o777, 0o777}} {
		path := filepath.Join(t.TempDir(), "s")
		listen(t, ListenSpec{Path: path, Mode: tt.mode})
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.Mode().Perm(); got != tt.want {
			t.Errorf("mode %o gives permissions %o, want %o", tt.mode, got, tt.want)
		}
	}
}

// TestUnixPathTaken: a path is taken over only from a socket that nobody listens
// on any more.
func TestUnixPathTaken(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		taken   bool // the path is taken over
	}{
		{"stale", func(t *testing.T, path string) {
			unix.Close(idle(t, path))
		}, true},
		{"living", func(t *testing.T, path string) {
			listen(t, ListenSpec{Path: path})
		}, false},
		{"living, with a full backlog", func(t *testing.T, path string) {
			fd := idle(t, path)
			t.Cleanup(func() { unix.Close(fd) })
			fillBacklog(t, boundTo(t, fd))
		}, false},
		{"a datagram socket", func(t *testing.T, path string) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"a regular file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"a link to a stale socket", func(t *testing.T, path string) {
			unix.Close(idle(t, path+".target"))
			if err := os.Symlink(path+".target", path); err != nil {
				t.Fatal(err)
			}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			tt.prepare(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if tt.taken {
				ln := listen(t, ListenSpec{Path: path})
				dial(t, boundTo(t, ln))
				return
			}
			fd, err := Listen(t.Context(), ListenSpec{Path: path, Backlog: 1})
			if fd != -1 || !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("Listen = %d, %v, want -1, %v", fd, err, unix.EADDRINUSE)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Errorf("what was at the path is gone (%v)", err)
			}
		})
	}
}

func TestTune(t *testing.T) {
	ln := listen(t, ListenSpec{Host: "127.0.0.1"})
	for _, keepalive := range []bool{false, true} {
		fd := dial(t, boundTo(t, ln))
		Tune(fd, Keepalive{On: keepalive, Idle: 90 * time.Second, Interval: 1500 * time.Millisecond, Count: 4})
		nodelay, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		if err != nil || nodelay == 0 {
			t.Errorf("small messages are delayed (%v)", err)
		}
		alive, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		if err != nil || (alive != 0) != keepalive {
			t.Errorf("keepalive is %d (%v), want %t", alive, err, keepalive)
		}
		for opt, want := range map[int]int{unix.TCP_KEEPIDLE: 90, unix.TCP_KEEPINTVL: 2, unix.TCP_KEEPCNT: 4} {
			if n, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, opt); err != nil || (n == want) != keepalive {
				t.Errorf("keepalive %t: option %d is %d (%v), asked for %d", keepalive, opt, n, err, want)
			}
		}
	}
	path := listen(t, ListenSpec{Path: filepath.Join(t.TempDir(), "s")})
	fd := dial(t, boundTo(t, path))
	Tune(fd, Keepalive{On: true})
	if alive, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || alive != 0 {
		t.Errorf("a unix socket was tuned: keepalive %d (%v)", alive, err)
	}
}

func TestResolve(t *testing.T) {
	tests := []struct {
		host string
		want []string // any of these, and nothing else
	}{
		{"127.0.0.1", []string{"127.0.0.1:6379"}},
		{"", []string{"0.0.0.0:6379"}},
		{"0.0.0.0", []string{"0.0.0.0:6379"}},
		{"::", []string{"[::]:6379"}},
		{"2001:db8::1", []string{"[2001:db8::1]:6379"}},
		{"::ffff:10.0.0.1", []string{"10.0.0.1:6379"}},
		{"localhost", []string{"127.0.0.1:6379", "[::1]:6379"}},
	}
	for _, tt := range tests {
		all, err := Resolve(t.Context(), tt.host, 6379)
		if err != nil || len(all) == 0 {
			t.Errorf("Resolve(%q) = %d addresses, %v", tt.host, len(all), err)
		}
		for _, sa := range all {
			got := Name(sa)
			ok := false
			for _, want := range tt.want {
				ok = ok || got == want
			}
			if !ok {
				t.Errorf("Resolve(%q) found %s, want %v", tt.host, got, tt.want)
			}
		}
	}
}

// TestResolveZone: a link-local address keeps the interface that it is on.
func TestResolveZone(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"lo", strconv.Itoa(lo.Index)} {
		all, err := Resolve(t.Context(), "fe80::1%"+zone, 1)
		if err != nil {
			t.Fatal(err)
		}
		sa, ok := all[0].(*unix.SockaddrInet6)
		if !ok || sa.ZoneId != uint32(lo.Index) {
			t.Errorf("zone %s became %+v, want interface %d", zone, all[0], lo.Index)
		}
	}
}

func TestResolveFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		host string
	}{
		{"no name at all", t.Context(), "no such name"},
		{"given up", ctx, "host.invalid"},
	} {
		all, err := Resolve(tt.ctx, tt.host, 1)
		if err == nil || !strings.Contains(err.Error(), "resolve '"+tt.host+"'") {
			t.Errorf("%s: Resolve = %v, %v, want an error that names %q", tt.name, all, err, tt.host)
		}
		if _, err := Listen(tt.ctx, ListenSpec{Host: tt.host}); err == nil {
			t.Errorf("%s: Listen found an address", tt.name)
		}
	}
}

// TestFailuresLeakNothing: whatever fails closes the socket it made.
func TestFailuresLeakNothing(t *testing.T) {
	living := filepath.Join(t.TempDir(), "s")
	listen(t, ListenSpec{Path: living})
	before := descriptors(t)
	for range 10 {
		if _, err := Listen(t.Context(), ListenSpec{Path: living}); err == nil {
			t.Fatal("a living socket was taken over")
		}
		if _, _, err := Dial(&unix.SockaddrUnix{Name: living + "missing"}); err == nil {
			t.Fatal("a socket that is not there was connected")
		}
	}
	if after := descriptors(t); after > before { // a lookup that was given up may have ended meanwhile
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// A process may connect to a unix socket whose mode lets it write, and to nothing else.
func TestMayConnect(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if !MayConnect(path) {
		t.Errorf("%s is a socket of ours", path)
	}
	if MayConnect(dir) || MayConnect(filepath.Join(dir, "none")) {
		t.Error("a folder, or nothing, is no socket")
	}
}
