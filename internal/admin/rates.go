package admin

import (
	"slices"
	"sync"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/history"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A Recorder keeps copies of the counters at intervals, so that even the first
// answer has rates of the last seconds and minutes, and makes the history of them. See
// windows.go.
type Recorder struct {
	in Instance
	// History is what the process, its pools and servers did in the last hour.
	History *history.Store
	// clock is the time of day.
	clock func() time.Time

	mu sync.Mutex
	// records are the latest, the oldest first; never empty.
	records []*record
	// handed are records of the program before, for Run to put before its own.
	handed []*record
	// memory is how many bytes the records and the history may take together; at most
	// half of it is for the records, beyond those of the shortest window.
	memory int64
	// slow are the servers that are slow now. slowSize is what that takes to know.
	slow     map[serverKey]*api.Slow
	slowSize int64
	// falls are how often servers have begun to fail.
	falls fallWatch

	// owned by Run
	watch slowWatch
	// late is how late Run has woken up.
	late  time.Duration
	pulse sampler
	// coarseAt is the second of the last round of servers.
	coarseAt time.Time
	// costs are what each kind of thing has cost.
	costs [gathered]costs
	// snap and pools are what the last record was made of.
	snap  *stats.Snapshot
	pools []PoolLatency
	// still is the loops' activity after each kind of thing was gathered last: as long as it
	// does not change, the same would be gathered again.
	still [gathered][]int64
	// lookout is called every lookPeriod, if the loops have done anything; nil: there is none.
	lookout func()
	// waits: requests waited at the last look, or something that was found may end soon. If the
	// loops do nothing, because all clients wait for a server that hangs or have gone, it must
	// be looked at all the same. worked is when a look last found that they had done anything.
	waits  bool
	worked time.Time
}

// What is gathered: an index of still.
const (
	ofPulse = iota
	ofRecord
	ofLook
	gathered
)

// costs are how long the last few of a kind took. The least is what one costs: the others waited
// for a processor, and on a busy machine must not come less often for it.
type costs [4]time.Duration

// add adds the latest, and returns what one costs.
func (c *costs) add(took time.Duration) time.Duration {
	copy(c[:], c[1:])
	c[len(c)-1] = took
	return slices.Min(c[:])
}

// A record is a copy of the counters at a time. It is immutable.
type record struct {
	at time.Time
	// second is the whole second that it stands for: when it was due.
	second time.Time
	counts map[serverKey]counts
	times  map[serverKey]*latency.Histogram
	// rest are the times from a record of the program before to its end.
	rest map[serverKey]*latency.Histogram
	cpu  []float64 // by loop
	// size is about how many bytes it takes, without what it shares with the one before.
	size int64
}

// counts are the counters of a server or a pool that have rates, and what waits.
type counts struct {
	requests, failed, requestBytes, responseBytes int64
	queued                                        int64
	// refusals are those of a server that clients got.
	refusals int64
	// invalid are a pool's clients that were closed for what they sent.
	invalid int64
	// failedLogins are logins of a pool's clients, strangers requests without a login.
	failedLogins, strangers int64

	errors *stats.ErrorCounts
	// reasons are why a pool's requests failed; nil if none did.
	reasons *stats.Reasons
}

// NewRecorder makes the recorder of an instance whose counters are 0. It keeps no history
// as long as that has no memory.
func NewRecorder(in Instance) *Recorder {
	return newRecorder(in, time.Now)
}

func newRecorder(in Instance, clock func() time.Time) *Recorder {
	now := clock()
	return &Recorder{in: in, clock: clock, records: []*record{{at: now, second: now.Round(time.Second)}}, History: history.New(0)}
}

// Run writes records, and the history, until stop is closed. One timer is for both: it ends
// with whole seconds.
func (r *Recorder) Run(stop <-chan struct{}) {
	due := r.clock().Truncate(history.FineStep).Add(history.FineStep)
	record, look := due, due.Add(lookPeriod-history.FineStep)
	timer := time.NewTimer(due.Sub(r.clock()))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-stop:
			return
		}
		began := r.clock()
		r.late = began.Sub(due)
		due = began.Round(history.FineStep)
		if _, limit := r.History.Memory(); limit > 0 {
			r.sample(began)
		}
		next := due.Add(pauseAfter(history.FineStep, r.costs[ofPulse].add(r.clock().Sub(began))))
		if !record.After(due) {
			began = r.clock()
			if r.write(due) {
				look = due // it is told at once
			}
			record = nextRecord(due, r.recordEvery(r.costs[ofRecord].add(r.clock().Sub(began))))
		}
		if r.lookout != nil && !look.After(due) {
			began = r.clock()
			r.gather(ofLook, r.lookout)
			look = due.Add(pauseAfter(lookPeriod, r.costs[ofLook].add(r.clock().Sub(began))))
		}
		due = nextRecord(next.Add(-time.Nanosecond), history.FineStep)
		timer.Reset(max(due.Sub(r.clock()), 0))
	}
}

// gather lets f ask the loops, unless they have done nothing since it was last asked for the
// same: an idle process does not wake them. It reports whether f was called.
func (r *Recorder) gather(what int, f func()) bool {
	before := r.in.Activity()
	idle := before != nil && slices.Equal(before, r.still[what])
	if idle && (what != ofLook || !r.waits) {
		return false
	}
	if !idle && what == ofLook {
		r.worked = r.clock()
	}
	f()
	after := r.in.Activity() // with the work of answering
	for other := range r.still {
		if other == what || before != nil && slices.Equal(before, r.still[other]) {
			r.still[other] = after
		}
	}
	return true
}

// pauseAfter is the time from what took so long, and comes once in a period, to the next one.
func pauseAfter(period, took time.Duration) time.Duration { return max(period, recordCost*took) }

// write adds the record of a second and, once in ten, a round of the servers to the history.
// It reports whether a server has begun to be slow, or is no longer. When the proxy ends there is
// no record.
func (r *Recorder) write(second time.Time) (changed bool) {
	var next *record
	r.pools = nil
	r.putHanded(second)
	if !r.gather(ofRecord, func() { next = r.record() }) {
		last := *r.records[len(r.records)-1] // only Run adds to them
		last.at, last.size = r.clock(), 0
		next = &last
	}
	if next == nil {
		r.still[ofRecord] = nil // nothing was gathered that could stand for the next second
		return false
	}
	next.second = second
	_, limit := r.Memory()
	changed = r.watch.add(second, r.late, r.pools, next.counts, limit)
	if second.Sub(r.coarseAt) >= history.CoarseStep {
		r.coarseAt = second
		r.addServers(r.snap, next)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow, r.slowSize = r.watch.shown(), r.watch.size
	if next.size < 0 {
		next.share(r.records[len(r.records)-1])
	}
	r.records = append(r.records, next)
	r.records = thin(r.records)
	r.divide()
	return changed
}

// slowNow are the servers that are slow now. Nobody changes them.
func (r *Recorder) slowNow() map[serverKey]*api.Slow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slow
}

// record copies the counters; nil when the proxy ends. Its size is not known yet, below 0.
func (r *Recorder) record() *record {
	next, snap, pools := r.copied()
	if next != nil {
		r.snap, r.pools = snap, pools
	}
	return next
}

// copied is a record, and what it was made of.
func (r *Recorder) copied() (*record, *stats.Snapshot, []PoolLatency) {
	cpu, err := r.in.LoopCPU()
	if err != nil {
		return nil, nil, nil
	}
	pools, err := r.in.Latency()
	snap := r.in.Snapshot()
	if err != nil || snap == nil {
		return nil, nil, nil
	}
	return &record{at: r.clock(), counts: countsOf(snap), times: totals(pools), cpu: cpu, size: -1}, snap, pools
}

// SetMemory bounds the history and the records that windows begin with, in bytes. 0: there
// is no history, and no window but the shortest.
func (r *Recorder) SetMemory(limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory = limit
	r.divide()
}

// Memory is how many bytes the history and the records take, and how many they may.
func (r *Recorder) Memory() (used, limit int64) {
	used, _ = r.History.Memory()
	r.mu.Lock()
	defer r.mu.Unlock()
	return used + r.recordSize() + r.slowSize, r.memory
}

func (r *Recorder) recordSize() int64 {
	n := int64(0)
	for _, one := range r.records {
		n += one.size
	}
	return n
}

// divide drops the oldest records that have no room, and gives the rest of the memory to the
// history. The caller holds mu.
func (r *Recorder) divide() {
	now := r.records[len(r.records)-1].second
	for len(r.records) > 1 && r.recordSize() > r.memory/2 && now.Sub(r.records[0].second) > Windows[0] {
		r.records = r.records[1:]
	}
	r.History.SetLimit(max(r.memory-r.recordSize()-r.slowSize, 0))
}

// countsSize is about how many bytes the counts of a server or a pool take, and their place.
const countsSize = 160

// share has the record use the histograms of the one before that have not changed, and
// finds its size.
func (c *record) share(before *record) {
	c.size = countsSize * int64(len(c.counts))
	for key, h := range c.times {
		if was := before.times[key]; was != nil && was.Count() == h.Count() && was.Sum() == h.Sum() {
			c.times[key] = was
			continue
		}
		c.size += int64(h.Size())
	}
	for _, n := range c.counts {
		if n.errors != nil {
			c.size += 8 * int64(len(n.errors))
		}
		if n.reasons != nil {
			c.size += 8 * int64(len(n.reasons))
		}
	}
}

// countsOf are the counts of all pools and servers.
func countsOf(snap *stats.Snapshot) map[serverKey]counts {
	all := make(map[serverKey]counts)
	for i := range snap.Pools {
		p := &snap.Pools[i]
		of := counts{requests: p.Values[stats.ClientRequests], failed: sumOf(&p.Vectors[stats.FailedRequests])}
		of.invalid = p.Vectors[stats.ClosedClients][msg.NotProtocol]
		of.failedLogins, of.strangers = p.Values[stats.FailedLogins], p.Values[stats.DeniedStrangers]
		if of.failed > 0 {
			why := p.Vectors[stats.FailedRequests] // not the whole snapshot is kept
			of.reasons = &why
		}
		for j := range p.Servers {
			s := &p.Servers[j]
			one := counts{
				requests: s.Values[stats.Requests], failed: sumOf(&s.Vectors[stats.ServerFailedRequests]),
				requestBytes: s.Values[stats.RequestBytes], responseBytes: s.Values[stats.ResponseBytes], errors: s.Errors,
				queued: s.Values[stats.InQueue] + s.Values[stats.OutQueue], refusals: s.Values[stats.RefusalsPassed],
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

// rates are those of a server or a pool; nil if the window is empty.
func (w *window) rates(key serverKey) *api.Rates {
	seconds := w.seconds()
	if seconds <= 0 {
		return nil
	}
	now, before := w.until.counts[key], w.since.counts[key]
	// What a reload has removed and added again has begun at 0.
	per := func(now, before int64) float64 { return float64(max(now-before, 0)) / seconds }
	rates := &api.Rates{
		Window: seconds, Requests: per(now.requests, before.requests), Failed: per(now.failed, before.failed),
		RequestBytes: per(now.requestBytes, before.requestBytes), ResponseBytes: per(now.responseBytes, before.responseBytes),
	}
	rates.InvalidClients = per(now.invalid, before.invalid)
	rates.FailedLogins = per(now.failedLogins, before.failedLogins)
	rates.DeniedStrangers = per(now.strangers, before.strangers)
	if now.reasons != nil || before.reasons != nil {
		rates.FailedReasons = make(map[string]float64)
		is, was := orNone(now.reasons), orNone(before.reasons)
		for i := range msg.NumReasons {
			if n := per(is[i], was[i]); n > 0 {
				rates.FailedReasons[msg.Reason(i).Name()] = n
			}
		}
	}
	if now.errors == nil && before.errors == nil {
		return rates
	}
	rates.Refusals = per(now.refusals, before.refusals)
	rates.ErrorReplies = make(map[string]float64)
	is, was := orNone(now.errors), orNone(before.errors)
	for i, name := range w.names {
		if n := per(is[i], was[i]); n > 0 {
			rates.ErrorReplies[name] = n
		}
	}
	return rates
}

// orNone is what p points to, or a new one.
func orNone[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

// busy fills in the loops' busy shares, if there are records of them.
func (r *Recorder) busy(loops []api.LoopInfo) {
	since, until := r.between(Windows[0])
	seconds := until.at.Sub(since.at).Seconds()
	for i := range min(len(loops), len(until.cpu)) {
		before := 0.0
		if i < len(since.cpu) {
			before = since.cpu[i]
		}
		if seconds > 0 {
			loops[i].Busy = min(max((until.cpu[i]-before)/seconds, 0), 1)
		}
	}
}
