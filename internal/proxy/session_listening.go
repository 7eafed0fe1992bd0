package proxy

import (
	"iter"
	"slices"
)

// A listening is the channels of one kind that a client listens to, by the servers'
// names. Most clients listen to a few, and ten thousand of them must be small: a map
// takes half a kilobyte. nil is an empty one that cannot be added to.
type listening struct {
	few []listened
	// many are all of them, if they were ever more than maxFew.
	many map[string]place
}

// A listened is one channel.
type listened struct {
	name string
	place
}

// maxFew is the most channels that are searched one by one.
const maxFew = 4

// at is where a channel's messages come from.
func (l *listening) at(name string) (at place, known bool) {
	if l == nil {
		return place{}, false
	}
	if l.many != nil {
		at, known = l.many[name]
		return at, known
	}
	if i := l.index(name); i >= 0 {
		return l.few[i].place, true
	}
	return place{}, false
}

// heard is at for the name of a message. It allocates nothing.
func (l *listening) heard(name []byte) (at place, known bool) {
	if l == nil {
		return place{}, false
	}
	for i := range l.few {
		if l.few[i].name == string(name) {
			return l.few[i].place, true
		}
	}
	at, known = l.many[string(name)]
	return at, known
}

func (l *listening) index(name string) int {
	return slices.IndexFunc(l.few, func(x listened) bool { return x.name == name })
}

// size is how many channels there are.
func (l *listening) size() int {
	if l == nil {
		return 0
	}
	return len(l.few) + len(l.many)
}

// put notes where a channel's messages come from.
func (l *listening) put(name string, at place) {
	if l.many != nil {
		l.many[name] = at
		return
	}
	if i := l.index(name); i >= 0 {
		l.few[i].place = at
		return
	}
	if len(l.few) < maxFew {
		l.few = append(l.few, listened{name, at})
		return
	}
	l.many = make(map[string]place)
	for _, x := range l.few {
		l.many[x.name] = x.place
	}
	l.few = nil
	l.many[name] = at
}

// remove forgets a channel.
func (l *listening) remove(name string) {
	if l == nil {
		return
	}
	delete(l.many, name)
	if i := l.index(name); i >= 0 {
		l.few = slices.Delete(l.few, i, i+1)
	}
}

// all yields all channels, in no order. The loop body must not add or remove any.
func (l *listening) all() iter.Seq2[string, place] {
	return func(yield func(string, place) bool) {
		if l == nil {
			return
		}
		for _, x := range l.few {
			if !yield(x.name, x.place) {
				return
			}
		}
		for name, at := range l.many {
			if !yield(name, at) {
				return
			}
		}
	}
}
