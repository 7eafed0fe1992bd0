package proxy

import "nuthatch/internal/msg"

// In a cluster a server may say that another one has the keys that a request waits for: at
// once, or when the slot has been moved. Then the request waits there, for the time that is
// left. A server that has become a replica ends the wait with UNBLOCKED, which the client
// gets. If a server is not ready (CLUSTERDOWN, LOADING), the request is sent again after a pause,
// for as long as one that waits for a connection (searchLimit).

// redirected handles an error reply to a request that waits. It reports whether the
// request waits elsewhere. If not, its client gets the reply that it returns.
func (b *blocking) redirected(l *leg, r msg.Reply) (reply msg.Reply, again bool) {
	p := b.own.client.pool
	said := p.proto.redirector.Redirect(r)
	switch said.Kind {
	case msg.TriesAgain, msg.Unready:
		return r, b.pauses()
	case msg.Carried:
		return r, false
	case msg.Moved, msg.Asks:
	}
	b.hops++
	b.next, b.asks = p.named(l.conn.server, said), said.Kind == msg.Asks
	switch {
	case b.hops > p.conf.Cluster.MaxRedirects:
		b.next, b.asks = nil, false
		return msg.Reply{Flat: textTooMany}, false
	case b.next == nil:
		b.asks = false
		return msg.Reply{Flat: textLate}, false
	}
	b.again(true)
	return r, true
}

// pauses has the request sent again after a pause, where the map says by then. It reports false if
// its time is over.
func (b *blocking) pauses() bool {
	o := b.own
	c := o.client
	p := c.pool
	now := p.ctx.loop.Now()
	if b.refusals == 0 {
		b.by = b.limit()
	}
	if b.recall != 0 || o.search != nil || now >= b.by {
		return false
	}
	f := beginSearch(c, nil)
	f.by, f.blocks = b.by, true
	f.againAt = now + min(searchPause<<min(b.refusals, 8), searchPauseMost)
	b.refusals, b.paused = b.refusals+1, true
	f.fails = b.refusals
	awaitServer(c)
	p.ctx.nextSearch = soonest(p.ctx.nextSearch, soonest(f.againAt, f.by))
	b.again(true)
	return true
}

// limit is until when the request is sent again; 0: it is not.
func (b *blocking) limit() (by int64) {
	c := b.own.client
	parser := c.pool.proto.NewRequestParser()
	if _, done, err := parser.Parse(b.text); err == nil && done {
		by, _ = searchLimit(c, parser.Finish(b.text), b.since)
	}
	return by
}
