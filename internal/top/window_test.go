package top

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

// TestWindowIsChosen: rates and times are the proxy's own of a window, and w changes it.
func TestWindowIsChosen(t *testing.T) {
	var asked []string
	info, pools := answers(0)
	pools.Pools[0].Recent = &api.Rates{Window: 10, Requests: 7}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		answers := map[string]any{infoPath: info, poolsPath: pools, historyPath: api.History{Pool: r.FormValue("pool")}}
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	defer s.Close()
	client, err := ctl.NewClient(ctl.Target{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{ctx: context.Background(), client: client}
	m := newModel(a.ask, time.Second)
	m.Update(a.answer(question{path: poolsPath}))
	for _, want := range []string{"1m", "10m", ""} {
		asked = nil
		m.Update(m.key(tea.KeyPressMsg{Code: 'w', Text: "w"})())
		path := poolsPath
		if want != "" {
			path += "?window=" + want
		}
		if !slices.Equal(asked, []string{infoPath, path}) {
			t.Errorf("asks %q, want %s", asked, path)
		}
		if shown := text(m); !strings.Contains(shown, "last 10s to "+pools.Window.Until.Local().Format(time.TimeOnly)+"  every 1s") {
			t.Errorf("the screen does not say what the rates are of:\n%s", shown)
		}
	}
	if r := m.last.pools[0].requests; r != 7 {
		t.Errorf("%v requests a second, want the window's 7", r)
	}
}

// TestPastBegins with what the proxy remembers, of all and of each pool.
func TestPastBegins(t *testing.T) {
	info, pools := answers(0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers := map[string]any{infoPath: info, poolsPath: pools, historyPath: api.History{
			Pool: r.FormValue("pool"), At: []int64{1000, 2000},
			Values: map[string]api.Values{"requests": {5, 6}, "failed": {0, 1}, "p99": {0.1, float32(math.NaN())}},
		}}
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	defer s.Close()
	client, err := ctl.NewClient(ctl.Target{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{ctx: context.Background(), client: client}
	m := newModel(a.ask, time.Second)
	first := a.answer(question{path: poolsPath})
	m.handleAnswer(first)
	a.remember(m.past, first.sample)
	for _, pool := range []string{"", "sessions", "catalog", "limits"} {
		if got := m.past[pool]; len(got) != 2 || got[1].requests != 6 || got[1].failed != 1 || !math.IsNaN(got[1].p99) || !math.IsNaN(got[0].p50) {
			t.Errorf("of %q: %+v", pool, got)
		}
	}
	s.Close()
	empty := past{}
	if a.remember(empty, first.sample); len(empty) != 0 {
		t.Errorf("a proxy that does not answer: %+v", empty)
	}
}
