package admin

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/events"
	"nuthatch/internal/latency"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A script is an instance on a clock that the test sets. At second n of its life a server gets
// n requests more: so the sum of any seconds names them.
type script struct {
	*instance
	began, now time.Time
}

func (s *script) clock() time.Time { return s.now }

// sent is how many requests were sent until now.
func (s *script) sent() int64 { return sumTo(int64(s.now.Sub(s.began) / time.Second)) }

// sumTo is 1 + 2 + ... + n.
func sumTo(n int64) int64 { return n * (n + 1) / 2 }

func (s *script) Snapshot() *stats.Snapshot {
	snap := s.instance.Snapshot()
	snap.Pools[0].Servers[1].Values[stats.Requests] = s.sent()
	return snap
}

func (s *script) Latency() ([]PoolLatency, error) {
	pools, err := s.instance.Latency()
	pools[0].Servers[1].Families[msg.Reads] = latency.Histogram{}
	pools[0].Servers[1].Families[msg.Reads].Add(int64(time.Millisecond), uint64(s.sent()))
	return pools, err
}

// newScript is an instance at second 0, which begins so long after a full minute, and its
// recorder.
func newScript(t *testing.T, after time.Duration) (*script, *Recorder) {
	t.Helper()
	began := time.Unix(1_700_000_040, 0).Add(after) // a full minute
	s := &script{instance: newInstance(t), began: began, now: began}
	r := newRecorder(s, s.clock)
	r.SetMemory(1 << 20)
	return s, r
}

// TestWindowsAreExact: at every second of a quarter of an hour, a window has exactly the seconds
// that it says, and no others; it is as long as was asked for, or as the process is old.
func TestWindowsAreExact(t *testing.T) {
	for _, after := range []time.Duration{0, 7 * time.Second, 59 * time.Second} {
		s, r := newScript(t, after)
		key := serverKey{"beta", "two"}
		for age := time.Second; age <= 15*time.Minute; age += time.Second {
			s.now = s.began.Add(age)
			s.cpu = age.Seconds() / 2
			r.write(s.now)
			for i, of := range Windows {
				w := r.windowOf(s.Snapshot(), s.now, of)
				since, until := w.since.at.Sub(s.began), w.until.at.Sub(s.began)
				// As soon as the process is as old as a window and its step, the window is full.
				if long := until - since; long > of || age >= of+steps[i] && long != of || age <= of && long != age {
					t.Fatalf("began %v after a minute, %v old: the window of %v is from %v to %v", after, age, of, since, until)
				}
				if late := age - until; late >= steps[i] {
					t.Fatalf("%v old: the window of %v ended %v ago", age, of, late)
				}
				sent := sumTo(int64(until/time.Second)) - sumTo(int64(since/time.Second))
				rates := w.rates(key)
				if rates.Requests != float64(sent)/(until-since).Seconds() || rates.Window != (until-since).Seconds() {
					t.Fatalf("%v old: %+v, want %d requests from %v to %v", age, rates, sent, since, until)
				}
				if times := newBetween(w.since, w.until, key); times.Count() != uint64(sent) {
					t.Fatalf("%v old: %d times, want %d", age, times.Count(), sent)
				}
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

// TestWindowsOfFewerRecords: where records cost much there are fewer, and windows are exact all
// the same.
func TestWindowsOfFewerRecords(t *testing.T) {
	s, r := newScript(t, 0)
	for age := 5 * time.Second; age <= 15*time.Minute; age += 5 * time.Second {
		s.now = s.began.Add(age)
		r.write(s.now)
		for i, of := range Windows {
			since, until := r.between(of)
			if long := until.at.Sub(since.at); age >= of+max(steps[i], 5*time.Second) && long != of {
				t.Fatalf("%v old: the window of %v has %v", age, of, long)
			}
		}
	}
	for _, tt := range []struct {
		took         time.Duration
		size, memory int64
		want         time.Duration
	}{
		{time.Millisecond, 1000, 1 << 20, time.Second},
		{15 * time.Millisecond, 1000, 1 << 20, 2 * time.Second},
		{40 * time.Millisecond, 1000, 1 << 20, 5 * time.Second},
		{0, 40_000, 1 << 20, 2 * time.Second},
		{0, 1 << 20, 1 << 20, 5 * time.Second},
		{0, 1000, 0, 5 * time.Second},
		{time.Hour, 0, 1 << 20, time.Minute},
	} {
		r.memory = tt.memory
		for _, one := range r.records {
			one.size = tt.size
		}
		if got := r.recordEvery(tt.took); got != tt.want {
			t.Errorf("a record that takes %v and %d of %d bytes comes every %v, want %v", tt.took, tt.size, tt.memory, got, tt.want)
		}
	}
}

// TestHistoryIsOfWholeRounds: a round of the servers has the ten seconds before it.
func TestHistoryIsOfWholeRounds(t *testing.T) {
	s, r := newScript(t, 0)
	for n := range 40 {
		s.now = s.began.Add(time.Duration(n+1) * time.Second)
		r.write(s.now)
	}
	at, of := r.History.Column("beta", "requests", s.began)
	var want []float32
	for i := range at {
		n := (at[i] - s.began.UnixMilli()) / 1000
		want = append(want, float32(float64(sumTo(n)-sumTo(max(n-10, 0)))/float64(min(n, 10))))
	}
	if len(at) != 4 || !slices.Equal(of["two"], want) {
		t.Errorf("at %v: %v, want %v", at, of["two"], want)
	}
}

// TestWindows: rates and times of ten seconds, a minute and ten minutes, whoever asks, and which
// seconds these were.
func TestWindows(t *testing.T) {
	s := newStage(t)
	rec := s.recorder
	rec.SetMemory(1 << 20)
	now := time.Now().Truncate(time.Minute)
	rec.records = nil
	for _, ago := range []time.Duration{10 * time.Minute, time.Minute, 10 * time.Second, 0} {
		one := rec.record()
		one.at, one.second = now.Add(-ago), now.Add(-ago)
		rec.records = append(rec.records, one)
	}
	for text, want := range map[string]float64{"": 10, "10s": 10, "1m": 60, "10m": 600} {
		pools := get[api.Pools](s, "/api/v1/pools?window="+text)
		recent := pools.Pools[0].Servers[1].Recent
		if recent == nil || recent.Window != want {
			t.Errorf("window %q: %+v", text, recent)
		}
		if l := pools.Pools[0].Servers[1].Latency; l.Recent == nil || l.Recent.Window != want {
			t.Errorf("window %q: %+v", text, l)
		}
		servers, found := get[api.Servers](s, "/api/v1/servers?window="+text), get[api.Findings](s, "/api/v1/findings?window="+text)
		for _, w := range []*api.Window{pools.Window, servers.Window, found.Window} {
			if w == nil || w.Seconds != want || !w.Until.Equal(now) || w.Until.Sub(w.Since).Seconds() != want {
				t.Errorf("window %q: %+v", text, w)
			}
		}
	}
	if got := s.status("/api/v1/servers?window=1h"); got != http.StatusBadRequest {
		t.Errorf("status %d for a window that there is none of", got)
	}
}

// Logins of a pool's clients that fail have a rate, and so have requests without a login.
func TestRateOfFailedLogins(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(after time.Duration, logins int64) *record {
		p := stats.PoolSnapshot{Name: "alpha"}
		p.Values[stats.FailedLogins], p.Values[stats.DeniedStrangers] = logins, 2*logins
		return &record{at: began.Add(after), counts: countsOf(&stats.Snapshot{Pools: []stats.PoolSnapshot{p}})}
	}
	w := &window{since: at(0, 3), until: at(10*time.Second, 8)}
	if got := w.rates(serverKey{pool: "alpha"}); got == nil || got.FailedLogins != .5 || got.DeniedStrangers != 1 {
		t.Errorf("%+v, want half a login and a request a second", got)
	}
}

// A spell is what happens to a server from a second on.
type spell struct {
	*script
	from   time.Duration
	slow   bool  // its requests take ten times as long
	silent bool  // it answers no more
	errors int64 // error replies a second
}

// since is for how long the spell has lasted.
func (s *spell) since() time.Duration { return max(s.now.Sub(s.began)-s.from, 0) }

func (s *spell) Snapshot() *stats.Snapshot {
	snap := s.instance.Snapshot()
	snap.ErrorNames = (&stats.ErrorNames{}).Names()
	two := &snap.Pools[0].Servers[1]
	if s.silent && s.since() > 0 {
		two.Values[stats.Silent], two.Values[stats.OutQueue] = int64(s.since()), 1
	}
	for range s.errors * int64(s.since()/time.Second) {
		stats.Count(&two.Errors, (&stats.ErrorNames{}).Index([]byte("OOM")))
	}
	return snap
}

func (s *spell) Latency() ([]PoolLatency, error) {
	pools, err := s.instance.Latency()
	n := uint64(s.now.Sub(s.began) / time.Second)
	late := uint64(0)
	if s.slow {
		late = uint64(s.since() / time.Second)
	}
	for i := range pools[0].Servers {
		times := &pools[0].Servers[i].Families[msg.Reads]
		*times = latency.Histogram{}
		if i == 1 {
			times.Add(int64(3*time.Millisecond), 1000*(n-late))
			times.Add(int64(30*time.Millisecond), 100*late)
		} else {
			times.Add(int64(3*time.Millisecond), 1000*n)
		}
	}
	return pools, err
}

// A failing is a script in which a request fails at one server, after the last record.
type failing struct {
	*script
	failed int64
}

func (f *failing) Snapshot() *stats.Snapshot {
	snap := f.instance.Snapshot()
	p := &snap.Pools[0]
	p.Values[stats.ClientRequests] += f.failed
	p.Vectors[stats.FailedRequests][msg.Timedout] += f.failed
	p.Servers[1].Vectors[stats.ServerFailedRequests][msg.Timedout] += f.failed
	return snap
}

// TestFirstFailureIsShownAtOnce: a look does not wait for the end of a second.
func TestFirstFailureIsShownAtOnce(t *testing.T) {
	began, r := newScript(t, 0)
	s := &failing{script: began}
	r.in = s
	look := func() string {
		t.Helper()
		now := presentOf(s, r) // without what was asked a moment ago
		found, err := now.look("", Windows[0])
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, f := range found.Findings {
			if f.Kind == "failed_requests" {
				texts = append(texts, f.Text)
			}
		}
		return strings.Join(texts, "\n")
	}
	for age := time.Second; age <= 12*time.Second; age += time.Second {
		s.now = s.began.Add(age)
		r.write(s.now)
	}
	if text := look(); text != "" {
		t.Errorf("before a request fails: %s", text)
	}
	s.now, s.failed = s.now.Add(10*time.Millisecond), 1
	if text := look(); !strings.Contains(text, "0.1 of 0.1 requests a second failed in the last 10s: Connection timed out; all of them at server two") {
		t.Errorf("after one has failed: %q", text)
	}
}

// TestCausesAreToldWithinFiveSeconds: whenever it begins, what the proxy finds by its own looks
// is shown, and is in the log, within five seconds.
func TestCausesAreToldWithinFiveSeconds(t *testing.T) {
	for _, tt := range []struct {
		what string
		spell
	}{
		{"is slow", spell{slow: true}},
		{"does not answer", spell{silent: true}},
		{"answers with errors", spell{errors: 1}},
	} {
		for _, from := range []time.Duration{30 * time.Second, 31 * time.Second} {
			began, r := newScript(t, 0)
			s := tt.spell
			s.script, s.from = began, from
			r.in = &s
			var text bytes.Buffer
			log, err := logging.New(logging.Options{Level: logging.Notice, Writer: &text})
			if err != nil {
				t.Fatal(err)
			}
			l := newLookout(log, new(events.Log))
			shown := time.Duration(0)
			for age := time.Second; age <= from+5*time.Second; age += time.Second {
				s.now = s.began.Add(age)
				r.write(s.now)
				l.now = presentOf(&s, r) // without what was asked a moment ago
				if found, err := l.now.look("", Windows[0]); err != nil {
					t.Fatal(err)
				} else if shown == 0 && slices.ContainsFunc(found.Findings, func(f api.Finding) bool { return strings.Contains(f.Text, tt.what) }) {
					shown = age - from
				}
				if age%lookPeriod == 0 {
					l.look(r)
				}
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			if shown <= 0 || !strings.Contains(text.String(), tt.what) {
				t.Errorf("a server that %s from %v on is shown after %v, and the log says %q", tt.what, from, shown, text.String())
			}
		}
	}
}

// TestCostIsTheLeast: a round that waited for a processor is not what a round costs; one that
// takes long each time is.
func TestCostIsTheLeast(t *testing.T) {
	var c costs
	for i, tt := range []struct{ took, want time.Duration }{
		{2, 0}, {2, 0}, {2, 0}, {2, 2}, {90, 2}, {80, 2}, {70, 2}, {60, 60}, {70, 60}, {3, 3},
	} {
		if got := c.add(tt.took); got != tt.want {
			t.Errorf("round %d, which took %d: %d, want %d", i, tt.took, got, tt.want)
		}
	}
}
