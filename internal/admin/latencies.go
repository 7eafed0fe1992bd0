package admin

import (
	"math"
	"sync"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/latency"
)

// latencyAge is how old a sample may be that is used again.
const latencyAge = time.Second

// latencies takes one sample for all who ask at the same time.
//
//	since the start   ├──────────────────────────────────────────────┤ now
//	recent                                    a record ├─────────────┤
type latencies struct {
	take     func() ([]PoolLatency, error)
	recorder *Recorder

	mu    sync.Mutex
	last  *latencySample
	taken time.Time
	// windows are samples made of the last one, by their windows.
	windows map[time.Duration]*latencySample
}

// A latencySample is immutable.
type latencySample struct {
	pools []PoolLatency
	// total is of each pool, and of each of its servers, all together.
	total map[serverKey]*latency.Histogram
	// recent is what is new since a record, window ago; nil if nobody has asked for it.
	recent map[serverKey]*latency.Histogram
	window time.Duration
}

// A serverKey names a server of a pool, or, with an empty server, the pool.
type serverKey struct{ pool, server string }

// get returns a sample of at most latencyAge, with what is new in a window.
func (l *latencies) get(of time.Duration) (*latencySample, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || time.Since(l.taken) >= latencyAge {
		pools, err := l.take()
		if err != nil {
			return nil, err
		}
		l.last, l.taken = &latencySample{pools: pools, total: totals(pools)}, time.Now()
		l.windows = make(map[time.Duration]*latencySample)
	}
	sample := l.windows[of]
	if sample == nil {
		sample = &latencySample{pools: l.last.pools, total: l.last.total}
		sample.since(l.recorder.before(l.taken, of), l.taken)
		l.windows[of] = sample
	}
	return sample, nil
}

// totals are the times of each pool and of each server, all families together;
// those without measurements are left out.
func totals(pools []PoolLatency) map[serverKey]*latency.Histogram {
	total := make(map[serverKey]*latency.Histogram)
	put := func(key serverKey, h *latency.Histogram) {
		if h.Count() > 0 {
			total[key] = h
		}
	}
	for i := range pools {
		p := &pools[i]
		all := new(latency.Histogram)
		for j := range p.Commands {
			all.Merge(&p.Commands[j].Histogram)
		}
		put(serverKey{pool: p.Name}, all)
		for j := range p.Servers {
			one := new(latency.Histogram)
			for f := range p.Servers[j].Families {
				one.Merge(&p.Servers[j].Families[f])
			}
			put(serverKey{p.Name, p.Servers[j].Name}, one)
		}
	}
	return total
}

// since finds what is new since a record.
func (s *latencySample) since(before *record, now time.Time) {
	s.window, s.recent = now.Sub(before.at), make(map[serverKey]*latency.Histogram, len(s.total))
	for k, h := range s.total {
		was := before.times[k]
		if was == nil {
			was = new(latency.Histogram)
		}
		d := h.Since(was)
		s.recent[k] = &d
	}
}

// of is the latency of a server, or of a pool; nil if nothing was measured.
func (s *latencySample) of(pool, server string) *api.Latency {
	h := s.total[serverKey{pool, server}]
	if h == nil {
		return nil
	}
	shown := latencyOf(h)
	shown.Recent = &api.RecentLatency{Window: s.window.Seconds(), Latency: *latencyOf(s.recent[serverKey{pool, server}])}
	return shown
}

// rate is how many requests a second the pool has answered recently; 0 if that
// is not known.
func (s *latencySample) rate(pool string) float64 {
	r := s.recent[serverKey{pool: pool}]
	if r == nil || s.window <= 0 {
		return 0
	}
	return float64(r.Count()) / s.window.Seconds()
}

// latencyOf are the times of a histogram; none if it is empty.
func latencyOf(h *latency.Histogram) *api.Latency {
	at := func(q float64) api.Seconds { return api.Seconds(h.Quantile(q).Seconds()) }
	shown := &api.Latency{
		Count: int64(h.Count()), Sum: h.Sum().Seconds(),
		P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: api.Seconds(h.Max().Seconds()),
	}
	if h.Count() == 0 {
		none := api.Seconds(math.NaN())
		shown.P50, shown.P90, shown.P99, shown.P999, shown.Max = none, none, none, none, none
	}
	return shown
}
