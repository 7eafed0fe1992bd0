package top

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

func TestRates(t *testing.T) {
	var m meter
	take := func(seconds int64) *sample {
		info, pools := answers(seconds)
		return m.makeSample(info, pools)
	}
	if s := take(0); !math.IsNaN(s.servers[0].requests) || !math.IsNaN(s.pools[0].failed) {
		t.Errorf("rates of one sample: %v, %v", s.servers[0].requests, s.pools[0].failed)
	}
	// The first look has the rates that the proxy knows of the last seconds.
	info, pools := answers(0)
	pools.Pools[0].Recent = &api.Rates{Window: 10, Requests: 7, Failed: 2}
	pools.Pools[0].Servers[0].Recent = &api.Rates{Window: 10, Requests: 3, RequestBytes: 10, ResponseBytes: 20}
	pools.Pools[0].Servers[0].ErrorReplies = map[string]int64{"OOM": 5, "ERR": 1}
	if s := new(meter).makeSample(info, pools); s.pools[0].requests != 7 || s.pools[0].failed != 2 || s.servers[0].requests != 3 || s.servers[0].bytes != 30 {
		t.Errorf("at the first look: %+v and %+v", s.pools[0], s.servers[0])
	} else if text := serverDetail(&s.servers[0]); !strings.HasSuffix(text, "error replies 1 ERR, 5 OOM") {
		t.Errorf("the detail of a server with error replies is %q", text)
	} else if i := slices.IndexFunc(s.failures, func(f failure) bool { return f.reason == "reply OOM" }); i < 0 || s.failures[i].total != 5 {
		t.Errorf("failures: %+v", s.failures)
	}
	s := take(10)
	if s.servers[1].requests != 1020 || s.pools[0].requests != 5200 || s.pools[0].failed != 5 || s.servers[2].failed != 5 {
		t.Errorf("requests %v and %v, failed %v and %v", s.servers[1].requests, s.pools[0].requests, s.pools[0].failed, s.servers[2].failed)
	}
	if s.pools[0].up != 4 || s.pools[0].connections != 20 || s.servers[2].since != 130*time.Second {
		t.Errorf("%d up, %v connections, ejected for %v", s.pools[0].up, s.pools[0].connections, s.servers[2].since)
	}
	if s := take(5); !math.IsNaN(s.servers[1].requests) {
		t.Errorf("a counter that went back has the rate %v", s.servers[1].requests)
	}
}

// TestLatencyIsOfTheLastSeconds: what happened an hour ago is not of this moment.
func TestLatencyIsOfTheLastSeconds(t *testing.T) {
	l := &api.Latency{Count: 9, P50: 1, P99: 2}
	if p50, p99 := percentiles(l); p50 != 1 || p99 != 2 {
		t.Errorf("since the start: %v, %v", p50, p99)
	}
	l.Recent = &api.RecentLatency{Window: 1, Latency: api.Latency{Count: 3, P50: 0.1, P99: 0.2}}
	if p50, p99 := percentiles(l); p50 != 0.1 || p99 != 0.2 {
		t.Errorf("recently: %v, %v", p50, p99)
	}
	l.Recent.Count = 0
	if p50, p99 := percentiles(l); !math.IsNaN(p50) || !math.IsNaN(p99) {
		t.Errorf("of no request: %v, %v", p50, p99)
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct{ got, want string }{
		{count(0), "0"},
		{count(950), "950"},
		{count(1240), "1.24k"},
		{count(999.9), "1.00k"},
		{count(31e6), "31.0M"},
		{count(unknown), "–"},
		{rate(0), "0"},
		{rate(0.05), "<0.1"},
		{rate(3.14), "3.1"},
		{rate(9.99), "10"},
		{size(512), "512B"},
		{size(93 << 20), "93.0MB"},
		{delay(0), "0"},
		{delay(84e-6), "84µs"},
		{delay(0.00124), "1.24ms"},
		{delay(2.1), "2.10s"},
		{span(59 * time.Second), "59s"},
		{span(130 * time.Second), "2m10s"},
		{span(28 * time.Hour), "1d04h"},
		{span(-time.Second), "0s"},
		{percent(0.125), "13%"},
		{percent(unknown), "–"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestAsker(t *testing.T) {
	info, pools := answers(0)
	token := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		switch r.URL.Path {
		case "/api/v1/info":
			_ = json.NewEncoder(w).Encode(info)
		case "/api/v1/pools":
			_ = json.NewEncoder(w).Encode(pools)
		}
	}))
	defer s.Close()
	client, err := ctl.NewClient(ctl.Target{Address: s.URL, Token: "sesame"})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{ctx: context.Background(), client: client}
	got := a.answer(question{path: poolsPath})
	if got.fault != nil || len(got.sample.servers) != 15 || got.sample.info.Host != "cache-proxy-3" || token != "Bearer sesame" {
		t.Errorf("fault %v, sample %+v, token %q", got.fault, got.sample, token)
	}
	s.Close()
	if got := a.answer(question{path: poolsPath}); got.fault == nil {
		t.Error("an answer of a proxy that is not there")
	}
}

func TestRunNeedsAProxy(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	client, err := ctl.NewClient(ctl.Target{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), client, time.Second); err == nil {
		t.Error("the screen is taken although there is no proxy")
	}
}

// TestRunNeedsATerminal: the screen is not drawn into a pipe or a file.
func TestRunNeedsATerminal(t *testing.T) {
	info, pools := answers(0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{infoPath: info, poolsPath: pools}[r.URL.Path])
	}))
	defer s.Close()
	client, err := ctl.NewClient(ctl.Target{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	into, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stdout
	os.Stdout = into
	err = Run(context.Background(), client, time.Second)
	os.Stdout = was
	if drawn, _ := into.Seek(0, io.SeekCurrent); !errors.Is(err, errNoTerminal) || drawn != 0 {
		t.Errorf("%v, and %d bytes are drawn", err, drawn)
	}
	into.Close()
}

// TestPrimaries: a server that Sentinel knows is shown with its place, the epoch of that, and when
// it moved.
func TestPrimaries(t *testing.T) {
	info, pools := answers(0)
	p := &pools.Pools[0]
	when := pools.Time.Add(-3 * time.Minute)
	p.Sentinels = &api.Sentinels{Primaries: []api.SentinelPrimary{
		{Name: "main", Address: "10.0.0.9:6379", Epoch: 7, Switched: &when}, {Name: "other", Problem: "no sentinel says where it is"},
	}}
	p.Servers[0].Address, p.Servers[1].Address = "sentinel://main", "sentinel://other"
	s := new(meter).makeSample(info, pools)
	for i, want := range []struct{ detail, epoch, switched string }{
		{"main at 10.0.0.9:6379 by epoch 7, switched 3m00s ago", "7", "3m00s ago"},
		{"other  no sentinel says where it is", dash, dash},
		{"", dash, dash},
	} {
		r := &s.servers[i]
		values := valuesOf(serverColumns, r)
		epoch, moved := values[len(values)-2].text, values[len(values)-1].text
		if detail := serverDetail(r); !strings.Contains(detail, want.detail) || epoch != want.epoch || moved != want.switched {
			t.Errorf("%s: %q, epoch %q, switched %q; want %+v", r.name, detail, epoch, moved, want)
		}
	}
}
