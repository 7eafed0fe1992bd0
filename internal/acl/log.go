package acl

import (
	"slices"
	"sync/atomic"
)

// ACL LOG: who was denied what. Like denials within a minute are one record.

const (
	// MaxLog is how many records a log keeps.
	MaxLog = 128
	// sameFor is for how many milliseconds a like denial is counted in the same record.
	// Only the latest toCompare records are compared.
	sameFor   = 60_000
	toCompare = 10
	// maxObject is how many bytes are kept of a key, a channel or a name.
	maxObject = 256
)

// The contexts of a denial, as ACL LOG calls them.
const (
	TopLevel = "toplevel"
	InMulti  = "multi"
)

// DeniedLogin is the reason of a login that failed, as ACL LOG calls it.
const DeniedLogin = "auth"

// An Entry is one denial.
type Entry struct {
	// Reason is Denial.Reason, or DeniedLogin. Context is TopLevel or InMulti.
	Reason, Context string
	// Object is the command, key, channel or database that was denied. User is the
	// user's name. Both are cut short.
	Object, User string
	// Client describes the client, in the words of CLIENT LIST.
	Client string
}

// A Record is denials of one kind. Its client is the last one that was denied.
type Record struct {
	Entry
	// ID counts the records of a log, from 0. Count is the number of denials. At and
	// First are when the last and the first was, in milliseconds since 1970.
	ID, Count int64
	At, First int64
}

// A Log keeps the latest denials of a pool. The zero value is empty. Any number of event loops
// may use it: what it holds is replaced, and never changed.
type Log struct{ now atomic.Pointer[logged] }

// logged is the contents of a log, the latest first.
type logged struct {
	records []*Record
	nextID  int64
}

// Add notes a denial at the time now, in milliseconds since 1970. It allocates: the caller
// bounds how often it is called.
func (l *Log) Add(now int64, e Entry) {
	e.Object, e.User = e.Object[:min(len(e.Object), maxObject)], e.User[:min(len(e.User), maxObject)]
	for {
		old := l.now.Load()
		var before logged
		if old != nil {
			before = *old
		}
		if l.now.CompareAndSwap(old, before.with(now, e)) {
			return
		}
	}
}

// with is the contents with one denial more.
func (c logged) with(now int64, e Entry) *logged {
	r := &Record{Entry: e, ID: c.nextID, Count: 1, At: now, First: now}
	rest := c.records
	if at := c.like(now, &e); at >= 0 {
		like := c.records[at]
		r.ID, r.First, r.Count = like.ID, like.First, like.Count+1
		rest = slices.Concat(rest[:at], rest[at+1:])
	} else {
		c.nextID++
	}
	records := append(make([]*Record, 0, MaxLog), r)
	return &logged{records: append(records, rest[:min(len(rest), MaxLog-1)]...), nextID: c.nextID}
}

// like is the place of the record that a denial is counted in, or -1.
func (c logged) like(now int64, e *Entry) int {
	return slices.IndexFunc(c.records[:min(len(c.records), toCompare)], func(r *Record) bool {
		return r.Reason == e.Reason && r.Context == e.Context && r.Object == e.Object && r.User == e.User && now-r.At <= sameFor
	})
}

// Reset forgets all denials that were noted before.
func (l *Log) Reset() {
	for {
		old := l.now.Load()
		if old == nil || l.now.CompareAndSwap(old, &logged{nextID: old.nextID}) {
			return
		}
	}
}

// Records are the records, the latest first. They must not be changed.
func (l *Log) Records() []*Record {
	if c := l.now.Load(); c != nil {
		return c.records
	}
	return nil
}
