package proxy

import (
	"cmp"
	"maps"
	"slices"
)

// A waitList has the clients of a pool that wait for something, each with what there is to know of
// that. They go on in the order in which they came.
type waitList[T any] struct {
	all map[*client]listed[T]
	// came is how many have come.
	came uint64
}

// A listed is one of them. nth is which one it was to come, from 1.
type listed[T any] struct {
	client *client
	nth    uint64
	what   T
}

// of returns what there is to know of the client's wait, if it waits.
func (l *waitList[T]) of(c *client) (what T, waits bool) {
	w, waits := l.all[c]
	return w.what, waits
}

// add has the client wait behind the others.
func (l *waitList[T]) add(c *client, what T) {
	if l.all == nil {
		l.all = make(map[*client]listed[T])
	}
	l.came++
	l.all[c] = listed[T]{c, l.came, what}
}

// remove has the client wait no more, if it did.
func (l *waitList[T]) remove(c *client) { delete(l.all, c) }

// inOrder returns those that wait, who came first first.
func (l *waitList[T]) inOrder() []listed[T] {
	return slices.SortedFunc(maps.Values(l.all), func(a, b listed[T]) int { return cmp.Compare(a.nth, b.nth) })
}
