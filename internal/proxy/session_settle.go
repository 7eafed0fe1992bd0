package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// Before channels move, what this loop's clients have published must be at the servers
// of before, which tell it to who listens there. A PING behind it on the same connection
// brings the answer that it is:
//
//	connection   PUBLISH ─► ... PING ─►
//	             ◄─ :1      ... ◄─ PONG    the loop is ready
//
// If what follows a transaction is sent meanwhile, it is waited for, too.

// A settling is this loop's waiting for the answers to what was published.
type settling struct {
	pool *ServerPool
	of   *topology.Moving
	// pending is how many connections have not answered.
	pending int
}

// settlePublished has the loop be ready for a move when what was published is answered.
// Publishing is held.
func settlePublished(p *ServerPool, m *topology.Moving) {
	if p.proto.messenger != nil {
		(&settling{pool: p, of: m}).begin()
	}
}

// begin asks the connections on which something was published.
func (g *settling) begin() {
	p := g.pool
	for _, s := range p.servers {
		for c := range s.conns() {
			g.ask(c)
		}
	}
	for _, c := range p.ctx.leaving.conns {
		if c.pool == p && (c.private == nil || c.server.removed) {
			g.ask(c)
		}
	}
	if g.pending == 0 {
		tellReady(p.ctx, g.of)
	}
}

// ask asks a connection, if something was published on it and is not answered.
func (g *settling) ask(c *serverConn) {
	if c.queue.Len() == 0 || feedOn(c) != nil {
		return
	}
	n, publishes := 0, false
	for m := range c.queue.All() {
		n++
		if publishes = g.pool.publishes(m); publishes {
			break
		}
	}
	g.pool.ctx.turn.countAtOnce(Amount{Keys: n})
	if publishes {
		g.pending++
		sendPing(c, g)
	}
}

// publishes reports whether a message to a server is, or has in it, something that a
// client publishes. What follows a transaction has no type.
func (r *router) publishes(m *msg.Msg) bool {
	return r.commands[m.Type].Publishes || m.Publishes() || m.Type == 0 && m.NoReply && m.Party() != nil
}

// answered goes on after an answer. If the hold is over meanwhile, nothing is waited for.
func (g *settling) answered(m *msg.Msg) {
	ctx := g.pool.ctx
	ctx.msgs.Put(m)
	if g.pending--; g.pending > 0 {
		return
	}
	if p, _ := holdFor(ctx, g.of); p == nil {
		tellReady(ctx, g.of)
		return
	}
	g.begin()
}

// Party implements msg.Owner.
func (g *settling) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (g *settling) OnReply(m *msg.Msg, _ msg.Reply) { g.answered(m) }

// OnFailure implements msg.Owner: what was published there is lost, or at the server.
func (g *settling) OnFailure(m *msg.Msg) { g.answered(m) }
