package topology

import (
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/route"
)

// A Snapshot is what a pool is at a moment: which servers it has, and which of them a key
// may go to. It is immutable; how the servers are is in their Health.
//
// Within it a server is a number, its place. No number outlives its snapshot: what is
// kept longer keeps the Health, or the server's name.
type Snapshot struct {
	// Epoch is greater than that of all snapshots of the topology before.
	Epoch uint64
	// Table knows the servers by their places.
	Table *route.Table
	*Members

	// retryAt is when the first of the ejected servers comes back; 0 if none
	// is ejected.
	retryAt int64
}

// SameServers reports whether both have the same servers at the same places.
func (s *Snapshot) SameServers(other *Snapshot) bool { return s.Members == other.Members }

// MayGoStale reports whether the table lacks servers that are to be tried again at some
// time.
func (s *Snapshot) MayGoStale() bool { return s.retryAt != 0 }

// IsStale reports whether servers are to be tried again at time now that the table does
// not know of.
func (s *Snapshot) IsStale(now int64) bool { return s.retryAt != 0 && now > s.retryAt }

// Shares are, for each server, the part of the keys that it has.
func (s *Snapshot) Shares() []float64 {
	ring := s.Table.Ring()
	return ring.Continuum.Shares(ring.Hash)
}

// HomeRing is the ring if no server were down.
func (s *Snapshot) HomeRing() hashkit.Ring { return s.ring.Table(s.nodes).Ring() }

// Members are the servers of a pool. They are immutable, and shared by all snapshots
// between two changes of them.
type Members struct {
	// Servers are by their places.
	Servers []*Health
	// Names are theirs, in the statistics.
	Names []string
	// FinishBy is until when, in the loops' nanoseconds, servers that are none of them any
	// more finish what they owe.
	FinishBy int64

	conf []config.Server
	// nodes are the servers as the ring has them, none of which is down.
	nodes []hashkit.Node
	ring  *route.Ring
}

// Server is what the configuration, or whoever published it, says of the server at that
// place. It is not to be changed.
func (m *Members) Server(place int) *config.Server { return &m.conf[place] }

// Place is where the server is; -1: it is none of them.
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

// newMembers returns the servers of a pool, of which those that are known, by name and
// address, keep what is known of them.
func newMembers(pool *config.Pool, servers []config.Server, known *Members) *Members {
	m := &Members{conf: servers}
	m.ring = route.NewRing(pool.Distribution, pool.Hash, tagOf(pool.HashTag), len(servers))
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
		m.nodes = append(m.nodes, hashkit.Node{Name: s.NodeName(), Weight: s.Weight})
	}
	return m
}

// A serverIdentity is what makes a server the same server when there are others.
type serverIdentity struct {
	name    string
	address config.Address
}

func identityOf(s *config.Server) serverIdentity { return serverIdentity{s.NodeName(), s.Address} }

// byIdentity is what is known of the servers. m may be nil.
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
