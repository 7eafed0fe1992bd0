package topology

import (
	"cmp"
	"math"
	"sync/atomic"

	"nuthatch/internal/msg"
)

// Limits bound the event loops of a process together. The zero value bounds
// nothing.
type Limits struct {
	// clients is how many clients all pools have.
	clients    atomic.Int64
	maxClients atomic.Int64 // 0: no limit
	// held is how many bytes the loops hold together, due how many bytes of replies
	// they expect. soft and hard are the marks for held.
	held, due, soft, hard atomic.Int64
	// maxReply is how many bytes one reply may have; 0: no limit.
	maxReply atomic.Int64
}

// SetMaxReply bounds the bytes of one reply, whatever its pool allows; 0 is no bound.
// It may be called from any goroutine.
func (l *Limits) SetMaxReply(n int64) { l.maxReply.Store(n) }

// MaxReply is that bound. It may be called from any goroutine.
func (l *Limits) MaxReply() int64 { return cmp.Or(l.maxReply.Load(), math.MaxInt64) }

// SetMaxClients bounds how many clients all pools may have together; 0 is no
// bound. It may be called from any goroutine.
func (l *Limits) SetMaxClients(n int) { l.maxClients.Store(int64(n)) }

// MaxClients is that bound. It may be called from any goroutine.
func (l *Limits) MaxClients() int { return int(l.maxClients.Load()) }

// Clients is how many clients all pools have. It may be called from any
// goroutine.
func (l *Limits) Clients() int { return int(l.clients.Load()) }

// Join counts a client of the pool, which may have poolLimit of them; 0: any number.
// A reason other than OK says why there is no room for it; it is not counted then.
func (l *Limits) Join(pool *Lineage, poolLimit int64) msg.Reason {
	n, all, limit := pool.clients.Add(1), l.clients.Add(1), l.maxClients.Load()
	switch {
	case poolLimit > 0 && n > poolLimit:
		l.Part(pool)
		return msg.TooManyClients
	case limit > 0 && all > limit:
		l.Part(pool)
		return msg.NoDescriptors
	}
	return msg.OK
}

// Part undoes a Join.
func (l *Limits) Part(pool *Lineage) {
	pool.clients.Add(-1)
	l.clients.Add(-1)
}

// SetMemory sets the marks for what the loops hold together, in bytes. Above the soft
// mark they take less, above the hard mark nothing. 0 is no bound. It may be called
// from any goroutine.
func (l *Limits) SetMemory(soft, hard int64) {
	l.soft.Store(soft)
	l.hard.Store(hard)
}

// Memory is how many bytes the loops hold together, and the marks. It may be called
// from any goroutine.
func (l *Limits) Memory() (held, soft, hard int64) {
	return l.held.Load(), l.soft.Load(), l.hard.Load()
}

// SoftMark is the mark above which loops take less, in bytes; 0: there is none.
func (l *Limits) SoftMark() int64 { return l.soft.Load() }

// Due is how many bytes of replies the loops expect together.
func (l *Limits) Due() int64 { return l.due.Load() }

// Account adds to the bytes that the loops hold together, and to those of replies that
// they expect.
func (l *Limits) Account(held, due int64) {
	l.held.Add(held)
	l.due.Add(due)
}

// A Tally is a number that several loops change.
type Tally struct{ n atomic.Int64 }

// Add adds to the number.
func (t *Tally) Add(n int64) { t.n.Add(n) }

// Value is the number.
func (t *Tally) Value() int64 { return t.n.Load() }
