package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// CommandErrors are how many requests with a command were answered with an error.
type CommandErrors struct {
	// Rejected were refused by the proxy: they are wrong, or not allowed. Failed are all
	// others, by their server or since none could be asked.
	Rejected, Failed int64
}

// countFailed counts a request that the proxy answers with an error.
func (p *ServerPool) countFailed(m *msg.Msg, why msg.Reason) {
	switch why { //nolint:exhaustive // the others are of servers
	case msg.CrossServer, msg.TooManyKeys, msg.TransactionTooLarge:
		p.commandErrors[m.Type].Rejected++
	default:
		p.countError(m)
	}
}

// countErrorReply counts the error with which a server has answered m, or a part of a
// request: that is counted once. The replies before the last of a transaction are not.
func (p *ServerPool) countErrorReply(m *msg.Msg) {
	switch {
	case m.Block() > 0 && m.Ahead > 0:
	case m.Parent != nil:
		if !m.Parent.IsError() {
			p.countError(m.Parent)
			p.ctx.msgs.SetError(m.Parent)
		}
	default:
		p.countError(m)
	}
}

// countError counts a request that was not refused by the proxy.
func (p *ServerPool) countError(m *msg.Msg) {
	if !m.IsError() {
		p.commandErrors[m.Type].Failed++
	}
}

// answer has the protocol answer the request.
func (d *dispatch) answer(req *msg.Request, out *mbuf.Chain) {
	c, p := d.client, d.client.pool
	p.proto.Local(req, &c.session, p.ctx.bufs, out)
	if req.Error != "" {
		p.commandErrors[req.Type].Rejected++
	}
}
