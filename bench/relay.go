package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// relayName is the proxy that is part of this program, which takes its role when
// that is its first argument.
const relayName = "relay"

const relayAbout = "a bare relay of this benchmark: what epoll and TCP cost"

// relayKind is the row of the table of proxies.
func relayKind() proxyKind {
	return proxyKind{
		name: relayName, config: relayConfig, version: []string{relayName, "-V"},
		build: func(context.Context, string) (string, error) { return os.Executable() },
		args:  func(config, _, _ string) ([]string, error) { return []string{relayName, config}, nil },
		can: func(w work) bool {
			return w.topology.servers == 1 && w.topology.pools == 1 && (!w.topology.sessions || w.name == pingSteps)
		},
	}
}

// relayConfig is read by runRelay.
func relayConfig(s servers, t topology, listen []string) string {
	return fmt.Sprintf("%s %s %t\n", listen[0], s.of(t, 0), t.redis)
}

// runRelay is the program in the role of the relay. It returns the exit status.
func runRelay(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "relay: wants a file of configuration, or -V")
		return 2
	}
	if args[0] == "-V" {
		fmt.Fprintln(stdout, relayAbout)
		return 0
	}
	err := relayFrom(args[0])
	fmt.Fprintln(stderr, "relay:", err)
	return 1
}

// relayFrom relays as a file says. It returns only on an error.
func relayFrom(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	var listen, server string
	var redis bool
	if _, err := fmt.Sscan(string(text), &listen, &server, &redis); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	r, err := newRelay(listen, server, redis)
	if err != nil {
		return err
	}
	return r.run()
}

// newRelay returns a relay that listens and has its server. Its descriptors are
// given back by the end of the process.
func newRelay(listen, server string, redis bool) (*relay, error) {
	r := &relay{
		request: &textFramer{}, reply: &textFramer{},
		events: make([]syscall.EpollEvent, 512),
		in:     make([]byte, relayRoom),
		out:    unsent{buf: make([]byte, 0, relayRoom)},
	}
	if redis {
		r.request, r.reply = &respFramer{}, &respFramer{}
	}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if r.server, err = relaySocket(server, unix.Connect); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", server, err)
	}
	r.listener, err = relaySocket(listen, func(fd int, addr unix.Sockaddr) error {
		return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.Bind(fd, addr), unix.Listen(fd, 4096))
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", listen, err)
	}
	return r, errors.Join(r.watch(r.server, relayEvents), r.watch(r.listener, unix.EPOLLIN))
}

// relaySocket returns a non-blocking socket, when it has been connected or the like.
// It is set up as a proxy within one machine would: nothing waits for more, and no
// timers pace what is sent, as BBR's would.
func relaySocket(address string, use func(fd int, addr unix.Sockaddr) error) (int, error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, fmt.Errorf("address: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if strings.HasPrefix(congestionControl(), "bbr") {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"); err != nil {
			return -1, fmt.Errorf("congestion control: %w", err)
		}
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		use(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}),
		unix.SetNonblock(fd, true))
	return fd, err
}

// congestionControl is what the kernel gives to new TCP connections.
func congestionControl() string {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
