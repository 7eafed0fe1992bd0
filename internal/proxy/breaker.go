package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// The circuit breaker of a server whose keys stay with it when it is ejected
// (eject: fail). Its three states are Health's:
//
//	closed     up        requests pass
//	open       ejected   requests fail at once
//	half-open  probing   one request has passed, and its answer is awaited
//
// A probe that is lost without a trace, because its client has gone, holds
// nothing up: each time that server_retry_timeout is over one more may pass.

// passes reports whether nothing keeps requests from the server: neither an
// operator nor the server's own failures.
func (h *Health) passes() bool { return h.service.Load() == 0 && h.retryAt.Load() == 0 }

// admit decides, for a server whose requests do not simply pass, whether one
// does. The reason says why not.
func (s *Server) admit() msg.Reason {
	h, conf := s.health, s.pool.conf
	if h.inService() == Refused {
		return msg.Disabled
	}
	at := h.retryAt.Load()
	if at == 0 || conf.Eject != config.EjectFail {
		return msg.OK
	}
	now := s.pool.ctx.loop.Now()
	if at > now || !h.retryAt.CompareAndSwap(at, now+int64(conf.ServerRetryTimeout)) {
		return msg.CircuitOpen
	}
	h.failures.Add(1)
	s.reconnect = reconnect{}
	h.become(Probing, msg.OK, now)
	s.stats[stats.Probes]++
	s.logTried()
	return msg.OK
}

// countFailure counts against the server, which may be ejected for it.
func (c *serverConn) countFailure(why msg.Reason) {
	ctx, s := c.pool.ctx, c.server
	if s.removed {
		return
	}
	switch c.pool.topo.failed(s.index, why, c.made, ctx.loop.Now()) {
	case fails:
		s.logFails(why)
	case ejected:
		s.countEjected()
		s.logFails(why)
	case ejectedAgain:
		s.countEjected()
	case nothingNew, stillFails, answers, isBack:
	}
}

// countEjected counts that this loop has found the server to be ejected.
func (s *Server) countEjected() {
	ctx := s.pool.ctx
	s.pool.stats.Values[stats.ServerEjects]++
	s.stats[stats.Ejections]++
	s.stats[stats.ServerEjectedAt] = ctx.loop.WallMicros(ctx.loop.Now())
}

// Checked counts and tells what a health check of the i-th server of the pool of t
// found, and what that changed. It must run on the loop, and is to run on one
// loop of all.
func (ctx *Context) Checked(t *Topology, i int, why msg.Reason, changed Verdict) {
	p := ctx.poolOf(t.lineage)
	if p == nil || p.topo != t {
		return // a reload has come between
	}
	s := p.servers[i]
	if why != msg.OK {
		s.stats[stats.FailedChecks]++
	}
	switch changed {
	case Risen:
		if p.conf.AutoEjectHosts {
			s.stats[stats.Returns]++
		}
		s.logWell("passes its checks again")
	case Fallen:
		if p.conf.AutoEjectHosts {
			s.countEjected()
		}
		s.logFails(why)
	case SameAsBefore:
	}
}

// countAnswer notes that the server, which has failed since it last did, has
// answered a client's request.
func (s *Server) countAnswer() {
	if s.removed {
		return
	}
	switch s.pool.topo.answered(s.index, s.pool.ctx.loop.Now()) {
	case isBack:
		s.stats[stats.Returns]++
		s.logWell("answers again")
	case answers:
		s.logWell("answers again")
	case nothingNew, fails, ejected, stillFails, ejectedAgain:
	}
}
