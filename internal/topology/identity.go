package topology

import (
	"slices"
	"sync/atomic"

	"nuthatch/internal/events"
	"nuthatch/internal/stats"
)

// An Identity is shared by all loops of a process: it gives out client ids, unique in
// the process, and knows the loops.
type Identity[Loop any] struct {
	epoch  Epoch
	last   atomic.Uint64
	loops  atomic.Pointer[[]*Loop]
	limits Limits
	errors stats.ErrorNames
	events events.Log
}

// Events are what has happened to the process, its pools and servers.
func (id *Identity[Loop]) Events() *events.Log { return &id.events }

// Errors are the prefixes of the error replies that servers gave.
func (id *Identity[Loop]) Errors() *stats.ErrorNames { return &id.errors }

// Epoch tells loops that something was published.
func (id *Identity[Loop]) Epoch() *Epoch { return &id.epoch }

// Limits are the bounds of all loops together.
func (id *Identity[Loop]) Limits() *Limits { return &id.limits }

// NextClient is the id of a client that has come.
func (id *Identity[Loop]) NextClient() uint64 { return id.last.Add(1) }

// LastClient is the id of the client that came last; 0: none has come.
func (id *Identity[Loop]) LastClient() uint64 { return id.last.Load() }

// Join adds a loop.
func (id *Identity[Loop]) Join(loop *Loop) {
	for {
		old := id.loops.Load()
		var next []*Loop
		if old != nil {
			next = slices.Clone(*old)
		}
		next = append(next, loop)
		if id.loops.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Loops are the loops of the process. The loop that asks is always among them.
func (id *Identity[Loop]) Loops() []*Loop { return *id.loops.Load() }
