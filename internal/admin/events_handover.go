package admin

import (
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/history"
)

// eventsPart is the part of the history's memory that the texts of handed events may have. What
// the next program reads is bounded by its own.
const eventsPart = 4

// handedEvents are the latest events, with texts of so many bytes at the most, in the form in which
// they are handed over.
func handedEvents(log *events.Log, room int64) []history.Event {
	kept, _ := log.Latest(events.Kept, "")
	first := len(kept)
	for first > 0 {
		e := kept[first-1]
		if room -= int64(len(e.Pool) + len(e.Server) + len(e.Reason) + len(e.Text) + len(e.By)); room < 0 {
			break
		}
		first--
	}
	all := make([]history.Event, 0, len(kept)-first)
	for _, e := range kept[first:] {
		all = append(all, history.Event{
			Time: e.Time.UnixNano(), For: int64(e.For), Kind: e.Kind.String(), Pool: e.Pool, Server: e.Server, Reason: e.Reason,
			Text: e.Text, By: e.By,
		})
	}
	return all
}

// eventsBefore are the events of the program before. Kinds that this one does not have are left
// out.
func eventsBefore(handed []history.Event) []events.Event {
	all := make([]events.Event, 0, len(handed))
	for i := range handed {
		e := &handed[i]
		kind, known := events.KindOf(e.Kind)
		if !known {
			continue
		}
		all = append(all, events.Event{
			Time: time.Unix(0, e.Time), For: time.Duration(e.For), Kind: kind, Pool: e.Pool, Server: e.Server, Reason: e.Reason,
			Text: e.Text, By: e.By,
		})
	}
	return all
}
