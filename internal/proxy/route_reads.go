package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/route"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// Reads may go to replicas (read_policy). A request is placed like any other, on the primary
// of its keys. Then, if it is one that replicas carry out, one of the primary's readers is
// chosen:
//
//	owner ─► primary ─► the client has written there lately, or has  ─► the primary
//	            │       private connections (WATCH, tracking)
//	            └─────► readers, by rank ─► of those that may be used, the one with
//	                                        the fewest requests in flight
//
// What a replica does not answer (LOADING, MASTERDOWN, MOVED, the end of its connection) is
// asked elsewhere: server_replica.go.
//
// A client's order holds: a request that may write waits until the client's reads at replicas
// are answered. So no read sees what its client wrote behind it.

// A readChoice is how a pool chooses where to read.
type readChoice struct {
	pool *ServerPool
	// policy and own are those of the configuration; own is in nanoseconds.
	policy config.ReadPolicy
	own    int64
	zone   string
	// since is when the pool began to read from replicas. Until movedUntil keys have had other
	// primaries lately: who has written anywhere reads from primaries.
	since, movedUntil int64
	// turns counts choices, so that equals are used in turn.
	turns uint32
	// marks are those of primaries; shared: some of them share one.
	marks  marks
	shared bool
}

// A reading is what a server is to reads.
type reading struct {
	// leader is the primary that it is a replica of; nil: it is none.
	leader *Server
	// readers are the servers that its keys may be read from; nil: only itself.
	readers []reader
	// chosen is what was chosen for a request that is split, the chosenBy-th choice.
	chosen   *Server
	chosenBy uint32
}

// A reader is a server that keys may be read from. Those of a lower rank go first.
type reader struct {
	server *Server
	rank   uint8
}

// ownWrite is a client's last write to the servers with a mark.
type ownWrite struct {
	mark marks
	// last is not answered yet; nil: all are. until is until when the client reads there.
	last  *msg.Msg
	until int64
}

// followReads fits the pool's choice to its configuration and its snapshot.
func followReads(p *ServerPool) {
	if !p.conf.ReadsReplicas() {
		if p.choice != nil {
			p.choice.end()
		}
		p.choice = nil
		return
	}
	if p.choice == nil {
		p.choice = &readChoice{pool: p, since: p.ctx.loop.Now()}
	}
	r, own := p.choice, int64(p.conf.Reads.OwnWrites)
	if own > r.own { // nobody knows of writes that are older than what it was
		r.since = p.ctx.loop.Now()
	}
	r.policy, r.own, r.zone = p.conf.Reads.Policy, own, p.conf.Reads.Zone
	r.follow()
}

// end forgets what servers are to reads.
func (r *readChoice) end() {
	for _, s := range r.pool.servers {
		r.lead(s, nil)
		s.reading = reading{}
	}
}

// follow finds the readers of each primary in the present snapshot. r may be nil.
func (r *readChoice) follow() {
	if r == nil {
		return
	}
	p := r.pool
	table := p.snap.Table
	leaders := make([]*Server, len(p.servers))
	for i := range p.servers {
		if at := p.snap.PrimaryOf(i); at >= 0 {
			leaders[i] = p.servers[at]
		}
	}
	for shard := range table.NumShards() {
		leaders[table.Targets(shard, route.Write)[0]] = nil // it has slots already
	}
	var silent []*Server
	r.marks, r.shared = 0, false
	for i, s := range p.servers {
		r.lead(s, leaders[i])
		switch {
		case leaders[i] == nil:
			r.shared = r.shared || r.marks&s.mark != 0
			r.marks |= s.mark
		case isSilent(s):
			silent = append(silent, s)
		}
	}
	for shard := range table.NumShards() {
		primary := p.servers[table.Targets(shard, route.Write)[0]]
		readers := make([]reader, 0, len(table.Targets(shard, route.Read)))
		for _, at := range table.Targets(shard, route.Read) {
			s := p.servers[at]
			if rank, may := r.rank(s, s == primary); may {
				readers = append(readers, reader{s, rank})
			}
		}
		slices.SortStableFunc(readers, func(a, b reader) int { return int(a.rank) - int(b.rank) })
		primary.readers = readers
	}
	for _, s := range silent {
		s.abandon()
	}
}

// isSilent reports whether a replica was asked, and did not answer.
func isSilent(s *Server) bool {
	st := s.health.Standing()
	return st != nil && st.Why == topology.NoAnswer
}

// abandon has nobody wait for a replica that does not answer any more.
func (s *Server) abandon() {
	for c := range s.conns() {
		if c.Attached() && c.queue.Len() > 0 && c.private == nil {
			c.fail(msg.Timedout)
		}
	}
}

// lead notes whose replica s is. Connections to a node that has become one must be told that
// they are for reading. Those to one that is none any more must be new: over one that was told
// so it would, when it is a replica again and this is not known here yet, answer from its own
// data in place of MOVED, and a client would miss what it has written.
func (r *readChoice) lead(s, leader *Server) {
	before := s.leader
	s.leader, s.readers = leader, nil
	if (leader == nil) != (before == nil) && r.pool.bySlot {
		s.replaceRequests(r.pool.ctx.loop.Now() + demotedTime)
	}
}

// rank is the rank of a reader. may is false if it is not to be used.
func (r *readChoice) rank(s *Server, isPrimary bool) (rank uint8, may bool) {
	if !isPrimary && !s.health.MayRead() {
		return 0, false
	}
	if r.zone != "" && s.health.Zone() != r.zone {
		rank = 1
	}
	switch r.policy {
	case config.ReadNearest:
		return rank, true
	case config.ReadReplica:
		return rank, !isPrimary
	case config.ReadPreferReplica:
		if isPrimary {
			rank = 2
		}
		return rank, true
	case config.ReadPreferPrimary:
		if isPrimary {
			return 0, true
		}
		return rank + 1, true
	case config.ReadPrimary:
	}
	return 0, isPrimary
}

// choose is the server that a client's read of keys of a primary goes to.
func (r *readChoice) choose(c *client, primary *Server) (*Server, msg.Reason) {
	if r.stays(c, primary) {
		primary.stats[stats.Reads]++
		return primary, msg.OK
	}
	s := r.pick(primary.readers, nil)
	if s == nil {
		if r.policy == config.ReadReplica {
			return nil, msg.NoReplica
		}
		s = primary
	}
	c.aside = c.aside || s != primary
	s.stats[stats.Reads]++
	return s, msg.OK
}

// pick is the best of the readers that may be used now, another one than not; nil: there is
// none. Of equals it is the one with the fewest requests in flight.
func (r *readChoice) pick(readers []reader, not *Server) (best *Server) {
	n := len(readers)
	if n == 0 {
		return nil
	}
	r.turns++
	at := int(r.turns) % n
	var rank uint8
	var load int64
	for range n {
		e := &readers[at]
		if at++; at == n {
			at = 0
		}
		s := e.server
		if best != nil && e.rank > rank || s == not || !s.health.Passes() || !s.health.IsUp() {
			continue
		}
		if l := s.stats[stats.InQueue] + s.stats[stats.OutQueue]; best == nil || e.rank < rank || l < load {
			best, rank, load = s, e.rank, l
		}
	}
	return best
}

// instead is the server that is asked for what the replica s has not answered; nil: none.
func (r *readChoice) instead(s *Server) *Server {
	switch {
	case s.leader.removed:
		return nil
	case r.policy == config.ReadReplica:
		return r.pick(s.leader.readers, s)
	}
	return s.leader
}

// deal has the shares of a request that is split go to readers, those of one primary to the
// same one. It returns false if there is none for one of them.
func (r *readChoice) deal(c *client, t msg.Type, shares []share) bool {
	if !r.pool.commands[t].Replicas {
		return true
	}
	r.turns++
	by := r.turns
	for i := range shares {
		primary := shares[i].server
		if primary.chosen == nil || primary.chosenBy != by {
			s, why := r.choose(c, primary)
			if why != msg.OK {
				return false
			}
			primary.chosen, primary.chosenBy = s, by
		}
		shares[i].server = primary.chosen
	}
	return true
}

// stays reports whether the client reads from the primary: it has written there lately, or
// has private connections.
func (r *readChoice) stays(c *client, primary *Server) bool {
	now := r.pool.ctx.loop.Now()
	o := c.own
	if now < r.since+r.own { // what was written before that was not noted
		wrote := c.wrote
		if o != nil {
			wrote |= o.asked
		}
		if wrote&primary.mark != 0 || wrote&^r.marks != 0 || wrote != 0 && now < r.movedUntil {
			return true // there, or at a server that has another mark now
		}
	}
	if o == nil {
		return false
	}
	if len(o.conns) > 0 || o.track != nil {
		return true
	}
	for i := range o.written {
		w := &o.written[i]
		if w.last != nil && c.inFlight() == 0 { // nobody knows whether it was carried out
			w.last, w.until = nil, now+r.own
		}
		if (w.last != nil || now < w.until) && (w.mark == primary.mark || now < r.movedUntil) {
			r.pool.stats.Values[stats.ReadsOwnWrites]++
			return true
		}
	}
	return false
}

// moved notes that keys have got other primaries. r may be nil.
func (r *readChoice) moved() {
	if r != nil {
		r.movedUntil = r.pool.ctx.loop.Now() + r.own
	}
}

// wrote notes that a client's write goes to the servers with that mark.
func (r *readChoice) wrote(c *client, mark marks, m *msg.Msg) {
	if r.own == 0 {
		return
	}
	o := ownOf(c)
	for i := range o.written {
		if o.written[i].mark == mark {
			o.written[i].last = m
			return
		}
	}
	o.written = append(o.written, ownWrite{mark: mark, last: m}) // at most one for each mark
}

// answered notes that a server has answered m.
func (r *readChoice) answered(m *msg.Msg, s *Server) {
	if r.own == 0 || r.pool.commands[m.Type].Pure {
		return
	}
	if party := m.Party(); party != nil {
		party.Answered(m, uint32(s.mark), r.pool.ctx.loop.Now()+r.own)
	}
}

// Answered implements msg.Party.
func (d *dispatch) Answered(m *msg.Msg, mark uint32, until int64) {
	o := d.client.own
	if o == nil {
		return
	}
	for i := range o.written {
		w := &o.written[i]
		switch {
		case w.mark != marks(mark):
		case d.client.pool.choice.shared: // other servers may not have answered yet
			w.until = until
		case w.last == m:
			w.last, w.until = nil, until
		}
	}
}

// Wrote implements msg.Party.
func (d *dispatch) Wrote(m *msg.Msg, mark uint32, reaches bool) {
	c := d.client
	if reaches {
		c.wrote |= marks(mark)
	}
	if c.pool.choice != nil && m != nil {
		c.pool.choice.wrote(c, marks(mark), m)
	}
}

// readerOf is the server that a client's request of that type for keys of s goes to.
func (r *readChoice) readerOf(c *client, t msg.Type, s *Server) (*Server, msg.Reason) {
	if !c.pool.commands[t].Replicas {
		return s, msg.OK
	}
	return r.choose(c, s)
}

// overtakes reports whether a request must wait: its client has reads at replicas, and what
// may write must not be carried out before them. Then it is back in the stash.
func overtakes(c *client, req *msg.Request) bool {
	if c.inFlight() == 0 {
		c.aside = false
		return false
	}
	return c.overdue == msg.OK && waitsForServers(req.Treatment) && !c.pool.commands[req.Type].Replicas && !c.mayGo()
}
