// Package topology is what all loops share: of each pool its servers by identity
// (Health), how they are, where they are and what an operator wants of them, and the
// ring that follows from that; of the process its limits, its events and the loops
// themselves (Identity).
//
//	whoever finds out           Topology                      loops
//	loops: failures, answers ─► Health: atomics ────────────► each request looks at it
//	checks, operators, DNS  ─► Snapshot: immutable, published ► each request goes by it
//
// It is atomics and immutable snapshots: nothing here takes a lock, starts a goroutine
// or reads a clock, and whoever notices that something changes changes it for all.
package topology

import (
	"sync/atomic"

	"nuthatch/internal/config"
	"nuthatch/internal/slowlog"
)

// A Topology is what all loops share of one pool: where its servers are, how
// they are, and the ring that follows from that. Loops read snapshots; whoever
// changes something publishes a new one.
//
// A reload makes a new topology of the old one. What outlives it is in health,
// of the servers that stay, and in Lineage.
type Topology struct {
	// static after construction
	conf   *config.Pool
	health []*Health // in the order of conf.Servers
	*Lineage

	// published
	ring atomic.Pointer[Snapshot]
	// aside runs a function outside the loops; nil: there is nobody to do so.
	aside func(f func())
	// building: somebody makes a ring outside the loops. wanted counts how often one was
	// asked for, and wantedAt is the time of the last one.
	building         atomic.Bool
	wanted, wantedAt atomic.Int64
	// onUnreachable looks servers' names up again.
	onUnreachable atomic.Pointer[func()]
}

// New returns the topology of a pool with all servers on the ring and
// no addresses yet.
func New(conf *config.Pool) *Topology {
	t := &Topology{conf: conf, Lineage: &Lineage{slow: slowlog.New(0)}}
	for range conf.Servers {
		t.health = append(t.health, &Health{})
	}
	t.rebuild(0, nil)
	return t
}

// Next returns the topology of the same pool with another configuration, at time
// now. Servers of the same name and address keep what is known of them. It changes
// nothing: Settle is called before the first loop uses it.
//
// While some loops use the old one and some the next, a server may be ejected
// from the old ring alone. Refresh, when all use the next, makes up for that.
func (t *Topology) Next(conf *config.Pool, now int64) *Topology {
	n := &Topology{conf: conf, Lineage: t.Lineage}
	known := make(map[serverIdentity]*Health, len(t.health))
	for i := range t.conf.Servers {
		known[identityOf(&t.conf.Servers[i])] = t.health[i]
	}
	for i := range conf.Servers {
		h := known[identityOf(&conf.Servers[i])]
		if h == nil {
			h = &Health{}
		}
		n.health = append(n.health, h)
	}
	n.rebuild(now, nil)
	return n
}

// A serverIdentity is what makes a server the same server after a reload.
type serverIdentity struct {
	name    string
	address config.Address
}

func identityOf(s *config.Server) serverIdentity { return serverIdentity{s.NodeName(), s.Address} }

// Settle ends those ejections that the configuration does not have, or that nothing
// else would end any more.
func (t *Topology) Settle(now int64) {
	settled := false
	for _, h := range t.health {
		at := h.retryAt.Load()
		switch {
		case !t.conf.AutoEjectHosts:
			h.back(now)
			settled = settled || at != 0
		case t.conf.HealthCheck.Interval == 0 && at == untilChecked:
			// No check is to come that would bring it back: time does.
			h.retryAt.CompareAndSwap(untilChecked, now+int64(t.conf.ServerRetryTimeout))
			settled = true
		}
	}
	if settled {
		t.rebuild(now, nil)
	}
}

// Refresh publishes the ring anew. It may be called from any goroutine.
func (t *Topology) Refresh(now int64) { t.rebuild(now, nil) }

// SamePool reports whether both are topologies of one pool, before and after a
// reload.
func (t *Topology) SamePool(other *Topology) bool { return t.Lineage == other.Lineage }

// PlacesIn returns where other, a topology before t, has each of t's servers, or -1.
func (t *Topology) PlacesIn(other *Topology) []int {
	known := make(map[*Health]int, len(other.health))
	for i, h := range other.health {
		known[h] = i
	}
	places := make([]int, len(t.health))
	for i, h := range t.health {
		places[i] = -1
		if at, ok := known[h]; ok {
			places[i] = at
		}
	}
	return places
}

// Servers are the pool's servers, in the order of the configuration. They are not to
// be changed.
func (t *Topology) Servers() []*Health { return t.health }
