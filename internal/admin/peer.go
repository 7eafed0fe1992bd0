package admin

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"nuthatch/internal/socket"
)

// userHeader is the header in which a client may name its user, for the log.
const userHeader = "X-Nuthatch-User"

// maxUser is the most bytes of a user's name that are kept.
const maxUser = 64

// identifying is a listener whose unix connections have the peer's user and
// process as their address.
type identifying struct{ net.Listener }

// Accept implements net.Listener.
func (l identifying) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if u, ok := c.(*net.UnixConn); ok {
		return peerConn{u}, nil
	}
	return c, err
}

// securing is a listener whose connections on TCP speak TLS, if secure has them.
type securing struct {
	net.Listener
	secure func(net.Conn) net.Conn
}

// Accept implements net.Listener.
func (l securing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if _, tcp := c.(*net.TCPConn); tcp && l.secure != nil {
		return l.secure(c), nil
	}
	return c, err
}

// A peerConn is a unix connection whose peer is known.
type peerConn struct{ *net.UnixConn }

// RemoteAddr implements net.Conn.
func (c peerConn) RemoteAddr() net.Addr {
	uid, pid, err := socket.PeerProcess(c.UnixConn)
	if err != nil {
		return c.UnixConn.RemoteAddr()
	}
	return &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("uid=%d,pid=%d", uid, pid)}
}

// whoAsks is who sent a request, for the log: its address, and the user that it
// names.
func whoAsks(r *http.Request) string {
	by := "admin " + r.RemoteAddr
	user := strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || c == '"' {
			return -1
		}
		return c
	}, r.Header.Get(userHeader))
	if user != "" {
		by += " user " + user[:min(len(user), maxUser)]
	}
	return by
}
