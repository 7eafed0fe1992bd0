package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
)

// Stages make what stands between a pool's connections and the wire, such as TLS. If a
// method returns nil, nothing stands there. They are called by all loops.
type Stages interface {
	// Client is for a client that was accepted.
	Client() eventloop.Stage
	// Server is for a connection to the server.
	Server(s *config.Server) eventloop.Stage
}

// clientStage is the stage of a new client; nil: none.
func (p *ServerPool) clientStage() eventloop.Stage {
	if p.stages == nil {
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
