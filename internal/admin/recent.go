package admin

import (
	"sync"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/latency"
)

const (
	// recentWindow is over how long, at the least, recent latencies are taken, and
	// for how long they are shown; recentMost is over how long at the most.
	recentWindow = time.Second
	recentMost   = time.Minute
)

// latencies takes latencies for those who ask at the same time, and tells what
// is new since they asked before.
//
//	since the start   ├──────────────────────────────────────────────┤ now
//	recent                                         before ├──────────┤
type latencies struct {
	take func() ([]PoolLatency, error)

	mu    sync.Mutex
	last  *latencySample
	taken time.Time
}

// A latencySample is immutable.
type latencySample struct {
	pools []PoolLatency
	// total is of each pool, and of each of its servers, all together.
	total map[serverKey]*latency.Histogram
	// recent is what is new since the sample before, window ago; nil if that is too
	// long ago.
	recent map[serverKey]*latency.Histogram
	window time.Duration
}

// A serverKey names a server of a pool, or, with an empty server, the pool.
type serverKey struct{ pool, server string }

// get returns a sample that is not older than recentWindow.
func (l *latencies) get() (*latencySample, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	window := now.Sub(l.taken)
	if l.last != nil && window < recentWindow {
		return l.last, nil
	}
	pools, err := l.take()
	if err != nil {
		return nil, err
	}
	next := newSample(pools)
	if l.last != nil && window <= recentMost {
		next.since(l.last, window)
	}
	l.last, l.taken = next, now
	return next, nil
}

func newSample(pools []PoolLatency) *latencySample {
	s := &latencySample{pools: pools, total: make(map[serverKey]*latency.Histogram)}
	for i := range pools {
		p := &pools[i]
		all := new(latency.Histogram)
		for j := range p.Commands {
			all.Merge(&p.Commands[j].Histogram)
		}
		s.total[serverKey{pool: p.Name}] = all
		for j := range p.Servers {
			one := new(latency.Histogram)
			for f := range p.Servers[j].Families {
				one.Merge(&p.Servers[j].Families[f])
			}
			s.total[serverKey{p.Name, p.Servers[j].Name}] = one
		}
	}
	return s
}

func (s *latencySample) since(before *latencySample, window time.Duration) {
	s.window, s.recent = window, make(map[serverKey]*latency.Histogram, len(s.total))
	for k, h := range s.total {
		if was := before.total[k]; was != nil {
			d := h.Since(was)
			s.recent[k] = &d
		}
	}
}

// of is the latency of a server, or of a pool; nil if nothing was measured.
func (s *latencySample) of(pool, server string) *api.Latency {
	h := s.total[serverKey{pool, server}]
	if h == nil || h.Count() == 0 {
		return nil
	}
	shown := latencyOf(h)
	if r := s.recent[serverKey{pool, server}]; r != nil {
		shown.Recent = &api.RecentLatency{Window: s.window.Seconds(), Latency: *latencyOf(r)}
	}
	return shown
}

// rate is how many requests a second the pool has answered recently; 0 if that
// is not known.
func (s *latencySample) rate(pool string) float64 {
	r := s.recent[serverKey{pool: pool}]
	if r == nil {
		return 0
	}
	return float64(r.Count()) / s.window.Seconds()
}

func latencyOf(h *latency.Histogram) *api.Latency {
	return &api.Latency{
		Count: int64(h.Count()), Sum: h.Sum().Seconds(),
		P50: h.Quantile(0.5).Seconds(), P90: h.Quantile(0.9).Seconds(), P99: h.Quantile(0.99).Seconds(),
		P999: h.Quantile(0.999).Seconds(), Max: h.Max().Seconds(),
	}
}
