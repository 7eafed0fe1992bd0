package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Buckets lie side by side from nothing to the longest time, and a value is in the
// one whose edges are around it.
func TestBuckets(t *testing.T) {
	for b := range numBuckets {
		low, high := edge(b), edge(b+1)
		if low >= high {
			t.Fatalf("bucket %d is from %d to %d", b, low, high)
		}
		if bucket(low) != b || bucket(high-1) != b {
			t.Fatalf("bucket %d is from %d to %d, and these are in %d and %d", b, low, high, bucket(low), bucket(high-1))
		}
		if mid, half := float64(low+high)/2, float64(high-low)/2; half/mid > 0.008 && half > 512 {
			t.Fatalf("bucket %d is from %d to %d: %.1f%% wide", b, low, high, 200*half/mid)
		}
	}
	for _, ns := range []int64{-1, math.MinInt64} {
		if bucket(ns) != 0 {
			t.Errorf("%d is in bucket %d", ns, bucket(ns))
		}
	}
	for _, ns := range []int64{edge(numBuckets), math.MaxInt64} {
		if bucket(ns) != numBuckets-1 {
			t.Errorf("%d is in bucket %d, not the last", ns, bucket(ns))
		}
	}
}

// sample is n times from a few microseconds to seconds, and more of the short.
func sample(seed uint64, n int) []int64 {
	r := rand.New(rand.NewPCG(seed, 1))
	times := make([]int64, n)
	for i := range times {
		times[i] = int64(math.Exp(8 + 2*r.NormFloat64() + 2))
	}
	return times
}

// Quantiles are those of the values themselves, and of HdrHistogram, within 1%.
func TestQuantiles(t *testing.T) {
	times := sample(1, 50_000)
	var h Histogram
	ref := hdrhistogram.New(1, int64(time.Minute), 3)
	var sum int64
	for _, ns := range times {
		h.Add(ns, 1)
		sum += ns
		_ = ref.RecordValue(ns)
	}
	slices.Sort(times)
	if h.Count() != uint64(len(times)) || h.Sum() != time.Duration(sum) || h.Max() != time.Duration(times[len(times)-1]) {
		t.Errorf("count %d, sum %v, max %v", h.Count(), h.Sum(), h.Max())
	}
	for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		want := times[max(int(math.Ceil(q*float64(len(times))))-1, 0)]
		got := int64(h.Quantile(q))
		if off := math.Abs(float64(got - want)); off > 0.01*float64(want) && off > 600 {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
		if theirs := ref.ValueAtQuantile(q * 100); math.Abs(float64(got-theirs)) > 0.01*float64(theirs)+600 {
			t.Errorf("quantile %v is %d, HdrHistogram's is %d", q, got, theirs)
		}
	}
}

// What several histograms have counted, added up, is what one would have.
func TestMerge(t *testing.T) {
	var all, sum Histogram
	for part := range 4 {
		var h Histogram
		for _, ns := range sample(uint64(part), 1000) {
			ns <<= 4 * part // apart from each other, and in part beyond the end
			h.Add(ns, 2)
			all.Add(ns, 2)
		}
		sum.Merge(&h)
	}
	sum.Merge(&Histogram{})
	equal(t, &sum, &all)
	if all.Count() != 8000 {
		t.Errorf("%d were counted, want 8000", all.Count())
	}
}

func equal(t *testing.T, a, b *Histogram) {
	t.Helper()
	collect := func(h *Histogram) (all []uint64) {
		h.Buckets(func(upper time.Duration, n uint64) bool {
			all = append(all, uint64(upper), n)
			return true
		})
		return append(all, h.Count(), uint64(h.Sum()), uint64(h.Max()))
	}
	if x, y := collect(a), collect(b); !slices.Equal(x, y) {
		t.Errorf("histograms differ:\n%v\n%v", x, y)
	}
}

func TestCopyAndSince(t *testing.T) {
	var h, before Histogram
	h.Add(5_000, 3)
	h.Add(900_000_000, 1)
	h.CopyTo(&before)
	if n := testing.AllocsPerRun(10, func() { h.CopyTo(&before) }); n != 0 {
		t.Errorf("a copy over a copy allocates %v times", n)
	}
	h.Add(5_000, 2)
	h.Add(80_000, 1)
	d := h.Since(&before)
	if d.Count() != 3 || d.Sum() != 90_000 || d.Max() < 80_000 || d.Max() > 81_000 {
		t.Errorf("since the copy: %d of %v, the longest %v; want 3 of 90us, 80us", d.Count(), d.Sum(), d.Max())
	}
	if before.Count() != 4 {
		t.Errorf("the copy has counted on: %d", before.Count())
	}
	var fresh Histogram
	fresh.Add(7_000, 1)
	d = fresh.Since(&h)
	equal(t, &d, &fresh)
}

func TestAtMost(t *testing.T) {
	var h Histogram
	for _, us := range []int64{100, 200, 400} {
		h.Add(us*1000, 1)
	}
	for _, c := range []struct {
		d    time.Duration
		want uint64
	}{{0, 0}, {99 * time.Microsecond, 0}, {150 * time.Microsecond, 1}, {300 * time.Microsecond, 2}, {400 * time.Microsecond, 3}, {time.Hour, 3}} {
		if got := h.AtMost(c.d); got != c.want {
			t.Errorf("%d are at most %v, want %d", got, c.d, c.want)
		}
	}
	if (&Histogram{}).AtMost(time.Second) != 0 || (&Histogram{}).Quantile(0.5) != 0 || (&Histogram{}).Mean() != 0 {
		t.Error("an empty histogram has times")
	}
	if h.Mean() != 233333*time.Nanosecond {
		t.Errorf("mean %v", h.Mean())
	}
}

// The memory of a histogram is bounded, whatever it is told.
func TestSizeIsBounded(t *testing.T) {
	var h Histogram
	h.Add(0, 1)
	if h.Size() > 512 {
		t.Errorf("one value takes %d bytes", h.Size())
	}
	h.Add(math.MaxInt64/4, 1)
	if h.Size() > 8*numBuckets {
		t.Errorf("the buckets take %d bytes, more than %d", h.Size(), 8*numBuckets)
	}
	if n := testing.AllocsPerRun(100, func() { h.Add(12345678, 1) }); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var h Histogram
	times := sample(3, 1024)
	for i := 0; b.Loop(); i++ {
		h.Add(times[i&1023], 1)
	}
}
