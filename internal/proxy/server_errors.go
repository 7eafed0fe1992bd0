package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// Error replies of servers are counted by server and by their first word. Every reply
// is checked in line, by its first bytes. The protocol is asked only if these may begin
// an error.

// mayBeError reports whether the reply may be an error, of Redis (-, !) or of Memcached
// (ERROR, SERVER_ERROR, CLIENT_ERROR). Frequent replies that begin with the same letter
// (END, EXISTS, STORED) are ruled out.
func mayBeError(r msg.Reply) bool {
	b := headOf(r)
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case '-', '!':
		return true
	case 'E', 'S', 'C':
		return len(b) == 1 || b[1] == 'R' || b[1] == 'E' || b[1] == 'L'
	}
	return false
}

// headOf is the reply, or its beginning. It lives as long as the reply.
func headOf(r msg.Reply) []byte {
	if r.Chain != nil {
		return r.Chain.Head().Bytes()
	}
	return r.Flat
}

// countPassed counts a reply that a client gets, if it says that its request was not carried out, and that
// the server, or another one, may do so later.
func countPassed(s *Server, r msg.Reply) {
	if by := s.pool.proto.redirector; by != nil && by.Redirect(r).Kind != msg.Carried {
		s.stats[stats.RefusalsPassed]++
	}
}

// refused counts the reply, if counts is set and it is an error, and reports whether it is one. why says
// why the server refuses all requests, or the connection, or is no primary; msg.OK if it
// refuses only this request. A server that wants a login is failing although it answers. A server
// that takes no writes may have been replaced by another one.
func (s *Server) refused(r msg.Reply, counts bool) (why msg.Reason, isError bool) {
	ctx := s.pool.ctx
	prefix, refuses := s.pool.proto.ErrorPrefix(r, ctx.errorText[:0])
	if prefix == nil {
		return msg.OK, false
	}
	if counts {
		stats.Count(s.errors, ctx.identity.Errors().Index(prefix))
	}
	if refuses == msg.ReadOnly || refuses == msg.MasterDown {
		// Its name may have the address of another server by now, which takes writes.
		s.pool.topo.Unreachable(s.health)
	}
	if refuses == msg.LoginRefused {
		refusesLogin(s)
	}
	return refuses, true
}

// refusesLogin notes that the server refuses the pool's login, or wants one.
func refusesLogin(s *Server) {
	if !s.removed && s.health.Refuses(msg.LoginRefused, s.pool.ctx.loop.Now()) {
		s.logFails(msg.LoginRefused)
	}
}

// outlives reports whether the server has refused the pool's login since the connection was made.
// So what it answers here says nothing of the login, but that it is there.
func outlives(c *serverConn) bool {
	h := c.server.health
	at := h.State()
	if at.State != topology.Failing || at.Reason != msg.LoginRefused || c.ready > at.Found || c.pool.conf.LoginKey() == "" {
		return false
	}
	h.IsThere()
	return true
}
