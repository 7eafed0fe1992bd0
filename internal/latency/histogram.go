// Package latency counts how long things take.
//
// A Histogram has the log-linear buckets of Gil Tene's HdrHistogram: 64 buckets to
// each power of two, so that a value is exact to 0.8%, or to half a microsecond if it
// is below 64. A bucket is found by one look at the highest bit; two histograms are
// merged by adding; a quantile of the sum is as exact as one of a part.
//
//	microseconds  0 1 2 ... 63 64 ... 127 128 130 ... 254 256 260 ... 508 512 ...
//	              └─ one wide ──────────┘ └ two wide ──┘ └ four wide ──┘
//
// (What is called a microsecond here is 1,024 ns.)
package latency

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

const (
	// unitBits is the width of the narrowest bucket: 1,024 nanoseconds.
	unitBits = 10
	// subBits: there are 2^subBits buckets to each power of two.
	subBits    = 6
	subBuckets = 1 << subBits
	// maxUnits is above the longest time that is told apart: 137 seconds.
	maxUnits = 1 << 27
	// numBuckets is the number of all buckets.
	numBuckets = (27 - subBits + 1) * subBuckets
)

// A Histogram counts times. The zero value is empty and has no memory for buckets:
// it grows by the powers of two that are seen, 512 bytes each, to at most 11 KB.
// It belongs to one goroutine.
//
// Invariant: first is a multiple of subBuckets, and so is len(counts).
type Histogram struct {
	count  uint64
	sum    int64
	max    int64
	first  int // the bucket of counts[0]
	counts []uint64
}

// bucket is the index of the bucket of a time in nanoseconds.
func bucket(ns int64) int {
	u := uint64(max(ns, 0)) >> unitBits
	u = min(u, maxUnits-1)
	e := max(bits.Len64(u)-subBits-1, 0)
	return e<<subBits + int(u>>e)
}

// edge is the shortest time, in nanoseconds, that is in the bucket or in one
// above it.
func edge(bucket int) int64 {
	e := max(bucket>>subBits-1, 0)
	return int64(bucket-e<<subBits) << e << unitBits
}

// Add counts n times of ns nanoseconds each. One below 0 counts as 0.
func (h *Histogram) Add(ns int64, n uint64) {
	ns = max(ns, 0)
	h.count += n
	h.sum += ns * int64(n)
	h.max = max(h.max, ns)
	b := bucket(ns)
	if i := uint(b - h.first); i < uint(len(h.counts)) {
		h.counts[i] += n
		return
	}
	h.cover(b, b+1)
	h.counts[b-h.first] += n
}

// cover makes room for the buckets from first up to end.
func (h *Histogram) cover(first, end int) {
	first &^= subBuckets - 1
	end = (end + subBuckets - 1) &^ (subBuckets - 1)
	if len(h.counts) == 0 {
		h.first, h.counts = first, make([]uint64, end-first)
		return
	}
	first, end = min(first, h.first), max(end, h.first+len(h.counts))
	if first == h.first && end == h.first+len(h.counts) {
		return
	}
	counts := make([]uint64, end-first)
	copy(counts[h.first-first:], h.counts)
	h.first, h.counts = first, counts
}

// Merge adds all that other has counted.
func (h *Histogram) Merge(other *Histogram) {
	if len(other.counts) == 0 {
		return
	}
	h.count += other.count
	h.sum += other.sum
	h.max = max(h.max, other.max)
	h.cover(other.first, other.first+len(other.counts))
	into := h.counts[other.first-h.first:]
	for i, n := range other.counts {
		into[i] += n
	}
}

// Clear forgets all times. The memory for buckets stays.
func (h *Histogram) Clear() {
	h.count, h.sum, h.max = 0, 0, 0
	clear(h.counts)
}

// CopyTo makes dst equal to h. It allocates only if dst is too small.
func (h *Histogram) CopyTo(dst *Histogram) {
	dst.count, dst.sum, dst.max, dst.first = h.count, h.sum, h.max, h.first
	dst.counts = append(dst.counts[:0], h.counts...)
}

// Since is what h has counted since an earlier copy. Its longest time is as exact
// as any other.
func (h *Histogram) Since(before *Histogram) Histogram {
	d := *h
	d.counts = slices.Clone(h.counts)
	if before.count > h.count { // begun anew meanwhile
		return d
	}
	d.count, d.sum, d.max = h.count-before.count, h.sum-before.sum, 0
	for i, n := range before.counts {
		if at := before.first + i - d.first; at >= 0 && at < len(d.counts) {
			d.counts[at] -= min(n, d.counts[at])
		}
	}
	for i, n := range slices.Backward(d.counts) {
		if n > 0 {
			d.max = min(h.max, edge(d.first+i+1)-1)
			break
		}
	}
	return d
}

// Count is how many times were counted.
func (h *Histogram) Count() uint64 { return h.count }

// Sum is the sum of the times.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum) }

// Max is the longest of the times.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Mean is the mean of the times, 0 if there are none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return time.Duration(h.sum / int64(h.count))
}

// Quantile is the time that the share q of all times does not exceed, 0 if there
// are none. q is between 0 and 1.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.count))), 1)
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if seen >= rank && n > 0 {
			b := h.first + i
			return time.Duration(min((edge(b)+edge(b+1))/2, h.max))
		}
	}
	return 0
}

// AtMost is how many times did not exceed d, to the accuracy of the buckets.
func (h *Histogram) AtMost(d time.Duration) uint64 {
	end := bucket(int64(d)) - h.first
	if end < 0 {
		return 0
	}
	if d >= h.Max() {
		return h.count
	}
	var n uint64
	for _, c := range h.counts[:min(end+1, len(h.counts))] {
		n += c
	}
	return n
}

// Buckets calls yield with each bucket that is not empty, in ascending order: the
// times below upper, and not below that of an earlier bucket.
func (h *Histogram) Buckets(yield func(upper time.Duration, n uint64) bool) {
	for i, n := range h.counts {
		if n > 0 && !yield(time.Duration(edge(h.first+i+1)), n) {
			return
		}
	}
}

// Middles calls yield with each bucket that is not empty, in ascending order: the time in its
// middle, and how many times it has.
func (h *Histogram) Middles(yield func(middle time.Duration, n uint64) bool) {
	for i, n := range h.counts {
		if n > 0 && !yield(time.Duration((edge(h.first+i)+edge(h.first+i+1))/2), n) {
			return
		}
	}
}

// Size is the memory that the buckets take, in bytes.
func (h *Histogram) Size() int { return 8 * cap(h.counts) }
