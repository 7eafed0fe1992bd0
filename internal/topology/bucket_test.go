package topology

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const second = int64(time.Second)

// A bucket gives its burst at once, and then its rate, however much is asked for at a time.
func TestBucket(t *testing.T) {
	for _, r := range []Rate{{1, 1}, {10, 3}, {1000, 100}, {1 << 40, 1 << 20}} {
		for _, step := range []int64{1, 7, 1 << 30} {
			var b Bucket
			now, got := int64(12345), int64(0)
			take := func() {
				for range 1000 {
					n := b.Take(now, step, r)
					if got += n; n == 0 {
						return
					}
				}
			}
			if r.PerSecond > second && step < 1<<30 {
				continue // less than what a nanosecond brings
			}
			kept := r.PerSecond * slack / second
			if take(); step > 1 && got < min(r.Burst, 1000*step)-1 || got > r.Burst+kept+1 {
				t.Errorf("%+v, step %d: %d at first", r, step, got)
			}
			if r.PerSecond > 1000 {
				continue
			}
			for range 20_000 {
				now += second / 1000
				take()
			}
			if want := r.Burst + kept + 1 + 20*r.PerSecond; got > want || got < want-r.Burst-1 {
				t.Errorf("%+v, step %d: %d in 20 seconds, %d were wanted", r, step, got, want)
			}
		}
	}
}

// Whatever the clock does, a bucket never gives more than its burst and its rate.
func TestBucketClockJumps(t *testing.T) {
	r := Rate{100, 10}
	var b Bucket
	for range 20 {
		b.Take(second, 1, r)
	}
	if n := b.Take(second/2, 1, r); n != 0 {
		t.Errorf("%d when the clock has gone back", n)
	}
	if n := b.Take(1000*second, 1<<30, r); n > 10 || n < 9 {
		t.Errorf("%d after a long time, at most the burst was wanted", n)
	}
	if n := b.Take(999*second, 1<<30, r); n != 0 {
		t.Errorf("%d when the clock has gone back once more", n)
	}
}

// What was used without being there is paid back by waiting.
func TestBucketDebt(t *testing.T) {
	r := Rate{100, 10}
	var b Bucket
	b.Charge(second, 110, r)
	if n := b.Take(second+second/2, 1, r); n != 0 {
		t.Errorf("%d while there is a debt", n)
	}
	next := b.Next(second, r)
	if n := b.Take(next-2*second/100, 1, r); n != 0 {
		t.Errorf("%d before the next is due", n)
	}
	if n := b.Take(next, 1, r); n != 1 {
		t.Errorf("%d when the next is due", n)
	}
}

// Loops that take at once together get no more than there is.
func TestBucketShared(t *testing.T) {
	r := Rate{1000, 50}
	var b Bucket
	var got atomic.Int64
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(seed, 0))
			for now := second; now < 3*second; now += 100_000 {
				got.Add(b.Take(now-random.Int64N(500_000), 1+random.Int64N(5), r))
			}
		})
	}
	wg.Wait()
	if n := got.Load(); n > 2000+50+5+1 {
		t.Errorf("%d were given", n)
	}
}
