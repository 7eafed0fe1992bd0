package admin

import (
	"testing"
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/history"
)

// TestEventsAreHanded: the latest ones whose texts have room, with all that they say. A kind that
// the next program does not have is left out.
func TestEventsAreHanded(t *testing.T) {
	var old, next events.Log
	all := []events.Event{
		{Time: time.Unix(1, 2), Kind: events.Started, Text: "began"},
		{Time: time.Unix(3, 0), Kind: events.ServerFails, Pool: "a", Server: "one", Reason: "timedout", Text: "fails", By: "x", For: time.Second},
	}
	for _, e := range all {
		old.Add(e)
	}
	handed := handedEvents(&old, 1000)
	handed = append(handed, history.Event{Kind: "of a later release"})
	next.Precede(eventsBefore(handed))
	got, _ := next.Latest(9, "")
	if len(got) != len(all) {
		t.Fatalf("%d events, want %d", len(got), len(all))
	}
	for i, e := range got {
		want := all[i]
		want.ID = int64(i - 1)
		if !e.Time.Equal(want.Time) {
			t.Errorf("event %d is of %v", i, e.Time)
		}
		want.Time = e.Time
		if *e != want {
			t.Errorf("event %d is %+v, want %+v", i, *e, want)
		}
	}
	for room, want := range map[int64]int{0: 0, 17: 0, 18: 1, 22: 1, 23: 2} {
		if got := handedEvents(&old, room); len(got) != want || want == 1 && got[0].Text != "fails" {
			t.Errorf("with room for %d bytes: %+v", room, got)
		}
	}
}
