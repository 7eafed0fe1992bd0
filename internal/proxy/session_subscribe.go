package proxy

import (
	"slices"
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A client that listens to channels has private connections for that, at most one to
// each server, besides those that its requests take:
//
//	client                        proxy                           servers
//	SUBSCRIBE a b  ─► Msg ─► feed of a's owner  ─► SUBSCRIBE a
//	                         feed of b's owner  ─► SUBSCRIBE b
//	               ◄─ a, b ◄─ endRequest        ◄─ both have said so
//	               ◄─ message ◄──────── hears   ◄─ a message, at any time
//
// Earlier requests of the client are answered first. No more requests are taken until
// the SUBSCRIBE is answered, but those that are asked for together (session_together.go).
// Messages that come meanwhile follow its reply. A message stands between two replies,
// never within one.

// A Messenger is a protocol with channels that clients listen to (msg.Subscribe,
// msg.Publish). A channel has a name for clients and one for servers: they differ if
// its name has the number of a database that the server numbers otherwise.
type Messenger interface {
	// Subscription reads from a request what the client begins, or ends, to listen to.
	Subscription(req *msg.Request) (what msg.Subscription, ok bool)
	// Publishes reports whether the request publishes a message. Published is the
	// channel of a request of msg.Publish.
	Publishes(req *msg.Request) bool
	Published(req *msg.Request) (kind msg.Channels, name []byte)
	// Audience says which servers must be asked for the messages of a channel, and by
	// which key the channel is placed. The name is the client's.
	Audience(kind msg.Channels, name []byte) (key []byte, at msg.Audience)
	// ServerName is the server's name of a channel that the client calls name.
	ServerName(kind msg.Channels, name []byte) []byte
	// AppendSubscribe appends a request that begins, or ends, to listen to channels.
	AppendSubscribe(what msg.Subscription, names []string, p *mbuf.Pool, out *mbuf.Chain)
	// AppendPing appends a PING, to find out whether the server answers.
	AppendPing(p *mbuf.Pool, out *mbuf.Chain)
	// AppendListens appends the reply about one channel of the client's request. left
	// is how many channels of each kind it listens to now. No name: it listened to
	// none.
	AppendListens(what msg.Subscription, name []byte, left *[msg.NumChannels]int, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)
	// Hear reads what a server says on a connection whose client listens.
	Hear(r msg.Reply) msg.Push
	// AppendMessage appends a message as the client gets it. It may take its bytes out
	// of r. shown is the client's name of the channel or pattern; empty: that of the
	// server.
	AppendMessage(kind msg.Channels, r msg.Reply, shown string, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)
}

const (
	// maxChannels is the most channels of one request. All of them are looked at in one
	// turn.
	maxChannels = 16 << 10
	// channelSize is how many bytes are counted for a channel, besides its name.
	// subscriberSize is how many are counted for a client that listens.
	channelSize, subscriberSize = 96, 512
)

// A subscriber is a client that listens to channels.
type subscriber struct {
	client *client
	// feeds are its connections for channels.
	feeds []*feed
	// listens are the channels of each kind, by the servers' names.
	listens [msg.NumChannels]*listening
	// told is how many channels of each kind the client knows of, from replies.
	told [msg.NumChannels]int
	// side is the connection for patterns. one is scratch space.
	side *feed
	one  [1]*feed
	// asks is the request that servers have not answered yet; nil: there is none.
	asks *subscription
	// counted is how many bytes are counted for it in ctx.memory.beside.
	counted int64
	// move is the move of its channels to other servers; nil: no channel moves.
	move *move
	// owed are the moves of all clients in which it has not moved yet. unplaced: the
	// servers of its channels are to be found again.
	owed     []*topology.Moving
	unplaced bool
	// lost: it is about to be closed, since a connection has ended. renames: it calls a
	// channel otherwise than the servers. stays: it keeps to shared connections, since
	// there are none of its own for it.
	lost, renames, stays bool
}

// A place is the connection from which a channel's messages come.
type place struct {
	// feed has the messages; nil: all feeds have. next has them, too, while the channel
	// moves there.
	feed, next *feed
	// shown is the client's name of the channel, if the server has another one.
	shown string
}

// A subscription is a request to begin or end to listen.
type subscription struct {
	m     *msg.Msg
	what  msg.Subscription
	names []named
	// more are the messages of the requests that are asked for together with m. m gets the
	// reply to all. sizes is how many of names each of them has, first m.
	more  []*msg.Msg
	sizes []int
	// unsent: servers are asked at the end of the turn.
	unsent bool
	// pending is how many servers have not answered.
	pending int
	// expired: it took too long.
	expired bool
	// why is the reason if a server did not answer. refusal is the error of the server refuser.
	why     msg.Reason
	refusal mbuf.Chain
	refuser *Server
	// refusals is how often servers were not ready for it, and by is until when they are asked
	// again; 0: that is not known yet.
	refusals int
	by       int64
	// held are the messages that have come meanwhile.
	held held
}

// A named is one channel of a request.
type named struct {
	// name is the server's name of it, shown the client's.
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

// publish sends a message to the server of its channel.
func (d *dispatch) publish(req *msg.Request) {
	c, p := d.client, d.client.pool
	if p.holdBy != 0 {
		c.awaitMoves()
		return
	}
	key, _ := p.proto.messenger.Audience(p.proto.messenger.Published(req))
	c.forwardTo(p.home(key), req)
}

// subscribe begins, or ends, to listen to the channels of the request.
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
	case c.session.Bars&msg.Subscribing == 0 && !c.mayGo():
		return
	case c.own != nil && c.own.subs != nil && c.own.subs.move != nil, !what.Ends && gathers(p):
		c.awaitMoves()
		return
	}
	if ownOf(c).subs == nil {
		c.own.subs = &subscriber{client: c}
		c.own.subs.count(subscriberSize)
	}
	s := c.own.subs
	a := &subscription{what: what}
	if f := c.own.search; f != nil && !f.taken {
		a.refusals, a.by = f.fails, f.by
	}
	if p.foundElsewhere && !what.Ends && !finds(c, req, laneAs(p, c.session.Lane.User), sharesConns(s), lacksFeeds(s, what.Channels, req)) {
		return
	}
	p.ctx.turn.countAtOnce(Amount{Keys: len(req.Args)})
	var why msg.Reason
	if what.Ends {
		s.leave(a, req)
	} else if why = s.enter(a, req); why != msg.OK {
		s.undo(a)
		c.refuse(req, why)
		return
	}
	a.m, a.sizes = c.newMsg(req), []int{len(a.names)}
	a.m.Muted, a.m.Keep = false, false
	c.outq.Push(a.m)
	c.hold(a.m, req.View.Len())
	if s.asks != nil {
		s.asks.add(a)
		return
	}
	s.asks = a
	askSoon(s)
}

// nameIn is the i-th channel of a request: the server's name, and the client's.
func (s *subscriber) nameIn(req *msg.Request, i int, kind msg.Channels) (name, shown []byte) {
	p := s.client.pool
	ctx := p.ctx
	span := req.Args[i]
	shown, ctx.key1 = req.View.Bytes(int(span.Off), int(span.Len), ctx.key1)
	return p.proto.messenger.ServerName(kind, shown), shown
}

// enter notes the channels of a request to listen, and finds their servers. The reason
// says why a server cannot be asked.
func (s *subscriber) enter(a *subscription, req *msg.Request) msg.Reason {
	c, kind := s.client, a.what.Channels
	p := c.pool
	if p.ctx.memory.full {
		return msg.NoMemory
	}
	all := s.listens[kind]
	if all == nil {
		all = new(listening)
		s.listens[kind] = all
	}
	reached := false
	for i := 1; i < len(req.Args); i++ {
		name, shown := s.nameIn(req, i, kind)
		n := named{name: string(name)}
		at, known := all.at(n.name)
		if known {
			n.shown = shownOr(at.shown, n.name)
			a.names = append(a.names, n)
			continue
		}
		if s.total() >= p.conf.PubSub.MaxSubscriptions {
			return msg.TooManySubscriptions
		}
		f, why := s.feedOf(kind, shown, &reached)
		if why != msg.OK {
			return why
		}
		if f != nil && f.shared != nil {
			n.name = f.shared.nameOf(kind, n.name)
		}
		at, n.shown = place{feed: f}, n.name
		if string(shown) != n.name {
			n.shown, at.shown = string(shown), string(shown)
			s.renames = true
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
		n += all.size()
	}
	return n
}

// keep notes a channel.
func (s *subscriber) keep(kind msg.Channels, name string, at place) {
	s.listens[kind].put(name, at)
	s.count(int64(channelSize + len(name) + len(at.shown)))
	for _, f := range fedBy(s, at.feed) {
		f.n++
	}
}

// drop forgets a channel.
func (s *subscriber) drop(kind msg.Channels, name string) {
	at, _ := s.listens[kind].at(name)
	s.listens[kind].remove(name)
	s.count(-int64(channelSize + len(name) + len(at.shown)))
	for _, f := range fedBy(s, at.feed) {
		f.n--
	}
}

// count counts n bytes more.
func (s *subscriber) count(n int64) {
	s.counted += n
	s.client.pool.ctx.memory.beside += n
}

// feedOf is the connection that has the messages of the channel that the client calls
// name; nil: all have. reached: there are connections to all servers.
func (s *subscriber) feedOf(kind msg.Channels, name []byte, reached *bool) (*feed, msg.Reason) {
	p := s.client.pool
	key, at := p.proto.messenger.Audience(kind, name)
	switch {
	case sharesFeed(s, at):
		return s.shared()
	case at == msg.EveryServer && *reached:
		return nil, msg.OK
	case at == msg.EveryServer:
		for _, server := range p.everywhere() {
			if _, why := s.feed(server); why != msg.OK {
				return nil, why
			}
		}
		*reached = true
		return nil, msg.OK
	}
	return s.feed(listensAt(&p.router, key, at))
}

// sharesFeed reports whether channels with that audience come from the connection for patterns.
func sharesFeed(s *subscriber, at msg.Audience) bool {
	return at == msg.FirstServer || at == msg.AnyServer && s.listens[msg.Patterns].size() > 0
}

// shared is the connection for patterns in a pool whose servers all have all messages.
// The client's channels are on it, too: a client that gets a message twice, by channel
// and by pattern, gets that of the channel first, as from one server. It is a
// connection that the client has, or a new one to the first server.
func (s *subscriber) shared() (*feed, msg.Reason) {
	if best := bestFeed(s); best != nil {
		s.side = best
		return best, best.conn.mayTake()
	}
	p := s.client.pool
	f, why := s.feed(present(&p.router, p.everywhere()[0]))
	s.side = f
	return f, why
}

// bestFeed is the connection that the client has for that, or nil.
func bestFeed(s *subscriber) *feed {
	best, p := s.side, s.client.pool
	if s.listens[msg.Patterns].size() == 0 || best == nil || best.isStale() || isCutOff(&p.router, best.server) || !slices.Contains(s.feeds, best) {
		best = nil
		for _, f := range s.feeds {
			if !f.isStale() && !f.server.removed && !isCutOff(&p.router, f.server) && (best == nil || f.n > best.n) {
				best = f
			}
		}
	}
	return best
}

// leave notes the channels of a request to listen no more. A request without channels
// means all of them.
func (s *subscriber) leave(a *subscription, req *msg.Request) {
	kind := a.what.Channels
	all := s.listens[kind]
	if len(req.Args) == 1 {
		for name, at := range all.all() {
			a.names = append(a.names, named{name, shownOr(at.shown, name), true})
		}
		slices.SortFunc(a.names, func(x, y named) int { return strings.Compare(x.shown, y.shown) })
		return
	}
	for i := 1; i < len(req.Args); i++ {
		name, shown := s.nameIn(req, i, kind)
		at, known := all.at(string(name))
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

// undo forgets the new channels of a request to listen that has failed. It ends the
// listening at servers that were asked already.
func (s *subscriber) undo(a *subscription) {
	if a.what.Ends {
		return
	}
	s.client.pool.ctx.turn.countChannels(len(a.names))
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

// ask sends a request about the fresh channels to their servers. The client's request
// waits for the answers if what is its own.
func (s *subscriber) ask(a *subscription, what msg.Subscription) {
	all := s.listens[what.Channels]
	for _, n := range a.names {
		at, known := all.at(n.name)
		if !n.fresh || !known {
			continue
		}
		for _, f := range fedBy(s, at.feed) {
			f.names = append(f.names, n.name)
		}
	}
	for _, f := range s.feeds {
		if len(f.names) == 0 {
			continue
		}
		m := f.send(what, what == a.what)
		if what == a.what && m != nil {
			f.asked = m
			a.pending++
		}
	}
}

// endRequest ends the request in progress, if all servers have answered it.
func (s *subscriber) endRequest() {
	a, c := s.asks, s.client
	if a == nil || a.unsent || a.pending > 0 || c.state == clientClosed {
		return
	}
	p := c.pool
	s.asks = nil
	bufs := p.ctx.bufs
	switch {
	case a.refusal.Len() > 0 && asksAgain(s, a):
		return
	case a.refusal.Len() > 0:
		countPassed(a.refuser, msg.Reply{Chain: &a.refusal})
		a.held.dropFresh(bufs)
		s.undo(a)
		p.asksApart = p.asksApart || !a.what.Ends
		a.refuse(bufs)
	case a.why != msg.OK && !a.what.Ends:
		a.held.dropFresh(bufs)
		s.undo(a)
		a.fail(c, a.why)
		s.afterRequest(a)
		return
	default:
		s.acknowledge(a)
	}
	a.done(c)
	s.afterRequest(a)
}

// afterRequest goes on with what had to wait for the end of the request.
func (s *subscriber) afterRequest(a *subscription) {
	a.held.send(s.client)
	if s.unplaced {
		s.placeSoon(nil)
	}
}

// acknowledge appends a reply for each channel of the request: the client listens to it
// now, or no more.
func (s *subscriber) acknowledge(a *subscription) {
	c := s.client
	p, kind := c.pool, a.what.Channels
	session := &c.session
	before := s.told
	for _, n := range a.names {
		_, known := s.listens[kind].at(n.name)
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

// listened counts a change of how many channels the client listens to.
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

// isEnding reports whether the request of m has expired already: its connections have
// failed, and a job is about to tell.
func isEnding(c *client, m *msg.Msg) bool {
	if c.own == nil || c.own.subs == nil {
		return false
	}
	a := c.own.subs.asks
	return a != nil && a.m == m && a.expired
}

// expire ends the request of m after its timeout, if that is the one in progress.
func (s *subscriber) expire(m *msg.Msg) bool {
	if s == nil || s.asks == nil || s.asks.m != m {
		return false
	}
	s.asks.expired = true
	if s.asks.unsent {
		askNow(s)
	}
	for _, f := range slices.Clone(s.feeds) {
		if f.asked != nil {
			f.expire(msg.RequestTimedout)
		}
	}
	s.endRequest()
	return true
}

// end ends all listening of the client, and closes its connections for channels.
func (s *subscriber) end() {
	c := s.client
	bufs := c.pool.ctx.bufs
	feeds := s.feeds
	s.feeds = nil
	var from *channelNames
	for _, f := range feeds {
		if f.shared == nil {
			f.end()
			continue
		}
		if from == nil {
			from = channelsOf(s)
		}
		f.quit(from)
	}
	if a := s.asks; a != nil {
		s.asks = nil
		a.refusal.Release(bufs)
		a.held.chain.Release(bufs)
		c.session.Bars &^= msg.Subscribing
		if c.state == clientClosed { // its messages are in no queue any more
			a.put(&c.pool.ctx.msgs)
		} else { // a RESET that came too late has not waited for it
			a.fail(c, msg.RequestTimedout)
		}
	}
	hasMoved(s)
	if s.move != nil {
		s.move = nil
		movedOn(c)
	}
	s.listens = [msg.NumChannels]*listening{}
	s.count(-s.counted)
	before := s.told
	s.told = [msg.NumChannels]int{}
	s.listened(before)
	c.own.subs = nil
}
