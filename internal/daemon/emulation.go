package daemon

import (
	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
)

// A pool that looks like a Redis Cluster to its clients: see package emulate.

// newBoard returns what a pool's clients are told of the cluster that it looks like; nil: it looks
// like one server.
func newBoard(p *config.Pool) *emulate.Board {
	if !p.Emulate.Cluster {
		return nil
	}
	at := p.Announced()
	b := new(emulate.Board)
	b.Publish(emulate.New(emulate.Options{Self: emulate.Address{Host: at.Host, Port: at.Port}, Secure: p.AnnouncesTLS()}))
	return b
}
