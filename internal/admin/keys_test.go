package admin

import (
	"errors"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
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
	if l := pools[0].Latency; l == nil || l.Count != 2 || l.Recent != nil {
		t.Errorf("in the list of pools: %+v", l)
	}
	if l := pools[1].Latency; l != nil {
		t.Errorf("of a pool of which nothing was measured: %+v", l)
	}
}

// TestRecentLatency: what is new since somebody asked before.
func TestRecentLatency(t *testing.T) {
	in := newInstance(t)
	l := &latencies{take: in.Latency}
	ask := func(earlier time.Duration) *latencySample {
		l.taken = l.taken.Add(-earlier)
		s, err := l.get()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := ask(0)
	if again := ask(0); again != first || in.asked != 1 {
		t.Error("the loops are asked twice within a second")
	}
	second := ask(2*time.Second).of("beta", "two")
	if second.Count != 2 || second.Recent == nil || second.Recent.Count != 1 || second.Recent.Window < 2 {
		t.Errorf("two seconds later: %+v", second)
	}
	if rate := l.last.rate("beta"); rate < 0.5 || rate > 1 {
		t.Errorf("two requests in two seconds are %v in a second", rate)
	}
	if late := ask(2*time.Minute).of("beta", "two"); late.Count != 3 || late.Recent != nil {
		t.Errorf("two minutes later: %+v", late)
	}
	in.refuse = errors.New("refused")
	l.taken = time.Time{}
	if _, err := l.get(); err == nil {
		t.Error("the refusal is not told")
	}
}
