// Package proxyheader reads the header of the PROXY protocol, versions 1 and 2: what a load
// balancer says first on a connection, about the client that it stands for.
//
//	1   PROXY TCP4 203.0.113.7 10.0.0.5 51234 6379\r\n
//	2   \r\n\r\n\0\r\nQUIT\n | 0x21 | 0x11 | length | addresses, and what else there is (TLV)
//
// It is pure: bytes in, addresses out.
package proxyheader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// Max is the most bytes of a header. The addresses take up to 232; the rest is for what
	// a load balancer adds, such as names and certificates.
	Max = 4096
	// maxLine is the most bytes of a header of version 1.
	maxLine = 107
	// fixed is how many bytes of version 2 every header has.
	fixed = len(signature) + 4
)

// How the versions begin.
const (
	word      = "PROXY "
	signature = "\r\n\r\n\x00\r\nQUIT\n"
)

// The lengths of addresses in version 2.
const (
	len4    = 12
	len6    = 36
	lenUnix = 216
)

// Faults of a header.
var (
	ErrNone = errors.New("there is no PROXY header")
	ErrLine = fmt.Errorf("a PROXY header of version 1 has at most %d bytes", maxLine)
	ErrTLV  = errors.New("what stands behind the addresses runs over the end of the header")
)

// A Header is what a load balancer says of the client.
type Header struct {
	// Source is the client's address; not valid if the header has no IP address: the load
	// balancer speaks for itself (LOCAL), does not know (UNKNOWN), or the client is at a
	// unix socket.
	Source netip.AddrPort
	// Path is the client's unix socket, empty if that has no name or if there is none.
	Path string
	// Unix: the client is at a unix socket.
	Unix bool
}

// Begins reports whether data begins as a header does. more is true if it may, once more has
// come.
func Begins(data []byte) (begins, more bool) {
	for _, start := range []string{word, signature} {
		n := min(len(data), len(start))
		if string(data[:n]) == start[:n] {
			return n == len(start), n < len(start)
		}
	}
	return false, false
}

// A Parser reads a header as it comes. The zero value is ready.
type Parser struct {
	// held is what has come of a header that is not whole.
	held []byte
}

// Held is how many bytes have come of a header that is not whole.
func (p *Parser) Held() int { return len(p.held) }

// Parse reads data, which continues that of the last call. It reads up to the end of the
// header (done), or all of data. An error means that this is no header; nothing may be
// parsed after it.
func (p *Parser) Parse(data []byte) (h Header, n int, done bool, err error) {
	all, before := data, len(p.held)
	if before > 0 {
		// A header has at most Max bytes: what is behind them is not looked at.
		p.held = append(p.held, data[:min(len(data), Max-before)]...)
		all = p.held
	}
	size, err := length(all, before)
	switch {
	case err != nil:
		return Header{}, 0, false, err
	case size == 0 || len(all) < size:
		if before == 0 {
			p.held = append(p.held, data...)
		}
		return Header{}, len(data), false, nil
	}
	p.held = nil
	if all[0] == word[0] {
		h, err = line(string(all[:size-len("\r\n")]))
	} else {
		h, err = binaryHeader(all[:size])
	}
	return h, size - before, err == nil, err
}

// length is how many bytes the header has that all begins with; 0: that is not known yet. The
// first seen bytes were looked at before.
func length(all []byte, seen int) (int, error) {
	if begins, more := Begins(all); !begins {
		if more {
			return 0, nil
		}
		return 0, ErrNone
	}
	if all[0] == word[0] {
		from := max(0, seen-1)
		end := bytes.IndexByte(all[from:min(len(all), maxLine)], '\n')
		switch {
		case end >= 0 && (from+end == 0 || all[from+end-1] != '\r'):
			return 0, errors.New("a line of a PROXY header ends without a carriage return")
		case end >= 0:
			return from + end + 1, nil
		case len(all) >= maxLine:
			return 0, ErrLine
		}
		return 0, nil
	}
	if len(all) < fixed {
		return 0, nil
	}
	size := fixed + int(binary.BigEndian.Uint16(all[fixed-2:]))
	if size > Max {
		return 0, fmt.Errorf("a PROXY header of %d bytes; at most %d are read", size, Max)
	}
	return size, nil
}

// line reads version 1, without the end of the line.
func line(text string) (Header, error) {
	bad := func(why string) (Header, error) { return Header{}, fmt.Errorf("a PROXY header that %s: %q", why, text) }
	words := strings.Split(text, " ")
	if words[1] == "UNKNOWN" {
		return Header{}, nil
	}
	if words[1] != "TCP4" && words[1] != "TCP6" {
		return bad("is neither TCP4, TCP6 nor UNKNOWN")
	}
	const all = 6
	if len(words) != all {
		return bad("has not two addresses and two ports")
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(words[2+i])
		if err != nil || addr.Zone() != "" || addr.Is4() != (words[1] == "TCP4") {
			return bad("has no address of its kind")
		}
		port := words[4+i]
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || len(port) > 1 && port[0] == '0' {
			return bad("has no port")
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(number))
	}
	return Header{Source: ends[0]}, nil
}

// binaryHeader reads version 2.
func binaryHeader(b []byte) (Header, error) {
	command, family := b[fixed-4], b[fixed-3]
	rest := b[fixed:]
	const (
		version = 0x20
		local   = 0
		proxy   = 1
	)
	if command&0xf0 != version || command&0x0f > proxy {
		return Header{}, fmt.Errorf("a PROXY header with version and command 0x%02x", command)
	}
	if command&0x0f == local { // whatever stands behind it
		return Header{}, nil
	}
	var h Header
	size := 0
	const (
		unspecified = 0x00
		tcp4        = 0x11
		tcp6        = 0x21
		unixStream  = 0x31
	)
	switch family {
	case unspecified: // there are no addresses that could be read, and nothing is known of the rest
		return Header{}, nil
	case tcp4:
		size = len4
	case tcp6:
		size = len6
	case unixStream:
		size = lenUnix
	default:
		return Header{}, fmt.Errorf("a PROXY header with family and protocol 0x%02x: no stream of IPv4, IPv6 or unix sockets", family)
	}
	if len(rest) < size {
		return Header{}, fmt.Errorf("a PROXY header with %d bytes of addresses, %d were wanted", len(rest), size)
	}
	switch family {
	case tcp4:
		h.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))
	case tcp6:
		h.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[32:]))
	case unixStream:
		path, _, _ := bytes.Cut(rest[:lenUnix/2], []byte{0})
		h.Path, h.Unix = string(path), true
	}
	return h, checkTLVs(rest[size:])
}

// checkTLVs checks that what stands behind the addresses ends where the header does. What it
// says is not looked at.
func checkTLVs(b []byte) error {
	const head = 3 // a type, and a length of two bytes
	for len(b) > 0 {
		if len(b) < head {
			return ErrTLV
		}
		size := head + int(binary.BigEndian.Uint16(b[1:]))
		if size > len(b) {
			return ErrTLV
		}
		b = b[size:]
	}
	return nil
}
