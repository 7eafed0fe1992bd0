package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// ID is the loop's number, from 0.
func (ctx *Context) ID() int { return ctx.id }

// Watch tells of the newest clients of the pool of t, at most so many: to look at
// all of very many would hold the others up. It must run on the loop.
func (ctx *Context) Watch(t *topology.Topology, most int) []msg.ClientFacts {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		return nil
	}
	var newest []msg.ClientFacts
	for c := p.newest; c != nil && len(newest) < most; c = c.prev {
		newest = append(newest, c.facts())
	}
	return newest
}
