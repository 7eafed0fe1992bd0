package proxy

import (
	"slices"

	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// Many clients may begin to listen at once, and share the connection that is made for that. One
// scout makes it, and the others wait for what becomes of it:
//
//	ann: SSUBSCRIBE a ─► a scout ────────────► ready ─► a shared feed ─► ssubscribe a
//	bob: SSUBSCRIBE b ─► a follower ┐            └──────────┬──────────► ssubscribe b
//	cid: SSUBSCRIBE c ─► a follower ┴─ all are taken again ─┴──────────► ssubscribe c
//
// When the connection is ready, whoever is taken first has it: the scout's own client may have to
// wait for something else. If it is not made, or that client leaves, the next of them has a scout.

// A joint is what a scout is to other clients that need a connection to the same server.
type joint struct {
	// isJoint: it is among the server's jointScouts.
	isJoint bool
	// followers are the searches that wait for it. They may have ended.
	followers map[*search]struct{}
}

// jointScoutTo is the scout to the server in that lane whose connection clients will share, or nil.
func jointScoutTo(s *Server, lane int) *scout {
	for _, x := range s.jointScouts {
		if x.conn.lane.at == lane {
			return x
		}
	}
	return nil
}

// becomeJoint has others wait for the scout.
func (x *scout) becomeJoint() {
	x.isJoint = true
	x.server.jointScouts = append(x.server.jointScouts, x)
}

// serves gives the scout to f if its connection is ready, and reports whether it is. Otherwise f
// follows it.
func (x *scout) serves(f *search) (ready bool) {
	invariant.Check(x.conn != nil && x.search != f, "proxy: a search follows its own scout, or one that has ended")
	if x.conn.ready == 0 {
		if x.followers == nil {
			x.followers = make(map[*search]struct{})
		}
		x.followers[f] = struct{}{}
		return false
	}
	x.search.scouts = slices.DeleteFunc(x.search.scouts, func(y *scout) bool { return y == x })
	x.search = f
	f.scouts = append(f.scouts, x)
	return true
}

// endJoint ends the waiting for a scout whose connection was borrowed, has ended or is given back.
func (x *scout) endJoint(why msg.Reason) {
	if x.isJoint {
		x.isJoint = false
		x.server.jointScouts = slices.DeleteFunc(x.server.jointScouts, func(y *scout) bool { return y == x })
	}
	x.release(why)
}

// release has the followers taken again, in the order in which their searches began: at once, or
// after a pause if the connection was not made for the reason why.
func (x *scout) release(why msg.Reason) {
	ctx := x.server.pool.ctx
	now := ctx.loop.Now()
	for f := range x.followers {
		switch {
		case f.client.own.search != f || f.taken:
		case why != msg.OK:
			f.pause(why)
		default:
			f.againAt = now
			ctx.nextSearch = soonest(ctx.nextSearch, now)
		}
	}
	x.followers = nil
}
