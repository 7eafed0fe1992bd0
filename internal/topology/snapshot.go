package topology

import (
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/route"
)

// A Snapshot is a pool at one moment: which servers it has, and which of them a key may
// go to. It is immutable. The servers' states are in their Health.
//
// Within it a server is a number, its place. No number outlives its snapshot: what is
// kept longer keeps the Health, or the server's name.
type Snapshot struct {
	// Epoch is greater than that of all snapshots of the topology before.
	Epoch uint64
	// Table knows the servers by their places.
	Table *route.Table
	*Members
	// Nodes are what the servers of a cluster are, by their places; nil in other pools.
	Nodes []Node
	// Scans are what a SCAN must know of a cluster; nil in other pools.
	Scans *Scans

	// retryAt is when the first of the ejected servers comes back; 0 if none
	// is ejected.
	retryAt int64
	// leaders are the places of the primaries of a cluster's replicas, by their places; nil
	// in other pools.
	leaders []int
}

// inherit takes from the snapshot before what s has not itself.
func (s *Snapshot) inherit(old *Snapshot) {
	s.Members = old.Members
	if s.Nodes == nil {
		s.Nodes, s.leaders = old.Nodes, old.leaders
	}
	if s.Table == nil {
		s.Table = old.Table
	}
}

// SameServers reports whether both have the same servers at the same places.
func (s *Snapshot) SameServers(other *Snapshot) bool { return s.Members == other.Members }

// MayGoStale reports whether the table lacks servers that are to be tried again at some
// time.
func (s *Snapshot) MayGoStale() bool { return s.retryAt != 0 }

// IsStale reports whether the ejection of a server is over at time now, so that the
// table is out of date.
func (s *Snapshot) IsStale(now int64) bool { return s.retryAt != 0 && now > s.retryAt }

// Shares has each server's share of the keys that are written.
func (s *Snapshot) Shares() []float64 {
	ring := s.Table.Ring()
	shares := make([]float64, len(s.Servers))
	for shard, share := range ring.Continuum.Shares(ring.Hash) {
		shares[s.Table.Targets(shard, route.Write)[0]] += share
	}
	return shares
}

// Owner is the index of the server to which a key is written, or -1 if there is none at
// the moment. The distribution must not be random.
func (s *Snapshot) Owner(key []byte) int { return owner(s.Table, key) }

// HomeOwner is what Owner would be if no server were down.
func (s *Snapshot) HomeOwner(key []byte) int { return owner(s.HomeTable(), key) }

func owner(t *route.Table, key []byte) int {
	shard := t.Shard(key, 0)
	if shard == route.None {
		return -1
	}
	return int(t.Targets(shard, route.Write)[0])
}

// HomeTable is the table if no server were down.
func (s *Snapshot) HomeTable() *route.Table {
	if s.ring == nil {
		return s.Table
	}
	return s.ring.Table(s.nodes)
}

// Members are the servers of a pool. They are immutable, and shared by all snapshots
// between two changes of them.
type Members struct {
	// Servers are by their places.
	Servers []*Health
	// Names are their names in the statistics.
	Names []string
	// Moving is how clients that listen to channels move to them.
	Moving *Moving
	// FinishBy is until when, in the loops' nanoseconds, servers that are no longer
	// among them may answer their requests.
	FinishBy int64

	conf []config.Server
	// of are the places of the primaries of replicas, by their places, and noPrimary for
	// all others; nil: the configuration has no replicas, or the pool is a cluster.
	of []int
	// nodes are the servers as the ring has them, none of which is down. They come first
	// among the servers; replicas follow. ring is nil in a cluster.
	nodes []hashkit.Node
	ring  *route.Ring
	// places are those of a cluster's servers, by the names of its nodes; nil in other
	// pools.
	places map[string]int
}

// Server is the configuration of the server at that place. It must not be changed.
func (m *Members) Server(place int) *config.Server { return &m.conf[place] }

// Place is the server's place; -1: it is none of them.
func (m *Members) Place(h *Health) int {
	if i := int(h.place.Load()); i < len(m.Servers) && m.Servers[i] == h {
		return i
	}
	for i, s := range m.Servers {
		if s == h {
			return i
		}
	}
	return -1
}

// newMembers returns the servers of a pool. Servers that are known, by name and
// address, keep their Health. of are the places of the primaries of replicas, which come
// last; nil: there are none.
func newMembers(pool *config.Pool, servers []config.Server, of []int, known *Members) *Members {
	m := &Members{conf: servers, of: of, Moving: new(Moving)}
	owners := len(servers)
	if !pool.Cluster.On {
		owners -= numReplicas(of)
		m.ring = route.NewRing(pool.Distribution, pool.Hash, tagOf(pool.HashTag), owners)
		m.ring.ReadFrom(replicasBy(of))
	}
	healths := known.byIdentity()
	for i := range servers {
		s := &servers[i]
		h := healths[identityOf(s)]
		if h == nil {
			h = &Health{}
			h.place.Store(int64(i))
		}
		m.Servers = append(m.Servers, h)
		m.Names = append(m.Names, s.StatsName())
		if i < owners {
			m.nodes = append(m.nodes, hashkit.Node{Name: s.NodeName(), Weight: s.Weight})
		}
	}
	return m
}

// A serverIdentity is what makes a server the same server after a change.
type serverIdentity struct {
	name    string
	address config.Address
}

func identityOf(s *config.Server) serverIdentity { return serverIdentity{s.NodeName(), s.Address} }

// byIdentity has the servers by their identity. m may be nil.
func (m *Members) byIdentity() map[serverIdentity]*Health {
	if m == nil {
		return nil
	}
	known := make(map[serverIdentity]*Health, len(m.Servers))
	for i, h := range m.Servers {
		known[identityOf(&m.conf[i])] = h
	}
	return known
}

// settle notes where the servers are.
func (m *Members) settle() {
	for i, h := range m.Servers {
		if h.place.Load() != int64(i) {
			h.place.Store(int64(i))
		}
	}
}

func tagOf(s string) hashkit.Tag {
	var t hashkit.Tag
	copy(t[:], s)
	return t
}
