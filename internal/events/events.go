// Package events keeps what has happened to the proxy and its servers, with when
// and why: starts, reloads, servers that fail and answer again, pauses.
//
// The log is a ring of pointers to events that never change. Event loops and other
// goroutines put events in and anybody reads them, at any time, by atomic operations
// alone:
//
//	loops, daemon ─Add─► [ 1024 │ 1025 │ 1022 │ 1023 ] ─After, Latest─► admin ─► ctl
//
// An event says that something begins or ends, not that it goes on. So there are
// few, whatever the traffic is.
package events

import (
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Kept is how many events the log has; a new one replaces the oldest.
const Kept = 1024

// maxText is how many bytes of a text are kept.
const maxText = 500

// Quiet is how long something repeated must have stopped before it counts as new.
const Quiet = time.Minute

// An Event is something that has happened. It is immutable once it is in the log.
type Event struct {
	// ID counts the events since the program started, from 1. Those of the program before have
	// numbers up to 0.
	ID int64
	// Time is when it happened.
	Time time.Time
	Kind Kind
	// Pool and Server are the names, as in the statistics, of what it happened to;
	// empty if it happened to the process, or to the whole pool.
	Pool, Server string
	// Reason is why, by its name in the statistics; empty if there is none.
	Reason string
	// Text says it in words.
	Text string
	// By is who asked for it; empty if nobody did.
	By string
	// For is the longest time that it can last or, if it is over, how long it lasted;
	// 0 if neither applies.
	For time.Duration
}

// A Log is the events of a process. The zero value is empty. All methods may be
// called from any goroutine. None waits.
type Log struct {
	ring [Kept]atomic.Pointer[Event]
	// last is the ID of the latest event.
	last atomic.Int64
	// counts is how many events of each kind there were, and latest the latest one:
	// it outlives the ring.
	counts [NumKinds]atomic.Int64
	latest [NumKinds]atomic.Pointer[Event]
	// before are the events of the program before, the oldest first. They do not count.
	before atomic.Pointer[[]*Event]
}

// Precede puts events of the program before, the oldest first, before those that are there.
func (l *Log) Precede(list []Event) {
	list = list[max(0, len(list)-Kept):]
	all := make([]*Event, len(list))
	for i := range list {
		e := list[i]
		e.Text, e.By = beginning(e.Text), beginning(e.By)
		e.ID = int64(i + 1 - len(list))
		all[i] = &e
	}
	l.before.Store(&all)
}

// Before is how many events there are of the program before.
func (l *Log) Before() int {
	if before := l.before.Load(); before != nil {
		return len(*before)
	}
	return 0
}

// Add puts an event into the log and gives it its ID. The oldest one goes. Of a long text
// the beginning is kept.
func (l *Log) Add(e Event) {
	e.Text, e.By = beginning(e.Text), beginning(e.By)
	e.ID = l.last.Add(1)
	l.counts[e.Kind].Add(1)
	replace(&l.latest[e.Kind], &e)
	replace(&l.ring[e.ID%Kept], &e)
}

// beginning is at most maxText bytes of a text, whole characters, in memory of its own.
func beginning(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end]) + "..."
}

// replace puts e in the place of an older one.
func replace(place *atomic.Pointer[Event], e *Event) {
	for {
		old := place.Load()
		if old != nil && old.ID > e.ID || place.CompareAndSwap(old, e) {
			return
		}
	}
}

// AddChange is Add, unless the latest event of the same pool and server is of the
// same kind. So only the first of a row of equal events is kept.
func (l *Log) AddChange(e Event) {
	for old := range l.backwards {
		if old.Pool == e.Pool && old.Server == e.Server {
			if old.Kind == e.Kind {
				return
			}
			break
		}
	}
	l.Add(e)
}

// backwards yields the events that are there, the latest first.
func (l *Log) backwards(yield func(*Event) bool) {
	last := l.last.Load()
	for id := last; id > max(0, last-Kept); id-- {
		if e := l.ring[id%Kept].Load(); e != nil && e.ID == id && !yield(e) {
			return
		}
	}
}

// Count is how many events of a kind there were.
func (l *Log) Count(k Kind) int64 { return l.counts[k].Load() }

// LatestOf is the latest event of a kind; nil if there was none.
func (l *Log) LatestOf(k Kind) *Event { return l.latest[k].Load() }

// Latest returns the last n events, the oldest first: of a pool or, if pool is empty,
// of all pools and the process. Those of the program before are among them. It also returns the ID to continue from with After.
func (l *Log) Latest(n int, pool string) (found []*Event, next int64) {
	found, _, next = l.After(0, Kept, pool)
	if before := l.before.Load(); before != nil && len(found) < n {
		var all []*Event
		for _, e := range *before {
			if pool == "" || e.Pool == pool {
				all = append(all, e)
			}
		}
		found = append(all, found...)
	}
	return found[max(0, len(found)-n):], next
}

// After returns the first n events after an ID, the oldest first: of a pool or, if pool is
// empty, of all pools and the process. next is the ID to continue from. missed is how many
// events up to it are no longer kept. An event that is just being added, and those after it,
// are for the next call, so that a reader misses none.
func (l *Log) After(id int64, n int, pool string) (found []*Event, missed, next int64) {
	last := l.last.Load()
	next = max(id, 0)
	if oldest := max(1, last-Kept+1); next+1 < oldest {
		missed, next = oldest-next-1, oldest-1
	}
	for next < last && len(found) < n {
		id := next + 1
		switch e := l.ring[id%Kept].Load(); {
		case e == nil || e.ID < id:
			return found, missed, next
		case e.ID > id:
			missed++ // it was overtaken meanwhile
		case pool == "" || e.Pool == pool:
			found = append(found, e)
		}
		next = id
	}
	return found, missed, next
}

// An Episode is something repeated whose beginning is an event. The zero value has
// not happened yet. It may be used from any goroutine.
type Episode struct{ last atomic.Int64 }

// Begins notes that it happens at time now, in nanoseconds, and reports whether it
// had not for Quiet.
func (p *Episode) Begins(now int64) bool {
	was := p.last.Swap(max(now, 1))
	return was == 0 || now-was >= int64(Quiet)
}
