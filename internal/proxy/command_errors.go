package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// CommandErrors are how many requests with a command were answered with an error.
type CommandErrors struct {
	// Rejected are the requests that the proxy refused: they are wrong, or not allowed.
	// Failed are all others: their server answered with an error, or no server could be
	// asked.
	Rejected, Failed int64
}

// errorCounts are the errors of all commands, by msg.Type.
type errorCounts []CommandErrors

// failed counts a request that the proxy answers with an error.
func (n errorCounts) failed(m *msg.Msg, why msg.Reason) {
	switch why {
	case msg.CrossServer, msg.TooManyKeys, msg.TransactionTooLarge:
		n[m.Type].Rejected++
	default:
		n.add(m)
	}
}

// replied counts that a server has answered m with an error. A request that was split
// counts once. Of a transaction only the last reply counts.
func (n errorCounts) replied(m *msg.Msg, all *msg.Pool) {
	switch {
	case m.Block() > 0 && m.Ahead > 0:
	case m.Parent != nil:
		if !m.Parent.IsError() {
			n.add(m.Parent)
			all.SetError(m.Parent)
		}
	default:
		n.add(m)
	}
}

// add counts a request that was not refused by the proxy.
func (n errorCounts) add(m *msg.Msg) {
	if !m.IsError() {
		n[m.Type].Failed++
	}
}

// answer has the protocol answer the request.
func (d *dispatch) answer(req *msg.Request, out *mbuf.Chain) {
	c, p := d.client, d.client.pool
	p.proto.Local(req, &c.session, p.ctx.bufs, out)
	if req.Error != "" {
		p.commandErrors[req.Type].Rejected++
	}
	if req.ReadOnly && c.session.Authenticated && c.session.Bars&msg.Denied == 0 {
		p.stats.Values[stats.DeniedWrites]++
	}
}
