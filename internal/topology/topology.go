// Package topology is what all loops share. Of each pool that is its servers by
// identity (Health) with their states, addresses and service, and the ring. Of the
// process it is its limits, its events and the loops (Identity).
//
//	whoever finds out           Topology                      loops
//	loops: failures, answers ─► Health: atomics ────────────► each request looks at it
//	checks, operators, DNS  ─► Snapshot: immutable, published ► each request goes by it
//
// It consists of atomics and immutable snapshots. Nothing here takes a lock, starts a
// goroutine or reads a clock. Whoever finds a change makes it for all.
package topology

import (
	"sync/atomic"

	"nuthatch/internal/config"
	"nuthatch/internal/slowlog"
)

// A Topology is what all loops share of one pool: its servers' addresses, their states,
// and which of them keys go to. Loops read snapshots. Whoever changes something
// publishes a new one.
//
// A reload makes a new topology of the old one. What outlives it is in Lineage, and in
// the Health of servers that stay.
type Topology struct {
	// static after construction
	conf *config.Pool // of which the servers may be others by now
	*Lineage
	// began is the epoch before the first one.
	began uint64

	// published
	current atomic.Pointer[Snapshot]
	epoch   atomic.Pointer[Epoch]
	// aside runs a function outside the loops; nil: nothing can be run there.
	aside func(f func())
	// building: a ring is being made outside the loops. wanted is how often one was
	// asked for, and wantedAt is the time of the last request.
	building         atomic.Bool
	wanted, wantedAt atomic.Int64
	// onUnreachable looks servers' names up again.
	onUnreachable atomic.Pointer[func()]
}

// New returns the topology of a pool with all servers on the ring and
// no addresses yet.
func New(conf *config.Pool) *Topology {
	t := &Topology{conf: conf, Lineage: &Lineage{slow: slowlog.New(0)}}
	t.publish(first(conf, nil), 0, nil)
	return t
}

// Next returns the topology of the same pool with another configuration, at time now.
// Servers of the same name and address keep their Health. Next changes nothing. Settle
// must be called before the first loop uses the new topology.
//
// While some loops use the old topology and some the next, a server may be ejected only
// from the old ring. So Refresh must be called when all loops use the next.
func (t *Topology) Next(conf *config.Pool, now int64) *Topology {
	old := t.current.Load()
	n := &Topology{conf: conf, Lineage: t.Lineage, began: old.Epoch}
	n.publish(first(conf, old), now, nil)
	return n
}

// Settle ends ejections that the new configuration does not allow, or that nothing
// would end any more.
func (t *Topology) Settle(now int64) {
	settled := false
	members := t.current.Load().Members
	members.settle()
	for _, h := range members.Servers {
		at := h.retryAt.Load()
		switch {
		case !t.conf.AutoEjectHosts:
			h.back(now)
			settled = settled || at != 0
		case t.conf.HealthCheck.Interval == 0 && at == untilChecked:
			// There are no more checks that would bring it back: time does.
			h.retryAt.CompareAndSwap(untilChecked, now+int64(t.conf.ServerRetryTimeout))
			settled = true
		}
	}
	if settled {
		t.rebuild(now, nil)
	}
}

// Refresh publishes the ring again. It may be called from any goroutine.
func (t *Topology) Refresh(now int64) { t.rebuild(now, nil) }

// SamePool reports whether both are topologies of one pool, before and after a
// reload.
func (t *Topology) SamePool(other *Topology) bool { return t.Lineage == other.Lineage }

// Servers are the servers that the pool has now. They must not be changed.
func (t *Topology) Servers() []*Health { return t.current.Load().Servers }
