// Package inet reads the numeric IPv4 addresses that getaddrinfo takes, and with it
// nutcracker: short, padded, octal and hexadecimal ones, and a single number.
// Package net would look them up as names.
package inet

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxParts is how many parts an address has at the most.
const maxParts = 4

// ParseIPv4 reads an address of one to four numbers with dots between them, as
// inet_aton does. A number that begins with 0 is octal, one that begins with 0x
// hexadecimal. The last one fills the bytes that the others leave: 127.1 is
// 127.0.0.1.
func ParseIPv4(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > maxParts {
		return netip.Addr{}, false
	}
	var whole uint32
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (maxParts - i)
		}
		n, ok := parsePart(part)
		if !ok || n>>bits != 0 {
			return netip.Addr{}, false
		}
		whole |= uint32(n << (8*(maxParts-i) - bits))
	}
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, whole))), true
}

// parsePart reads one number.
func parsePart(part string) (uint64, bool) {
	base := 10
	switch {
	case strings.HasPrefix(part, "0x") || strings.HasPrefix(part, "0X"):
		part, base = part[2:], 16
	case len(part) > 1 && part[0] == '0':
		part, base = part[1:], 8
	}
	if part == "" || part[0] == '+' || part[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(part, base, 32)
	return n, err == nil
}

// Canonical is a numeric IPv4 address with four decimal numbers. Any other host is
// returned as it is.
func Canonical(host string) string {
	if ip, ok := ParseIPv4(host); ok {
		return ip.String()
	}
	return host
}

// CanonicalHostPort is Canonical for the host of host:port.
func CanonicalHostPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(Canonical(host), port)
}
