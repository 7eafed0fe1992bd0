package config

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"unicode"

	"nuthatch/internal/inet"
)

// maxSocketPath is sockaddr_un's room for a path on Linux, less the zero byte.
const maxSocketPath = 107

const maxPort = 65535

// The networks of an Address, in the words of package net.
const (
	NetworkTCP  = "tcp"
	NetworkUnix = "unix"
	// NetworkSentinel is a primary that sentinels know by the name in Host. They say
	// where it is.
	NetworkSentinel = "sentinel"
	// NetworkAuto is an address that the program chooses.
	NetworkAuto = "auto"
)

// Address is a place to listen at or to connect to.
type Address struct {
	// Network is NetworkTCP, NetworkUnix, NetworkSentinel or NetworkAuto.
	Network string
	// Host is a name or an IP address, not resolved: an IPv4 address with four decimal
	// numbers however it was written, an IPv6 address without its brackets. Empty for
	// a unix socket.
	Host string
	// Port is 1 to 65535, or 0 for a unix socket and for a primary's name.
	Port int
	// Path is the socket's file, beginning with a slash. Empty for TCP.
	Path string
	// Mode is the permission bits that the socket's file gets when listening;
	// 0 if the umask decides.
	Mode os.FileMode
}

// String returns "host:port", "[ipv6]:port", the path or "sentinel://name".
func (a Address) String() string {
	switch a.Network {
	case NetworkUnix:
		return a.Path
	case NetworkAuto:
		return adminAuto
	case NetworkSentinel:
		return sentinelScheme + a.Host
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// ParseListen reads a value of the key "listen": "host:port", "[ipv6]:port", or
// "/path" with an octal mode after a space. The port is what follows the last
// colon, so a bare IPv6 address works too.
func ParseListen(text string) (Address, error) {
	if strings.HasPrefix(text, "/") {
		return parseListenPath(text)
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		hint := ""
		if n, ok := parseDigits(text); ok && n >= 1 && n <= maxPort {
			hint = "; write 127.0.0.1:" + text + ", or 0.0.0.0:" + text + " for every address"
		}
		return Address{}, errors.New("expected host:port or /path [mode], found " + quoteAddress(text) + hint)
	}
	if text[:i] == "" || text[:i] == "*" {
		return Address{}, errors.New("expected host:port, found " + quoteAddress(text) +
			"; write 0.0.0.0 or [::] to listen on every address")
	}
	return parseHostPort(text[:i], text[i+1:])
}

// parseListenPath reads "/path" or "/path mode". Like nutcracker it takes what
// follows the last space for the mode.
func parseListenPath(text string) (Address, error) {
	path, mode, given := text, "", false
	if i := strings.LastIndexByte(text, ' '); i >= 0 {
		path, mode, given = text[:i], text[i+1:], true
	}
	a := Address{Network: NetworkUnix, Path: path}
	if given {
		bits, err := strconv.ParseUint(mode, 8, 32)
		if err != nil || bits > 0o777 {
			return Address{}, errors.New("expected an octal mode up to 0777 after the socket's path, found " +
				quoteAddress(mode))
		}
		a.Mode = os.FileMode(bits)
	}
	return a, checkSocketPath(path)
}

func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return errors.New("a socket's path has at most " + strconv.Itoa(maxSocketPath) + " bytes, found " +
			strconv.Itoa(len(path)))
	}
	return nil
}

func parseHostPort(host, port string) (Address, error) {
	if strings.ContainsAny(host, "/@") {
		return Address{}, errors.New("expected host and port alone, without a URL, a user or a password (see 'server_user', 'server_password', 'sentinel_password')")
	}
	bare, err := parseHost(host)
	if err != nil {
		return Address{}, err
	}
	n, ok := parseDigits(port)
	if !ok || n < 1 || n > maxPort {
		return Address{}, errors.New("expected a port from 1 to 65535, found " + quoteAddress(port))
	}
	return Address{Network: NetworkTCP, Host: bare, Port: int(n)}, nil
}

// parseHost checks a host as far as that can be done without looking it up. It
// takes off an IPv6 address's brackets, and writes an IPv4 address with four decimal
// numbers.
func parseHost(host string) (string, error) {
	if host == "" {
		return "", errors.New("expected a host name or an IP address before the port")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", errors.New(quoteAddress(host) + " is not a host name")
	}
	bare, bracketed := host, false
	if strings.ContainsAny(host, "[]") {
		bracketed = true
		bare = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if !bracketed && !strings.Contains(host, ":") {
		return inet.Canonical(host), nil
	}
	ip, err := netip.ParseAddr(bare)
	if err != nil || !ip.Is6() || (bracketed && host != "["+bare+"]") {
		return "", errors.New(quoteAddress(host) + " is neither a host name nor an IPv6 address")
	}
	return bare, nil
}

// parseDigits reads a number as nutcracker does: decimal digits and nothing
// else, zeros in front allowed. It reports false for what is no such number or
// does not fit.
func parseDigits(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
