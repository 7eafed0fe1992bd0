package proxy

import (
	"iter"
	"slices"

	"nuthatch/internal/invariant"
)

// A list has its elements in the order in which they came. An element carries its links itself,
// so that to enter and to leave allocates nothing, and takes as long in a list of any length:
//
//	first ─► a ◄─► b ◄─► c ◄─ last
//
// The zero value is empty.
//
// Invariant: an element that is in no list has no neighbours, and one with links of this kind is
// in one list at a time. The neighbours of an element know it as theirs. Where it has none, it is
// the first, or the last.
type list[E element[E]] struct {
	first, last E
	// walks are the walks through the list that are under way.
	walks []*walk[E]
}

// links are an element's place in a list. It embeds them.
type links[E any] struct{ prev, next E }

func (k *links[E]) neighbours() *links[E] { return k }

// An element is a pointer to what embeds links.
type element[E any] interface {
	comparable
	neighbours() *links[E]
}

// enter puts e, which is in no list, behind the others.
func (l *list[E]) enter(e E) {
	var none E
	at := e.neighbours()
	if invariant.On {
		invariant.Check(*at == links[E]{} && l.first != e, "proxy: what enters a list is in one already")
	}
	if at.prev = l.last; at.prev != none {
		at.prev.neighbours().next = e
	} else {
		l.first = e
	}
	l.last = e
}

// remove takes e off the list. Walks that were about to come to it go on behind it.
func (l *list[E]) remove(e E) {
	var none E
	at := e.neighbours()
	if invariant.On {
		invariant.Check(l.has(e), "proxy: what leaves a list is not in it")
	}
	for _, w := range l.walks {
		if w.at == e {
			w.at = at.next
		}
	}
	if at.prev != none {
		at.prev.neighbours().next = at.next
	} else {
		l.first = at.next
	}
	if at.next != none {
		at.next.neighbours().prev = at.prev
	} else {
		l.last = at.prev
	}
	*at = links[E]{}
}

// has reports whether the neighbours of e, or the ends of the list, know it.
func (l *list[E]) has(e E) bool {
	var none E
	at := e.neighbours()
	before, behind := l.first, l.last
	if at.prev != none {
		before = at.prev.neighbours().next
	}
	if at.next != none {
		behind = at.next.neighbours().prev
	}
	return before == e && behind == e
}

// all yields the elements. The loop body may take off the element that it was given, but no
// other: that needs a walk.
func (l *list[E]) all() iter.Seq[E] {
	return func(yield func(E) bool) {
		var none, next E
		for e := l.first; e != none; e = next {
			next = e.neighbours().next
			if !yield(e) {
				return
			}
		}
	}
}

// A walk goes through a list, which may take many turns. Any element may leave meanwhile. Those
// that enter before the walk has come to the last are seen, too.
type walk[E element[E]] struct {
	// list is nil unless the walk is under way.
	list *list[E]
	// at is the next element; the zero value: there is none.
	at E
}

// begin puts the walk before the first element.
func (w *walk[E]) begin(l *list[E]) {
	w.list, w.at = l, l.first
	l.walks = append(l.walks, w)
}

// next is the next element, or the zero value if there is none.
func (w *walk[E]) next() E {
	var none E
	e := w.at
	if e != none {
		w.at = e.neighbours().next
	}
	return e
}

// end ends the walk, if it has begun.
func (w *walk[E]) end() {
	if l := w.list; l != nil {
		l.walks = slices.DeleteFunc(l.walks, func(x *walk[E]) bool { return x == w })
	}
	*w = walk[E]{}
}
