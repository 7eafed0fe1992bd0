package topology

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/route"
)

// Snapshots are published by a loop that ejects a server or finds that one must be
// tried again, by checks, by operators, and by whoever finds a pool's servers. Loops
// take the newest one over at the beginning of a turn:
//
//	publish ─► Topology.current ─► Epoch ─► each loop, once a turn: is it another?

// An Epoch tells loops that something was published since they looked last. All
// topologies of a process have one.
type Epoch struct {
	// Loops read it in each turn: nothing else is written beside it.
	_ [64]byte
	n atomic.Uint64
	_ [64]byte
}

// Now is a number that changes when something is published.
func (e *Epoch) Now() uint64 { return e.n.Load() }

// Snapshot is what was published last. A loop ends an ejection whose time is over, and
// logs it. It may be called from any goroutine.
func (t *Topology) Snapshot() *Snapshot { return t.current.Load() }

// TellOf sets the epoch that is raised when something is published. All users of the
// topology must give the same one.
func (t *Topology) TellOf(e *Epoch) { t.epoch.Store(e) }

// A Member is a server as described by its publisher.
type Member struct {
	Server config.Server
	// Addrs are its addresses; nil: they have not changed, or are not known.
	Addrs []unix.Sockaddr
	// Of is the name of the server that it is a replica of; empty: it is none. Replicas come
	// after all others.
	Of string
}

// Publish gives the pool other servers at time now, without a reload. A server of the
// same name and address keeps its state. Servers that go answer their requests, until
// time by at the latest. Only one goroutine at a time may call it.
func (t *Topology) Publish(members []Member, now, by int64) {
	servers := make([]config.Server, len(members))
	for i := range members {
		servers[i] = members[i].Server
	}
	m := newMembers(t.conf, servers, placesOfPrimaries(members), t.current.Load().Members)
	m.FinishBy = by
	for i := range members {
		if addrs := members[i].Addrs; addrs != nil {
			m.Servers[i].SetAddrs(addrs)
		}
	}
	t.publish(change{members: m}, now, nil)
	m.settle()
}

// A change is what a snapshot has that the one before had not.
type change struct {
	// members are other servers; nil: those before.
	members *Members
	// table says where the slots of a cluster are, and nodes what its servers are. A ring
	// has neither: its table is made of its members. If members is nil, so may these be: as
	// before.
	table *route.Table
	nodes []Node
	// log says when slots of a cluster moved; nil: as before.
	log *ScanLog
	// since is the snapshot that it is made from; nil: it holds whatever was published
	// meanwhile.
	since *Snapshot
}

// Current is the snapshot at time now. Servers whose ejection is over have their keys
// back, to be tried again. back is called for each server that this call has put back.
func (t *Topology) Current(now int64, back func(*Health)) *Snapshot {
	s := t.current.Load()
	if s.IsStale(now) && !t.building.Load() {
		return t.rebuildSoon(now, back)
	}
	return s
}

// fewServers is up to how many servers a loop makes the ring itself. A ring of three
// hundred servers takes five milliseconds.
const fewServers = 64

// BuildAside sets run, which makes rings of many servers outside the loops. It
// must be called before the first loop uses the topology.
func (t *Topology) BuildAside(run func(f func())) { t.aside = run }

// rebuildSoon is rebuild, for loops: in a pool of many servers the ring is made outside
// the loops, and until it is there requests go by the old one, which is returned.
func (t *Topology) rebuildSoon(now int64, back func(*Health)) *Snapshot {
	servers := t.current.Load().Servers
	if len(servers) <= fewServers || t.aside == nil {
		return t.rebuild(now, back)
	}
	t.wantedAt.Store(now)
	t.wanted.Add(1)
	if t.building.CompareAndSwap(false, true) {
		if t.conf.Eject != config.EjectFail {
			retry(servers, now, back)
		}
		t.aside(t.build)
	}
	return t.current.Load()
}

// retry ends ejections that are over at time now.
func retry(servers []*Health, now int64, back func(*Health)) {
	for _, h := range servers {
		if at := h.retryAt.Load(); at != 0 && at <= now && h.tried(at, now) && back != nil {
			back(h)
		}
	}
}

// build makes the ring, and makes it again if that was asked for meanwhile.
func (t *Topology) build() {
	for more := true; more; {
		n := t.wanted.Load()
		t.rebuild(t.wantedAt.Load(), nil)
		t.building.Store(false)
		more = t.wanted.Load() != n && t.building.CompareAndSwap(false, true)
	}
}

// rebuild publishes the ring of the servers that are not ejected at time now. If back
// is not nil, ejections that are over end, and back is called for each such server.
func (t *Topology) rebuild(now int64, back func(*Health)) *Snapshot {
	return t.publish(change{}, now, back)
}

// publish publishes a change, and the ring of the servers that are not ejected at time
// now. Several loops may do so at once. The second one sees that something was published,
// and looks at the servers again. It returns nil, and has published nothing, if the change
// was made from another snapshot than the last one.
func (t *Topology) publish(c change, now int64, back func(*Health)) *Snapshot {
	for {
		old := t.current.Load()
		if c.since != nil && c.since != old {
			return nil
		}
		next := &Snapshot{Epoch: t.began + 1, Members: c.members, Table: c.table, Nodes: c.nodes}
		if old != nil {
			next.Epoch = old.Epoch + 1
		}
		if c.nodes != nil {
			next.leaders = leadersOf(c.nodes)
		}
		if c.members == nil {
			next.inherit(old)
		}
		if next.ring != nil {
			next.Table = next.ring.Table(t.nodesOf(next, now, back))
		}
		next.Scans = scansOf(next, old, c.log, now)
		if !t.current.CompareAndSwap(old, next) {
			continue
		}
		if e := t.epoch.Load(); e != nil {
			e.n.Add(1)
		}
		return next
	}
}

// nodesOf are the servers of s as nodes of the ring at time now. If back is nil, no
// ejection ends here: the first loop that looks finds s stale, ends the ejection, and
// logs it.
func (t *Topology) nodesOf(s *Snapshot, now int64, back func(*Health)) []hashkit.Node {
	nodes := slices.Clone(s.nodes)
	for i, h := range s.Servers {
		at := h.retryAt.Load()
		switch {
		case i >= len(nodes): // a replica has no keys of its own
			if at != 0 && at <= now && back != nil && t.conf.Eject != config.EjectFail && h.tried(at, now) {
				back(h)
			}
		case h.Service() == OffTheRing:
			nodes[i].Down = true
		case at == 0 || t.conf.Eject == config.EjectFail:
		case at <= now && back != nil:
			if h.tried(at, now) {
				back(h)
			}
		default:
			nodes[i].Down = true
			if s.retryAt == 0 || at < s.retryAt {
				s.retryAt = at
			}
		}
	}
	return nodes
}

// Ring is the ring as it was last published. It may be called from any goroutine.
func (t *Topology) Ring() hashkit.Ring { return t.current.Load().Table.Ring() }
