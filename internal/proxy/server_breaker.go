package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// admit decides whether a request may go to a server that is not up. The reason says
// why not.
func (s *Server) admit() msg.Reason {
	why, isProbe := s.pool.topo.Admit(s.health, s.pool.ctx.loop.Now())
	if isProbe {
		s.reconnect = reconnect{}
		s.stats[stats.Probes]++
		s.logTried()
	}
	return why
}

// countFailure counts a failure of the server, which may be ejected for it. The failed
// connection was dialled at time made.
func (s *Server) countFailure(why msg.Reason, made int64) {
	p, ctx := s.pool, s.pool.ctx
	if s.removed {
		return
	}
	switch p.topo.Failed(s.health, why, made, ctx.loop.Now()) {
	case topology.BeginsToFail:
		s.logFails(why)
	case topology.IsEjected:
		s.countEjected()
		s.logFails(why)
		takeTable(p, p.topo.Snapshot())
	case topology.IsEjectedAgain:
		s.countEjected()
		takeTable(p, p.topo.Snapshot())
	case topology.NothingNew, topology.FailsStill, topology.Answers, topology.IsBack:
	}
}

// countEjected counts that this loop has found the server to be ejected.
func (s *Server) countEjected() {
	ctx := s.pool.ctx
	s.pool.stats.Values[stats.ServerEjects]++
	s.stats[stats.Ejections]++
	s.stats[stats.ServerEjectedAt] = ctx.loop.WallMicros(ctx.loop.Now())
}

// Checked counts and logs the result of a health check of a server of t's pool, and
// what it changed. It must run on the loop, and on only one loop of the process.
func (ctx *Context) Checked(t *topology.Topology, h *topology.Health, why msg.Reason, changed topology.Verdict) {
	p := ctx.poolOf(t.Lineage)
	if p == nil || p.topo != t {
		return // a reload has come between
	}
	s := p.serverOf(h)
	if s == nil {
		return
	}
	if why != msg.OK {
		s.stats[stats.FailedChecks]++
	}
	switch changed {
	case topology.Risen:
		if p.conf.AutoEjectHosts {
			s.stats[stats.Returns]++
		}
		s.logWell("passes its checks again")
	case topology.Fallen:
		if p.conf.AutoEjectHosts {
			s.countEjected()
		}
		s.logFails(why)
	case topology.SameAsBefore:
	}
}

// countAnswer notes that the server has answered a client's request, for the first time
// since it failed.
func (s *Server) countAnswer() {
	if s.removed {
		return
	}
	switch s.pool.topo.Answered(s.health, s.pool.ctx.loop.Now()) {
	case topology.IsBack:
		s.stats[stats.Returns]++
		s.logWell("answers again")
	case topology.Answers:
		s.logWell("answers again")
	case topology.NothingNew, topology.BeginsToFail, topology.IsEjected, topology.FailsStill, topology.IsEjectedAgain:
	}
}
