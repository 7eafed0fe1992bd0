package admin

import (
	"slices"
	"sync"
	"time"

	"nuthatch/internal/events"
)

// fallsFor is for how long it counts that a server began to fail.
const fallsFor = time.Minute

// A fallWatch counts how often servers begin to fail. It reads each event once, whoever asks.
type fallWatch struct {
	mu sync.Mutex
	// next is the event to continue from, and before how many of the program before were read.
	next   int64
	before int
	of     map[serverKey]*falls
}

// falls are when a server began to fail, the oldest first. down: it has not answered since.
type falls struct {
	down bool
	at   []time.Time
}

// fallen is how often a server has begun to fail in the last minute, and when last.
type fallen struct {
	count int
	last  time.Time
}

// count is that of each server that has.
func (w *fallWatch) count(log *events.Log, now time.Time) map[serverKey]fallen {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read(log)
	shown := make(map[serverKey]fallen)
	for key, f := range w.of {
		f.at = slices.DeleteFunc(f.at, func(at time.Time) bool { return now.Sub(at) >= fallsFor })
		switch n := len(f.at); {
		case n > 0:
			shown[key] = fallen{n, f.at[n-1]}
		case !f.down:
			delete(w.of, key)
		}
	}
	return shown
}

// read reads what is new: all, if the events of the program before have come.
func (w *fallWatch) read(log *events.Log) {
	var list []*events.Event
	if n := log.Before(); w.of == nil || n != w.before {
		w.of, w.before = make(map[serverKey]*falls), n
		list, w.next = log.Latest(events.Kept, "")
	} else {
		list, _, w.next = log.After(w.next, events.Kept, "")
	}
	for _, e := range list {
		key := serverKey{e.Pool, e.Server}
		f := w.of[key]
		switch e.Kind {
		case events.ServerFails, events.ServerEjected:
			if f == nil {
				f = new(falls)
				w.of[key] = f
			}
			if !f.down {
				f.at = append(f.at, e.Time)
			}
			f.down = true
		case events.ServerAnswers:
			if f != nil {
				f.down = false
			}
		default:
		}
	}
}
