package admin

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/history"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A relay is the script for one of several programs, each of which counts from a time on. Each
// request fails, and is an error reply.
type relay struct {
	*script
	from  time.Time
	names stats.ErrorNames
}

const relayError = "RELAY"

// own is how many requests this program has had.
func (s *relay) own() int64 { return s.sent() - sumTo(int64(s.from.Sub(s.began)/time.Second)) }

func (s *relay) Snapshot() *stats.Snapshot {
	snap, n := s.instance.Snapshot(), s.own()
	p := &snap.Pools[0]
	two := &p.Servers[1]
	two.Values[stats.Requests], two.Values[stats.RefusalsPassed] = n, n
	p.Vectors[stats.FailedRequests], two.Errors = stats.Reasons{}, nil
	if n > 0 {
		p.Vectors[stats.FailedRequests][msg.Timedout] = n
		two.Errors = new(stats.ErrorCounts)
		two.Errors[s.names.Index([]byte(relayError))] = n
	}
	snap.ErrorNames = s.names.Names()
	return snap
}

func (s *relay) Latency() ([]PoolLatency, error) {
	pools, err := s.instance.Latency()
	pools[0].Servers[1].Families[msg.Reads] = latency.Histogram{}
	pools[0].Servers[1].Families[msg.Reads].Add(int64(time.Millisecond), uint64(s.own()))
	return pools, err
}

func (s *relay) LoopCPU() ([]float64, error) { return []float64{s.now.Sub(s.from).Seconds() / 2}, nil }

// next is the program after this one, and its recorder, with what the other one hands over.
func (s *relay) next(t *testing.T, old *Recorder) (*relay, *Recorder) {
	t.Helper()
	next := &relay{script: s.script, from: s.now}
	next.names.Index([]byte("OTHERS")) // what the old one has at this place is another
	r := newRecorder(next, s.clock)
	r.SetMemory(old.memory)
	var handed bytes.Buffer
	if err := old.HandOver(&handed); err != nil {
		t.Fatal(err)
	}
	if _, err := r.TakeOver(&handed, &next.names); err != nil {
		t.Fatal(err)
	}
	return next, r
}

// check fails unless a window has what it says, and is as long as it can be.
func (s *relay) check(t *testing.T, r *Recorder, age time.Duration, i int) {
	t.Helper()
	of, key := Windows[i], serverKey{"beta", "two"}
	w := r.windowOf(s.Snapshot(), s.now, of)
	since, until := w.since.at.Sub(s.began), w.until.at.Sub(s.began)
	if long := until - since; long > of || age >= of+steps[i] && long != of || age <= of && long != age {
		t.Fatalf("%v old: the window of %v is from %v to %v", age, of, since, until)
	}
	sent := float64(sumTo(int64(until/time.Second)) - sumTo(int64(since/time.Second)))
	rates, times := w.rates(key), newBetween(w.since, w.until, key)
	rate := sent / (until - since).Seconds()
	if rates.Requests != rate || rates.Refusals != rate || rates.ErrorReplies[relayError] != rate || len(rates.ErrorReplies) != 1 || float64(times.Count()) != sent {
		t.Fatalf("%v old, window of %v: %+v and %d times, want %v requests, all of them errors", age, of, rates, times.Count(), sent)
	}
	if p := w.rates(serverKey{pool: "beta"}); p.Failed != rate || p.FailedReasons[msg.Timedout.Name()] != rate || len(p.FailedReasons) != 1 {
		t.Fatalf("%v old, window of %v: %+v, want %v failed requests", age, of, p, sent)
	}
}

// TestWindowsGoThroughUpgrades: whenever the program is upgraded, once or twice, windows have
// exactly what was counted, as if there had been one program.
func TestWindowsGoThroughUpgrades(t *testing.T) {
	for _, upgrades := range [][]time.Duration{
		{3 * time.Second}, {4 * time.Minute, 4*time.Minute + 2*time.Second}, {12*time.Minute + 30*time.Second},
	} {
		began, _ := newScript(t, 7*time.Second)
		s := &relay{script: began, from: began.began}
		r := newRecorder(s, s.clock)
		r.SetMemory(1 << 20)
		for age, end := time.Second, upgrades[len(upgrades)-1]+11*time.Minute+30*time.Second; age <= end; age += time.Second {
			s.now = s.began.Add(age)
			r.write(s.now)
			for i := range Windows {
				s.check(t, r, age, i)
			}
			if len(upgrades) > 0 && age == upgrades[0] {
				s, r = s.next(t, r)
				upgrades = upgrades[1:]
			}
			if len(r.records) > 30 {
				t.Fatalf("%d records are kept", len(r.records))
			}
		}
		loops := []api.LoopInfo{{}}
		if r.busy(loops); loops[0].Busy != 0.5 {
			t.Errorf("half of each second is %v", loops[0].Busy)
		}
	}
}

// TestUpgradesAtOnce: a program whose first record comes behind those of the program before, and
// has counted nothing, hands all over that was counted.
func TestUpgradesAtOnce(t *testing.T) {
	_, r := newScript(t, 0)
	first := *r.records[0]
	first.at = first.at.Add(time.Second)
	r.records[0].counts = map[serverKey]counts{{"beta", "two"}: {requests: -5}}
	r.records = append(r.records, &first)
	spans := r.spans()
	if len(spans) != 2 || len(spans[0].Counted) != 1 || spans[0].Counted[0].Numbers[0] != 5 {
		t.Errorf("%+v was counted, want 5 requests", spans)
	}
}

// TestQuietAfterUpgrade: what only the program before has had is shown with its times.
func TestQuietAfterUpgrade(t *testing.T) {
	began, _ := newScript(t, 0)
	s := &relay{script: began, from: began.began}
	r := newRecorder(s, s.clock)
	r.SetMemory(1 << 20)
	for age := time.Second; age <= 5*time.Second; age += time.Second {
		s.now = s.began.Add(age)
		r.write(s.now)
	}
	next, r := s.next(t, r)
	s.now = s.now.Add(time.Second)
	next.from = s.now // it has none yet
	r.write(s.now)
	l := latencies{take: next.Latency, recorder: r}
	sample, err := l.get(Windows[0])
	if err != nil {
		t.Fatal(err)
	}
	shown := sample.of("beta", "two")
	if shown == nil || shown.Count != 0 || shown.Recent.Count != sumTo(5) || shown.Recent.P99 <= 0 {
		t.Errorf("%+v, want the times of %d requests", shown, sumTo(5))
	}
}

// TestIdleAfterUpgrade: what the new program has counted before it took over, and nothing since,
// is not lost.
func TestIdleAfterUpgrade(t *testing.T) {
	began, old := newScript(t, 0)
	began.now = began.began.Add(5 * time.Second)
	old.write(began.now)
	var handed bytes.Buffer
	if err := old.HandOver(&handed); err != nil {
		t.Fatal(err)
	}
	s := &relay{script: began, from: began.began.Add(3 * time.Second)}
	r := newRecorder(s, s.clock)
	r.SetMemory(1 << 20)
	r.write(s.now)
	if _, err := r.TakeOver(&handed, &s.names); err != nil {
		t.Fatal(err)
	}
	had := s.own()
	s.idle, s.now = true, s.now.Add(time.Second)
	r.write(s.now)
	if n := r.records[len(r.records)-1].counts[serverKey{"beta", "two"}].requests; n < had {
		t.Errorf("%d requests, want %d or more", n, had)
	}
}

// TestHandedRecordsHaveABound: they take as much memory as those of this program may.
func TestHandedRecordsHaveABound(t *testing.T) {
	for _, tt := range []struct {
		memory int64
		whole  bool
	}{{1 << 20, true}, {10_000, false}} {
		began, _ := newScript(t, 0)
		s := &relay{script: began, from: began.began}
		r := newRecorder(s, s.clock)
		r.SetMemory(1 << 20)
		for age := time.Second; age <= 15*time.Minute; age += time.Second {
			s.now = s.began.Add(age)
			r.write(s.now)
		}
		r.memory = tt.memory
		_, r = s.next(t, r)
		s.now = s.now.Add(time.Second)
		r.write(s.now)
		since, until := r.between(Windows[2])
		if whole := until.second.Sub(since.second) == Windows[2]; whole != tt.whole {
			t.Errorf("of %d bytes: the window is from %v to %v", tt.memory, since.second, until.second)
		}
		if size := r.recordSize(); size <= 0 || size > tt.memory/2 && until.second.Sub(since.second) > Windows[0]+time.Second {
			t.Errorf("%d records take %d of %d bytes", len(r.records), size, tt.memory)
		}
	}
}

// TestDamagedSpans: the history is taken all the same, and windows begin anew.
func TestDamagedSpans(t *testing.T) {
	_, r := newScript(t, 0)
	began := r.records[0].second
	at := func(n int64, counted ...history.Counted) history.Span {
		at := began.UnixNano() - int64(time.Minute) + n*int64(time.Second)
		return history.Span{At: at, Second: at, Counted: counted}
	}
	store := history.New(1 << 20)
	store.AddFine(began.Add(-time.Minute), []history.Subject{{}}, make([]float32, len(history.FineColumns)))
	of := history.Subject{Pool: "beta", Server: "two"}
	for name, tt := range map[string]struct {
		spans []history.Span
		bad   bool
	}{
		"none":   {nil, false},
		"whole":  {[]history.Span{at(1), at(2, history.Counted{Subject: of, Numbers: []int64{1}})}, false},
		"longer": {[]history.Span{at(1, history.Counted{Subject: of, Numbers: make([]int64, 99), Reasons: []history.Named{{Name: "later", N: 1}}})}, false},
		"order":  {[]history.Span{at(2), at(1)}, true},
		// The start is rounded to a second, which may be that of the first record.
		"start":      {[]history.Span{{At: at(1).At, Second: at(2).Second}, at(2)}, false},
		"numbers":    {[]history.Span{at(1, history.Counted{Subject: of, Numbers: []int64{0, -1}})}, true},
		"errors":     {[]history.Span{at(1, history.Counted{Subject: of, Errors: []history.Named{{Name: "OOM", N: -1}}})}, true},
		"why failed": {[]history.Span{at(1, history.Counted{Subject: of, Reasons: []history.Named{{Name: "later", N: -1}}})}, true},
	} {
		_, r := newScript(t, 0)
		var b bytes.Buffer
		if err := store.HandOver(&b, history.Beside{Spans: tt.spans}); err != nil {
			t.Fatal(err)
		}
		n, err := r.TakeOver(&b, new(stats.ErrorNames))
		if n != 1 || tt.bad != errors.Is(err, errSpans) || !tt.bad && err != nil {
			t.Errorf("%s: %d rounds, %v", name, n, err)
		}
		r.write(began.Add(time.Second))
		if taken := r.records[0].second.Before(began); taken != (!tt.bad && tt.spans != nil) {
			t.Errorf("%s: the first record is of %v", name, r.records[0].second)
		}
	}
	// With no memory there is neither.
	r.SetMemory(0)
	var b bytes.Buffer
	if err := r.HandOver(&b); err != nil {
		t.Fatal(err)
	}
	if n, err := r.TakeOver(io.LimitReader(&b, 0), new(stats.ErrorNames)); n != 0 || err != nil {
		t.Errorf("%d rounds, %v", n, err)
	}
}
