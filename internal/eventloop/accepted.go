package eventloop

import (
	"net/netip"

	"nuthatch/internal/socket"
)

// An Accepted is a connection that a listener has accepted and that no Conn has yet.
// Whoever has it passes it on, once: to a Conn of the loop that has it (Attach), to
// another loop (Hand), or to nobody (Refuse).
type Accepted struct {
	loop *Loop
	fd   int
	// peer is the address of the other end, as accept told it. So it is known of a peer
	// that has gone, too, whose last bytes are still to be read.
	peer netip.Addr
}

// PeerName is the address of the other end.
func (a Accepted) PeerName() string { return a.loop.engine.peerName(a.fd) }

// PeerAddr is the IP address of the other end; not valid if there is none, as at a unix
// socket.
func (a Accepted) PeerAddr() netip.Addr { return a.peer }

// Tune prepares the connection: no delay for small messages, and keepalive.
func (a Accepted) Tune(k socket.Keepalive) { a.loop.engine.tune(a.fd, k) }

// Attach makes it c's, and c the loop's. On error it is closed. With a stage c is made,
// and OnConnect told, when the stage is ready; st may be nil.
func (a Accepted) Attach(c *Conn, h Handler, st Stage) error {
	return a.loop.attachStaged(c, a.fd, false, h, st)
}

// Refuse closes it. It says words first, if they go out at once and are not empty. It
// may be called from any goroutine.
func (a Accepted) Refuse(words []byte) {
	if len(words) > 0 {
		a.loop.engine.lastWords(a.fd, words)
	}
	a.loop.engine.discard(a.fd)
}

// Hand is Post, on another loop, of a function that takes the connection over as that
// loop's. If the loop ends before it has run f, or has ended, the connection is closed.
func (a Accepted) Hand(to *Loop, f func(Accepted)) bool {
	posted := to.post(posting{func() { f(Accepted{to, a.fd, a.peer}) }, a.fd})
	if !posted {
		to.engine.discard(a.fd)
	}
	return posted
}
