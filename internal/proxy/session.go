package proxy

import (
	"log/slog"

	"nuthatch/internal/acl"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// How a client's session affects its requests: some are refused because of earlier
// ones, and a reload may change what the session can use.

// allowedAtOnce reports whether the client's user is all that may bar the request, and does not.
// Most requests have one key, which begins as the first of the user's patterns: that is looked at
// here, in few cache lines, since it is a part of the cost of each request.
func allowedAtOnce(c *client, req *msg.Request) bool {
	s, gates := &c.session, c.pool.proto.gates
	if s.Bars != msg.Restricted || !s.Authenticated {
		return false
	}
	if n := int(s.User); n < len(gates) && int(req.Type) < len(gates[n]) && req.Nkeys == 1 && !req.Stray && req.ByKeys() {
		g, key, all := gates[n][req.Type], req.Args[req.FirstKey], req.View.FlatBytes()
		at := int(key.Off)
		if g != nil && at+acl.HeadSize <= cap(all) && // what stands behind the key does not matter
			g.LeadsTake((*[acl.HeadSize]byte)(all[at:at+acl.HeadSize]), int(key.Len)) {
			return true
		}
	}
	return c.pool.proto.guard.AllowsAtOnce(req, s)
}

// barred handles a request whose session is restricted: in a transaction, or with a
// reason to refuse. It reports whether the request is done with.
func (d *dispatch) barred(req *msg.Request) bool {
	c := d.client
	if c.pool.passer != nil && !c.letIn && awaitsEntry(c, req) {
		return true
	}
	if c.collects() {
		return c.collect(req)
	}
	if c.session.Bars&msg.Subscribing != 0 && !isMore(c, req) {
		return !c.mayGo()
	}
	if c.session.Bars&msg.Restricted != 0 && c.large == nil { // each of its keys is judged
		c.pool.ctx.turn.countAtOnce(Amount{Keys: req.Nkeys})
	}
	if keeper := c.pool.proto.sessions; keeper == nil || keeper.Allows(req, &c.session) {
		if c.session.Bars&msg.PassedOn != 0 && c.pool.passer != nil && pass(c, req) {
			return true
		}
		return tracks(c) && c.own.track.prepare(req)
	}
	c.local(req)
	return true
}

// sessionChanged is called after the protocol has answered a request, which may have
// changed the session. lane and bars are those before the request.
func (d *dispatch) sessionChanged(lane msg.Lane, bars msg.Bars) {
	c := d.client
	if c.own != nil && c.session.Watched == 0 && c.watches() {
		c.own.unwatch()
	}
	if bars&^c.session.Bars&msg.Listening != 0 {
		c.own.subs.end()
	}
	if bars&^c.session.Bars&msg.Tracked != 0 && c.own.track != nil {
		c.own.untrack()
	}
	if bars&^c.session.Bars&msg.Monitoring != 0 {
		c.own.endMonitor()
	}
	if c.session.Lane != lane {
		c.letIn = c.letIn && c.session.Lane.User == lane.User
		c.changeLane()
	}
	if c.session.Bars&^bars&msg.Collecting != 0 {
		c.beginMulti()
	}
	if bars&^c.session.Bars&msg.Collecting != 0 {
		c.endMulti(bars)
		c.endsPaused()
	}
	if c.session.Bars&^bars&msg.FailedSelect != 0 {
		logFailedSelect(c)
	}
	if c.session.Bars&msg.Denied != 0 {
		c.denied()
	}
	becomes(c)
	if c.state != clientClosed {
		c.pool.ctx.memory.beside += c.countNames(c.session.Names().Len())
	}
}

// logFailedSelect tells that the client did not get the database that it asked for.
func logFailedSelect(c *client) {
	p := c.pool
	missed, ok := p.selectPace.mayLog(p.ctx.loop.Now())
	if !ok {
		return
	}
	follows := "its requests for servers are refused until a SELECT succeeds"
	if p.conf.FailedSelect == config.FailedSelectIgnore {
		follows = "it goes on in the database where it was"
	}
	attrs := clientAttrs(c)
	if asked := c.session.Names().Asked; asked != "" {
		attrs = append(attrs, slog.String("database", asked))
	}
	p.ctx.log.Warn("client did not get the database that it asked for", append(attrs,
		slog.String("follows", follows), slog.Int("left_out", missed))...)
}

// sessions applies the pool's new configuration to its clients' sessions.
func (a *adoption) sessions() {
	p, before := a.pool, a.before
	if before.RedisDB != p.conf.RedisDB {
		p.adoptLanes()
	}
	users := before.HasUsers() || p.conf.HasUsers() || before.AuthMode != p.conf.AuthMode || config.BoundsDiffer(before.UserLimits, p.conf.UserLimits)
	stricter := users || p.conf.ReadOnly && !before.ReadOnly || before.AllowMonitor && !p.conf.AllowMonitor
	if p.proto.sessions == nil || !stricter && before.RedisDB == p.conf.RedisDB && before.Databases == p.conf.Databases && before.RedisAuth == p.conf.RedisAuth {
		return
	}
	lost, renumbered := 0, before.RedisDB != p.conf.RedisDB || before.Databases != p.conf.Databases
	for c := p.clients.first; c != nil; c = c.next {
		bars := c.session.Bars
		if renumbered && c.collects() { // what is kept may name another database now
			c.abort()
		}
		p.proto.sessions.Adopt(&c.session)
		if stricter && c.tx != nil {
			c.tx.judgeAgain = true
		}
		if c.session.Bars&^bars&msg.LostDatabase != 0 {
			lost++
		}
	}
	if stricter {
		a.judgeClients()
	}
	if lost > 0 {
		p.ctx.log.Warn("clients are in databases that the pool no longer has; their requests for servers are refused until they SELECT another",
			slog.String("pool", p.conf.Name), slog.Int("clients", lost))
	}
}
