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
//	recent                            a record ├───────────┤ a record
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
	// recent is what is new between two records, or, as long as there is only one, since that.
	recent       map[serverKey]*latency.Histogram
	since, until *record
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
	since, until := l.recorder.between(of)
	sample := l.windows[of]
	if sample == nil || since != until && sample.until != until {
		if since == until {
			until = &record{at: l.taken, times: l.last.total}
		}
		sample = &latencySample{pools: l.last.pools, total: l.last.total, since: since, until: until}
		sample.compare()
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

// compare finds what is new between the two records.
func (s *latencySample) compare() {
	s.recent = make(map[serverKey]*latency.Histogram, len(s.total))
	for _, keys := range []map[serverKey]*latency.Histogram{s.total, s.since.rest} {
		for k := range keys {
			d := newBetween(s.since, s.until, k)
			s.recent[k] = &d
		}
	}
}

// newBetween are the times of a server or a pool that are new between two records.
func newBetween(since, until *record, key serverKey) latency.Histogram {
	d := orNone(until.times[key]).Since(orNone(since.times[key]))
	if rest := since.rest[key]; rest != nil {
		before := rest.Since(orNone(until.rest[key]))
		d.Merge(&before)
	}
	return d
}

// seconds is how long the window is.
func (s *latencySample) seconds() float64 { return s.until.at.Sub(s.since.at).Seconds() }

// of is the latency of a server, or of a pool; nil if nothing was measured.
func (s *latencySample) of(pool, server string) *api.Latency {
	h, recent := s.total[serverKey{pool, server}], orNone(s.recent[serverKey{pool, server}])
	if h == nil && recent.Count() == 0 {
		return nil
	}
	shown := latencyOf(orNone(h))
	shown.Recent = &api.RecentLatency{Window: s.seconds(), Latency: *latencyOf(recent)}
	return shown
}

// rate is how many requests a second the pool has answered recently; 0 if that
// is not known.
func (s *latencySample) rate(pool string) float64 {
	r := s.recent[serverKey{pool: pool}]
	if r == nil || s.seconds() <= 0 {
		return 0
	}
	return float64(r.Count()) / s.seconds()
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
