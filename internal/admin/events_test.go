package admin

import (
	"maps"
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

// TestFalls: what counts is that a server begins to fail, in the last minute, also in the program
// before. Who asks again and again is told the same as who asks once.
func TestFalls(t *testing.T) {
	log, often, now := new(events.Log), new(fallWatch), time.Unix(1000, 0)
	at := func(ago int, kind events.Kind, server string) events.Event {
		return events.Event{Time: now.Add(-time.Duration(ago) * time.Second), Kind: kind, Pool: "p", Server: server}
	}
	add := func(ago int, kind events.Kind, server string) {
		log.Add(at(ago, kind, server))
		often.count(log, now.Add(-time.Duration(ago)*time.Second))
	}
	check := func(now time.Time, want map[serverKey]fallen) {
		t.Helper()
		for what, w := range map[string]*fallWatch{"often": often, "once": new(fallWatch)} {
			if falls := w.count(log, now); !maps.Equal(falls, want) {
				t.Errorf("asked %s: %v, want %v", what, falls, want)
			}
		}
	}
	add(90, events.ServerFails, "flaps")
	add(80, events.ServerEjected, "ejected")
	for ago := 50; ago > 0; ago -= 10 {
		add(ago, events.ServerTried, "ejected")
		add(ago, events.ServerEjected, "ejected")
		add(ago, events.ServerAnswers, "flaps")
		add(ago-1, events.ServerFails, "flaps")
	}
	flaps, handed := serverKey{"p", "flaps"}, serverKey{"p", "handed"}
	check(now, map[serverKey]fallen{flaps: {5, now.Add(-9 * time.Second)}})
	log.Precede([]events.Event{at(30, events.ServerFails, "handed"), at(29, events.ServerAnswers, "handed")})
	check(now, map[serverKey]fallen{flaps: {5, now.Add(-9 * time.Second)}, handed: {1, now.Add(-30 * time.Second)}})
	check(now.Add(30*time.Second), map[serverKey]fallen{flaps: {3, now.Add(-9 * time.Second)}})
	for range events.Kept {
		log.Add(at(0, events.PoolPaused, ""))
	}
	add(-40, events.ServerAnswers, "flaps")
	add(-41, events.ServerFails, "flaps")
	// The log has lost the older ones.
	if falls := often.count(log, now.Add(45*time.Second)); falls[flaps] != (fallen{2, now.Add(41 * time.Second)}) {
		t.Errorf("%v", falls)
	}
	if falls := often.count(log, now.Add(200*time.Second)); len(falls) > 0 || len(often.of) != 2 {
		t.Errorf("later: %v, and %d servers are kept, want the two that are down", falls, len(often.of))
	}
}
