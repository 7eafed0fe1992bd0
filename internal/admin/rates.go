package admin

import (
	"sync"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

const (
	// recentWindow is about how long "recent" is. It does not depend on who asks,
	// or when.
	recentWindow = 10 * time.Second
	// recordPeriod is the time between two records. "Recent" is since the record
	// nearest to recentWindow ago.
	recordPeriod = 5 * time.Second
	recordsKept  = 4
	// recordCost bounds the time for records: after a record nothing is recorded
	// for recordCost times as long as it took.
	recordCost = 100
)

// A Recorder keeps copies of the counters at intervals, so that even the first
// answer has rates of the last seconds.
//
//	records   ●────●────●────●
//	recent         ├─────────────┤ now      (about recentWindow)
type Recorder struct {
	in Instance

	mu sync.Mutex
	// records are the latest, the oldest first; never empty.
	records []*record
}

// A record is a copy of the counters at a time. It is immutable.
type record struct {
	at     time.Time
	counts map[serverKey]counts
	times  map[serverKey]*latency.Histogram
	cpu    []float64 // by loop
}

// counts are the counters of a server or a pool that have rates.
type counts struct {
	requests, failed, requestBytes, responseBytes int64
	errors                                        *stats.ErrorCounts
}

// NewRecorder makes the recorder of an instance whose counters are 0.
func NewRecorder(in Instance) *Recorder {
	return &Recorder{in: in, records: []*record{{at: time.Now()}}}
}

// Run writes records until stop is closed.
func (r *Recorder) Run(stop <-chan struct{}) {
	next := time.NewTimer(recordPeriod)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-stop:
			return
		}
		began := time.Now()
		r.write()
		next.Reset(max(recordPeriod, recordCost*time.Since(began)))
	}
}

// write adds a record. When the proxy ends there is none.
func (r *Recorder) write() {
	cpu, err := r.in.LoopCPU()
	if err != nil {
		return
	}
	pools, err := r.in.Latency()
	snap := r.in.Snapshot()
	if err != nil || snap == nil {
		return
	}
	next := &record{at: time.Now(), counts: countsOf(snap), times: totals(pools), cpu: cpu}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, next)
	r.records = r.records[max(0, len(r.records)-recordsKept):]
}

// before is the record at which "recent" begins.
func (r *Recorder) before(now time.Time) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	best := r.records[0]
	for _, one := range r.records[1:] {
		if (now.Sub(one.at) - recentWindow).Abs() <= (now.Sub(best.at) - recentWindow).Abs() {
			best = one
		}
	}
	return best
}

// countsOf are the counts of all pools and servers.
func countsOf(snap *stats.Snapshot) map[serverKey]counts {
	all := make(map[serverKey]counts)
	for i := range snap.Pools {
		p := &snap.Pools[i]
		of := counts{requests: p.Values[stats.ClientRequests], failed: sumOf(&p.Vectors[stats.FailedRequests])}
		for j := range p.Servers {
			s := &p.Servers[j]
			one := counts{
				requests: s.Values[stats.Requests], failed: sumOf(&s.Vectors[stats.ServerFailedRequests]),
				requestBytes: s.Values[stats.RequestBytes], responseBytes: s.Values[stats.ResponseBytes], errors: s.Errors,
			}
			of.requestBytes += one.requestBytes
			of.responseBytes += one.responseBytes
			all[serverKey{p.Name, s.Name}] = one
		}
		all[serverKey{pool: p.Name}] = of
	}
	return all
}

func sumOf(r *stats.Reasons) int64 {
	n := int64(0)
	for _, v := range r[:msg.NumReasons] {
		n += v
	}
	return n
}

// A window is what happened since a record, until a snapshot.
type window struct {
	since   *record
	seconds float64
	counts  map[serverKey]counts
	names   []string // of errors
}

// windowOf is what happened in the last seconds before a snapshot that was taken at
// a time.
func (r *Recorder) windowOf(snap *stats.Snapshot, at time.Time) *window {
	since := r.before(at)
	return &window{since, at.Sub(since.at).Seconds(), countsOf(snap), snap.ErrorNames}
}

// rates are those of a server or a pool; nil if the window is empty.
func (w *window) rates(key serverKey) *api.Rates {
	if w.seconds <= 0 {
		return nil
	}
	now, before := w.counts[key], w.since.counts[key]
	// What a reload has removed and added again has begun at 0.
	per := func(now, before int64) float64 { return float64(max(now-before, 0)) / w.seconds }
	rates := &api.Rates{
		Window: w.seconds, Requests: per(now.requests, before.requests), Failed: per(now.failed, before.failed),
		RequestBytes: per(now.requestBytes, before.requestBytes), ResponseBytes: per(now.responseBytes, before.responseBytes),
	}
	if now.errors == nil {
		return rates
	}
	if before.errors == nil {
		before.errors = new(stats.ErrorCounts)
	}
	rates.ErrorReplies = make(map[string]float64)
	for i, name := range w.names {
		if n := per(now.errors[i], before.errors[i]); n > 0 {
			rates.ErrorReplies[name] = n
		}
	}
	return rates
}

// busy fills in the loops' busy shares, if there is a record of them.
func (r *Recorder) busy(loops []api.LoopInfo) {
	now := time.Now()
	since := r.before(now)
	seconds := now.Sub(since.at).Seconds()
	for i := range loops {
		before := 0.0
		if i < len(since.cpu) {
			before = since.cpu[i]
		}
		if seconds > 0 {
			loops[i].Busy = min(max((loops[i].CPU-before)/seconds, 0), 1)
		}
	}
}
