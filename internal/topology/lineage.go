package topology

import (
	"maps"
	"sync/atomic"

	"nuthatch/internal/events"
	"nuthatch/internal/slowlog"
)

// A Lineage is the part of a pool that stays through reloads.
type Lineage struct {
	// clients is how many clients the pool has, in all loops.
	clients atomic.Int64
	// refusals and cuts find out when clients begin to be refused, and to be closed for
	// an offence, strangers when some begin to come from addresses that are not let in.
	refusals, cuts, strangers events.Episode
	// rates are what the loops share of the pool's limits, and userRates of the limits of its
	// users, by their names.
	rates     Rates
	userRates atomic.Pointer[map[string]*Rates]
	// slow is the pool's slow log.
	slow *slowlog.Log
	// cluster is how loops ask for a newer map of the pool's cluster.
	cluster Inquiry
}

// Clients is how many clients the pool has. It may be called from any goroutine.
func (l *Lineage) Clients() int { return int(l.clients.Load()) }

// Rates are what the loops share of the pool's limits.
func (l *Lineage) Rates() *Rates { return &l.rates }

// UserRates are what the loops share of the limits of a user. The caller holds them until
// ReleaseUserRates, so that names that no loop has limits for any more are forgotten.
func (l *Lineage) UserRates(name string) *Rates {
	for {
		old := l.userRates.Load()
		next := make(map[string]*Rates)
		if old != nil {
			if r := (*old)[name]; r != nil && r.hold() {
				return r
			}
			maps.Copy(next, *old)
		}
		r := new(Rates)
		r.holds.Store(1)
		next[name] = r
		if l.userRates.CompareAndSwap(old, &next) {
			return r
		}
	}
}

// ReleaseUserRates ends a hold of UserRates. With the last one they are forgotten.
func (l *Lineage) ReleaseUserRates(name string, r *Rates) {
	if r.holds.Add(-1) > 0 {
		return
	}
	for {
		old := l.userRates.Load()
		if (*old)[name] != r { // another has taken its place
			return
		}
		next := maps.Clone(*old)
		delete(next, name)
		if l.userRates.CompareAndSwap(old, &next) {
			return
		}
	}
}

// SeeUserRates are the UserRates of a user, to be read; nil if nobody holds them.
func (l *Lineage) SeeUserRates(name string) *Rates {
	now := l.userRates.Load()
	if now == nil {
		return nil
	}
	return (*now)[name]
}

// SlowLog is the pool's slow log. It keeps nothing until its length is set.
func (l *Lineage) SlowLog() *slowlog.Log { return l.slow }

// RefusalsBegin notes that a client is refused at time now, and reports whether none
// had been for a while.
func (l *Lineage) RefusalsBegin(now int64) bool { return l.refusals.Begins(now) }

// StrangersBegin notes that a client was not let in for its address at time now, and
// reports whether none had been for a while.
func (l *Lineage) StrangersBegin(now int64) bool { return l.strangers.Begins(now) }

// CutsBegin notes that a client is closed for an offence at time now, and reports
// whether none had been for a while.
func (l *Lineage) CutsBegin(now int64) bool { return l.cuts.Begins(now) }
