package admin

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/history"
	"nuthatch/internal/latency"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// The history: what the sampler puts in, and what is asked of it.

// A Pulse is what the sampler reads once a second: few numbers, and nothing of servers.
type Pulse struct {
	Pools []PoolPulse
	// CPU is how long each loop has run, in seconds.
	CPU []float64
	// Memory is what the process has resident, in bytes.
	Memory int64
}

// A PoolPulse has a pool's counters, its clients, and how long its requests took since the
// start.
type PoolPulse struct {
	Name                             string
	Clients                          int
	Requests, Failed, Received, Sent int64
	Times                            latency.Histogram
}

// A sampler makes rates of two pulses. One goroutine uses it.
type sampler struct {
	last *Pulse
	at   time.Time
}

// sample adds a round of the process and the pools to the history.
func (r *Recorder) sample(now time.Time) {
	last, at := r.pulse.last, r.pulse.at
	p := last
	var err error
	if r.gather(ofPulse, func() { p, err = r.in.Pulse() }); err != nil {
		return // the proxy ends
	}
	r.pulse = sampler{p, now}
	if last == nil {
		return
	}
	subjects := make([]history.Subject, 1, len(p.Pools)+1)
	values := make([]float32, 0, (len(p.Pools)+1)*len(history.FineColumns))
	rows := make([]fineRow, 0, len(p.Pools))
	for i := range p.Pools {
		row := fineRow{clients: float64(p.Pools[i].Clients), p50: math.NaN(), p99: math.NaN(), p999: math.NaN(), memory: math.NaN(), busy: math.NaN()}
		if p != last {
			row = fineRowOf(&p.Pools[i], last.pool(i, p.Pools[i].Name), now.Sub(at).Seconds())
		}
		rows = append(rows, row)
		subjects = append(subjects, history.Subject{Pool: p.Pools[i].Name})
	}
	values = total(rows, p, last, now.Sub(at).Seconds()).append(values)
	for i := range rows {
		values = rows[i].append(values)
	}
	r.History.AddFine(now, subjects, values)
}

// pool is a pool's part, probably the i-th; one without counts if it was not there.
func (p *Pulse) pool(i int, name string) *PoolPulse {
	if i < len(p.Pools) && p.Pools[i].Name == name {
		return &p.Pools[i]
	}
	for i := range p.Pools {
		if p.Pools[i].Name == name {
			return &p.Pools[i]
		}
	}
	return new(PoolPulse)
}

// A fineRow has the values of history.FineColumns.
type fineRow struct {
	requests, failed, p50, p99, p999, clients, received, sent, memory, busy float64
}

func (f fineRow) append(to []float32) []float32 {
	for _, v := range []float64{f.requests, f.failed, f.p50, f.p99, f.p999, f.clients, f.received, f.sent, f.memory, f.busy} {
		to = append(to, float32(v))
	}
	return to
}

func fineRowOf(p, last *PoolPulse, seconds float64) fineRow {
	// What a reload has removed and added again has begun at 0.
	per := func(now, before int64) float64 {
		if now < before {
			before = 0
		}
		return float64(now-before) / seconds
	}
	f := fineRow{
		requests: per(p.Requests, last.Requests), failed: per(p.Failed, last.Failed), clients: float64(p.Clients),
		received: per(p.Received, last.Received), sent: per(p.Sent, last.Sent), memory: math.NaN(), busy: math.NaN(),
	}
	times := p.Times.Since(&last.Times)
	f.p50, f.p99, f.p999 = quantile(&times, 0.5), quantile(&times, 0.99), quantile(&times, 0.999)
	return f
}

// quantile is one of times, in seconds; NaN if there are none.
func quantile(times *latency.Histogram, q float64) float64 {
	if times.Count() == 0 {
		return math.NaN()
	}
	return times.Quantile(q).Seconds()
}

// total is the row of the process. Its times are those of the slowest pool.
func total(rows []fineRow, p, last *Pulse, seconds float64) fineRow {
	t := fineRow{p50: math.NaN(), p99: math.NaN(), p999: math.NaN(), memory: float64(p.Memory)}
	slowest := func(a, b float64) float64 {
		if math.IsNaN(a) || b > a {
			return b
		}
		return a
	}
	for _, f := range rows {
		t.requests += f.requests
		t.failed += f.failed
		t.clients += f.clients
		t.received += f.received
		t.sent += f.sent
		t.p50, t.p99, t.p999 = slowest(t.p50, f.p50), slowest(t.p99, f.p99), slowest(t.p999, f.p999)
	}
	for i, cpu := range p.CPU {
		if i < len(last.CPU) {
			t.busy = max(t.busy, min(max((cpu-last.CPU[i])/seconds, 0), 1))
		}
	}
	return t
}

// addServers adds a round of the servers to the history: what is new since the record of the
// round before, or as many seconds ago.
func (r *Recorder) addServers(snap *stats.Snapshot, next *record) {
	if _, limit := r.History.Memory(); limit == 0 {
		return
	}
	since := r.before(next, history.CoarseStep)
	w := &window{since, next, snap.ErrorNames}
	faults := make(map[string]bool, len(stats.RequestErrors))
	for _, name := range stats.RequestErrors {
		faults[name] = true
	}
	conf, topo := r.in.InForce()
	var subjects []history.Subject
	var values []float32
	for i := range conf.Pools {
		members := topo[i].Snapshot()
		for j, name := range members.Names {
			key := serverKey{conf.Pools[i].Name, name}
			rates := w.rates(key)
			if rates == nil {
				continue
			}
			errors := 0.0
			for word, n := range rates.ErrorReplies {
				if !faults[word] {
					errors += n
				}
			}
			times := newBetween(since, next, key)
			subjects = append(subjects, history.Subject{Pool: key.pool, Server: name})
			for _, v := range []float64{
				rates.Requests, rates.Failed, errors, quantile(&times, 0.5), quantile(&times, 0.99), float64(next.counts[key].queued),
				flag(members.Servers[j].State().State == topology.Up),
			} {
				values = append(values, float32(v))
			}
		}
	}
	r.History.AddCoarse(next.at, subjects, values)
}

// windowAsked is the window that a request asks for. If ok is false, it was answered with
// what is wrong.
func windowAsked(w http.ResponseWriter, r *http.Request) (of time.Duration, ok bool) {
	text := r.FormValue("window")
	if text == "" {
		return Windows[0], true
	}
	for _, of := range Windows {
		if text == WindowName(of) {
			return of, true
		}
	}
	fail(w, http.StatusBadRequest, "window must be 10s, 1m or 10m")
	return 0, false
}

// WindowName is a window as requests have it: 10s, 1m, 10m.
func WindowName(of time.Duration) string {
	if of < time.Minute {
		return fmt.Sprintf("%ds", of/time.Second)
	}
	return fmt.Sprintf("%dm", of/time.Minute)
}

// historyCost is the memory of an answer: about so many bytes for each value.
const historyCost = 24

// costOfHistory is that of GET /api/v1/history.
func costOfHistory(conf *config.Config, r *http.Request) int64 {
	if r.FormValue("column") != "" {
		return perServer(int64(history.Kept/history.CoarseStep)*historyCost)(conf, r)
	}
	return int64(history.Kept/history.FineStep) * int64(len(history.FineColumns)) * historyCost
}

// history shows what the process, a pool or a server did, or one column of all servers of a
// pool.
func (h *handler) history(w http.ResponseWriter, r *http.Request) {
	pool, server := r.FormValue("pool"), r.FormValue("server")
	if !h.known(w, pool) {
		return
	}
	seconds := int(history.Kept / time.Second)
	if text := r.FormValue("seconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			fail(w, http.StatusBadRequest, "seconds must be a number above 0")
			return
		}
		seconds = min(n, seconds)
	}
	now := time.Now()
	since := now.Add(-time.Duration(seconds) * time.Second)
	shown := api.History{Time: now, Pool: pool, Server: server, Step: history.FineStep.Seconds(), At: []int64{}, Values: map[string]api.Values{}}
	if server != "" {
		shown.Step = history.CoarseStep.Seconds()
	}
	store := h.Recorder.History
	if column := r.FormValue("column"); column != "" {
		at, of := store.Column(pool, column, since)
		if of == nil {
			fail(w, http.StatusBadRequest, "no such column of servers")
			return
		}
		shown.Step, shown.At, shown.Column = history.CoarseStep.Seconds(), append(shown.At, at...), column
		for name, values := range of {
			shown.Values[name] = values
		}
		answerCompact(w, shown)
		return
	}
	found := store.Of(history.Subject{Pool: pool, Server: server}, since)
	shown.At = append(shown.At, found.At...)
	for i, name := range found.Columns {
		shown.Values[name] = append(api.Values{}, found.Values[i]...)
	}
	answerCompact(w, shown)
}
