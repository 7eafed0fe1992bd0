// Package topology is what all loops share: of each pool its servers by identity
// (Health) with their states, addresses and service, and the ring that follows; of
// the process its limits, its events and the loops (Identity).
//
//	whoever finds out           Topology                      loops
//	loops: failures, answers ─► Health: atomics ────────────► each request looks at it
//	checks, operators, DNS  ─► Snapshot: immutable, published ► each request goes by it
//
// It is atomics and immutable snapshots: nothing here takes a lock, starts a goroutine
// or reads a clock. Whoever finds a change makes it for all.
package topology

import (
	"sync/atomic"

	"nuthatch/internal/config"
	"nuthatch/internal/slowlog"
)

// A Topology is what all loops share of one pool: where its servers are, how
// they are, and which of them keys go to. Loops read snapshots; whoever changes
// something publishes a new one.
//
// A reload makes a new topology of the old one. What outlives it is in Health, of the
// servers that stay, and in Lineage.
type Topology struct {
	// static after construction
	conf *config.Pool // of which the servers may be others by now
	*Lineage
	// began is the epoch before the first one.
	began uint64

	// published
	current atomic.Pointer[Snapshot]
	epoch   atomic.Pointer[Epoch]
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
	t.publish(newMembers(conf, conf.Servers, nil), 0, nil)
	return t
}

// Next returns the topology of the same pool with another configuration, at time
// now. Servers of the same name and address keep what is known of them. It changes
// nothing: Settle is called before the first loop uses it.
//
// While some loops use the old one and some the next, a server may be ejected
// from the old ring alone. Refresh, when all use the next, makes up for that.
func (t *Topology) Next(conf *config.Pool, now int64) *Topology {
	old := t.current.Load()
	n := &Topology{conf: conf, Lineage: t.Lineage, began: old.Epoch}
	n.publish(newMembers(conf, conf.Servers, old.Members), now, nil)
	return n
}

// Settle ends those ejections that the configuration does not have, or that nothing
// else would end any more.
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

// Servers are the servers that the pool has now. They are not to be changed.
func (t *Topology) Servers() []*Health { return t.current.Load().Servers }
