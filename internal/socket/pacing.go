package socket

import (
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// unpace takes BBR off a socket that stays within the machine. On the loopback
// device there is no congestion to find out, and the timers by which BBR paces cost
// a quarter of the time that replies of 1 MB take. New Reno, which every Linux has
// and lets everybody use, takes its place.
//
// It must come before the connection is made, or accepted by a listener that hands
// it on: once BBR has begun, the kernel goes on pacing, if at a higher rate.
func unpace(fd int) {
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if err == nil && strings.HasPrefix(name, "bbr") {
		// What the kernel refuses is left as it is: the connection works without.
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
