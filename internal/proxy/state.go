package proxy

import (
	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
)

// Ring is the ring as it was last published. To end an ejection whose time is
// over is left to a loop, which tells of it. It may be called from any goroutine.
func (t *Topology) Ring() hashkit.Ring { return t.ring.Load().Ring }

// ID is the loop's number, from 0.
func (ctx *Context) ID() int { return ctx.id }

// Watch tells of the newest clients of the pool of t, at most so many: to look at
// all of very many would hold the others up. It must run on the loop.
func (ctx *Context) Watch(t *Topology, most int) []msg.ClientFacts {
	p := ctx.poolOf(t.lineage)
	if p == nil {
		return nil
	}
	var newest []msg.ClientFacts
	for c := p.newest; c != nil && len(newest) < most; c = c.prev {
		newest = append(newest, c.facts())
	}
	return newest
}
