package hotkeys

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"
)

const (
	// largestKept is how many of the largest are kept.
	largestKept = 16
	// leastLarge is the least size, in bytes, that is kept.
	leastLarge = 1 << 10
	// largeAge is how long one is remembered.
	largeAge = int64(time.Hour)
)

// Largest are the largest requests, or replies, of the last hour, one for each
// key. The zero value is empty.
type Largest struct {
	sizes [largestKept]int
	times [largestKept]int64
	types [largestKept]uint16
	keys  [largestKept]key
	used  int
	// least is the smallest size, if all places are taken.
	least int
}

// Least is the size that one must exceed to be kept.
func (l *Largest) Least() int { return max(l.least, leastLarge) }

// Add keeps one of that size at time now, if it is large enough. text is the
// beginning of its key, length the length of the whole; typ is its command's number.
func (l *Largest) Add(size int, typ uint16, text []byte, length int, now int64) {
	if size <= l.Least() {
		return
	}
	l.forget(now)
	hash := maphash.Bytes(seed, text)
	i := slices.IndexFunc(l.keys[:l.used], func(k key) bool { return k.hash == hash && k.len == length })
	switch {
	case i >= 0:
		if size < l.sizes[i] {
			return
		}
	case l.used < largestKept:
		i = l.used
		l.used++
	default:
		i = slices.Index(l.sizes[:], slices.Min(l.sizes[:]))
	}
	l.sizes[i], l.times[i], l.types[i] = size, now, typ
	l.keys[i].set(hash, text, length)
	l.least = 0
	if l.used == largestKept {
		l.least = slices.Min(l.sizes[:])
	}
}

// forget drops entries that are too old.
func (l *Largest) forget(now int64) {
	for i := 0; i < l.used; {
		if now-l.times[i] < largeAge {
			i++
			continue
		}
		l.used--
		l.sizes[i], l.times[i], l.types[i], l.keys[i] = l.sizes[l.used], l.times[l.used], l.types[l.used], l.keys[l.used]
		l.least = 0
	}
}

// A Large is one of the largest.
type Large struct {
	// Key is the beginning of the key, and Len the length of the whole.
	Key string
	Len int
	// Size is in bytes, At the time of the loop when it was seen, Type the number
	// of its command.
	Size int
	At   int64
	Type uint16
}

// Top are those that are known at time now, the largest first.
func (l *Largest) Top(now int64) []Large {
	l.forget(now)
	list := make([]Large, 0, l.used)
	for i := range l.used {
		k := &l.keys[i]
		list = append(list, Large{Key: string(k.text[:k.n]), Len: k.len, Size: l.sizes[i], At: l.times[i], Type: l.types[i]})
	}
	return largest(list, len(list))
}

func largest(list []Large, n int) []Large {
	slices.SortFunc(list, func(a, b Large) int { return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Key, b.Key)) })
	return list[:min(n, len(list))]
}

// MergeLargest makes one list of several loops': the n largest of all, one for
// each key.
func MergeLargest(n int, lists ...[]Large) []Large {
	type id struct {
		key string
		len int
	}
	seen := make(map[id]bool)
	var all []Large
	for _, l := range largest(slices.Concat(lists...), len(slices.Concat(lists...))) {
		if !seen[id{l.Key, l.Len}] {
			seen[id{l.Key, l.Len}] = true
			all = append(all, l)
		}
	}
	return all[:min(n, len(all))]
}
