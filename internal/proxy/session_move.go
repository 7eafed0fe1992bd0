package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// If the messages of a client's channels come from other servers, after a reload or the
// loss of a connection, the client moves. The new servers are asked before the old ones
// are left:
//
//	new server     SUBSCRIBE ─► it says so
//	old server                              PING ─► what it has said before is heard
//	both                                                                             UNSUBSCRIBE at the old one
//	messages       of the old one, and of the new one if each is told to one server ─► of the new one
//
// Meanwhile messages from clients of this proxy wait (session_place.go), so that each
// arrives once. The client's own requests about channels wait, too.

// A move is the moving of a client's channels.
type move struct {
	// of is what the loops wait for, or nil.
	of *topology.Moving
	// channels are the channels that move.
	channels []moving
	// pending is how many connections have not answered. left: the old ones have been
	// asked.
	pending int
	left    bool
	// failed: a new server cannot be reached.
	failed bool
}

// A moving is a channel that moves: its messages will come from to; nil: from all.
type moving struct {
	kind msg.Channels
	name string
	to   *feed
}

// relistenPeriod is after how long, in nanoseconds, a failed move is tried again.
const relistenPeriod = int64(200 * 1e6)

// placeSoon has the client's channels moved to the right servers, in its turn.
func (s *subscriber) placeSoon(of *topology.Moving) {
	if of != nil {
		of.Begin(1)
	}
	s.client.pool.ctx.turn.later(&replacing{s, of})
}

// A replacing is the job that does that.
type replacing struct {
	subs *subscriber
	of   *topology.Moving
}

// step implements job.
func (j *replacing) step(ctx *Context) (done bool) {
	c := j.subs.client
	if c.state != clientOpen || c.own.subs != j.subs {
		endMoves(ctx, j.of)
		return true
	}
	if j.of == nil && c.pool.gathers { // it moves with all others, when all loops are ready
		return true
	}
	if !ctx.turn.room() {
		return false
	}
	j.subs.place(j.of)
	return true
}

// place begins to move the channels that are not at the right servers.
func (s *subscriber) place(of *topology.Moving) {
	ctx := s.client.pool.ctx
	if s.asks != nil || s.move != nil {
		s.unplaced = true
		if s.move != nil && s.move.of == nil { // what is published waits for that one
			s.move.of = of
		} else {
			endMoves(ctx, of)
		}
		return
	}
	s.unplaced = false
	mv := &move{of: of}
	s.move = mv
	for kind, all := range s.listens {
		ctx.turn.countAtOnce(Amount{Keys: all.size()})
		for name, at := range all.all() {
			shown := shownOr(at.shown, name)
			if s.isThere(msg.Channels(kind), shown, at.feed) {
				continue
			}
			to, why := s.feedOf(msg.Channels(kind), []byte(shown))
			if why != msg.OK {
				mv.failed = true
				s.endMove()
				return
			}
			mv.channels = append(mv.channels, moving{msg.Channels(kind), name, to})
		}
	}
	s.enterAnew()
	s.moves()
}

// enterAnew asks the new servers.
func (s *subscriber) enterAnew() {
	for kind := range s.listens {
		for _, ch := range s.move.channels {
			if int(ch.kind) != kind {
				continue
			}
			at, _ := s.listens[kind].at(ch.name)
			if ch.to != nil && at.feed != nil && at.feed.server != ch.to.server && s.tellsOne(ch.kind, shownOr(at.shown, ch.name)) {
				at.next = ch.to
				s.listens[kind].put(ch.name, at)
			}
			for _, f := range s.feeds {
				has := f == at.feed || at.feed == nil && f.joined
				if !has && (f == ch.to || ch.to == nil && !f.isStale()) {
					f.names = append(f.names, ch.name)
				}
			}
		}
		s.askMoved(msg.Subscription{Channels: msg.Channels(kind)}, true)
	}
}

// tellsOne reports whether each message of a channel goes to one server only.
func (s *subscriber) tellsOne(kind msg.Channels, name string) bool {
	_, at := s.client.pool.proto.messenger.Audience(kind, []byte(name))
	return at == msg.OwnerOfKey
}

// askMoved sends requests for the names of the feeds. With awaits the move waits for
// the answers.
func (s *subscriber) askMoved(what msg.Subscription, awaits bool) {
	for _, f := range s.feeds {
		if len(f.names) == 0 {
			continue
		}
		if m := f.send(what, awaits); awaits {
			s.awaits(f, m)
		}
	}
}

// awaits has the move wait for the answer to m, and to earlier requests on f. If m is
// nil, there will be none.
func (s *subscriber) awaits(f *feed, m *msg.Msg) {
	if m == nil {
		return
	}
	if f.asked == nil {
		s.move.pending++
	}
	f.asked = m
}

// moves goes on with the move when all servers have answered.
func (s *subscriber) moves() {
	mv := s.move
	switch {
	case mv == nil || mv.pending > 0 || s.client.state == clientClosed:
		return
	case mv.failed || mv.left:
		s.endMove()
		return
	}
	mv.left = true
	for _, f := range s.feeds {
		if !f.joined && !slices.ContainsFunc(s.feeds, func(x *feed) bool { return x.isStale() && x.server == f.server }) {
			f.joined = true
		}
		if f.isStale() || slices.ContainsFunc(mv.channels, func(ch moving) bool {
			at, _ := s.listens[ch.kind].at(ch.name)
			return at.feed == f
		}) {
			s.awaits(f, f.ping())
		}
	}
	s.moves()
}

// endMove ends the move: from now on the client gets the messages of the new servers.
// If one of them cannot be reached, the client may have lost messages.
func (s *subscriber) endMove() {
	mv, c := s.move, s.client
	s.move = nil
	for _, f := range s.feeds {
		f.asked, f.names = nil, nil
	}
	if mv.failed {
		mv.unjoin(s)
		for _, ch := range mv.channels {
			at, _ := s.listens[ch.kind].at(ch.name)
			at.next = nil
			s.listens[ch.kind].put(ch.name, at)
		}
		for _, f := range slices.Clone(s.feeds) {
			if f.spoilt = f.shared == nil; !f.joined {
				s.leaveFeed(f)
			}
		}
		s.fails()
	} else {
		s.arrive(mv)
	}
	endMoves(c.pool.ctx, mv.of)
	if c.waits&waitsForMoves != 0 {
		c.movesOver()
		c.resumeIfRoom()
	}
	if s.unplaced {
		s.placeSoon(nil)
	}
}

// arrive puts the channels at their new servers, and leaves the old ones.
func (s *subscriber) arrive(mv *move) {
	for kind := range s.listens {
		for _, ch := range mv.channels {
			if int(ch.kind) != kind {
				continue
			}
			at, _ := s.listens[kind].at(ch.name)
			from := at.feed
			at.feed, at.next = ch.to, nil
			s.listens[kind].put(ch.name, at)
			for _, f := range s.feeds {
				if !f.isStale() && f != ch.to && ch.to != nil && (f == from || from == nil && f.joined) {
					f.names = append(f.names, ch.name)
				}
			}
		}
		s.askMoved(msg.Subscription{Channels: msg.Channels(kind), Ends: true}, false)
	}
	for _, f := range slices.Clone(s.feeds) {
		f.joined = true
		if f.isStale() {
			s.leaveFeed(f)
		}
	}
	s.recount()
	s.tidy()
}

// leaveFeed ends a connection.
func (s *subscriber) leaveFeed(f *feed) {
	s.feeds = slices.DeleteFunc(s.feeds, func(x *feed) bool { return x == f })
	f.end()
}

// recount counts again how many channels each feed has.
func (s *subscriber) recount() {
	for _, f := range s.feeds {
		f.n = 0
	}
	for _, all := range s.listens {
		for _, at := range all.all() {
			if at.feed != nil {
				at.feed.n++
				continue
			}
			for _, f := range s.feeds {
				f.n++
			}
		}
	}
}

// fails is called after a failed move: it is tried again, or the client is closed.
func (s *subscriber) fails() {
	t := &s.client.pool.ctx.timers
	if s.client.pool.conf.PubSub.OnLoss != config.LossResubscribes {
		s.closeSoon()
		return
	}
	s.tidy()
	t.relistens = append(t.relistens, s)
	t.nextRelisten = soonest(t.nextRelisten, t.ctx.loop.Now()+relistenPeriod)
}

// relistenAgain tries failed moves again.
func (t *timers) relistenAgain() {
	all := t.relistens
	t.relistens, t.nextRelisten = nil, 0
	for _, s := range all {
		s.placeSoon(nil)
	}
}
