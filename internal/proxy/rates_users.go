package proxy

import (
	"maps"
	"slices"

	"nuthatch/internal/msg"
)

// The limits of users (user_limits) are rates like those of the pool, one for each user that
// the configuration names. A client of such a user has a pointer to them among what it has to
// itself, so that others pay nothing. A request needs room in both:
//
//	client ─► admit ─► its user's ─► the pool's ─► parser
//	                       └─ none ──┴─ none ──► it waits there, and asks both again

// limitsOf are the limits of the client's user; nil: there are none.
func limitsOf(c *client) *rates {
	if c.own == nil {
		return nil
	}
	return c.own.limits
}

// setUsers sets the limits of users as the configuration says, and which clients they hold for.
func (r *rates) setUsers() {
	p := r.pool
	before := r.users
	r.users = nil
	for i := range p.conf.UserLimits {
		l := &p.conf.UserLimits[i]
		u := before[l.Name]
		if u == nil {
			u = &rates{pool: p, shared: p.topo.UserRates(l.Name), user: l.Name}
		}
		u.set(l.Limits)
		u.most = l.Clients
		if r.users == nil {
			r.users = make(map[string]*rates)
		}
		r.users[l.Name] = u
	}
	if before == nil && r.users == nil {
		return
	}
	for c := p.clients.first; c != nil; c = c.next {
		r.assign(c, true)
	}
	for name, u := range before {
		if r.users[name] == nil {
			u.end()
			p.topo.ReleaseUserRates(name, u.shared)
		}
	}
}

// assign has the limits of the client's user hold for it. It returns false if the user has
// as many clients as it may, and the client is one more. stays: it may stay all the same.
func (r *rates) assign(c *client, stays bool) bool {
	was, u := limitsOf(c), (*rates)(nil)
	if guard := r.pool.proto.guard; guard != nil && c.session.Authenticated && r.users != nil {
		u = r.users[guard.UserName(&c.session)]
	}
	if u == was {
		return true
	}
	if was != nil {
		was.spend(max(0, c.Out().Len()-c.own.settled-c.own.free))
		was.leave(c)
	}
	if u == nil {
		return true
	}
	ownOf(c).limits = u
	c.own.settled = c.Out().Len()
	u.shared.Clients.Add(1)
	u.change(int64(c.counted))
	return stays || u.most == 0 || u.shared.Clients.Value() <= u.most
}

// owes is how many of n bytes that were sent are the present user's. What another has left, went
// first.
func (o *own) owes(n int) int {
	before := min(n, o.settled)
	o.settled -= before
	return n - before
}

// mayBecome reports whether a request that the proxy answers itself may be carried out now. If it
// may make the client another user, the earlier ones are answered first, so that they count for
// the user who sent them. Then it waits, back in the stash.
func mayBecome(c *client, req *msg.Request) bool {
	if c.pool.rates.users == nil || c.inFlight() == 0 {
		return true
	}
	keeper := c.pool.proto.sessions
	return keeper == nil || !keeper.ChangesUser(req) || c.mayGo()
}

// leave has the limits hold for the client no more.
func (r *rates) leave(c *client) {
	c.own.limits = nil
	r.shared.Clients.Add(-1)
	r.change(-int64(c.counted))
}

// pumpAll is pump for the pool and all of its users.
func (r *rates) pumpAll(now int64) (next int64) {
	next = r.pump(now)
	if r.users == nil {
		return next
	}
	for _, name := range slices.Sorted(maps.Keys(r.users)) {
		next = soonest(next, r.users[name].pump(now))
	}
	return next
}

// waits is how many clients wait, for the limits of the pool or of users.
func (r *rates) waits() int {
	n := len(r.waiting) - r.first
	for _, u := range r.users {
		n += len(u.waiting) - u.first
	}
	return n
}

// becomes has the limits of the client's user hold for it, after it may have become another
// one. If that has too many clients, it gets an error, and is closed.
func becomes(c *client) {
	if isWelcome(c) {
		return
	}
	ctx := c.pool.ctx
	m := ctx.msgs.Get()
	m.Owner, m.Done, m.Start = c, true, ctx.loop.Now()
	refuseUser(c, m)
	c.outq.Push(m)
	c.advance()
}

// isWelcome has the limits of the client's user hold for it, and reports whether that may have the
// client, too.
func isWelcome(c *client) bool {
	r := c.pool.rates
	return r == nil || r.users == nil || c.state != clientOpen || r.assign(c, false)
}

// refuseUser closes a client whose user has too many, with m as its last reply.
func refuseUser(c *client, m *msg.Msg) {
	bufs := c.pool.ctx.bufs
	limitsOf(c).shared.Excess.Add(1)
	c.closing(closeReason{why: msg.UserClientLimit})
	m.Reply.Release(bufs)
	c.pool.proto.AppendError(bufs, &m.Reply, msg.UserClientLimit.String())
}

// mayExceed reports whether a request may make the client one too many of its user: then that is
// known before it gets an answer.
func mayExceed(c *client, req *msg.Request) bool {
	r, keeper := c.pool.rates, c.pool.proto.sessions
	return r != nil && r.users != nil && keeper != nil && keeper.ChangesUser(req)
}

// isUserLimit reports whether the reason is a limit of the client's user.
func isUserLimit(why msg.Reason) bool {
	return why == msg.UserRequestRate || why == msg.UserByteRate || why == msg.UserInFlightLimit
}
