package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/stats"
)

func TestSlowLog(t *testing.T) {
	s := newStage(t)
	all := get[api.SlowLog](s, "/api/v1/slowlog").Entries
	if len(all) != 2 || all[0].Duration != 3 || all[0].ServerTime != 2 || all[0].Queue != 1 {
		t.Errorf("the slow log: %+v", all)
	}
	if one := get[api.SlowLog](s, "/api/v1/slowlog?limit=1").Entries; len(one) != 1 || one[0].ID != 2 {
		t.Errorf("the latest entry: %+v", one)
	}
	if one := get[api.SlowLog](s, "/api/v1/slowlog?limit=1&pool=beta").Entries; len(one) != 1 || one[0].Pool != "beta" {
		t.Errorf("the latest entry of beta: %+v", one)
	}
}

func TestHotKeys(t *testing.T) {
	s := newStage(t)
	beta := get[api.HotKeys](s, "/api/v1/hotkeys?pool=beta&limit=3").Pools
	if len(beta) != 1 || len(beta[0].Keys) != 3 || beta[0].Keys[0].Rate != 10 || beta[0].BigRequests[0].Size != 9000 {
		t.Errorf("beta's keys: %+v", beta)
	}
	if all := get[api.HotKeys](s, "/api/v1/hotkeys").Pools; len(all) != 2 || all[1].Keys == nil {
		t.Errorf("all keys: %+v", all)
	}
}

func TestLatency(t *testing.T) {
	s := newStage(t)
	beta := get[api.Latencies](s, "/api/v1/latency?pool=beta").Pools
	if len(beta) != 1 || len(beta[0].Commands) != 1 || beta[0].Commands[0].Family != "read" || beta[0].Commands[0].Count != 2 {
		t.Fatalf("beta's latency: %+v", beta)
	}
	read := beta[0].Servers[1].Families["read"]
	if read.Count != 1 || read.P99 < 0.00099 || read.P99 > 0.00101 {
		t.Errorf("its second server's: %+v", read)
	}
	pools := get[api.Pools](s, "/api/v1/pools").Pools
	if l := pools[0].Latency; l == nil || l.Count != 2 || l.Recent == nil || l.Recent.Count != 2 {
		t.Errorf("in the list of pools: %+v", l)
	}
	if l := pools[1].Latency; l != nil {
		t.Errorf("of a pool of which nothing was measured: %+v", l)
	}
}

// TestRecentLatency: what is new in the last seconds, whoever asks, and whether or
// not anybody has asked before.
func TestRecentLatency(t *testing.T) {
	in := newInstance(t)
	r := NewRecorder(in)
	l := &latencies{take: in.Latency, recorder: r}
	ask := func(earlier time.Duration) *latencySample {
		l.taken = l.taken.Add(-earlier)
		for _, one := range r.records {
			one.at = one.at.Add(-earlier)
		}
		s, err := l.get(Windows[0])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := ask(0)
	if again := ask(0); again != first || in.asked != 1 {
		t.Error("the loops are asked twice within a second")
	}
	if of := first.of("beta", "two"); of.Count != 1 || of.Recent.Count != 1 {
		t.Errorf("at the start: %+v", of)
	}
	began := r.records[0].second
	for _, after := range []time.Duration{2 * time.Second, 12 * time.Second} {
		r.write(began.Add(after)) // asks too: twice as often as a server was asked
		r.records[len(r.records)-1].at = began.Add(after)
	}
	late := ask(12*time.Second).of("beta", "two")
	if late.Count != 4 || late.Recent.Count != 1 || late.Recent.Window != 10 {
		t.Errorf("twelve seconds later: %+v", late)
	}
	if rate := l.windows[Windows[0]].rate("beta"); rate != 0.2 {
		t.Errorf("two requests in ten seconds are %v in a second", rate)
	}
	in.refuse = errors.New("refused")
	l.taken = time.Time{}
	if _, err := l.get(Windows[0]); err == nil {
		t.Error("the refusal is not told")
	}
}

// What was not asked for lately has no percentiles: 0 would be very fast.
func TestNoPercentilesOfNothing(t *testing.T) {
	in := newInstance(t)
	r := NewRecorder(in)
	r.write(time.Now())
	in.asked-- // nothing has come since
	r.records = r.records[1:]
	l := &latencies{take: in.Latency, recorder: r}
	sample, err := l.get(Windows[0])
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(sample.of("beta", "two"))
	if err != nil {
		t.Fatal(err)
	}
	var read api.Latency
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"count":0,"sum":0,"p50":null,"p90":null,"p99":null,"p999":null,"max":null`) ||
		read.Count != 1 || math.IsNaN(float64(read.P99)) || !math.IsNaN(float64(read.Recent.P99)) {
		t.Errorf("%s, read as %+v", text, read)
	}
}

// The rates are of the last seconds, too, and of those alone.
func TestRecentRates(t *testing.T) {
	in := newInstance(t)
	r := NewRecorder(in)
	now := r.records[0].second
	for _, ago := range []time.Duration{10 * time.Second, 0} {
		r.write(now.Add(-ago))
		r.records[len(r.records)-1].at = now.Add(-ago)
	}
	r.records = r.records[1:]
	r.records[0].counts = maps.Clone(r.records[0].counts)
	r.records[0].counts[serverKey{"beta", "two"}] = counts{requests: 2}
	snap := in.Snapshot()
	snap.ErrorNames = (&stats.ErrorNames{}).Names()
	stats.Count(&snap.Pools[0].Servers[1].Errors, (&stats.ErrorNames{}).Index([]byte("OOM")))
	snap.Pools[0].Servers[1].Values[stats.RefusalsPassed] = 20
	r.records[1].counts = countsOf(snap)
	rates := r.windowOf(snap, now, Windows[0]).rates(serverKey{"beta", "two"})
	if rates.Window != 10 || rates.Requests != 4 || rates.Failed != 0 || rates.ErrorReplies["OOM"] != 0.1 || len(rates.ErrorReplies) != 1 || rates.Refusals != 2 {
		t.Errorf("the rates are %+v, want 40 requests, an error and 20 refusals in 10 s", rates)
	}
}

// A paused pool is shown with when it goes on by itself, and who paused it.
func TestPausedIsShown(t *testing.T) {
	s := newStage(t)
	s.paused = "alpha"
	for _, p := range get[api.Pools](s, "/api/v1/pools").Pools {
		if p.Name != "alpha" {
			if p.Paused || p.PausedUntil != nil || p.PausedBy != "" {
				t.Errorf("%s: %+v", p.Name, p)
			}
			continue
		}
		if !p.Paused || p.PausedUntil.Unix() != 1e9 || p.PausedSince.Unix() != 9e8 || p.PausedBy != "admin 1.2.3.4:5 somebody" {
			t.Errorf("%+v", p)
		}
	}
}
