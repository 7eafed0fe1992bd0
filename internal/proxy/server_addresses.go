package proxy

import (
	"slices"

	"golang.org/x/sys/unix"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A server's name may get other addresses, as after a failover. The resolver publishes
// them, and each loop replaces its connections:
//
//	connection   at an address that the server still has    stays
//	             that is being made                         is made to the new ones
//	             that owes nothing                          is closed
//	             that owes replies                          gets them, and is closed then;
//	                                                        soon, if another node was promoted
//	                                                        (server_deposed.go)
//
// Requests that come meanwhile go to the new addresses. If their client has unanswered
// requests on an old connection, they wait for those replies.

// FollowAddrs replaces connections to addresses that the server of h, in t's pool, no
// longer has. The old ones answer the requests that they have, until time by at the
// latest. Clients that listen move without a gap: all loops must be given the same m. It
// must run on the loop.
func (ctx *Context) FollowAddrs(t *topology.Topology, h *topology.Health, by int64, m *topology.Moving) {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		tellReady(ctx, m)
		return
	}
	if s := p.serverOf(h); s != nil {
		s.followAddrs(by)
		searchAgain(p)
	}
	moveChannels(p, m)
}

func (p *ServerPool) followAddrs(by int64) {
	for _, s := range p.servers {
		s.followAddrs(by)
	}
}

func (s *Server) followAddrs(by int64) {
	followDeposal(s)
	if addrs := s.health.PublishedAddrs(); addrs != s.addrs {
		if s.addrs != nil && s.pool.ctx.ID() == 0 {
			s.stats[stats.Moves]++
		}
		if s.addrs != nil && s.leader == nil {
			s.pool.choice.moved()
		}
		s.addrs = addrs
		s.remark()
		if addrs != nil {
			s.replaceMoved(*addrs, by)
		}
	}
}

// replaceMoved replaces the server's connections to other addresses than these.
func (s *Server) replaceMoved(addrs []unix.Sockaddr, by int64) {
	moved := 0
	for _, lane := range s.lanes {
		for slot, c := range lane {
			switch {
			case c != nil && c.awaits():
				if c.wait.behind == nil {
					c.wait.again()
				}
			case c == nil || !c.Attached() || topology.Contains(addrs, c.addr):
				continue
			case c.Open():
				if !c.closeWhenAnswered(by) {
					lane[slot] = nil
				}
			default:
				c.untried = len(addrs)
				if !c.tryNext(msg.Unresolved) {
					c.fail(msg.Unresolved)
				}
			}
			moved++
		}
	}
	for _, c := range slices.Clone(s.store.all) {
		if !topology.Contains(addrs, c.addr) && c.retireBy == 0 {
			c.private.withdraw(by)
			moved++
		}
	}
	// It may be another server. Earlier failures and successes do not count, and it may
	// lack what clients stored at the old one for all clients.
	s.reconnect, s.forgetful = reconnect{}, true
	if moved == 0 {
		return
	}
	if log := s.pool.ctx.log; log.Enabled(logging.Notice) {
		log.Notice("connections to server are replaced: its name has other addresses now", s.attrs()...)
	}
	s.preconnect()
}
