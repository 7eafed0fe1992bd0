package proxy

import (
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// broadcast sends the request to every server of the pool. The protocol may rewrite it
// first.
func (d *dispatch) broadcast(req *msg.Request) {
	c, p := d.client, d.client.pool
	if p.holdBy != 0 && p.proto.messenger.Publishes(req) {
		c.awaitMoves()
		return
	}
	if preparer := p.proto.preparer; preparer != nil && !preparer.Prepare(req, &c.session) {
		c.local(req)
		return
	}
	if p.bySlot && !req.Aside && !hasLooked(c, lookAge(req)) {
		return
	}
	if req.NoReply {
		for _, s := range p.everywhere() {
			c.forwardTo(s, req)
		}
		return
	}
	if req.Everyone {
		p.stats.Values[stats.AdminRequests]++
	}
	all := openFan(c, req)
	switch {
	case req.Aside:
		all.aside(req)
	case len(p.receivers(req.Everyone)) > p.ctx.turn.atOnce.Clients:
		all.broadcastLater(req)
		return
	default:
		all.toAll(req)
	}
	all.sent()
}

// lookAge is how old a look at all nodes of a cluster may be for that request.
func lookAge(req *msg.Request) time.Duration {
	if req.Flushes {
		return 0
	}
	return lookFresh
}

// one sends the request to the one server that the protocol picks. The protocol writes
// the request for that server, and its reply is merged like that to a request for
// several servers. In a pool of one server the request goes there as it is.
func (d *dispatch) one(req *msg.Request) {
	c, p := d.client, d.client.pool
	if p.bySlot {
		scanSlots(c, req)
		return
	}
	all := p.everywhere()
	n := len(all)
	nth, ok := p.proto.chooser.OneServer(req, n)
	switch {
	case !ok:
		c.local(req)
		return
	case n == 1:
		c.forwardTo(all[0], req)
		return
	}
	one := openFan(c, req)
	one.parent.Servers = uint16(n)
	f, conn := one.addConnected(all[nth])
	f.Server = uint16(nth)
	if conn != nil {
		begin := conn.Out().Len()
		p.proto.chooser.AppendOne(req, n, p.ctx.bufs, conn.Out())
		one.send(f, conn, begin)
	}
	one.mergeIfDone()
}
