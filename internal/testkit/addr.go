package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Ports are below the range for outgoing connections, so that no client's own
// port takes one between choosing it and listening on it.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// FreeAddr returns an unused address on 127.0.0.1. It stays reserved until the
// test ends, also for tests in other processes.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return FreeAddrOn(t, "127.0.0.1")
}

// FreeAddrOn is FreeAddr on another loopback host, such as "::1".
func FreeAddrOn(t testing.TB, host string) string {
	t.Helper()
	port := pickPort(t, host, func(port int) bool { return reserve(t, host, port) })
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// pickPort is a port that take accepts.
func pickPort(t testing.TB, host string, take func(port int) bool) int {
	t.Helper()
	for range 1000 {
		if port := firstPort + rand.IntN(lastPort-firstPort); take(port) {
			return port
		}
	}
	t.Fatalf("no free port on %s between %d and %d", host, firstPort, lastPort)
	return 0
}

// listenFree is a listener at an address like FreeAddr's. The listener that finds the port free
// is the one that is returned: programs that are no tests know of no reservation.
func listenFree(t testing.TB) (l net.Listener) {
	t.Helper()
	const host = "127.0.0.1"
	pickPort(t, host, func(port int) bool {
		release, ok := claim(host, port)
		if !ok {
			return false
		}
		var err error
		if l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			release()
			return false
		}
		t.Cleanup(release)
		return true
	})
	return l
}

// LoopbackHosts returns n addresses of 127.0.0.0/8 on which the given port is
// free, reserved like FreeAddr's. It is for tests that need one port on several
// hosts.
func LoopbackHosts(t testing.TB, n, port int) []string {
	t.Helper()
	var hosts []string
	for range 1000 {
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(255), 1+rand.IntN(254))
		if reserve(t, host, port) {
			hosts = append(hosts, host)
		}
		if len(hosts) == n {
			return hosts
		}
	}
	t.Fatalf("no %d loopback hosts with port %d free", n, port)
	return nil
}

// reserve claims host:port for this test, if it is free.
func reserve(t testing.TB, host string, port int) bool {
	t.Helper()
	release, ok := claim(host, port)
	if !ok {
		return false
	}
	if !free(host, port) {
		release()
		return false
	}
	t.Cleanup(release)
	return true
}

// claim claims host:port until release is called. The claim between processes is an
// abstract Unix socket: it needs no file and dies with its process.
func claim(host string, port int) (release func(), ok bool) {
	l, err := net.Listen("unix", fmt.Sprintf("@nuthatch-testkit-%s-%d", host, port))
	if err != nil {
		return nil, false
	}
	return func() { _ = l.Close() }, true
}

// free reports whether host:port can be listened on. No process is forked
// meanwhile: between its fork and its exec a child holds a copy of the probe, and
// the port would be taken for a moment after the probe is closed here.
func free(host string, port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	probe, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = probe.Close()
	return true
}

// SocketPath returns a path for a Unix socket in a folder of the test's own,
// short enough for a socket address.
func SocketPath(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(shortTempDir(t), name)
}

// Refused returns a loopback address that refuses connections for as long as
// the test runs.
func Refused(t testing.TB) string {
	t.Helper()
	return FreeAddr(t)
}

// network tells which network an address of this package is on: a path is a
// Unix socket.
func network(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}
