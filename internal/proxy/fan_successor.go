package proxy

import (
	"cmp"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A read of all nodes of a cluster (DBSIZE) has one fragment for each primary. One that a node has
// not answered before its connection ended, or could not get, waits like a read of a key: until the
// node can be connected to again, or has a successor. That is a primary that no fragment went to:
//
//	DBSIZE ─┬─► a ─► 10
//	        ├─► b: away ─► waits ─► the map says: a, b', c ─► b' ─► 20
//	        └─► c ─► 30
//
// It waits in the line of its client's requests without a key (server_redirect_line.go).

// keepsShare reports whether the fragment f of a request to all nodes may have to be sent again. If
// a reply may leave nodes out, nothing waits for one.
func (n fan) keepsShare(f *msg.Msg, conn *serverConn) bool {
	p := n.c.pool
	return p.losesNodes && conn.private == nil && p.commands[f.Type].Whole && p.conf.PartialResults == config.PartialError
}

// isShare reports whether the request is the share that a node has of a request to all.
func (it *detoured) isShare() bool { return it.line.key.slot < 0 && it.m.Parent != nil }

// heirOf is the server that a share is sent to next: its own if that is still a primary, or the one
// that has its place. nil: the map does not say yet. Nodes of a cluster have different names.
func heirOf(r *router, m *msg.Msg) *Server {
	primaries := r.receivers(false)
	places := make(map[string]int, len(primaries))
	for i, s := range primaries {
		places[s.ServerName()] = i
	}
	asked := make([]bool, len(primaries))
	nth, orphans := 0, 0
	for _, f := range m.Parent.Frags {
		if i, is := places[f.Via.ServerName()]; is {
			if f == m {
				return primaries[i]
			}
			asked[i] = true
			continue
		}
		if f.Done {
			continue
		}
		if f == m {
			nth = orphans
		}
		orphans++
	}
	var heirs []*Server
	for i, s := range primaries {
		if !asked[i] {
			heirs = append(heirs, s)
		}
	}
	if len(heirs) != orphans {
		return nil
	}
	return heirs[nth]
}

// failShare ends a share whose time is over, for the reason that its node could not be asked.
func (it *detoured) failShare() {
	m, s := it.m, it.from
	why := cmp.Or(s.reconnect.failed, msg.ServerClosed)
	it.leave()
	m.Kept.Release(s.pool.ctx.bufs)
	s.reasons[stats.ServerFailedRequests][why]++
	m.Err = why
	m.Owner.OnFailure(m)
}
