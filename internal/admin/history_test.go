package admin

import (
	"math"
	"net/http"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/history"
	"nuthatch/internal/stats"
)

// sampledFrom is when the first of its seconds was.
var sampledFrom = time.Unix(1_700_000_000, 0)

// sampled is a recorder with history, which has sampled n seconds.
func sampled(t *testing.T, in *instance, n int) *Recorder {
	t.Helper()
	r := NewRecorder(in)
	r.SetMemory(1 << 20)
	for i := range n {
		in.cpu += 0.5
		r.sample(sampledFrom.Add(time.Duration(i) * time.Second))
	}
	return r
}

// TestHistoryOfSeconds: rates, times and states of pools and the process, each of its own
// second.
func TestHistoryOfSeconds(t *testing.T) {
	in := newInstance(t)
	r := sampled(t, in, 4)
	want := map[string]float64{"requests": 2, "failed": 1, "clients": 3, "received": 10, "sent": 20}
	for _, of := range []history.Subject{{}, {Pool: "beta"}} {
		got := r.History.Of(of, time.Time{})
		if len(got.At) != 3 {
			t.Fatalf("%v: %d seconds", of, len(got.At))
		}
		for i, name := range got.Columns {
			v := float64(got.Values[i][2])
			switch name {
			case "p50", "p99", "p999":
				if v < 0.00099 || v > 0.00101 {
					t.Errorf("%v: %s is %v", of, name, v)
				}
			case "memory", "busy":
				if known := !math.IsNaN(v); known != (of.Pool == "") || known && v != map[string]float64{"memory": 1 << 20, "busy": 0.5}[name] {
					t.Errorf("%v: %s is %v", of, name, v)
				}
			default:
				if v != want[name] {
					t.Errorf("%v: %s is %v, want %v", of, name, v, want[name])
				}
			}
		}
	}
	if idle := r.History.Of(history.Subject{Pool: "alpha"}, time.Time{}); idle.Values[0][0] != 0 || !math.IsNaN(float64(idle.Values[3][0])) {
		t.Errorf("a pool without requests: %+v", idle)
	}
	// A pool that begins anew begins at 0.
	in.pulses = 0
	r.sample(sampledFrom.Add(4 * time.Second))
	if got := r.History.Of(history.Subject{Pool: "beta"}, time.Time{}); got.Values[0][3] != 2 {
		t.Errorf("requests of a pool that was replaced: %v", got.Values[0])
	}
}

// TestHistoryOfAProxyThatEnds: one that ends before the first record has none, however long its
// end takes.
func TestHistoryOfAProxyThatEnds(t *testing.T) {
	in := newInstance(t)
	in.refuse, in.idle, in.active = ErrEnding, true, 1
	r := NewRecorder(in)
	r.SetMemory(1 << 20)
	for i := range 3 {
		r.write(sampledFrom.Add(time.Duration(i) * time.Second))
	}
	if n := len(r.records); n != 1 {
		t.Errorf("%d records, want none but the first", n)
	}
}

// TestHistoryIsShown: of the process, a pool, a server, and one column of all servers.
func TestHistoryIsShown(t *testing.T) {
	s := newStage(t)
	rec := s.recorder
	rec.SetMemory(1 << 20)
	for i := range 3 {
		rec.sample(time.Now().Add(time.Duration(2*i-6) * time.Second))
	}
	rec.records[0].at = rec.records[0].at.Add(-10 * time.Second)
	rec.write(time.Now())
	for path, want := range map[string]struct {
		n      int
		step   float64
		column string
	}{
		"":                             {2, 1, "busy"},
		"?pool=beta":                   {2, 1, "requests"},
		"?pool=beta&seconds=3":         {1, 1, "p99"},
		"?pool=beta&server=two":        {1, 10, "queue"},
		"?pool=beta&column=requests":   {1, 10, "two"},
		"?pool=beta&server=nobody":     {0, 10, "up"},
		"?seconds=100000&pool=alpha":   {2, 1, "failed"},
		"?pool=beta&server=two&x=what": {1, 10, "errors"},
	} {
		h := get[api.History](s, "/api/v1/history"+path)
		values, ok := h.Values[want.column]
		if len(h.At) != want.n || len(values) != want.n || !ok || h.Step != want.step {
			t.Errorf("%s: %+v", path, h)
		}
	}
	for path, status := range map[string]int{"?pool=none": http.StatusNotFound, "?seconds=x": http.StatusBadRequest, "?pool=beta&column=x": http.StatusBadRequest} {
		if got := s.status("/api/v1/history" + path); got != status {
			t.Errorf("%s: status %d, want %d", path, got, status)
		}
	}
	if p := get[api.Info](s, "/api/v1/info").Process; p.HistoryMemory <= 0 || p.MaxHistoryMemory != 1<<20 {
		t.Errorf("the memory of the history is not told: %+v", p)
	}
}

// TestRecordsHaveABound: without memory the windows but the shortest begin later, and no
// record is dropped of those that it needs.
func TestRecordsHaveABound(t *testing.T) {
	r := NewRecorder(newInstance(t))
	now := r.records[0].second.Add(time.Hour)
	for _, ago := range []time.Duration{time.Minute, 2 * time.Second, time.Second, 0} {
		r.write(now.Add(-ago))
		r.records[0].size = 1000
	}
	r.SetMemory(0)
	if used, limit := r.Memory(); limit != 0 || len(r.records) != 3 || used <= 0 {
		t.Errorf("%d records of %d bytes are kept", len(r.records), used)
	}
}

// TestSharedHistograms: what has not changed is held once.
func TestSharedHistograms(t *testing.T) {
	in := newInstance(t)
	pools, err := in.Latency()
	if err != nil {
		t.Fatal(err)
	}
	before := &record{times: totals(pools)}
	same := &record{times: totals(pools), counts: map[serverKey]counts{{}: {errors: new(stats.ErrorCounts)}}}
	same.share(before)
	for key, h := range same.times {
		if h != before.times[key] {
			t.Errorf("%v is held twice", key)
		}
	}
	if want := int64(countsSize + 8*(stats.MaxErrorNames+1)); same.size != want {
		t.Errorf("%d bytes, want %d", same.size, want)
	}
}
