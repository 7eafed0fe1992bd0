package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// Adopt makes pools the context's pools. This is one loop's part of a reload; the
// process's part is daemon/reload.go. It must run on the loop, and so between two
// events, when no request is half way through.
//
// A pool that stays keeps its clients with their requests in flight, and the servers
// that stay with their connections. What is removed finishes its work, until time by at
// the latest.
func (ctx *Context) Adopt(pools []PoolOptions, by int64) {
	for _, p := range ctx.pools {
		p.finishFollowing()
	}
	old := ctx.pools
	from := make([]int, len(pools))
	for i, o := range pools {
		from[i] = slices.IndexFunc(old, func(p *ServerPool) bool { return p.topo.SamePool(o.Topology) })
	}
	pools = ctx.withSnapshots(pools)
	ctx.shard.Reshape(shapeOf(pools), from)
	ctx.pools = make([]*ServerPool, len(pools))
	for i, o := range pools {
		if from[i] < 0 {
			ctx.pools[i] = newServerPool(ctx, i, o)
			ctx.pools[i].preconnect()
			continue
		}
		ctx.pools[i] = old[from[i]]
		ctx.pools[i].adopt(i, o, by)
	}
	for i, p := range old {
		if !slices.Contains(from, i) {
			p.drain(by)
		}
	}
}

// adopt gives the pool another configuration.
func (p *ServerPool) adopt(index int, o PoolOptions, by int64) {
	before, servers, guard := p.conf, p.servers, p.proto.guard
	p.index, p.conf, p.topo, p.proto, p.stages = index, o.Config, o.Topology, capabilitiesOf(o.Protocol), o.Stages
	p.passer = p.proto.passer
	p.access = accessesOf(p.conf)
	p.rates = ratesOf(p, p.rates)
	p.stats = &p.ctx.shard.Pools[index]
	// The parser is between two requests; those that have begun have their own.
	p.parser = p.proto.NewRequestParser()
	p.trim()
	a := adoption{pool: p, before: before, guard: guard, old: servers, by: by}
	placeBy(p, o.snap, a.adoptServers(o.snap))
	a.removeServers()
	a.sessions()
	if otherConnections(before, p.conf) {
		for _, s := range p.servers {
			s.replaceConns(by)
		}
	}
	p.followAddrs(by)
	for _, q := range p.questions {
		q.restart()
	}
	p.checkBy(p.ctx.loop.Now())
	p.ctx.nextLogin = p.ctx.loop.Now()
	if before.Timeout != p.conf.Timeout {
		a.deadlines()
	}
	if before.RequestTimeout != p.conf.RequestTimeout {
		a.expiries()
	}
	p.scheduleIdleCheck()
	p.dealAnew()
	recallMoved(p)
	holdForSnapshot(p)
	settlePublished(p, p.snap.Moving)
	p.preconnect()
	mapCame(p)
	looksAgain(p)
}

// An adoption is the change of a pool that stays to another configuration.
type adoption struct {
	pool   *ServerPool
	before *config.Pool
	guard  Guard // before
	old    []*Server
	// by is when what is removed is closed at the latest.
	by int64
}

// adoptServers returns the servers of a snapshot, and reuses old ones. There may be tens of
// thousands, most of which keep their place.
func (a *adoption) adoptServers(snap *topology.Snapshot) []*Server {
	p, old := a.pool, a.old
	servers := make([]*Server, len(snap.Servers))
	var known map[*topology.Health]*Server // made when it is first needed
	for i, h := range snap.Servers {
		var s *Server
		if i < len(old) && old[i].health == h {
			s = old[i]
		} else {
			if known == nil {
				known = make(map[*topology.Health]*Server, len(old))
				for _, s := range old {
					known[s.health] = s
				}
			}
			s = known[h]
		}
		if s == nil {
			servers[i] = newServer(p, snap, i)
			continue
		}
		s.conf, s.among = snap.Server(i), snap.Members
		s.countIn(p.stats.Rows(), i)
		servers[i] = s
	}
	return servers
}

// removeServers removes the servers that the pool no longer has. If a new server has
// the name of an old one, the two share their statistics until the old one is gone.
func (a *adoption) removeServers() {
	p := a.pool
	var named map[string]int
	for _, s := range a.old {
		if s.among == p.snap.Members {
			continue
		}
		if named == nil {
			named = make(map[string]int, len(p.servers))
			for i, name := range p.snap.Names {
				named[name] = i
			}
		}
		s.removed = true
		if i, taken := named[s.conf.StatsName()]; taken {
			s.countIn(p.stats.Rows(), i)
		}
		s.replaceConns(a.by)
	}
}

// otherConnections reports whether two configurations need different
// connections to servers.
func otherConnections(a, b *config.Pool) bool {
	return a.RedisDB != b.RedisDB || a.AuthMode != b.AuthMode || a.ServerLogin() != b.ServerLogin() || a.ServerConnections != b.ServerConnections || a.ServerTLS != b.ServerTLS
}

// expiries gives clients' requests in flight the new request_timeout, counted from now,
// for the same reason as in deadlines.
func (a *adoption) expiries() {
	p, ctx := a.pool, a.pool.ctx
	expires := int64(0)
	if p.conf.RequestTimeout > 0 {
		expires = ctx.loop.Now() + int64(p.conf.RequestTimeout)
		ctx.nextExpiry = soonest(ctx.nextExpiry, expires)
	}
	for c := p.clients.first; c != nil; c = c.next {
		c.outq.Reschedule(expires)
		c.countAnew(ctx.loop.Now())
	}
}

// scheduleIdleCheck schedules a check for idle connections to servers, if idle ones are
// to be closed.
func (p *ServerPool) scheduleIdleCheck() {
	if limit := int64(p.conf.ServerIdleTimeout); limit > 0 {
		p.ctx.nextIdle = soonest(p.ctx.nextIdle, p.ctx.loop.Now()+limit/idleLooks+1)
	}
}

// deadlines gives requests in flight the new timeout, counted from now: a connection's
// queue must stay in the order of its deadlines.
func (a *adoption) deadlines() {
	p, ctx := a.pool, a.pool.ctx
	deadline := int64(0)
	if p.conf.Timeout > 0 {
		deadline = ctx.loop.Now() + int64(p.conf.Timeout)
	}
	for _, s := range p.servers {
		for c := range s.conns() {
			c.queue.Reschedule(deadline)
		}
	}
	for _, c := range ctx.leaving.conns {
		if c.pool == p {
			c.queue.Reschedule(deadline)
		}
	}
	if deadline != 0 && (ctx.nextDeadline == 0 || deadline < ctx.nextDeadline) {
		ctx.nextDeadline = deadline
	}
}
