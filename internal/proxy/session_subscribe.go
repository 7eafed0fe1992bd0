package proxy

import (
	"slices"
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A client that listens to channels has connections of its own for that, each to another
// server, beside those that its requests take:
//
//	client                        proxy                           servers
//	SUBSCRIBE a b  ─► Msg ─► feed of a's owner  ─► SUBSCRIBE a
//	                         feed of b's owner  ─► SUBSCRIBE b
//	               ◄─ a, b ◄─ settle            ◄─ both have said so
//	               ◄─ message ◄──────── hears   ◄─ a message, at any time
//
// What the client has sent before is answered first, and nothing more is taken until it has
// its answer. Messages that come meanwhile follow that. They stand between two replies,
// never within one.

// A Messenger has channels that clients listen to (msg.Subscribe, msg.Publish). Names of
// channels are the client's or the server's, which may have another number for a database.
type Messenger interface {
	// Subscription is what the request has its client begin or end to listen to.
	Subscription(req *msg.Request) (what msg.Subscription, ok bool)
	// Publishes tells whether the request is one that sends a message to those who listen to
	// a channel. Published is the channel that a request of msg.Publish has a message for.
	Publishes(req *msg.Request) bool
	Published(req *msg.Request) (kind msg.Channels, name []byte)
	// Audience says which servers have to be asked for the messages of a channel, and by
	// which key it is placed. The name is the client's.
	Audience(kind msg.Channels, name []byte) (key []byte, at msg.Audience)
	// ServerName is the server's name of a channel that the client calls name.
	ServerName(kind msg.Channels, name []byte) []byte
	// AppendSubscribe appends a request to begin or end to listen to channels.
	AppendSubscribe(what msg.Subscription, names []string, p *mbuf.Pool, out *mbuf.Chain)
	// AppendPing appends a request to say something.
	AppendPing(p *mbuf.Pool, out *mbuf.Chain)
	// AppendListens appends what a client is told of one channel of its request, when left
	// is how many of each kind it listens to now. No name: it listened to none.
	AppendListens(what msg.Subscription, name []byte, left *[msg.NumChannels]int, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)
	// Hear says what a server has said on a connection whose client listens.
	Hear(r msg.Reply) msg.Push
	// AppendMessage appends a message as the client gets it, which it may take out of r.
	// shown is what the client calls its channel, or pattern; empty: as the server does.
	AppendMessage(kind msg.Channels, r msg.Reply, shown string, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)
}

const (
	// maxChannels is the most channels of one request, all of which are looked at in one turn.
	maxChannels = 16 << 10
	// channelSize is what is counted for a channel beside its name, in bytes, and
	// subscriberSize for a client that listens.
	channelSize, subscriberSize = 96, 512
)

// A subscriber is a client that listens to channels.
type subscriber struct {
	client *client
	// feeds are its connections.
	feeds []*feed
	// listens are the channels of each kind, by the servers' names.
	listens [msg.NumChannels]map[string]place
	// told is how many of each kind the client knows of.
	told [msg.NumChannels]int
	// side is the connection that patterns are on.
	side *feed
	// asks is its request that servers have not answered; nil: there is none.
	asks *subscription
	// held are the messages that have come meanwhile.
	held mbuf.Chain
	// counted is how many bytes ctx.memory.beside has of it.
	counted int64
	// move is the moving of its channels to other servers; nil: none do.
	move *move
	// unplaced: they are to be looked at again.
	unplaced bool
	// lost: it is about to be closed, since a connection has ended.
	lost bool
}

// A place is where the messages of a channel come from.
type place struct {
	// feed has them; nil: all have. next has them, too, while the channel moves there.
	feed, next *feed
	// shown is what the client calls the channel, if the server calls it otherwise.
	shown string
}

// A subscription is a request to begin or end to listen.
type subscription struct {
	m     *msg.Msg
	what  msg.Subscription
	names []named
	// pending is how many servers have not answered.
	pending int
	// why is why there is no answer, and refusal the error that is one.
	why     msg.Reason
	refusal mbuf.Chain
}

// A named is one of the channels of a request.
type named struct {
	// name is the server's, shown the client's.
	name, shown string
	// fresh: the client did not listen to it before.
	fresh bool
}

// listens reports whether the client listens to channels.
func listens(c *client) bool { return c.session.Bars&msg.Listening != 0 }

// listenedBy is how many channels of each kind the client listens to.
func listenedBy(c *client) (n [msg.NumChannels]int) {
	if c.own != nil && c.own.subs != nil {
		n = c.own.subs.told
	}
	return n
}

// publish sends a message to the server whose clients hear of its channel.
func (d *dispatch) publish(req *msg.Request) {
	c, p := d.client, d.client.pool
	if p.holdBy != 0 {
		c.awaitMoves()
		return
	}
	key, _ := p.proto.messenger.Audience(p.proto.messenger.Published(req))
	c.forwardTo(p.home(key), req)
}

// subscribe has the client begin, or end, to listen to the channels of the request.
func (d *dispatch) subscribe(req *msg.Request) {
	c, p := d.client, d.client.pool
	what, ok := p.proto.messenger.Subscription(req)
	switch {
	case !ok:
		c.local(req)
		return
	case !what.Ends && len(req.Args)-1 > p.conf.PubSub.MaxSubscriptions:
		c.refuse(req, msg.TooManySubscriptions)
		return
	case len(req.Args)-1 > maxChannels:
		c.refuse(req, msg.TooManyKeys)
		return
	case !c.mayGo():
		return
	case c.own != nil && c.own.subs != nil && c.own.subs.move != nil:
		c.awaitMoves()
		return
	}
	if ownOf(c).subs == nil {
		c.own.subs = &subscriber{client: c}
		c.own.subs.count(subscriberSize)
	}
	s := c.own.subs
	a := &subscription{what: what}
	p.ctx.turn.countAtOnce(Amount{Keys: len(req.Args)})
	var why msg.Reason
	if what.Ends {
		s.leave(a, req)
	} else if why = s.enter(a, req); why != msg.OK {
		s.withdraw(a)
		c.refuse(req, why)
		return
	}
	a.m = c.newMsg(req)
	a.m.Muted, a.m.Keep = false, false
	c.outq.Push(a.m)
	c.hold(a.m, req.View.Len())
	s.asks = a
	s.ask(a, what)
	c.AwaitReplies()
	s.settle()
}

// nameIn is the i-th channel of a request, in the server's words and in the client's.
func (s *subscriber) nameIn(req *msg.Request, i int, kind msg.Channels) (name, shown []byte) {
	p := s.client.pool
	ctx := p.ctx
	span := req.Args[i]
	shown, ctx.key1 = req.View.Bytes(int(span.Off), int(span.Len), ctx.key1)
	return p.proto.messenger.ServerName(kind, shown), shown
}

// enter notes the channels of a request to listen, and finds their servers. The reason
// says why that cannot be.
func (s *subscriber) enter(a *subscription, req *msg.Request) msg.Reason {
	c, kind := s.client, a.what.Channels
	p := c.pool
	if p.ctx.memory.full {
		return msg.NoMemory
	}
	all := s.listens[kind]
	if all == nil {
		all = make(map[string]place)
		s.listens[kind] = all
	}
	for i := 1; i < len(req.Args); i++ {
		name, shown := s.nameIn(req, i, kind)
		n := named{name: string(name)}
		n.shown = n.name
		at, known := all[n.name]
		if known {
			if at.shown != "" {
				n.shown = at.shown
			}
			a.names = append(a.names, n)
			continue
		}
		if s.total() >= p.conf.PubSub.MaxSubscriptions {
			return msg.TooManySubscriptions
		}
		f, why := s.feedOf(kind, shown)
		if why != msg.OK {
			return why
		}
		at = place{feed: f}
		if string(shown) != n.name {
			n.shown, at.shown = string(shown), string(shown)
		}
		n.fresh = true
		a.names = append(a.names, n)
		s.keep(kind, n.name, at)
	}
	return msg.OK
}

// total is how many channels the client listens to, or is about to.
func (s *subscriber) total() int {
	n := 0
	for _, all := range s.listens {
		n += len(all)
	}
	return n
}

// keep notes a channel.
func (s *subscriber) keep(kind msg.Channels, name string, at place) {
	s.listens[kind][name] = at
	s.count(int64(channelSize + len(name) + len(at.shown)))
	for _, f := range s.feeds {
		if at.feed == nil || at.feed == f {
			f.n++
		}
	}
}

// drop forgets a channel.
func (s *subscriber) drop(kind msg.Channels, name string) {
	at := s.listens[kind][name]
	delete(s.listens[kind], name)
	s.count(-int64(channelSize + len(name) + len(at.shown)))
	for _, f := range s.feeds {
		if at.feed == nil || at.feed == f {
			f.n--
		}
	}
}

// count counts n bytes more.
func (s *subscriber) count(n int64) {
	s.counted += n
	s.client.pool.ctx.memory.beside += n
}

// feedOf is the connection that has the messages of a channel, of which name is the
// client's; nil if all have.
func (s *subscriber) feedOf(kind msg.Channels, name []byte) (*feed, msg.Reason) {
	p := s.client.pool
	key, at := p.proto.messenger.Audience(kind, name)
	switch {
	case at == msg.FirstServer, at == msg.AnyServer && len(s.listens[msg.Patterns]) > 0:
		return s.shared()
	case at == msg.EveryServer:
		for _, server := range p.everywhere() {
			if _, why := s.feed(server); why != msg.OK {
				return nil, why
			}
		}
		return nil, msg.OK
	}
	return s.feed(p.home(key))
}

// shared is the connection for patterns where all servers have all messages, and for the
// channels that the client listens to besides: who matches twice has the message of the
// channel first, from the same server. It is one that the client has, or to the first server.
func (s *subscriber) shared() (*feed, msg.Reason) {
	best := s.side
	if len(s.listens[msg.Patterns]) == 0 || best == nil || best.stale || !slices.Contains(s.feeds, best) {
		best = nil
		for _, f := range s.feeds {
			if !f.stale && !f.server.removed && (best == nil || f.n > best.n) {
				best = f
			}
		}
	}
	if best != nil {
		s.side = best
		return best, best.conn.mayTake()
	}
	f, why := s.feed(s.client.pool.everywhere()[0])
	s.side = f
	return f, why
}

// leave notes the channels of a request to listen no more. Without any, all are meant.
func (s *subscriber) leave(a *subscription, req *msg.Request) {
	kind := a.what.Channels
	all := s.listens[kind]
	if len(req.Args) == 1 {
		for name, at := range all {
			a.names = append(a.names, named{name, shownOr(at.shown, name), true})
		}
		slices.SortFunc(a.names, func(x, y named) int { return strings.Compare(x.shown, y.shown) })
		return
	}
	for i := 1; i < len(req.Args); i++ {
		name, shown := s.nameIn(req, i, kind)
		at, known := all[string(name)]
		n := named{string(name), string(shown), known}
		if known {
			n.shown = shownOr(at.shown, n.name)
		}
		a.names = append(a.names, n)
	}
}

func shownOr(shown, name string) string {
	if shown != "" {
		return shown
	}
	return name
}

// withdraw forgets the channels of a request to listen that comes to nothing. Servers that
// were asked are told.
func (s *subscriber) withdraw(a *subscription) {
	if a.what.Ends {
		return
	}
	if a.m != nil {
		undo := a.what
		undo.Ends = true
		s.ask(a, undo)
	}
	for _, n := range a.names {
		if n.fresh {
			s.drop(a.what.Channels, n.name)
		}
	}
	s.tidy()
}

// ask asks the servers of the channels that are fresh. Only when that is what a says, it
// waits for them.
func (s *subscriber) ask(a *subscription, what msg.Subscription) {
	all := s.listens[what.Channels]
	for _, n := range a.names {
		at, known := all[n.name]
		if !n.fresh || !known {
			continue
		}
		for _, f := range s.feeds {
			if at.feed == nil || at.feed == f {
				f.names = append(f.names, n.name)
			}
		}
	}
	for _, f := range s.feeds {
		if len(f.names) == 0 {
			continue
		}
		m := f.send(what)
		if what == a.what {
			f.asked = m
			a.pending++
		}
	}
}

// settle ends the request in progress, if no server has to answer it any more.
func (s *subscriber) settle() {
	a, c := s.asks, s.client
	if a == nil || a.pending > 0 || c.state == clientClosed {
		return
	}
	p := c.pool
	s.asks = nil
	bufs := p.ctx.bufs
	switch {
	case a.refusal.Len() > 0:
		s.withdraw(a)
		a.m.Reply.Splice(bufs, &a.refusal)
	case a.why != msg.OK && !a.what.Ends:
		s.withdraw(a)
		a.m.Err = a.why
		c.OnFailure(a.m)
		s.settled()
		return
	default:
		s.confirm(a)
	}
	a.m.Done, a.m.Replied = true, p.ctx.loop.Now()
	c.hold(a.m, a.m.Reply.Len())
	c.advance()
	s.settled()
}

// settled goes on with what had to wait for the end of the request.
func (s *subscriber) settled() {
	s.release()
	if s.unplaced {
		s.placeSoon(nil)
	}
}

// confirm tells the client of each channel that it listens to it, or no more.
func (s *subscriber) confirm(a *subscription) {
	c := s.client
	p, kind := c.pool, a.what.Channels
	session := &c.session
	before := s.told
	for _, n := range a.names {
		_, known := s.listens[kind][n.name]
		switch {
		case a.what.Ends && known:
			s.drop(kind, n.name)
			s.told[kind]--
		case !a.what.Ends && n.fresh:
			s.told[kind]++
		}
		p.proto.messenger.AppendListens(a.what, []byte(n.shown), &s.told, session, p.ctx.bufs, &a.m.Reply)
	}
	if len(a.names) == 0 {
		p.proto.messenger.AppendListens(a.what, nil, &s.told, session, p.ctx.bufs, &a.m.Reply)
	}
	p.ctx.turn.countAtOnce(Amount{Bytes: a.m.Reply.Len()})
	s.listened(before)
	s.tidy()
}

// listened follows a change of how many channels the client listens to.
func (s *subscriber) listened(before [msg.NumChannels]int) {
	c := s.client
	v := &c.pool.stats.Values
	n, was := 0, 0
	for i := range before {
		n += s.told[i]
		was += before[i]
	}
	v[stats.Subscriptions] += int64(n - was)
	switch {
	case n > 0 && was == 0:
		v[stats.Subscribers]++
		c.session.Bars |= msg.Listening
	case n == 0 && was > 0:
		v[stats.Subscribers]--
		c.session.Bars &^= msg.Listening
	}
}

// release passes on what has come while servers were asked.
func (s *subscriber) release() {
	c := s.client
	if s.held.Len() == 0 || c.state == clientClosed {
		return
	}
	c.Out().Splice(c.pool.ctx.bufs, &s.held)
	c.Flush()
}

// expire ends the request that m stands for, if it is the one in progress: it has taken
// too long.
func (s *subscriber) expire(m *msg.Msg) bool {
	if s == nil || s.asks == nil || s.asks.m != m {
		return false
	}
	for _, f := range slices.Clone(s.feeds) {
		if f.asked != nil {
			f.conn.abandon(msg.RequestTimedout)
		}
	}
	return true
}

// end has the client listen to nothing any more. Its connections are closed.
func (s *subscriber) end() {
	c := s.client
	bufs := c.pool.ctx.bufs
	feeds := s.feeds
	s.feeds = nil
	for _, f := range feeds {
		f.end()
	}
	if a := s.asks; a != nil { // its message is no more
		a.refusal.Release(bufs)
		s.asks = nil
	}
	s.held.Release(bufs)
	if mv := s.move; mv != nil {
		s.move = nil
		endMoves(c.pool.ctx, mv.of)
		c.movedOn()
	}
	s.listens = [msg.NumChannels]map[string]place{}
	s.count(-s.counted)
	before := s.told
	s.told = [msg.NumChannels]int{}
	s.listened(before)
	c.own.subs = nil
}
