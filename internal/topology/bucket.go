package topology

import (
	"math"
	"sync/atomic"
	"time"

	"nuthatch/internal/events"
)

// A Rate is what a bucket gives: so many tokens a second, and at the most burst at once. Both
// are at least 1.
type Rate struct{ PerSecond, Burst int64 }

// A Bucket has tokens, which loops take in advance, a few at a time, so that a request takes
// none from here. It may be used from any goroutine. The zero value is full.
//
// It keeps a single number: when the next token would be there if all that were taken had been
// taken one by one (as in ATM's generic cell rate algorithm). So a bucket that is not used
// costs nothing, and there is no clock but the caller's, in nanoseconds.
type Bucket struct{ at atomic.Int64 }

// cost is how long it takes until n tokens are there.
func (r Rate) cost(n int64) int64 {
	return int64(math.Ceil(float64(n) * float64(time.Second) / float64(r.PerSecond)))
}

// slack is how long tokens are kept above the burst, in nanoseconds: loops look every millisecond
// or later, and none is to be lost meanwhile.
const slack = int64(5 * time.Millisecond)

// from is what the number counts for at time now: it is never so long ago that more than burst
// tokens would be there, and those of the slack. 0 is a bucket that was never used.
func (r Rate) from(at, now int64) int64 {
	if full := now - r.cost(r.Burst) - slack; at == 0 || at < full {
		return full
	}
	return at
}

// in is how many tokens there are after that time.
func (r Rate) in(d int64) int64 {
	return int64(float64(d) * float64(r.PerSecond) / float64(time.Second))
}

// Available is how many tokens there are at time now.
func (b *Bucket) Available(now int64, r Rate) int64 {
	return max(0, r.in(now-r.from(b.at.Load(), now)))
}

// Take takes tokens at time now, as many as there are and at most most, and returns how many.
func (b *Bucket) Take(now, most int64, r Rate) int64 {
	for {
		was := b.at.Load()
		from := r.from(was, now)
		if from >= now {
			return 0
		}
		n := min(most, r.in(now-from))
		if n <= 0 {
			return 0
		}
		if b.at.CompareAndSwap(was, from+r.cost(n)) {
			return n
		}
	}
}

// Charge takes n tokens that were used already, whether they are there or not.
func (b *Bucket) Charge(now, n int64, r Rate) {
	for {
		was := b.at.Load()
		if b.at.CompareAndSwap(was, r.from(was, now)+r.cost(n)) {
			return
		}
	}
}

// Next is when there is a token at the earliest.
func (b *Bucket) Next(now int64, r Rate) int64 { return r.from(b.at.Load(), now) + r.cost(1) + 1 }

// Rates are what the loops share of the limits of a pool, or of a user.
type Rates struct {
	Requests, Bytes Bucket
	// InFlight is how many requests are in flight, as far as loops have told.
	InFlight Tally
	// Waiting is how many loops have clients that wait.
	Waiting Tally
	// Clients is how many clients a user has.
	Clients Tally
	// Held is how many clients wait, and Waits how often one did.
	Held, Waits Tally
	// Late is how many requests were refused since they had waited for too long, and Excess how
	// many clients since there was one too many.
	Late, Excess Tally
	// begins finds out when requests begin to wait.
	begins events.Episode
	// holds is how many hold the rates of a user (Lineage.UserRates). From 0 it never rises.
	holds atomic.Int64
}

// hold counts one more who holds the rates. It returns false if nobody did any more.
func (r *Rates) hold() bool {
	for {
		n := r.holds.Load()
		if n == 0 {
			return false
		}
		if r.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Begins notes that a request waits at time now, and reports whether none had for a while.
func (r *Rates) Begins(now int64) bool { return r.begins.Begins(now) }
