// Package socket makes the sockets that the event loops work on: listening ones,
// connecting ones, and the options of both. All are non-blocking and closed on
// exec. It also passes sockets between processes.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/inet"
)

// Addr is a socket's address, for those who keep one and know nothing of sockets.
type Addr = unix.Sockaddr

// A ListenSpec says what to listen on.
type ListenSpec struct {
	// Path is a unix socket's path. If it is empty Host and Port count.
	Path string
	// Mode is the unix socket's permissions; 0 leaves what the umask gives.
	Mode fs.FileMode
	// Host is a name or an address, IPv4 or IPv6; the first address of a name
	// is taken. Port is 1..65535, or 0 for any free one.
	Host string
	Port int
	// Backlog is how many connections may wait to be accepted.
	Backlog int
	// ReusePort lets other sockets listen on the same port. A unix socket has
	// none, and ignores it.
	ReusePort bool
}

// Listen opens a listening socket. A unix socket's path without a listener is
// taken over.
func Listen(ctx context.Context, s ListenSpec) (fd int, err error) {
	sa, err := s.sockaddr(ctx)
	if err != nil {
		return -1, err
	}
	fd, err = open(sa)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := s.listen(fd, sa); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Name is the address as LocalName tells it of a socket that listens there.
func (s ListenSpec) Name(ctx context.Context) (string, error) {
	sa, err := s.sockaddr(ctx)
	if err != nil {
		return "", err
	}
	return Name(sa), nil
}

// Adopt prepares a listening socket that was made elsewhere for an event loop.
func Adopt(fd, backlog int) error {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl O_NONBLOCK", err)
	}
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// File returns a copy of a socket for another process. The socket stays
// non-blocking.
func File(fd int) (*os.File, error) {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return os.NewFile(uintptr(copied), LocalName(fd)), nil
}

func (s ListenSpec) sockaddr(ctx context.Context) (unix.Sockaddr, error) {
	if s.Path != "" {
		return &unix.SockaddrUnix{Name: s.Path}, nil
	}
	all, err := Resolve(ctx, s.Host, s.Port)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (s ListenSpec) listen(fd int, sa unix.Sockaddr) error {
	if s.Path != "" {
		if err := removeStale(s.Path); err != nil {
			return err
		}
	} else if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if s.ReusePort && s.Path == "" {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if s.Path != "" && s.Mode != 0 {
		if err := os.Chmod(s.Path, s.Mode); err != nil {
			return err
		}
	}
	if err := unix.Listen(fd, s.Backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	return nil
}

// removeStale removes a unix socket that nobody listens on. It leaves a socket
// in use, and anything that is not a socket: bind refuses them.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode().Type() != fs.ModeSocket {
		return nil //nolint:nilerr // what is not there, or is no socket, is bind's to judge
	}
	fd, inProgress, err := Dial(&unix.SockaddrUnix{Name: path})
	if err == nil {
		unix.Close(fd)
		return nil
	}
	if inProgress || !errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Dial opens a socket and begins to connect it. With inProgress it is not
// connected yet. An error is the bare error number of the call that failed. The
// address may be in use elsewhere at the same time: it is only read.
func Dial(sa unix.Sockaddr) (fd int, inProgress bool, err error) {
	fd, err = open(sa)
	if err != nil {
		return -1, false, err
	}
	switch err := unix.Connect(fd, clone(sa)); {
	case err == nil:
		return fd, false, nil
	case errors.Is(err, unix.EINPROGRESS):
		return fd, true, nil
	default:
		unix.Close(fd)
		return -1, false, err
	}
}

// clone copies an address. The system calls of x/sys write the kernel's form of
// an address into the address itself.
func clone(sa unix.Sockaddr) unix.Sockaddr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &unix.SockaddrInet4{Port: sa.Port, Addr: sa.Addr}
	case *unix.SockaddrInet6:
		return &unix.SockaddrInet6{Port: sa.Port, ZoneId: sa.ZoneId, Addr: sa.Addr}
	case *unix.SockaddrUnix:
		return &unix.SockaddrUnix{Name: sa.Name}
	default:
		return sa
	}
}

func open(sa unix.Sockaddr) (int, error) {
	family := unix.AF_INET
	switch sa.(type) {
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	case *unix.SockaddrUnix:
		family = unix.AF_UNIX
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if isLoopback(sa) {
		unpace(fd)
	}
	return fd, nil
}

// A Keepalive says whether and how the kernel probes a silent peer. 0 leaves the
// kernel's value. The kernel counts times in seconds.
type Keepalive struct {
	On             bool
	Idle, Interval time.Duration
	Count          int
}

// Tune sets the options of a connected socket: no delay for small messages, no
// pacing within the machine, and TCP keepalive if asked for. On a unix socket it
// does nothing. A refusal of the kernel is ignored: the connection works
// without.
func Tune(fd int, k Keepalive) {
	if unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) != nil {
		return
	}
	// An accepted one may be within the machine although its listener is not.
	if sa, err := unix.Getsockname(fd); err == nil && isLoopback(sa) {
		unpace(fd)
	}
	if !k.On {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	set(fd, unix.TCP_KEEPIDLE, seconds(k.Idle))
	set(fd, unix.TCP_KEEPINTVL, seconds(k.Interval))
	set(fd, unix.TCP_KEEPCNT, k.Count)
}

// set sets one of TCP's numbers, unless it is 0.
func set(fd, option, n int) {
	if n > 0 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, n)
	}
}

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// MayConnect reports whether path is a unix socket that this process may connect to.
func MayConnect(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().Type() == os.ModeSocket && unix.Access(path, unix.W_OK) == nil
}

// Resolve returns the addresses of host, at least one. An empty host is every
// address of the machine. An IP address needs no resolver, in whichever form
// getaddrinfo takes it.
func Resolve(ctx context.Context, host string, port int) ([]unix.Sockaddr, error) {
	if host == "" {
		host = "0.0.0.0"
	}
	host = inet.Canonical(host)
	var ips []net.IPAddr
	_, err := netip.ParseAddr(host)
	if err != nil {
		ips = machineHosts.find(host)
	}
	if len(ips) == 0 {
		if ips, err = net.DefaultResolver.LookupIPAddr(ctx, host); err != nil {
			return nil, fmt.Errorf("resolve '%s': %w", host, err)
		}
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("resolve '%s': no address", host)
	}
	all := make([]unix.Sockaddr, 0, len(ips))
	for _, ip := range ips {
		all = append(all, sockaddr(ip, port))
	}
	return all, nil
}

func sockaddr(ip net.IPAddr, port int) unix.Sockaddr {
	if v4 := ip.IP.To4(); v4 != nil {
		return &unix.SockaddrInet4{Port: port, Addr: [4]byte(v4)}
	}
	sa := &unix.SockaddrInet6{Port: port, Addr: [16]byte(ip.IP.To16())}
	if n, err := strconv.ParseUint(ip.Zone, 10, 32); err == nil {
		sa.ZoneId = uint32(n)
	} else if ifi, err := net.InterfaceByName(ip.Zone); err == nil {
		sa.ZoneId = uint32(ifi.Index)
	}
	return sa
}

// PeerName is the address of the peer of fd, for the log.
func PeerName(fd int) string {
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return "unknown"
	}
	return Name(sa)
}

// IP is the address of sa; not valid if it is no IP address.
func IP(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	default:
		return netip.Addr{}
	}
}

// LocalName is the address that fd is bound to.
func LocalName(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return "unknown"
	}
	return Name(sa)
}

// NetAddr is sa as package net has it.
func NetAddr(sa unix.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: net.IP(sa.Addr[:]), Port: sa.Port}
	case *unix.SockaddrInet6:
		a := &net.TCPAddr{IP: net.IP(sa.Addr[:]), Port: sa.Port}
		if sa.ZoneId != 0 {
			a.Zone = strconv.FormatUint(uint64(sa.ZoneId), 10)
		}
		return a
	default:
		return &net.UnixAddr{Name: Name(sa), Net: "unix"}
	}
}

// Name is sa as text: host:port, [host]:port, or a path.
func Name(sa unix.Sockaddr) string {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return net.JoinHostPort(net.IP(sa.Addr[:]).String(), strconv.Itoa(sa.Port))
	case *unix.SockaddrInet6:
		return net.JoinHostPort(net.IP(sa.Addr[:]).String(), strconv.Itoa(sa.Port))
	case *unix.SockaddrUnix:
		if sa.Name == "" || sa.Name == "@" { // nameless, as a client is; x/sys spells it so
			return "unix"
		}
		return sa.Name
	default:
		return "unknown"
	}
}
