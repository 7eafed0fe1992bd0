package proxy

import (
	"log/slog"
	"slices"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A feed is a connection on which a server tells a client what is said on channels. It is
// in RESP2, whatever the client speaks: what servers push differs in its first byte alone.
type feed struct {
	subs *subscriber
	conn *serverConn
	// n is how many channels come from it.
	n int
	// names are scratch: those of the request that is being made.
	names []string
	// asked is the message on the connection that the client's request waits for, or nil.
	asked *msg.Msg
}

// feedOn is the tenant of a connection whose client listens to channels, or nil.
func feedOn(c *serverConn) *feed {
	if c.private == nil || c.private.tenant == nil {
		return nil
	}
	return c.private.tenant.feed()
}

// feed implements tenant.
func (f *feed) feed() *feed { return f }

// feed is the client's connection to a server, made if need be. The reason says why there
// is none.
func (s *subscriber) feed(server *Server) (*feed, msg.Reason) {
	for _, f := range s.feeds {
		if f.conn.server == server {
			return f, f.conn.mayTake()
		}
	}
	f := &feed{subs: s}
	conn, why := server.borrow(0, f)
	if why != msg.OK {
		server.reasons[stats.ServerFailedRequests][why]++
		return nil, why
	}
	f.conn = conn
	s.feeds = append(s.feeds, f)
	for _, all := range s.listens { // what comes from everywhere comes from there, too
		for _, at := range all {
			if at.feed == nil {
				f.n++
			}
		}
	}
	return f, msg.OK
}

// send asks the server to begin or end with the channels in names.
func (f *feed) send(what msg.Subscription) *msg.Msg {
	c := f.conn
	ctx := c.pool.ctx
	out := c.Out()
	before := out.Len()
	c.pool.proto.messenger.AppendSubscribe(what, f.names, ctx.bufs, out)
	m := ctx.msgs.Get()
	m.Owner, m.NoReply, m.Nkeys, m.Rare = f, true, int32(len(f.names)), true
	f.names = nil
	c.server.stats[stats.Requests]++
	c.enqueue(m, out.Len()-before)
	return m
}

// hears takes what the server says, if it is about channels.
func (f *feed) hears(r msg.Reply) (taken bool) {
	c := f.conn
	head := c.queue.Head()
	push := c.pool.proto.messenger.Hear(r)
	asked := head != nil && head.Owner == f && head.Nkeys > 0
	switch {
	case push.Heard == msg.HeardMessage:
		f.message(push, r)
	case (push.Heard == msg.HeardBegun || push.Heard == msg.HeardEnded) && asked:
		if head.Nkeys--; head.Nkeys == 0 {
			c.proven = true
			f.answered(c.pop())
		}
	case push.Heard == msg.HeardEnded: // the server has not the channel any more
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
	at, known := s.listens[push.Channels][string(push.Name)]
	if !known || at.feed != nil && at.feed != f || c.state != clientOpen || c.leaveBy != 0 {
		return
	}
	p := c.pool
	out := c.Out()
	if s.asks != nil && !s.asks.what.Ends {
		out = &s.held
	}
	before := out.Len()
	p.proto.messenger.AppendMessage(push.Channels, r, at.shown, &c.session, p.ctx.bufs, out)
	v := &p.stats.Values
	v[stats.Messages]++
	v[stats.MessageBytes] += int64(out.Len() - before)
	c.Flush()
	waiting, limit := int64(c.Out().Len()+s.held.Len()), p.conf.PubSub.OutputLimit
	switch p.ctx.memory.weigh(); {
	case limit > 0 && waiting > limit:
		c.cut(msg.OutputLimit)
	case p.ctx.memory.full && waiting > outFull:
		c.cut(msg.NoMemory)
	}
}

// grown looks at a message that has come in part.
func (f *feed) grown() {
	c := f.conn
	if int64(c.reply.Len()+c.parser.Body()) > c.pool.maxReplySize() {
		c.fail(msg.ReplyTooLarge)
	}
}

// answered ends a request that the server has answered.
func (f *feed) answered(m *msg.Msg) {
	asked := f.asked == m && f.subs.asks != nil
	f.conn.pool.ctx.msgs.Put(m)
	if asked {
		f.asked = nil
		f.subs.asks.pending--
		f.subs.settle()
		return
	}
	f.subs.tidy()
}

// Party implements msg.Owner.
func (f *feed) Party() msg.Party { return f.subs.client }

// OnReply implements msg.Owner: the server has refused what it was asked.
func (f *feed) OnReply(m *msg.Msg, r msg.Reply) {
	if f.asked == m && mayBeError(r) {
		r.MoveTo(f.conn.pool.ctx.bufs, &f.subs.asks.refusal)
	}
	f.answered(m)
}

// OnFailure implements msg.Owner.
func (f *feed) OnFailure(m *msg.Msg) {
	if f.asked == m && f.subs.asks != nil {
		f.subs.asks.why = m.Err
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
	fresh := 0
	if a := s.asks; a != nil && !a.what.Ends {
		for _, n := range a.names {
			if at, known := s.listens[a.what.Channels][n.name]; known && n.fresh && (at.feed == nil || at.feed == f) {
				fresh++
			}
		}
	}
	if f.n > fresh {
		s.lose()
	}
}

// withdrawn implements tenant.
func (f *feed) withdrawn(*serverConn, int64) { f.subs.lose() }

// tidy gives back the connections from which no channel comes any more.
func (s *subscriber) tidy() {
	for _, f := range slices.Clone(s.feeds) {
		if f.n > 0 || f.conn.queue.Len() > 0 {
			continue
		}
		i := slices.Index(s.feeds, f)
		s.feeds = slices.Delete(s.feeds, i, i+1)
		f.conn.private.giveBack(false)
	}
}

// end closes the connection. Nobody waits for what is asked on it.
func (f *feed) end() {
	c := f.conn
	f.asked = nil
	if c.private == nil || c.private.tenant != tenant(f) {
		return
	}
	c.private.tenant = nil
	c.abandon(msg.Asked)
}

// lose has the client closed: it has missed messages, or will.
func (s *subscriber) lose() {
	if s.lost {
		return
	}
	s.lost = true
	s.client.pool.ctx.turn.later(&losing{s})
}

// A losing is the closing of a client that has lost what it listens to.
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
	p := c.pool
	p.stats.Values[stats.SubscribersLost]++
	if missed, ok := p.lossPace.mayLog(ctx.loop.Now()); ok {
		ctx.log.Warn("client that listens to channels is closed: a connection to a server has ended",
			append(clientAttrs(c), slog.Int("left_out", missed))...)
	}
	c.closing(closeReason{why: msg.SubscriptionLost})
	c.settle()
	return true
}
