package proxy

import (
	"slices"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A node of a cluster may refuse a request to listen: the slot of a shard channel is another
// node's, or the node, or its cluster, is not ready. Then the request is in the stash again. It is
// taken after a pause, where the map says by then, for as long as one that waits for a connection
// (searchLimit). What other nodes have agreed to is ended until then:
//
//	SSUBSCRIBE a b ─► SSUBSCRIBE a ─► a            ─► SUNSUBSCRIBE a ─┐
//	               ─► SSUBSCRIBE b ─► CLUSTERDOWN                    ─┴─ a pause ─► SSUBSCRIBE a b

// refusedBy notes the first error with which a server has refused the request.
func (a *subscription) refusedBy(s *Server, r msg.Reply) {
	a.refuser = s
	r.MoveTo(s.pool.ctx.bufs, &a.refusal)
}

// asksAgain has the client's request, which a server has refused, taken again after a pause. It
// reports false if the client gets the error.
func asksAgain(s *subscriber, a *subscription) bool {
	c := s.client
	p := c.pool
	ctx := p.ctx
	now := ctx.loop.Now()
	if p.detours == nil || a.expired || c.own.search != nil || !mayCome(p, a) {
		return false
	}
	if a.by == 0 {
		if a.by = a.m.Expires; a.by == 0 {
			a.by, _ = searchLimit(c, nil, now)
		}
	}
	if now >= a.by {
		return false
	}
	a.refuser.stats[stats.AskedAgain]++
	a.refusal.Release(ctx.bufs)
	a.held.dropFresh(ctx.bufs)
	s.undo(a)
	a.putBack(c)
	f := beginSearch(c, nil)
	f.by, f.fails = a.by, a.refusals+1
	f.againAt = now + min(searchPause<<min(a.refusals, 8), searchPauseMost)
	awaitServer(c)
	ctx.nextSearch = soonest(ctx.nextSearch, soonest(f.againAt, f.by))
	s.afterRequest(a)
	c.parseAgain()
	c.settle()
	return true
}

// mayCome reports whether the request that was refused may be granted later, or elsewhere.
func mayCome(p *ServerPool, a *subscription) bool {
	switch p.proto.redirector.Redirect(msg.Reply{Chain: &a.refusal}).Kind {
	case msg.Moved, msg.TriesAgain, msg.Unready:
		return true
	case msg.Carried, msg.Asks:
	}
	return false
}

// putBack puts the requests that are asked for together back into the stash, each by itself.
func (a *subscription) putBack(c *client) {
	p := c.pool
	ctx := p.ctx
	names := a.names
	for i, m := range slices.Insert(slices.Clone(a.more), 0, a.m) {
		var shown []string
		for _, n := range names[:a.sizes[i]] {
			shown = append(shown, n.shown)
		}
		names = names[a.sizes[i]:]
		p.proto.messenger.AppendSubscribe(a.what, shown, ctx.bufs, &c.again)
		uncount(p, m.Type)
		c.outq.Pop()
		c.freeMsg(ctx, m)
	}
}
