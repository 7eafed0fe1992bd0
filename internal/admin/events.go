package admin

import (
	"net/http"
	"strconv"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/events"
)

// What has happened.

const (
	// defaultEvents is how many events are shown; events.Kept at the most.
	defaultEvents = 100
	// eventSize is about how many bytes one takes in an answer.
	eventSize = 1 << 10
)

// events shows what has happened, to one pool, or to all and the process: the latest,
// or those after the event that since names.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("pool")
	n, ok := limit(w, r, defaultEvents, events.Kept)
	if !ok || !h.known(w, name) {
		return
	}
	log := h.Instance.Events()
	list := api.Events{Started: h.Instance.Facts().Started, Events: []api.Event{}}
	var found []*events.Event
	if text := r.FormValue("since"); text == "" {
		found, list.Last = log.Latest(n, name)
	} else {
		since, err := strconv.ParseInt(text, 10, 64)
		if err != nil || since < 0 {
			fail(w, http.StatusBadRequest, "since must be the id of an event, or 0")
			return
		}
		found, list.Missed, list.Last = log.After(since, n, name)
	}
	for _, e := range found {
		list.Events = append(list.Events, eventOf(e))
	}
	answer(w, list)
}

func eventOf(e *events.Event) api.Event {
	return api.Event{
		ID: e.ID, Time: e.Time, Kind: e.Kind.String(), Severity: e.Kind.Severity().String(), Pool: e.Pool, Server: e.Server,
		Reason: e.Reason, Text: e.Text, By: e.By, Duration: e.For.Seconds(),
	}
}

// eventKinds are what an event can say.
func eventKinds() []api.EventKind {
	kinds := make([]api.EventKind, events.NumKinds)
	for k := range events.NumKinds {
		kinds[k] = api.EventKind{Name: k.String(), Severity: k.Severity().String(), Help: k.Help()}
	}
	return kinds
}

// lastReload is how the last reload went; nil if there was none.
func lastReload(log *events.Log) *api.Reload {
	e, refused := log.LatestOf(events.Reloaded), log.LatestOf(events.ReloadRefused)
	if e == nil || refused != nil && refused.ID > e.ID {
		e = refused
	}
	if e == nil {
		return nil
	}
	return &api.Reload{Time: e.Time, Refused: e.Kind == events.ReloadRefused, Text: e.Text, By: e.By}
}

// reloads is when the configuration in force was read, and whether a later one was refused.
func reloads(facts *api.Info, log *events.Log) (at time.Time, refused bool) {
	at = facts.Started
	last := log.LatestOf(events.Reloaded)
	if last != nil {
		at = last.Time
	}
	r := log.LatestOf(events.ReloadRefused)
	return at, r != nil && (last == nil || r.ID > last.ID)
}
