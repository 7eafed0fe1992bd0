package proxy

import (
	"log/slog"
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A feed is a connection on which a server sends the messages of channels. It speaks
// RESP2, whatever the client speaks: what servers push in RESP3 differs only in its
// first byte.
type feed struct {
	subs   *subscriber
	server *Server
	conn   *serverConn
	// n is how many channels have their messages from it.
	n int
	// joined: channels whose messages come from all servers have them from it, too.
	joined bool
	// stale: it is about to be given up, or has ended.
	stale bool
	// spoilt: the server may still send messages on it, so nobody else may get it.
	spoilt bool
	// heard: something has come on it since the last check.
	heard bool
	// names is scratch space: the names of the request that is being made.
	names []string
	// asked is the message on the connection that the client's request waits for, or nil.
	asked *msg.Msg
	// shared is the connection if clients share it; nil: it is the client's own. at is
	// the place there, and pending how many answers are to come, for waiting among
	// others. gone: it has left.
	shared  *sharedFeed
	at      int
	pending int
	waiting *pingWaiter
	gone    bool
}

// A receiver is who hears messages of channels on a connection.
type receiver interface {
	// heardLately reports whether something has come since the last call.
	heardLately() bool
	// ask sends PING. The server has as long to answer as for any request, or until the
	// next PING.
	ask()
}

// feedOn is the tenant of a connection on which messages of channels come, or nil.
func feedOn(c *serverConn) receiver {
	if c.private == nil || c.private.tenant == nil {
		return nil
	}
	return c.private.tenant.feed()
}

// feed implements tenant.
func (f *feed) feed() receiver { return f }

// heardLately implements receiver.
func (f *feed) heardLately() bool {
	was := f.heard
	f.heard = false
	return was
}

// mayPush implements hearer: whatever comes may be a message.
func (f *feed) mayPush(byte) bool { return true }

// feed returns the client's feed of a server, and makes one if need be. The reason says
// why there is none.
func (s *subscriber) feed(server *Server) (*feed, msg.Reason) {
	for _, f := range s.feeds {
		if f.server == server && !f.isStale() {
			return f, f.conn.mayTake()
		}
	}
	f := &feed{subs: s, server: server, joined: s.move == nil, heard: true}
	if why := f.connect(); why != msg.OK {
		if s.move == nil {
			server.reasons[stats.ServerFailedRequests][why]++
		}
		return nil, why
	}
	s.feeds = append(s.feeds, f)
	pingBy(server.pool)
	if !f.joined {
		return f, msg.OK
	}
	for kind, all := range s.listens { // what comes from everywhere comes from there, too
		for name, at := range all.all() {
			if at.feed == nil {
				f.n++
				f.names = append(f.names, name)
			}
		}
		if len(f.names) > 0 {
			f.send(msg.Subscription{Channels: msg.Channels(kind)}, false)
		}
	}
	return f, msg.OK
}

// connect gets the feed a connection.
func (f *feed) connect() msg.Reason {
	if sharesConns(f.subs) {
		sf, why := f.server.sharedFeed(f.subs.client.session.Lane.User)
		if why == msg.OK {
			sf.add(f)
		}
		return why
	}
	conn, why := f.server.borrow(laneAs(f.server.pool, f.subs.client.session.Lane.User), f)
	if why == msg.OK {
		f.conn = conn
		conn.private.hearer = f
	}
	return why
}

// send asks the server to begin or end the subscriptions in names. It returns the
// message that stands for the answer, or for the last of several; nil: there is nothing to
// wait for. awaits: the caller waits for it.
func (f *feed) send(what msg.Subscription, awaits bool) (m *msg.Msg) {
	switch {
	case f.shared == nil:
	case what.Ends:
		return f.shared.end(f, what.Channels, awaits)
	default:
		return f.shared.begin(f, what.Channels)
	}
	names := f.names
	f.names = nil
	bySlot(f.conn.pool, what.Channels, names, func(part []string, last bool) { m = f.request(what, part, last) })
	return m
}

// request sends a request about channels. last: no other one stands for the same channels of the
// client behind it.
func (f *feed) request(what msg.Subscription, names []string, last bool) *msg.Msg {
	c := f.conn
	ctx := c.pool.ctx
	out := c.Out()
	before := out.Len()
	c.pool.proto.messenger.AppendSubscribe(what, names, ctx.bufs, out)
	m := ctx.msgs.Get()
	m.Owner, m.NoReply, m.Quiet, m.Nkeys, m.Rare = f, true, what.Ends, int32(len(names)), true
	if !last {
		m.Pending = 1
	}
	c.server.stats[stats.Requests]++
	c.enqueue(m, out.Len()-before)
	return m
}

// ping sends PING to the server. It returns the message that stands for the answer;
// nil: there will be none.
func (f *feed) ping() *msg.Msg {
	if f.shared != nil {
		return f.shared.await(&pingWaiter{feed: f})
	}
	return sendPing(f.conn, f)
}

// sendPing sends PING on a connection.
func sendPing(c *serverConn, owner msg.Owner) *msg.Msg {
	ctx := c.pool.ctx
	out := c.Out()
	before := out.Len()
	c.pool.proto.messenger.AppendPing(ctx.bufs, out)
	m := ctx.msgs.Get()
	m.Owner, m.NoReply = owner, true
	c.enqueue(m, out.Len()-before)
	return m
}

// askedFor is the request that what comes on the connection may answer; nil: none has
// been sent.
func askedFor(c *serverConn) *msg.Msg {
	head := c.queue.Head()
	if head != nil && c.sent+uint64(head.Len) <= head.End {
		return nil // nothing of it has been sent
	}
	return head
}

// hears handles what the server sends, if it is about channels.
func (f *feed) hears(r msg.Reply) (taken bool) {
	c := f.conn
	f.heard = true
	head := askedFor(c)
	push := c.pool.proto.messenger.Hear(r)
	asked := head != nil && head.Owner == f && head.Nkeys > 0
	switch {
	case push.Heard == msg.HeardMessage:
		f.message(push, r)
	case (push.Heard == msg.HeardBegun || push.Heard == msg.HeardEnded) && asked:
		if head.Nkeys--; head.Nkeys == 0 {
			isProven(c, true, false)
			f.answered(c.pop())
		}
	case push.Heard == msg.HeardEnded: // the server has not the channel any more
		f.stale = true
		f.subs.lose()
	case push.Heard == msg.HeardReply && head != nil:
		return false
	default:
		c.logBadReply(errOutOfStep)
		c.fail(msg.BadReply)
	}
	return true
}

// message passes a message on to the client.
func (f *feed) message(push msg.Push, r msg.Reply) {
	s := f.subs
	c := s.client
	at, known := s.listens[push.Channels].heard(push.Name)
	if !known || !s.takes(at, f) || c.state != clientOpen || c.leaveBy != 0 {
		return
	}
	p := c.pool
	out := c.Out()
	if s.asks != nil {
		out = s.outletFor(push.Channels, string(push.Name))
	}
	before := out.Len()
	p.proto.messenger.AppendMessage(push.Channels, r, at.shown, &c.session, p.ctx.bufs, out)
	s.heardOf(out.Len() - before)
}

// takes reports whether the message of a channel that comes from f is the client's.
func (s *subscriber) takes(at place, f *feed) bool {
	if at.feed == nil {
		return f.joined
	}
	return at.feed == f || at.next == f
}

// answered ends a request that the server has answered.
func (f *feed) answered(m *msg.Msg) {
	asked := f.asked == m
	f.conn.pool.ctx.msgs.Put(m)
	if asked {
		f.asked = nil
	}
	f.done(asked)
}

// done goes on after an answer. asked: the client's request, or move, has waited for
// it.
func (f *feed) done(asked bool) {
	switch s := f.subs; {
	case asked && s.asks != nil:
		s.asks.pending--
		s.endRequest()
	case asked && s.move != nil:
		s.move.pending--
		s.moves()
	default:
		s.tidy()
	}
}

// Party implements msg.Owner.
func (f *feed) Party() msg.Party { return f.subs.client }

// OnReply implements msg.Owner: the server has refused the request.
func (f *feed) OnReply(m *msg.Msg, r msg.Reply) {
	switch s := f.subs; {
	case m.Nkeys == 0, !mayBeError(r): // a PING is answered, whatever the server says
	case m.Quiet: // an UNSUBSCRIBE: the client hears no more all the same
		f.spoilt = true
	case f.asked != m && m.Pending == 0: // what comes from everywhere does not come from there
		f.refused()
	case s.move != nil:
		s.move.failed = true
	case s.asks != nil && s.asks.refusal.Len() == 0: // the client gets one error
		s.asks.refusedBy(f.conn.server, r)
	}
	f.answered(m)
}

// refused is called when the server has refused channels to which the client listens
// already: they are to come from this server, too.
func (f *feed) refused() {
	f.stale = true
	f.subs.lose()
}

// OnFailure implements msg.Owner.
func (f *feed) OnFailure(m *msg.Msg) {
	switch s := f.subs; {
	case s.move != nil:
		s.move.failed = true
	case f.asked == m && s.asks != nil:
		s.asks.why = m.Err
	}
	f.answered(m)
}

// evicted implements tenant.
func (f *feed) evicted(*serverConn) {
	s := f.subs
	i := slices.Index(s.feeds, f)
	if i < 0 {
		return
	}
	s.feeds = slices.Delete(s.feeds, i, i+1)
	f.stale = true
	if s.move != nil {
		s.move.failed = true
	}
	fresh := 0
	if a := s.asks; a != nil && !a.what.Ends {
		for _, n := range a.names {
			if at, known := s.listens[a.what.Channels].at(n.name); known && n.fresh && (at.feed == nil || at.feed == f) {
				fresh++
			}
		}
		if fresh > 0 && a.why == msg.OK {
			// The server may have agreed already. Others have not: the request fails.
			a.why = msg.SubscriptionLost
		}
	}
	if f.n > fresh {
		s.lose()
	}
}

// withdrawn implements tenant: another one is to take its place.
func (f *feed) withdrawn(*serverConn, int64) {
	f.stale = true
	f.subs.placeSoon(nil)
}

// slotless implements tenant. The channels of other clients stay.
func (f *feed) slotless(*serverConn) bool { return hearsAll(f.subs) }

// tidy gives back the feeds that no channel needs any more.
func (s *subscriber) tidy() {
	if s.move != nil {
		return
	}
	for _, f := range slices.Clone(s.feeds) {
		if f.n > 0 || f.waits() {
			continue
		}
		i := slices.Index(s.feeds, f)
		s.feeds = slices.Delete(s.feeds, i, i+1)
		if f.spoilt || f.shared != nil {
			f.end()
			continue
		}
		f.conn.private.hearer = nil
		f.conn.private.giveBack(false)
	}
	s.stays = s.stays && len(s.feeds) > 0
}

// end closes the connection. Nobody waits for replies on it.
func (f *feed) end() {
	if f.shared != nil {
		f.quit(channelsOf(f.subs))
		return
	}
	c := f.conn
	f.asked = nil
	if c.private == nil || c.private.tenant != tenant(f) {
		return
	}
	c.private.tenant = nil
	c.abandon(msg.Asked)
}

// lose is called when the client may have lost messages. It is closed, as a server
// would close it, or subscribes again.
func (s *subscriber) lose() {
	p := s.client.pool
	if p.conf.PubSub.OnLoss == config.LossCloses {
		s.closeSoon()
		return
	}
	s.tellLoss("client that listens to channels may have missed messages: a connection to a server has ended; nuthatch subscribes again")
	s.placeSoon(nil)
}

// tellLoss counts a loss, and logs it.
func (s *subscriber) tellLoss(what string) {
	p := s.client.pool
	p.stats.Values[stats.SubscribersLost]++
	if missed, ok := p.lossPace.mayLog(p.ctx.loop.Now()); ok {
		p.ctx.log.Warn(what, append(clientAttrs(s.client), slog.Int("left_out", missed))...)
	}
}

// closeSoon has the client closed, since it has lost messages, or will.
func (s *subscriber) closeSoon() {
	if s.lost {
		return
	}
	s.lost = true
	s.client.pool.ctx.turn.later(&losing{s})
}

// A losing is the closing of a client that has lost messages.
type losing struct{ subs *subscriber }

// step implements job.
func (j *losing) step(ctx *Context) (done bool) {
	c := j.subs.client
	if c.state != clientOpen || c.own.subs != j.subs {
		return true
	}
	if !ctx.turn.room() {
		return false
	}
	j.subs.tellLoss("client that listens to channels is closed: a connection to a server has ended")
	c.closing(closeReason{why: msg.SubscriptionLost})
	c.settle()
	return true
}

// pingBy schedules the check of idle feeds, if the pool wants one.
func pingBy(p *ServerPool) {
	if d := int64(p.conf.PubSub.Ping); d > 0 {
		t := &p.ctx.timers
		t.nextPing = soonest(t.nextPing, t.ctx.loop.Now()+d)
	}
}

// pingFeeds sends PING on feeds on which nothing has come.
func (t *timers) pingFeeds() {
	t.nextPing = 0
	for _, p := range t.ctx.pools {
		if p.conf.PubSub.Ping > 0 && p.stats.Values[stats.Subscribers] > 0 {
			pingBy(p)
			t.ctx.turn.later(&pinging{servers: p.servers})
		}
	}
}

// A pinging sends PING on many feeds, in slices.
type pinging struct {
	servers []*Server
	at      int
}

// step implements job.
func (j *pinging) step(ctx *Context) (done bool) {
	for len(j.servers) > 0 && ctx.turn.hasBudget() {
		all := j.servers[0].store.all
		if j.at >= len(all) {
			j.servers, j.at = j.servers[1:], 0
			continue
		}
		ctx.turn.count(Amount{Clients: 1})
		if f := feedOn(all[j.at]); f != nil {
			if !f.heardLately() && all[j.at].queue.Len() == 0 && all[j.at].Open() {
				f.ask()
			}
		}
		j.at++
	}
	return len(j.servers) == 0
}

// ask implements receiver.
func (f *feed) ask() { answerInTime(f.conn, sendPing(f.conn, f)) }

// answerInTime bounds the time in which a server must answer a PING.
func answerInTime(c *serverConn, m *msg.Msg) {
	if d := int64(c.pool.conf.PubSub.Ping); d > 0 && c.pool.conf.Timeout == 0 {
		ctx := c.pool.ctx
		m.Deadline = ctx.loop.Now() + d
		ctx.nextDeadline = soonest(ctx.nextDeadline, m.Deadline)
	}
}
