package proxy

import "nuthatch/internal/msg"

// In a cluster a server may say that another one has the keys that a request waits for: at
// once, or when the slot has been moved. Then the request waits there, for the time that is
// left. A server that has become a replica ends the wait with UNBLOCKED, which the client
// gets.

// redirected handles an error reply to a request that waits. It reports whether the
// request waits elsewhere. If not, its client gets the reply that it returns.
func (b *blocking) redirected(l *leg, r msg.Reply) (reply msg.Reply, again bool) {
	p := b.own.client.pool
	said := p.proto.redirector.Redirect(r)
	if said.Kind != msg.Moved && said.Kind != msg.Asks {
		return r, false
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
