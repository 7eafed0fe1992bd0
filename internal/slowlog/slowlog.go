// Package slowlog keeps the latest requests that took long, and where their time
// went.
//
// The log is a ring of pointers to entries that never change. Event loops put
// entries in and anybody reads them, at any time, by atomic operations alone:
//
//	loops ─Add─► [ 128 │ 129 │ 126 │ 127 ] ─Latest─► SLOWLOG GET, admin
package slowlog

import (
	"sync/atomic"
	"time"
)

// An Entry is one request. It is immutable once it is in the log.
type Entry struct {
	// ID counts the entries of the pool since the program started.
	ID int64
	// Time is when the request was taken from its client.
	Time time.Time
	// Duration is the time from then until its reply could go out: the sum of
	// the four that follow.
	Duration time.Duration
	// Connect is how long it waited for a connection to the server, handshake
	// included.
	Connect time.Duration
	// Queue is how long it then waited until its last byte was sent.
	Queue time.Duration
	// Server is how long the server took. Of a request for several servers it is
	// that of the one that answered last, and so are all the others.
	Server time.Duration
	// Turn is how long its reply waited for those of earlier requests of the client.
	Turn time.Duration

	// Pool and Command name the request, ServerName the server that it went to, if
	// it went to one.
	Pool, Command, ServerName string
	// Keys is the number of its keys, if it was split or keys are kept and it has
	// several, and Key the beginning of the first, of KeyLen bytes, if keys are kept.
	Keys   int
	Key    string
	KeyLen int
	// RequestBytes were sent to the server.
	RequestBytes int
	// ClientID, Client and ClientName are the client's number, address and the name
	// that it gave itself.
	ClientID           uint64
	Client, ClientName string
	// Error is why the proxy answered with an error of its own, by its name in the
	// statistics; empty if it did not.
	Error string
}

// A Log is the slow log of a pool. All methods may be called from any
// goroutine. None waits.
type Log struct {
	ring atomic.Pointer[[]atomic.Pointer[Entry]]
	// next is the id of the next entry, and first that of the first one that has
	// not been forgotten.
	next, first atomic.Int64
	// firstEvent is the id of the first entry that is still an event.
	firstEvent atomic.Int64
}

// New returns a log of n entries.
func New(n int) *Log {
	l := &Log{}
	l.Resize(n)
	return l
}

// Resize makes the log keep n entries. It keeps as many of its entries as fit.
func (l *Log) Resize(n int) {
	if p := l.ring.Load(); p != nil && len(*p) == n {
		return
	}
	before := l.Latest(n)
	ring := make([]atomic.Pointer[Entry], n)
	for _, e := range before {
		ring[e.ID%int64(n)].Store(e)
	}
	l.ring.Store(&ring)
}

// Add puts the entry into the log, and gives it its number. The oldest one goes.
func (l *Log) Add(e *Entry) {
	ring := *l.ring.Load()
	if len(ring) == 0 {
		return
	}
	e.ID = l.next.Add(1) - 1
	ring[e.ID%int64(len(ring))].Store(e)
}

// Reset forgets all entries.
func (l *Log) Reset() { l.first.Store(l.next.Load()) }

// Events are the entries since ResetEvents, the latest first: a second view of the
// log, for Redis's LATENCY.
func (l *Log) Events() []*Entry {
	all, first := l.Latest(-1), l.firstEvent.Load()
	for i, e := range all {
		if e.ID < first {
			return all[:i]
		}
	}
	return all
}

// ResetEvents makes Events forget the entries so far.
func (l *Log) ResetEvents() { l.firstEvent.Store(l.next.Load()) }

// Latest returns the last n entries, or all if n is negative, the latest first.
func (l *Log) Latest(n int) []*Entry {
	p := l.ring.Load()
	if p == nil {
		return nil
	}
	ring := *p
	next := l.next.Load()
	first := max(l.first.Load(), next-int64(len(ring)))
	var found []*Entry
	for id := next - 1; id >= first && (n < 0 || len(found) < n); id-- {
		// An entry that is about to be put in, or was overtaken by a later one, is
		// not there.
		if e := ring[id%int64(len(ring))].Load(); e != nil && e.ID == id {
			found = append(found, e)
		}
	}
	return found
}

// Next is the number that the next entry gets.
func (l *Log) Next() int64 { return l.next.Load() }

// From returns at most n entries from number id on, the first first, and how many of those
// that were put in are gone.
func (l *Log) From(id int64, n int) (found []*Entry, gone int64) {
	p := l.ring.Load()
	if p == nil || len(*p) == 0 {
		return nil, 0
	}
	ring := *p
	next := l.next.Load()
	if oldest := next - int64(len(ring)); id < oldest {
		id, gone = oldest, oldest-id
	}
	for ; id < next && len(found) < n; id++ {
		e := ring[id%int64(len(ring))].Load()
		switch {
		case e != nil && e.ID == id:
			found = append(found, e)
		case e != nil && e.ID > id && len(found) == 0: // overtaken meanwhile
			gone++
		default:
			return found, gone // it is about to be put in, or the next call counts it
		}
	}
	return found, gone
}

// Len is the number of entries.
func (l *Log) Len() int { return len(l.Latest(-1)) }
