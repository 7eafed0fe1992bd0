package admin

import (
	"net/http"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/events"
)

// Events are shown oldest first: the latest, or what came behind one, of all or of a pool.
func TestEvents(t *testing.T) {
	s := newStage(t)
	for _, pool := range []string{"alpha", "", "beta", "alpha"} {
		s.log.Add(events.Event{Kind: events.ServerFails, Pool: pool, Server: "one", Reason: "timed_out", Text: "it fails", For: 1500e6})
	}
	for query, want := range map[string][]int64{
		"": {1, 2, 3, 4}, "?limit=2": {3, 4}, "?since=1&limit=2": {2, 3}, "?since=4": {}, "?pool=alpha": {1, 4}, "?pool=alpha&since=1": {4},
	} {
		list := get[api.Events](s, "/api/v1/events"+query)
		var got []int64
		for _, e := range list.Events {
			got = append(got, e.ID)
		}
		if len(got) != len(want) || len(got) > 0 && (got[0] != want[0] || got[len(got)-1] != want[len(want)-1]) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
		if len(got) > 0 && list.Last < got[len(got)-1] {
			t.Errorf("%q: one is to go on behind %d", query, list.Last)
		}
	}
	list := get[api.Events](s, "/api/v1/events?limit=1")
	list.Events[0].Time = list.Started
	want := api.Event{ID: 4, Time: list.Started, Kind: "server_fails", Severity: "failure", Pool: "alpha", Server: "one", Reason: "timed_out", Text: "it fails", Duration: 1.5}
	if list.Events[0] != want {
		t.Errorf("an event is %+v, want %+v", list.Events[0], want)
	}
	for query, status := range map[string]int{
		"?since=x": http.StatusBadRequest, "?since=-1": http.StatusBadRequest, "?limit=0": http.StatusBadRequest,
		"?limit=1025": http.StatusBadRequest, "?limit=1024": http.StatusOK, "?pool=none": http.StatusNotFound,
	} {
		if got, _, _ := s.do(http.MethodGet, "/api/v1/events"+query, ""); got != status {
			t.Errorf("%q is answered with %d, want %d", query, got, status)
		}
	}
}

// How the last reload went is told however long ago that was.
func TestLastReload(t *testing.T) {
	s := newStage(t)
	reload := func() *api.Reload { return get[api.Info](s, "/api/v1/info").LastReload }
	if r := reload(); r != nil {
		t.Errorf("without a reload: %+v", r)
	}
	s.log.Add(events.Event{Kind: events.Reloaded, By: "a"})
	s.log.Add(events.Event{Kind: events.ReloadRefused, By: "b", Text: "why"})
	for range 2 * events.Kept {
		s.log.Add(events.Event{Kind: events.ServerFails})
	}
	if r := reload(); r == nil || !r.Refused || r.By != "b" || r.Text != "why" {
		t.Errorf("refused: %+v", r)
	}
	s.log.Add(events.Event{Kind: events.Reloaded, By: "c"})
	if r := reload(); r == nil || r.Refused || r.By != "c" {
		t.Errorf("taken: %+v", r)
	}
}

// Every kind of event is a series, from the beginning.
func TestEventsAreCounted(t *testing.T) {
	in, c := testCollector(t)
	in.log.Add(events.Event{Kind: events.ServerEjected})
	in.log.Add(events.Event{Kind: events.ServerEjected})
	got := series(t, c)
	for k := range events.NumKinds {
		want := 0.0
		if k == events.ServerEjected {
			want = 2
		}
		if n, there := got["nuthatch_events_total "+k.String()]; !there || n != want {
			t.Errorf("%v: %v (a series: %t), want %v", k, n, there, want)
		}
	}
}

// TestFalls: what counts is that a server begins to fail, in the last minute.
func TestFalls(t *testing.T) {
	log, now := new(events.Log), time.Unix(1000, 0)
	add := func(ago int, kind events.Kind, server string) {
		log.Add(events.Event{Time: now.Add(-time.Duration(ago) * time.Second), Kind: kind, Pool: "p", Server: server})
	}
	add(90, events.ServerFails, "flaps")
	add(80, events.ServerEjected, "ejected")
	for ago := 50; ago > 0; ago -= 10 {
		add(ago, events.ServerTried, "ejected")
		add(ago, events.ServerEjected, "ejected")
		add(ago, events.ServerAnswers, "flaps")
		add(ago-1, events.ServerFails, "flaps")
	}
	if falls := fallsOf(log, now); len(falls) != 1 || falls[serverKey{"p", "flaps"}] != (fallen{5, now.Add(-9 * time.Second)}) {
		t.Errorf("%v", falls)
	}
}
