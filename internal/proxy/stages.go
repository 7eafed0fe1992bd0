package proxy

import (
	"errors"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/stats"
)

// Stages make what stands between a pool's connections and the wire, such as TLS. If a
// method returns nil, nothing stands there. They are called by all loops.
type Stages interface {
	// Client is for a client that was accepted.
	Client() eventloop.Stage
	// Server is for a connection to the server.
	Server(s *config.Server) eventloop.Stage
	// Until is when the certificate ends that clients are shown, in microseconds since the
	// epoch; 0 if there is none.
	Until() int64
}

// A secured is a stage that can tell what its handshake has agreed on.
type secured interface {
	// Secured returns the version of TLS, and whether an earlier session was resumed.
	Secured() (version string, resumed bool)
}

// tls12 is the older of the versions.
const tls12 = "TLSv1.2"

// A handshakeFault is why a handshake failed.
type handshakeFault interface {
	error
	// Plain reports whether the peer does not speak TLS, Late whether it took too long.
	Plain() bool
	Late() bool
}

// isUnanswered reports whether the server has said nothing in answer to a handshake.
func isUnanswered(c *serverConn) bool {
	s, ok := c.Staged().(interface{ Unanswered() bool })
	return ok && s.Unanswered()
}

// countHandshake counts the handshake of a client's stage; nil: there is none.
func countHandshake(p *ServerPool, st eventloop.Stage) {
	s, ok := st.(secured)
	if !ok {
		return
	}
	version, resumed := s.Secured()
	v := &p.stats.Values
	v[stats.TLSHandshakes]++
	if resumed {
		v[stats.TLSResumed]++
	}
	if version == tls12 {
		v[stats.TLS12Handshakes]++
	}
}

// countFault counts a client whose stage has failed.
func countFault(p *ServerPool, err error) {
	v := &p.stats.Values
	v[stats.TLSFailures]++
	fault, ok := errors.AsType[handshakeFault](err)
	switch {
	case !ok:
	case fault.Plain():
		v[stats.TLSPlain]++
	case fault.Late():
		v[stats.TLSLate]++
	}
}

// countHandshake counts the handshake of a connection's stage; nil: there is none.
func (s *Server) countHandshake(st eventloop.Stage) {
	t, ok := st.(secured)
	if !ok {
		return
	}
	version, resumed := t.Secured()
	s.stats[stats.ServerTLSHandshakes]++
	if resumed {
		s.stats[stats.ServerTLSResumed]++
	}
	if version == tls12 {
		s.stats[stats.ServerTLS12Handshakes]++
	}
}

// tlsVersion is the version of TLS that a client speaks; empty: none.
func tlsVersion(c *client) string {
	if s, ok := c.Staged().(secured); ok && c.Open() {
		version, _ := s.Secured()
		return version
	}
	return ""
}

// clientStage is the stage of a new client; nil: none.
func (p *ServerPool) clientStage(secured bool) eventloop.Stage {
	if !secured || p.stages == nil {
		return nil
	}
	return p.stages.Client()
}

// stage is the stage of the connection that is about to be made; nil: none.
func (d *dialler) stage() eventloop.Stage {
	c := d.conn
	if s := c.pool.stages; s != nil {
		return s.Server(c.server.conf)
	}
	return nil
}
