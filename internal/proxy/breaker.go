package proxy

import (
	"log/slog"

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
		s.reasons[stats.ServerFailedRequests][msg.CircuitOpen]++
		return msg.CircuitOpen
	}
	h.failures.Add(1)
	s.reconnect = reconnect{}
	h.become(Probing, msg.OK, now)
	s.stats[stats.Probes]++
	s.pool.ctx.log.Notice("server is tried again with one request", s.attrs()...)
	return msg.OK
}

// countFailure counts against the server, which may be ejected for it.
func (c *serverConn) countFailure(why msg.Reason) {
	ctx, s := c.pool.ctx, c.server
	if s.removed {
		return
	}
	now := ctx.loop.Now()
	switch c.pool.topo.failed(s.index, why, now) {
	case ejected:
		s.countEjected(why)
	case probeFailed:
		ctx.log.Notice("server still fails", append(s.attrs(), reasonAttr(why))...)
	case nothingNew, isBack:
	}
}

// countEjected counts and tells that this loop has found the server to be
// ejected.
func (s *Server) countEjected(why msg.Reason) {
	p := s.pool
	ctx := p.ctx
	p.stats.Values[stats.ServerEjects]++
	s.stats[stats.Ejections]++
	s.stats[stats.ServerEjectedAt] = ctx.loop.WallMicros(ctx.loop.Now())
	what := "server ejected"
	if p.conf.Eject == config.EjectFail {
		what = "server ejected: its requests fail until it answers"
	}
	attrs := append(s.attrs(), reasonAttr(why))
	if p.conf.HealthCheck.Interval > 0 {
		attrs = append(attrs, slog.Int("until_checks_succeed", p.conf.HealthCheck.Rise))
	} else {
		attrs = append(attrs, durationAttr("retry_after", p.conf.ServerRetryTimeout))
	}
	ctx.log.Warn(what, attrs...)
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
	switch {
	case changed == Risen && p.conf.AutoEjectHosts:
		s.stats[stats.Returns]++
		ctx.log.Warn("server passes its checks again: it is back", s.attrs()...)
	case changed == Risen:
		ctx.log.Notice("server passes its checks again", s.attrs()...)
	case changed == Fallen && p.conf.AutoEjectHosts:
		s.countEjected(why)
	case changed == Fallen:
		ctx.log.Warn("server fails its checks", append(s.attrs(), reasonAttr(why))...)
	}
}

// countAnswer notes that the server, which has failed since it last did, has
// answered a client's request.
func (s *Server) countAnswer() {
	if s.removed {
		return
	}
	if s.pool.topo.answered(s.index, s.pool.ctx.loop.Now()) == isBack {
		s.stats[stats.Returns]++
		s.pool.ctx.log.Warn("server answers again: its requests pass", s.attrs()...)
	}
}
