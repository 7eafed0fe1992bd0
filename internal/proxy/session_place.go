package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// An ejection does not change the servers of channels: see router.home. A change of the
// pool's servers or of their addresses does. Then messages that clients publish wait, on
// all loops, until the clients that listen have moved:
//
//	each loop goes by other servers      PUBLISH waits, in the stash
//	  what it has published is answered
//	the last one does                    all loops move their clients (session_move.go)
//	the last client has moved            PUBLISH goes on
//
// So no message that this process publishes is lost, and none comes twice. A message
// waits for at most a second. Until all loops go by the other servers SUBSCRIBE waits,
// too: the others still publish at the servers of before.

// holdTime is how long, in nanoseconds, a message waits at most.
const holdTime = int64(1e9)

// A hold is a move of clients' channels, for which what is published waits.
type hold struct {
	of *topology.Moving
	// gathers: it begins when all loops are ready. follows: it is because of a new
	// snapshot.
	gathers, follows bool
}

// moveChannels moves the channels of clients. All loops do so, with the same m.
func moveChannels(p *ServerPool, m *topology.Moving) {
	if p.proto.messenger != nil {
		beginHold(p, hold{of: m, gathers: true})
		settlePublished(p, m)
	}
}

// holdForSnapshot has what clients publish wait after the pool's servers may have changed.
// settlePublished must follow. A loop need not see each snapshot: it does not wait for that of
// before any more.
func holdForSnapshot(p *ServerPool) {
	if p.proto.messenger != nil {
		p.holds = slices.DeleteFunc(p.holds, func(h hold) bool { return h.follows })
		beginHold(p, hold{of: p.snap.Moving, gathers: true, follows: true})
	}
}

func beginHold(p *ServerPool, h hold) {
	ctx := p.ctx
	p.holds = append(p.holds, h)
	p.holdBy = ctx.loop.Now() + holdTime
	ctx.nextRelease = soonest(ctx.nextRelease, p.holdBy)
}

// gathers reports whether clients are about to move, when all loops are ready.
func gathers(p *ServerPool) bool {
	return slices.ContainsFunc(p.holds, func(h hold) bool { return h.gathers })
}

// tellReady notes that this loop is ready. After the last one all move their clients.
func tellReady(ctx *Context, m *topology.Moving) {
	loops := ctx.identity.Loops()
	if !m.Arrive(len(loops)) {
		return
	}
	for _, other := range loops {
		_ = other.loop.Post(func() { moveListeners(other, m) }) // one that ends has no clients
	}
}

// followSlotChannels moves the channels whose slots have moved. What is published
// meanwhile does not wait: in a cluster it may be missed by anybody.
func followSlotChannels(p *ServerPool) {
	if p.proto.messenger == nil || p.stats.Values[stats.Subscribers] == 0 {
		return
	}
	visitClients(p, func(c *client) {
		if c.own != nil && c.own.subs != nil && isToMove(c.own.subs) {
			c.own.subs.placeSoon(nil)
		}
	}, nil)
}

// holdFor is the hold for a move, and its pool; nil if that is over.
func holdFor(ctx *Context, m *topology.Moving) (*ServerPool, *hold) {
	for _, p := range ctx.pools {
		for i := range p.holds {
			if p.holds[i].of == m {
				return p, &p.holds[i]
			}
		}
	}
	return nil, nil
}

// moveListeners moves the pool's clients that listen.
func moveListeners(ctx *Context, m *topology.Moving) {
	p, h := holdFor(ctx, m)
	if p == nil {
		endMoves(ctx, m)
		return
	}
	h.gathers = false
	visitClients(p, func(c *client) {
		if c.own != nil && c.own.subs != nil && isToMove(c.own.subs) {
			c.own.subs.placeSoon(m)
		}
	}, func() { endMoves(ctx, m) })
}

// endMoves notes that a client has moved, or that the loop has no more to move. of may
// be nil. After the last one all go on.
func endMoves(ctx *Context, of *topology.Moving) {
	if of == nil || !of.End() {
		return
	}
	for _, other := range ctx.identity.Loops() {
		_ = other.loop.Post(func() {
			p, _ := holdFor(other, of)
			if p == nil {
				return
			}
			p.holds = slices.DeleteFunc(p.holds, func(h hold) bool { return h.of == of })
			if len(p.holds) == 0 {
				release(p)
			}
		})
	}
}

// release lets publishing go on.
func release(p *ServerPool) {
	if p.holdBy == 0 {
		return
	}
	late := gathers(p) // some loop was not ready in time
	p.holdBy, p.holds = 0, nil
	visitClients(p, func(c *client) {
		movedOn(c)
		if late && c.own != nil && c.own.subs != nil && isToMove(c.own.subs) {
			c.own.subs.placeSoon(nil)
		}
	}, func() { tellStaying(p) })
}

// movedOn resumes a client that waited for moves, unless it moves itself.
func movedOn(c *client) {
	if c.waits&waitsForMoves == 0 || c.own != nil && c.own.subs != nil && c.own.subs.move != nil {
		return
	}
	c.movesOver()
	c.resumeIfRoom()
}

// movesOver ends the client's wait for moves.
func (in *intake) movesOver() { in.waits &^= waitsForMoves }

// awaitMoves puts the present request back until clients have moved.
func (d *dispatch) awaitMoves() {
	c := d.client
	c.waits |= waitsForMoves
	c.session.Again()
	uncount(c.pool, c.lastType)
}

// releaseOverdue lets publishing go on where it has waited for too long.
func (t *timers) releaseOverdue(now int64) {
	t.nextRelease = 0
	for _, p := range t.ctx.pools {
		switch by := p.holdBy; {
		case by == 0:
		case by <= now:
			release(p)
		default:
			t.nextRelease = soonest(t.nextRelease, by)
		}
	}
}

// isToMove reports whether some of the client's channels may not be where they should.
func isToMove(s *subscriber) bool { return s.stays || len(s.owed) > 0 || !s.isPlaced() }

// isPlaced reports whether all of the client's channels are at the right servers.
func (s *subscriber) isPlaced() bool {
	p, everywhere := s.client.pool, isEverywhere(s)
	for kind, all := range s.listens {
		p.ctx.turn.count(Amount{Keys: all.size()})
		for name, at := range all.all() {
			if !s.isThere(msg.Channels(kind), shownOr(at.shown, name), at.feed, everywhere) {
				return false
			}
		}
	}
	return true
}

// isEverywhere reports whether channels whose messages come from all servers have them
// from all.
func isEverywhere(s *subscriber) bool {
	for _, server := range s.client.pool.everywhere() {
		if !slices.ContainsFunc(s.feeds, func(x *feed) bool { return x.joined && !x.isStale() && x.server == server }) {
			return false
		}
	}
	return true
}

// hearsAll reports whether messages of one of the client's channels come from all servers.
func hearsAll(s *subscriber) bool {
	for _, all := range s.listens {
		s.client.pool.ctx.turn.count(Amount{Keys: all.size()})
		for _, at := range all.all() {
			if at.feed == nil {
				return true
			}
		}
	}
	return false
}

// isThere reports whether f is the right feed for a channel; nil: all of them.
// everywhere is what isEverywhere reports.
func (s *subscriber) isThere(kind msg.Channels, name string, f *feed, everywhere bool) bool {
	p := s.client.pool
	key, at := p.proto.messenger.Audience(kind, []byte(name))
	switch {
	case at == msg.EveryServer:
		return everywhere && f == nil
	case f == nil || f.isStale() || f.server.removed:
		return false
	case at == msg.AnyServer:
		return !isCutOff(&p.router, f.server)
	case at == msg.FirstServer:
		// Any server has the messages of all channels. New clients listen at the first
		// one.
		return p.bySlot && !isCutOff(&p.router, f.server) || !p.bySlot && p.conf.PubSub.Publish == config.PublishAll
	}
	return f.server == p.home(key)
}
