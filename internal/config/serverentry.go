package config

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"nuthatch/internal/hashkit"
)

// serverForm is how a line of "servers" is written, unless it is one of a primary that
// sentinels know.
const serverForm = "host:port:weight [name] or /path:weight [name]"

// Server is one line of a pool's "servers".
type Server struct {
	// Address is where to connect.
	Address Address
	// Weight is its share of the keys, relative to the other servers'; at least 1.
	Weight int
	// Name is the name that was given, or empty.
	Name string
	// Text is the line without its name, as it was written:
	// "host:port:weight", "/path:weight" or "sentinel://primary:weight". Log lines name a
	// server by it.
	Text string
}

// ParseServer reads a line of the key "servers". Like nutcracker it reads from
// the right: the name after the last space, the weight after the last colon,
// the port after the one before; the rest is the host, which may be an IPv6
// address with or without brackets. A socket's path holds no colon.
func ParseServer(text string) (Server, error) {
	s, err := parseServer(text)
	if err != nil {
		return Server{}, fmt.Errorf("%s: %w", quoteAddress(text), err)
	}
	return s, nil
}

func parseServer(text string) (Server, error) {
	if before, _, several := strings.Cut(text, " - "); several && !strings.HasPrefix(text, "/") {
		return Server{}, errors.New("expected one server; the line behind " + quote(before) + " is indented deeper, and so belongs to it")
	}
	s := Server{Text: text}
	if i := strings.LastIndexByte(text, ' '); i >= 0 {
		s.Text, s.Name = text[:i], text[i+1:]
		if s.Name == "" {
			return Server{}, errors.New("expected a name after the space")
		}
	}
	where, weight, ok := cutLast(s.Text)
	if !ok {
		msg := "expected " + serverForm
		if strings.HasPrefix(s.Text, "/") {
			msg += "; is the weight missing, as in " + quote(s.Text+":1") + "?"
		} else if _, err := parseHost(s.Text); err == nil {
			msg += "; are the port and the weight missing, as in " + quote(s.Text+":6379:1") + "?"
		}
		return Server{}, errors.New(msg)
	}
	var err error
	switch {
	case isURL(s.Text):
		return Server{}, errors.New("expected " + serverForm + ", and no URL: 'server_user' and 'server_password' are the login, 'redis_db' the database, 'server_tls' TLS")
	case strings.HasPrefix(s.Text, "/"):
		s.Address, err = parseSocket(where)
	case where+":" == strings.TrimSuffix(sentinelScheme, "//"):
		return Server{}, errors.New("expected sentinel://primary:weight [name]; is the weight missing, as in " + quote(s.Text+":1") + "?")
	case strings.HasPrefix(s.Text, sentinelScheme):
		s.Address, err = parsePrimary(where)
	default:
		s.Address, err = parseServerHost(where, weight)
	}
	if err != nil {
		return Server{}, err
	}
	n, ok := parseDigits(weight)
	if number, _, spaces := strings.Cut(weight, " "); spaces {
		return Server{}, errors.New("expected a name without spaces after the weight " + quote(number))
	}
	if !ok || n < 1 || n > math.MaxInt32 {
		return Server{}, errors.New("expected a weight from 1 to 2147483647 after the last colon, found " + quote(weight))
	}
	s.Weight = int(n)
	return s, nil
}

// isURL reports whether text is a URL, or has a login as a URL has.
func isURL(text string) bool {
	return !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, sentinelScheme) && (strings.Contains(text, "://") || strings.Contains(text, "@"))
}

func parseSocket(path string) (Address, error) {
	if strings.Contains(path, ":") {
		return Address{}, errors.New("expected /path:weight [name], and no other colon")
	}
	return Address{Network: NetworkUnix, Path: path}, checkSocketPath(path)
}

// parseServerHost reads "host:port". Without a port, the last number, weight,
// was most likely meant to be the port, and the message says so.
func parseServerHost(where, weight string) (Address, error) {
	host, port, ok := cutLast(where)
	if ok {
		return parseHostPort(host, port)
	}
	msg := "expected " + serverForm
	if _, err := parseHostPort(where, weight); err == nil {
		msg += "; is the weight missing, as in " + quote(where+":"+weight+":1") + "?"
	}
	return Address{}, errors.New(msg)
}

// cutLast splits text at its last colon.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// NodeName returns the name that places the server on the ring: the given one,
// or else what nutcracker makes of the address as it was written. That is
// "host:port"; "host" alone for port 11211, as libmemcached has it; and for a
// socket the path with the colon that follows it. A primary that sentinels know has the
// name that they know it by. To write an address in
// another way (a name for an IP address, 06379 for 6379) is to move keys.
func (s Server) NodeName() string {
	if s.Name != "" {
		return s.Name
	}
	switch s.Address.Network {
	case NetworkUnix:
		return s.Address.Path + ":"
	case NetworkSentinel:
		return s.Address.Host
	}
	where, _, _ := cutLast(s.Text)
	host, _, ok := cutLast(where)
	if !ok {
		// Not from ParseServer: there is no text, only the address.
		return hashkit.NodeName(s.Address.Host, s.Address.Port)
	}
	if hashkit.NodeName(host, s.Address.Port) == host {
		return host
	}
	return where
}

// StatsName returns the server's name in the statistics, which is its NodeName.
func (s Server) StatsName() string { return s.NodeName() }
