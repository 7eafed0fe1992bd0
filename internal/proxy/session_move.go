package proxy

import (
	"log/slog"
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
// arrives once. The client's own requests about channels wait, too. A client that waits
// for servers itself moves after that, and counts as moving until then.

// A move is the moving of a client's channels.
type move struct {
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
	if gathers(c.pool) { // it moves with all others, when all loops are ready
		owe(j.subs, j.of)
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
	owe(s, of)
	if s.asks != nil || s.move != nil {
		s.unplaced = true
		return
	}
	s.unplaced, s.stays = false, false
	s.move = &move{}
	why := findPlaces(s)
	if why == msg.NoPrivate && mayStay(s) {
		why = findPlaces(s)
	}
	if why != msg.OK {
		s.move.failed = true
		s.endMove()
		return
	}
	s.enterAnew()
	s.moves()
}

// findPlaces finds the servers of the channels that are not at the right ones. The reason
// says why one cannot be asked.
func findPlaces(s *subscriber) msg.Reason {
	everywhere, reached := isEverywhere(s), false
	for kind, all := range s.listens {
		s.client.pool.ctx.turn.countChannels(all.size())
		for name, at := range all.all() {
			shown := shownOr(at.shown, name)
			if s.isThere(msg.Channels(kind), shown, at.feed, everywhere) {
				continue
			}
			to, why := s.feedOf(msg.Channels(kind), []byte(shown), &reached)
			if why != msg.OK {
				return why
			}
			s.move.channels = append(s.move.channels, moving{msg.Channels(kind), name, to})
		}
	}
	return msg.OK
}

// mayStay has a client that listens on shared connections keep to them: after a reload it
// was to get its own, and there are no more. It reports false for other clients.
func mayStay(s *subscriber) bool {
	if sharesConns(s) || !slices.ContainsFunc(s.feeds, func(f *feed) bool { return f.shared != nil }) {
		return false
	}
	s.stays = true
	s.client.pool.staying++
	s.move.channels = nil
	for _, f := range slices.Clone(s.feeds) {
		if !f.joined {
			s.leaveFeed(f)
		}
	}
	return true
}

// sharesConns reports whether the client listens on shared connections.
func sharesConns(s *subscriber) bool {
	return s.stays || s.client.pool.conf.PubSub.Connections == config.ConnectionsShared
}

// tellStaying logs that clients have kept to shared connections.
func tellStaying(p *ServerPool) {
	if p.staying == 0 {
		return
	}
	p.ctx.log.Warn("clients that listen to channels stay on shared connections: private_connections allows no more of their own",
		slog.String("pool", p.conf.Name), slog.Int("clients", p.staying), slog.Int("private_connections", p.conf.PrivateConnections))
	p.staying = 0
}

// owe has the client count as moving. of may be nil.
func owe(s *subscriber, of *topology.Moving) {
	if of != nil {
		s.owed = append(s.owed, of)
	}
}

// hasMoved has it count as moving no more.
func hasMoved(s *subscriber) {
	owed := s.owed
	s.owed = nil
	for _, of := range owed {
		endMoves(s.client.pool.ctx, of)
	}
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
			for _, f := range fedBy(s, ch.to) {
				has := f == at.feed || at.feed == nil && f.joined
				if !has && (ch.to != nil || !f.isStale()) {
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
	old := make(map[*feed]bool)
	for _, ch := range mv.channels {
		at, _ := s.listens[ch.kind].at(ch.name)
		old[at.feed] = true
	}
	for _, f := range s.feeds {
		if !f.joined && !slices.ContainsFunc(s.feeds, func(x *feed) bool { return x.isStale() && x.server == f.server }) {
			f.joined = true
		}
		if f.isStale() || old[f] {
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
	if mv.failed || !s.unplaced {
		hasMoved(s)
	}
	if c.waits&waitsForMoves != 0 {
		c.movesOver()
		c.resumeIfRoom()
	}
	if s.unplaced {
		s.placeSoon(nil)
	}
	if p := c.pool; p.holdBy == 0 {
		tellStaying(p)
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
			if ch.to == nil {
				continue
			}
			for _, f := range fedBy(s, from) {
				if f != ch.to && !f.isStale() && (from != nil || f.joined) {
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
