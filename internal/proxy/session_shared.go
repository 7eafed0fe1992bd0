package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// With pubsub.connections: shared the clients of a loop that listen have one connection
// to each server together, a shared feed:
//
//	clients            feeds        shared feed                                   server
//	SUBSCRIBE a  ─►    feed ─► channel a, its first member    ─► SUBSCRIBE a  ─►
//	SUBSCRIBE a  ─►    feed ─► channel a, one member more     ─► PING         ─►
//	             ◄─────────── the members of a ◄─ backlog ◄────── message on a ◄─
//
// A client's feed is then its part of that connection. All else is as with connections
// of its own: what it listens to, at which server, what it is answered, how it moves,
// what a loss means. What the server says goes into the backlog, and from there, in its
// order, to the members of its channel (session_spread.go).

// A sharedFeed is a connection on which a server sends the messages of channels to all
// clients of the loop that listen there.
type sharedFeed struct {
	server *Server
	// user is who its connection is logged in as, as in a lane.
	user uint32
	conn *serverConn
	roster
	// seats has the place of each member in its channel.
	seats map[seat]int32
	// feeds are the clients' parts of it, in no order.
	feeds []*feed
	// asked are the requests to listen that the server has not answered.
	asked fifo[*enrolment]
	barriers
	// owed is how many requests the server has not answered.
	owed int
	// left is scratch space: the channels that nobody listens to any more.
	left []string
	// stale: no more clients join it. over: the connection has ended, for the reason why.
	// spoilt: the server may still send messages of channels that nobody listens to.
	stale, over, spoilt bool
	why                 msg.Reason
	// heard: something has come on it since the last check.
	heard bool
	backlog
}

// A sharedChannel is a channel, or a pattern, of a shared feed.
type sharedChannel struct {
	kind    msg.Channels
	name    string
	members []member
	// begun: the server has agreed. asks is the request to it until then. next is the
	// number of the next message since.
	begun bool
	asks  *msg.Msg
	next  uint64
}

// A member is a client's feed that has the messages of a channel, beginning with the
// message number from. As long as it waits for the server to agree, from is notBegun.
// As long as it waits for the answer to a PING, it is that one's number and notYet.
type member struct {
	feed *feed
	from uint64
}

const (
	notBegun = ^uint64(0)
	notYet   = uint64(1) << 63
)

// A seat names a member.
type seat struct {
	channel *sharedChannel
	feed    *feed
}

// An enrolment is a request to listen to channels that nobody listened to before.
type enrolment struct {
	m        *msg.Msg
	channels []*sharedChannel
}

// sharedChannelSize is how many bytes are counted for a sharedChannel, besides its name.
const sharedChannelSize = 192

// sharedAnswer stands, as a feed's asked, for whatever it waits for on a shared feed.
var sharedAnswer msg.Msg

// sharedFeed is the server's shared feed for the clients of a user. It is made if need be;
// the reason says why there is none.
func (s *Server) sharedFeed(user uint32) (*sharedFeed, msg.Reason) {
	if sf := s.shared[user]; sf != nil {
		return sf, sf.conn.mayTake()
	}
	sf := &sharedFeed{server: s, user: user, roster: roster{memory: &s.pool.ctx.memory}, seats: make(map[seat]int32), heard: true}
	sf.of = sf
	conn, why := s.borrow(laneAs(s.pool, user), sf)
	if why != msg.OK {
		return nil, why
	}
	sf.conn = conn
	conn.private.hearer = sf
	if s.shared == nil {
		s.shared = make(map[uint32]*sharedFeed)
	}
	s.shared[user] = sf
	return sf, msg.OK
}

// add adds a client's part.
func (sf *sharedFeed) add(f *feed) {
	f.shared, f.conn, f.at = sf, sf.conn, len(sf.feeds)
	sf.feeds = append(sf.feeds, f)
}

// remove removes it, and reports whether it was there.
func (sf *sharedFeed) remove(f *feed) bool {
	if f.gone {
		return false
	}
	f.gone = true
	last := len(sf.feeds) - 1
	sf.feeds[f.at] = sf.feeds[last]
	sf.feeds[f.at].at = f.at
	sf.feeds[last] = nil
	sf.feeds = sf.feeds[:last]
	return true
}

// settle gives the connection back if nobody needs it any more: after the last client.
func (sf *sharedFeed) settle() {
	c := sf.conn
	switch pv := c.private; {
	case len(sf.feeds) > 0 || sf.over || pv.tenant != tenant(sf):
	case sf.stale || sf.spoilt || sf.holds():
		pv.tenant = nil
		sf.finish()
		c.abandon(msg.Asked)
	case sf.owed == 0 && !sf.waits():
		sf.finish()
		pv.hearer = nil
		pv.giveBack(false)
	}
}

// begin makes a feed a member of the channels in its names. It returns what stands for
// the server's answers; nil: there is nothing to wait for.
func (sf *sharedFeed) begin(f *feed, kind msg.Channels) *msg.Msg {
	if sf.over { // the client is about to be told
		f.names = nil
		return nil
	}
	var fresh, known []string
	for _, name := range f.names {
		switch ch, waits := sf.join(f, kind, name); {
		case waits:
			known = append(known, name)
		case ch != nil:
			fresh = append(fresh, name)
		}
	}
	if len(fresh) > 0 {
		sf.enrol(kind, fresh)
	}
	if len(known) > 0 {
		sf.await(&pingWaiter{feed: f, what: joins, kind: kind, names: known})
	}
	f.names = nil
	return f.awaits()
}

// enrol asks the server for channels that have just got their first members.
func (sf *sharedFeed) enrol(kind msg.Channels, names []string) {
	bySlot(sf.server.pool, kind, names, func(part []string, _ bool) {
		e := &enrolment{m: sf.request(msg.Subscription{Channels: kind}, part)}
		for _, name := range part {
			ch := sf.channels[kind][name]
			ch.asks = e.m
			e.channels = append(e.channels, ch)
		}
		sf.asked.push(e)
	})
}

// awaits is what stands for what the feed waits for, or nil.
func (f *feed) awaits() *msg.Msg {
	if f.pending == 0 {
		return nil
	}
	return &sharedAnswer
}

// join makes a feed a member of a channel. It returns the channel if it is a new one,
// for which the server must be asked. waits: the feed must wait for the answer to a
// PING, since others have the channel: what the server says before is not for it.
func (sf *sharedFeed) join(f *feed, kind msg.Channels, name string) (fresh *sharedChannel, waits bool) {
	ch := sf.channels[kind][name]
	if ch == nil {
		ch = &sharedChannel{kind: kind, name: name}
		sf.enter(ch)
		fresh = ch
	}
	if _, there := sf.seats[seat{ch, f}]; there {
		return nil, false
	}
	sf.seats[seat{ch, f}] = int32(len(ch.members))
	from := notBegun
	if waits = ch.begun || ch.asks != nil && !sf.isUnsent(ch.asks); waits {
		from = notYet | sf.barrier().number
	} else {
		f.pending++
	}
	ch.members = append(ch.members, member{f, from})
	return fresh, waits
}

// finish notes that the connection ends, or has ended. What is counted for channels is
// subtracted at once, however many there are.
func (sf *sharedFeed) finish() {
	sf.retire()
	sf.over = true
	sf.close()
}

// end ends the membership of a feed in the channels in its names. If it awaits that, it
// first gets the messages of before.
func (sf *sharedFeed) end(f *feed, kind msg.Channels, awaits bool) *msg.Msg {
	names := f.names
	f.names = nil
	if awaits {
		return sf.await(&pingWaiter{feed: f, what: leaves, kind: kind, names: names})
	}
	sf.leave(f, kind, names)
	return f.awaits()
}

// leave ends the membership of a feed in channels, where it is a member. The last
// member of a channel leaves it at the server, too: that is the request, or the last one, or nil.
func (sf *sharedFeed) leave(f *feed, kind msg.Channels, names []string) (asks *msg.Msg) {
	if sf.over {
		return nil
	}
	sf.server.pool.ctx.turn.countChannels(len(names))
	for _, name := range names {
		if ch := sf.channels[kind][name]; ch != nil && sf.unseat(ch, f) && len(ch.members) == 0 {
			sf.forget(ch)
			sf.left = append(sf.left, name)
		}
	}
	if len(sf.left) > 0 && !sf.stale {
		bySlot(sf.server.pool, kind, sf.left, func(part []string, _ bool) {
			asks = sf.request(msg.Subscription{Channels: kind, Ends: true}, part)
		})
	}
	clear(sf.left)
	sf.left = sf.left[:0]
	return asks
}

// unseat takes a member out of a channel, and reports whether it was there. Members
// before the one that is told something at present have been told; it stays so.
func (sf *sharedFeed) unseat(ch *sharedChannel, f *feed) bool {
	at, there := sf.seats[seat{ch, f}]
	if !there {
		return false
	}
	delete(sf.seats, seat{ch, f})
	if ch.members[at].from == notBegun {
		f.pending--
	}
	if told := int32(sf.at); sf.tells(ch) && at < told {
		sf.at--
		sf.reseat(ch, told-1, at)
		at = told - 1
	}
	last := int32(len(ch.members) - 1)
	sf.reseat(ch, last, at)
	ch.members[last] = member{}
	ch.members = ch.members[:last]
	return true
}

// reseat moves a member.
func (sf *sharedFeed) reseat(ch *sharedChannel, from, to int32) {
	if from != to {
		ch.members[to] = ch.members[from]
		sf.seats[seat{ch, ch.members[to].feed}] = to
	}
}

// request sends a request about channels.
func (sf *sharedFeed) request(what msg.Subscription, names []string) *msg.Msg {
	c := sf.conn
	ctx := c.pool.ctx
	out := c.Out()
	before := out.Len()
	c.pool.proto.messenger.AppendSubscribe(what, names, ctx.bufs, out)
	m := ctx.msgs.Get()
	m.Owner, m.NoReply, m.Nkeys, m.Rare = sf, true, int32(len(names)), true
	c.server.stats[stats.Requests]++
	c.enqueue(m, out.Len()-before)
	sf.owed++
	return m
}

// feed implements tenant.
func (sf *sharedFeed) feed() receiver { return sf }

// heardLately implements receiver.
func (sf *sharedFeed) heardLately() bool {
	was := sf.heard
	sf.heard = false
	return was
}

// ask implements receiver.
func (sf *sharedFeed) ask() { answerInTime(sf.conn, sf.sendPing().m) }

// mayPush implements hearer: whatever comes may be a message.
func (sf *sharedFeed) mayPush(byte) bool { return true }

// hears implements hearer.
func (sf *sharedFeed) hears(r msg.Reply) (taken bool) {
	c := sf.conn
	sf.heard = true
	head := askedFor(c)
	push := c.pool.proto.messenger.Hear(r)
	asked := head != nil && head.Nkeys > 0
	e := sf.asked.first()
	begins := e != nil && e.m == head
	switch {
	case push.Heard == msg.HeardMessage:
		if ch := sf.channels[push.Channels][string(push.Name)]; ch != nil && ch.begun {
			sf.message(ch, r)
		}
	case asked && (push.Heard == msg.HeardBegun && begins || push.Heard == msg.HeardEnded && !begins):
		if begins {
			sf.begun(e.channels[len(e.channels)-int(head.Nkeys)])
		}
		if head.Nkeys--; head.Nkeys == 0 {
			isProven(c, true, false)
			if begins {
				sf.asked.pop()
			}
			sf.hasParted(head)
			c.pool.ctx.msgs.Put(c.pop())
			sf.owed--
			sf.settle()
		}
	case push.Heard == msg.HeardEnded: // the server has not the channel any more
		if ch := sf.channels[push.Channels][string(push.Name)]; ch != nil {
			sf.put(said{what: saysGone, channel: ch})
		}
		sf.withdrawn(c, 0)
	case push.Heard == msg.HeardReply && head != nil:
		return false
	default:
		c.logBadReply(errOutOfStep)
		c.fail(msg.BadReply)
	}
	return true
}

// begun notes that the server has agreed to a channel.
func (sf *sharedFeed) begun(ch *sharedChannel) {
	ch.begun, ch.asks = true, nil
	sf.put(said{what: saysBegun, channel: ch})
}

// Party implements msg.Owner.
func (sf *sharedFeed) Party() msg.Party { return nil }

// OnReply implements msg.Owner: the answer to a PING, or a refusal.
func (sf *sharedFeed) OnReply(m *msg.Msg, r msg.Reply) {
	ctx := sf.conn.pool.ctx
	ping, e := sf.pings.first(), sf.asked.first()
	switch {
	case ping != nil && ping.m == m:
		sf.pings.pop()
		if len(ping.waiters) > 0 {
			sf.put(said{what: saysPong, waiters: ping.waiters})
		}
	case e != nil && e.m == m:
		sf.asked.pop()
		sf.refuse(e.channels[len(e.channels)-int(m.Nkeys):], r)
	default: // a refused UNSUBSCRIBE: nobody listens to those channels all the same
		sf.spoilt = true
		sf.hasParted(m)
	}
	ctx.msgs.Put(m)
	sf.owed--
	sf.settle()
}

// refuse has the members of channels be told that the server does not agree. Until
// then others may join them, and are told the same.
func (sf *sharedFeed) refuse(channels []*sharedChannel, r msg.Reply) {
	text := r.Flat
	if r.Chain != nil {
		text = r.Chain.AppendTo(nil)
	}
	for _, ch := range channels {
		ch.asks = nil
	}
	s := said{what: saysRefused, refusals: &refusals{channels}}
	s.form.Append(sf.conn.pool.ctx.bufs, text)
	sf.put(s)
}

// OnFailure implements msg.Owner: the connection has ended.
func (sf *sharedFeed) OnFailure(m *msg.Msg) {
	sf.why = m.Err
	sf.conn.pool.ctx.msgs.Put(m)
}

// evicted implements tenant. The clients get what has come, and are told then.
func (sf *sharedFeed) evicted(*serverConn) {
	sf.finish()
	sf.why = msg.SubscriptionLost
	sf.asked, sf.pings, sf.parting = fifo[*enrolment]{}, fifo[*sharedPing]{}, fifo[parting]{}
	sf.put(said{what: saysLost})
}

// retire has no more clients join.
func (sf *sharedFeed) retire() {
	sf.stale = true
	if sf.server.shared[sf.user] == sf {
		delete(sf.server.shared, sf.user)
	}
}

// withdrawn implements tenant: another one is to take its place.
func (sf *sharedFeed) withdrawn(*serverConn, int64) {
	sf.retire()
	sf.server.pool.ctx.turn.later(&withdrawing{sf, len(sf.feeds), false})
	sf.settle()
}

// slotless implements tenant. The connection stays, and those of its clients leave it that hear all.
func (sf *sharedFeed) slotless(*serverConn) bool {
	sf.server.pool.ctx.turn.later(&withdrawing{sf, len(sf.feeds), true})
	return false
}

// A withdrawing has the clients of a shared feed move to another one, in slices: all of them, or those
// that hear something from all servers.
type withdrawing struct {
	of       *sharedFeed
	at       int
	hearsAll bool
}

// step implements job. Feeds that leave meanwhile may bring a client to its turn twice,
// but none misses it.
func (j *withdrawing) step(ctx *Context) (done bool) {
	for j.at = min(j.at, len(j.of.feeds)); j.at > 0; j.at = min(j.at-1, len(j.of.feeds)) {
		if !ctx.turn.room() {
			return false
		}
		f := j.of.feeds[j.at-1]
		if j.hearsAll && !hearsAll(f.subs) {
			continue
		}
		f.stale = f.stale || j.hearsAll
		f.subs.placeSoon(nil)
	}
	return true
}

// expire has the feed wait no longer for a request of its client.
func (f *feed) expire(why msg.Reason) {
	if f.shared == nil {
		f.conn.abandon(why)
		return
	}
	f.asked = nil
	f.subs.asks.pending--
	f.subs.asks.why = why
	f.waitNoMore()
}

// isStale reports whether the connection is about to be given up, has ended, or is not
// of the kind that the pool wants now.
func (f *feed) isStale() bool {
	shares := sharesConns(f.subs)
	return f.stale || shares != (f.shared != nil) || shares && f.shared.stale
}

// waits reports whether something is to come that the feed must stay for.
func (f *feed) waits() bool {
	if f.shared != nil {
		return f.pending > 0
	}
	return f.conn.queue.Len() > 0
}
