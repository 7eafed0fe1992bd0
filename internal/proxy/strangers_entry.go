package proxy

import (
	"time"

	"nuthatch/internal/msg"
)

// Whether clients may come without a login may change at the servers. There it holds for who
// connects from then on: connections that were let in stay. So a client without a login is let in
// by fresh connections (the lane of GuestUser), not by those that others have left:
//
//	client          proxy                                             servers
//	GET k    ─►     back in the stash                  ─►  PING, on a fresh connection to each
//	                                                       that has connections without a login
//	         ◄─     taken again: that error,           ◄─  NOAUTH
//	                and so is its next request
//	                taken again: GET k,                ◄─  anything else
//	                and its next ones are not asked for
//
// What they say holds for a moment. So there are few such connections, however many clients come.
// Where no connection without a login is older than that, nobody is asked: what the client gets
// decides.

// entryLife is how long, in nanoseconds, it holds for further clients what the servers have said,
// and how old the connections are on which they are asked.
const entryLife = int64(500 * time.Millisecond)

// An entry is what the servers have said of clients without a login.
type entry struct {
	// asked is when they were asked; 0: never. refusal is their error; nil: they let them in.
	asked   int64
	refusal []byte
}

// awaitsEntry has the servers asked whether they let the client in without a login, before its
// first request that needs it. It reports whether the request is done with, or waits for that.
func awaitsEntry(c *client, req *msg.Request) (stop bool) {
	p := c.pool
	if c.session.Lane.User != 0 || p.passer.ForStrangers(req, &c.session) {
		return false
	}
	now := p.ctx.loop.Now()
	if c.own != nil && c.own.trial != nil && c.own.trial.enters {
		t := c.own.trial
		c.own.trial = nil
		return heardEntry(c, req, t)
	}
	if p.entry.asked != 0 && now-p.entry.asked < entryLife {
		return enter(c, req, p.entry.refusal)
	}
	asked := strangersServers(p, now-entryLife)
	switch {
	case len(asked) == 0:
		p.entry = entry{asked: now}
		return enter(c, req, nil)
	case c.overdue != msg.OK:
		refuseLate(c, req)
	case c.mayGo():
		t := &trial{client: c, enters: true, servers: asked, pending: 1, kind: req.Type}
		if !t.step(p.ctx) {
			p.ctx.turn.later(t)
		}
		if t.pending == 0 {
			return heardEntry(c, req, t)
		}
		ownOf(c).trial = t
		c.awaitTrial()
		uncount(p, req.Type)
		c.session.Again()
	}
	return true
}

// heardEntry goes on with a request for which the servers were asked.
func heardEntry(c *client, req *msg.Request, t *trial) (stop bool) {
	switch {
	case t.pending > 0: // it has waited too long
		c.endTrial()
		c.refuse(req, c.overdue)
		return true
	case t.refusal == nil && t.failure != msg.OK:
		c.refuse(req, t.failure)
		return true
	}
	return enter(c, req, t.refusal)
}

// enter lets the client in, unless the servers have refused it.
func enter(c *client, req *msg.Request, refusal []byte) (stop bool) {
	switch {
	case refusal == nil:
		c.letIn = true
		return false
	case !mayBeError(msg.Reply{Flat: refusal}): // the client must not take it for a success
		c.refuse(req, msg.BadReply)
	default:
		answerText(c, req, refusal)
	}
	return true
}

// strangersServers are those to which there are connections without a login that are older than
// before.
func strangersServers(p *ServerPool, before int64) (all []*Server) {
	for _, s := range p.everywhere() {
		for c := range s.conns() {
			if c.lane.key.User == 0 && !c.lane.key.Aside && c.Attached() && c.made < before {
				all = append(all, s)
				break
			}
		}
	}
	return all
}

// renewGuest has the servers asked on a connection that is fresh.
func renewGuest(s *Server, lane int) {
	if lane >= len(s.lanes) || s.lanes[lane] == nil {
		return
	}
	now := s.pool.ctx.loop.Now()
	if c := s.lanes[lane][0]; c != nil && c.Attached() && now-c.made >= entryLife {
		c.closeWhenAnswered(now + int64(controlTime))
		s.lanes[lane][0] = nil
	}
}

// noteEntry notes what the servers have said. If they let clients in, connections on which one has
// refused them, before, are replaced.
func noteEntry(p *ServerPool, t *trial) {
	if t.refusal == nil && t.failure != msg.OK {
		return
	}
	now := p.ctx.loop.Now()
	p.entry = entry{asked: now, refusal: t.refusal}
	if t.refusal != nil {
		return
	}
	for _, s := range p.everywhere() {
		for _, lane := range s.lanes {
			for i, c := range lane {
				if c != nil && c.lane.key.User == 0 && c.Attached() && c.strangers && c.made < now-entryLife {
					c.closeWhenAnswered(now + int64(controlTime))
					lane[i] = nil
				}
			}
		}
		for c := range s.conns() {
			if c.private != nil && c.private.isUnused && c.lane.key.User == 0 && c.strangers {
				p.ctx.turn.retireSoon(c)
			}
		}
	}
}
