package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// callCounts are how many requests clients have sent, by msg.Type.
type callCounts []int64

// uncount takes back that a request was counted: it is put back, and will be taken
// again.
func uncount(p *ServerPool, typ msg.Type) {
	p.stats.Values[stats.ClientRequests]--
	p.calls[typ]--
}
