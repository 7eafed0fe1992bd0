package socket

import (
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// unpace replaces BBR on a socket within the machine by New Reno, which every Linux
// has and every user may choose. The loopback device has no congestion, and BBR's
// pacing timers cost a quarter of the time of a reply of 1 MB.
//
// It must come before the connection is made, or accepted by a listener that hands
// it on: once BBR has begun, the kernel goes on pacing, if at a higher rate.
func unpace(fd int) {
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err == nil && strings.HasPrefix(name, "bbr") {
		// A refusal of the kernel is ignored: the connection works without.
		_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	}
}

// isLoopback reports whether what has this address at one end stays within the
// machine.
func isLoopback(sa unix.Sockaddr) bool {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Addr[0] == 127
	case *unix.SockaddrInet6:
		return net.IP(sa.Addr[:]).IsLoopback()
	default:
		return false
	}
}
