package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A client may send many requests to listen without waiting for the replies, as Celery does
// for each result that it waits for. If each took its turn at the servers, the last one would
// come late, and what is published meanwhile would not reach the client. So those that have
// come, and say the same about other channels, are asked for together:
//
//	SUBSCRIBE a ─► Msg ─┐
//	SUBSCRIBE b ─► Msg ─┼─ the end of the turn ─► SUBSCRIBE a b c ─► ... ─► a, b, c: the first
//	SUBSCRIBE c ─► Msg ─┘                                                   Msg has the reply
//
// Servers answer a request channel by channel. So the replies are the same as if each request
// had been sent by itself.

// If a server refuses one of the channels, it refuses all of them. So where servers decide
// what their users may do, and in a pool in which a server has refused channels, each request
// is asked for by itself.

// isMore reports whether the request says about other channels what the client's requests
// that are about to be sent say. One without channels is answered by itself: it may be about
// none.
func isMore(c *client, req *msg.Request) bool {
	p, s, channels := c.pool, c.own.subs, len(req.Args)-1
	if req.Treatment != msg.Subscribe || channels == 0 || len(s.asks.names) == 0 || p.passer != nil || p.asksApart {
		return false
	}
	what, ok := p.proto.messenger.Subscription(req)
	return ok && what == s.asks.what && len(s.asks.names)+channels <= maxChannels &&
		(what.Ends || s.total()+channels <= p.conf.PubSub.MaxSubscriptions)
}

// add has a request asked for together with a. Its message stands in the out-queue.
func (a *subscription) add(b *subscription) {
	a.more = append(a.more, b.m)
	a.names, a.sizes = append(a.names, b.names...), append(a.sizes, b.sizes...)
}

// askSoon asks servers at the end of the turn for what the client asks for.
func askSoon(s *subscriber) {
	s.asks.unsent = true
	s.client.session.Bars |= msg.Subscribing
	fanout := &s.client.pool.ctx.fanout
	fanout.asking = append(fanout.asking, s)
}

// askNow asks them now.
func askNow(s *subscriber) {
	a, c := s.asks, s.client
	a.unsent = false
	c.session.Bars &^= msg.Subscribing
	if a.why == msg.OK {
		s.ask(a, a.what)
	}
	c.AwaitReplies()
	s.endRequest()
}

// ask has the clients ask servers that are about to.
func (x *fanout) ask() {
	for i := 0; i < len(x.asking); i++ { // more may come meanwhile
		if s := x.asking[i]; s.asks != nil && s.asks.unsent {
			askNow(s)
		}
	}
	clear(x.asking)
	x.asking = x.asking[:0]
}

// done ends the requests: the first has the reply to all.
func (a *subscription) done(c *client) {
	now := c.pool.ctx.loop.Now()
	for _, m := range a.more {
		m.Done, m.Replied = true, now
		c.hold(m, m.Reply.Len())
	}
	a.m.Done, a.m.Replied = true, now
	c.hold(a.m, a.m.Reply.Len())
	c.advance()
}

// refuse gives each of the requests the error of the server.
func (a *subscription) refuse(bufs *mbuf.Pool) {
	for _, m := range a.more {
		v := mbuf.Whole(&a.refusal)
		v.AppendTo(bufs, &m.Reply, 0, v.Len())
	}
	a.m.Reply.Splice(bufs, &a.refusal)
}

// fail answers each of them with an error for the reason why.
func (a *subscription) fail(c *client, why msg.Reason) {
	for _, m := range append([]*msg.Msg{a.m}, a.more...) {
		m.Err = why
		c.OnFailure(m)
	}
}

// put gives the messages back.
func (a *subscription) put(msgs *msg.Pool) {
	for _, m := range append([]*msg.Msg{a.m}, a.more...) {
		msgs.Put(m)
	}
}
