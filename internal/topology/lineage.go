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

// UserRates are what the loops share of the limits of a user.
func (l *Lineage) UserRates(name string) *Rates {
	for {
		old := l.userRates.Load()
		next := make(map[string]*Rates)
		if old != nil {
			if r := (*old)[name]; r != nil {
				return r
			}
			maps.Copy(next, *old)
		}
		next[name] = new(Rates)
		if l.userRates.CompareAndSwap(old, &next) {
			return next[name]
		}
	}
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
