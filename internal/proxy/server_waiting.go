package proxy

import "nuthatch/internal/msg"

// A client whose request waits for a server that will take it holds no place at any server. It
// counts as one that waits (stats.ServerWaiting):
//
//	its request ─┬─ was not carried out by a node of a cluster  a line, and is not under way
//	             ├─ needs private connections                   a search
//	             ├─ needs the map of a cluster, or a look       it waits for the map, or the look
//	             └─ is for a primary, and its server is none    a connection that awaits
//
// The count is taken when statistics are copied, by a walk over those that wait. Nothing is
// counted where requests go.

// A waiterCount finds how many clients of a pool wait. One that waits for several reasons counts
// once.
type waiterCount struct {
	// found is empty between two counts.
	found map[msg.Party]struct{}
}

// of is how many clients of the pool wait.
func (w *waiterCount) of(p *ServerPool) int64 {
	if w.found == nil {
		w.found = make(map[msg.Party]struct{})
	}
	if d := p.detours; d != nil {
		w.inLines(d)
	}
	for f := range p.searches.all() {
		if c := f.client; c.waits&waitsForServer != 0 {
			w.found[c] = struct{}{}
		}
	}
	for c := range p.lookWaits.all {
		w.found[c] = struct{}{}
	}
	if p.mapless.waited {
		for c := range p.clients.all() {
			if c.waits&waitsForMap != 0 {
				w.found[c] = struct{}{}
			}
		}
	}
	if p.mayAwait {
		for _, s := range p.servers {
			w.awaiting(s)
		}
	}
	n := len(w.found)
	clear(w.found)
	return int64(n)
}

// inLines adds those of which a node of the cluster has not carried out a request.
func (w *waiterCount) inLines(d *detours) {
	for l := range d.inOrder.all() {
		if l.inFlight == len(l.list) {
			continue
		}
		for _, it := range l.list {
			if it.detour == nil && it.m.Owner != nil { // else the client has gone
				w.found[l.key.party] = struct{}{}
				break
			}
		}
	}
}

// awaiting adds those whose requests wait until the server is a primary.
func (w *waiterCount) awaiting(s *Server) {
	for _, lane := range s.lanes {
		for _, c := range lane {
			if c == nil || !c.awaits() {
				continue
			}
			for m := range c.queue.All() {
				w.add(m)
			}
			if b := c.wait.behind; b != nil && b.demotion != nil {
				for _, m := range b.demotion.again {
					w.add(m)
				}
			}
		}
	}
}

// add adds the client that the request is for, if it has not gone.
func (w *waiterCount) add(m *msg.Msg) {
	if party := m.Party(); party != nil {
		w.found[party] = struct{}{}
	}
}
