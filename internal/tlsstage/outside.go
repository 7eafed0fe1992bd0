package tlsstage

import (
	"crypto/tls"
	"errors"
	"net"
)

// An outside is TLS over a connection to a server, outside the event loops. It tells if nothing comes
// in answer to the handshake, as from a server without TLS that waits for more.
type outside struct {
	*tls.Conn
	heard *hearing
}

// A hearing is a connection that knows whether something has come.
type hearing struct {
	net.Conn
	something bool
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.something = h.something || n > 0
	return n, err
}

func newOutside(conn net.Conn, conf *tls.Config) *outside {
	h := &hearing{Conn: conn}
	return &outside{Conn: tls.Client(h, conf), heard: h}
}

func (o *outside) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	return n, o.explained(err)
}

func (o *outside) Write(b []byte) (int, error) {
	n, err := o.Conn.Write(b)
	return n, o.explained(err)
}

// explained says of a handshake that came to its deadline without an answer that it was one.
func (o *outside) explained(err error) error {
	var late net.Error
	if err == nil || o.heard.something || !errors.As(err, &late) || !late.Timeout() {
		return err
	}
	return &unanswered{err}
}

// silentServer is what is said of a server that answers nothing to a handshake.
const silentServer = "no answer to the TLS handshake in time; the server may not speak TLS at this address"

// An unanswered is why a handshake with a server has failed that said nothing.
type unanswered struct{ error }

func (*unanswered) Error() string { return silentServer }

func (u *unanswered) Unwrap() error { return u.error }

// Unanswered tells topology what it is.
func (*unanswered) Unanswered() bool { return true }
