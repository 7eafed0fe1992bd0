package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// An ejection does not change the servers of channels: see router.home. A change of the
// pool's servers does. Then messages that clients publish wait, on all loops, until the
// clients that listen have moved:
//
//	each loop goes by other servers      PUBLISH waits, in the stash
//	the last one does                    all loops move their clients (session_move.go)
//	the last client has moved            PUBLISH goes on
//
// So no message that this process publishes is lost, and none comes twice. A message
// waits for at most a second.

// holdTime is how long, in nanoseconds, a message waits at most.
const holdTime = int64(1e9)

// followChannels moves the channels of clients after the pool's servers may have
// changed.
func followChannels(p *ServerPool) { moveChannels(p, p.snap.Moving) }

// moveChannels moves the channels of clients. All loops do so, with the same m.
func moveChannels(p *ServerPool, m *topology.Moving) {
	if p.proto.messenger == nil {
		return
	}
	ctx := p.ctx
	p.moving, p.gathers = m, true
	p.holdBy = ctx.loop.Now() + holdTime
	ctx.nextRelease = soonest(ctx.nextRelease, p.holdBy)
	loops := ctx.identity.Loops()
	if !m.Arrive(len(loops)) {
		return
	}
	for _, other := range loops {
		_ = other.loop.Post(func() { moveListeners(other, m) }) // one that ends has no clients
	}
}

// poolOfMoving is the pool whose clients move; nil if that is over.
func poolOfMoving(ctx *Context, m *topology.Moving) *ServerPool {
	i := slices.IndexFunc(ctx.pools, func(p *ServerPool) bool { return p.moving == m })
	if i < 0 {
		return nil
	}
	return ctx.pools[i]
}

// moveListeners moves the pool's clients that listen.
func moveListeners(ctx *Context, m *topology.Moving) {
	p := poolOfMoving(ctx, m)
	if p == nil {
		endMoves(ctx, m)
		return
	}
	p.gathers = false
	visitClients(p, func(c *client) {
		if c.own != nil && c.own.subs != nil && !c.own.subs.isPlaced() {
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
			if p := poolOfMoving(other, of); p != nil {
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
	late := p.gathers // some loop was not ready in time
	p.holdBy, p.gathers = 0, false
	visitClients(p, func(c *client) {
		c.movedOn()
		if late && c.own != nil && c.own.subs != nil && !c.own.subs.isPlaced() {
			c.own.subs.placeSoon(nil)
		}
	}, nil)
}

// movedOn resumes a client that waited for moves, unless it moves itself.
func (d *dispatch) movedOn() {
	c := d.client
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

// isPlaced reports whether all of the client's channels are at the right servers.
func (s *subscriber) isPlaced() bool {
	p := s.client.pool
	for kind, all := range s.listens {
		p.ctx.turn.count(Amount{Keys: all.size()})
		for name, at := range all.all() {
			if !s.isThere(msg.Channels(kind), shownOr(at.shown, name), at.feed) {
				return false
			}
		}
	}
	return true
}

// isThere reports whether f is the right feed for a channel; nil: all of them.
func (s *subscriber) isThere(kind msg.Channels, name string, f *feed) bool {
	p := s.client.pool
	key, at := p.proto.messenger.Audience(kind, []byte(name))
	if at == msg.EveryServer {
		for _, server := range p.everywhere() {
			if !slices.ContainsFunc(s.feeds, func(x *feed) bool { return x.joined && !x.isStale() && x.server == server }) {
				return false
			}
		}
		return f == nil
	}
	switch {
	case f == nil || f.isStale() || f.server.removed:
		return false
	case at == msg.AnyServer:
		return true
	case at == msg.FirstServer:
		// Any server has the messages of all channels. New clients listen at the first
		// one.
		return p.conf.PubSub.Publish == config.PublishAll
	}
	return f.server == p.home(key)
}
