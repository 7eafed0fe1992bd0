// Package hotkeys finds the keys that are asked for most, and the largest requests
// and replies, in bounded memory.
//
// The hottest keys are found by the Space-Saving algorithm (Metwally, Agrawal and El
// Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams",
// 2005): as many counters as there is room for, and a key without a counter takes
// over the smallest one, with its count. A count is then too high by at most what
// was taken over, and every key that has more than its share of the counters is
// there. Counts halve every ten seconds, so that they tell of now.
//
// A Sketch belongs to one event loop, which adds a sample of its requests. The
// sketches of several loops are merged as their copies are.
package hotkeys

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"
)

const (
	// MaxKey is how many bytes of a key are kept.
	MaxKey = 128
	// counters is how many keys a sketch counts.
	counters = 128
	// halfLife is how often counts are halved.
	halfLife = int64(10 * time.Second)
)

var seed = maphash.MakeSeed()

// A key is one that is kept.
type key struct {
	hash uint64
	n    int // of text
	len  int // of the whole key
	text [MaxKey]byte
}

func (k *key) set(hash uint64, text []byte, length int) {
	k.hash, k.n, k.len = hash, copy(k.text[:], text), length
}

// A Sketch counts keys. Its memory is fixed.
type Sketch struct {
	// hashes are those of keys, by themselves, because they are what is looked
	// through.
	hashes [counters]uint64
	counts [counters]float64
	// taken is what was in a counter when its key took it over.
	taken [counters]float64
	keys  [counters]key
	used  int
	// halved is when the counts were last halved, and before how many seconds the
	// counts of then are worth.
	halved int64
	before float64
}

// NewSketch returns an empty sketch, at time now in nanoseconds.
func NewSketch(now int64) *Sketch { return &Sketch{halved: now} }

// Add counts weight requests for the key at time now.
func (s *Sketch) Add(text []byte, weight uint64, now int64) {
	s.decay(now)
	hash := maphash.Bytes(seed, text)
	i := slices.Index(s.hashes[:s.used], hash)
	switch {
	case i >= 0:
	case s.used < counters:
		i = s.used
		s.used++
		s.enter(i, hash, text, 0)
	default:
		i = 0
		for j, n := range s.counts[:] {
			if n < s.counts[i] {
				i = j
			}
		}
		s.enter(i, hash, text, s.counts[i])
	}
	s.counts[i] += float64(weight)
}

func (s *Sketch) enter(i int, hash uint64, text []byte, taken float64) {
	s.hashes[i], s.counts[i], s.taken[i] = hash, taken, taken
	s.keys[i].set(hash, text, len(text))
}

// decay halves what was counted, once for each half-life that is over.
func (s *Sketch) decay(now int64) {
	if now-s.halved < halfLife {
		return
	}
	if now-s.halved > 40*halfLife {
		*s = Sketch{halved: now}
		return
	}
	for ; now-s.halved >= halfLife; s.halved += halfLife {
		s.before = (s.before + time.Duration(halfLife).Seconds()) / 2
		for i := range s.used {
			s.counts[i] /= 2
			s.taken[i] /= 2
		}
	}
}

// A Key is one of the hottest.
type Key struct {
	// Key is the beginning of the key, and Len the length of the whole.
	Key string
	Len int
	// Rate is how often it was asked for in a second, at the most, and Error by how
	// much that may be too high.
	Rate, Error float64

	hash uint64
}

// Top is what the sketch knows at time now: the n hottest keys, the hottest first.
func (s *Sketch) Top(n int, now int64) []Key {
	s.decay(now)
	window := max(s.before+time.Duration(now-s.halved).Seconds(), 1)
	keys := make([]Key, 0, s.used)
	for i := range s.used {
		k := &s.keys[i]
		keys = append(keys, Key{
			Key: string(k.text[:k.n]), Len: k.len, hash: k.hash,
			Rate: s.counts[i] / window, Error: s.taken[i] / window,
		})
	}
	return hottest(keys, n)
}

func hottest(keys []Key, n int) []Key {
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(a.Key, b.Key))
	})
	return keys[:min(n, len(keys))]
}

// Merge makes one list of several loops': the n hottest keys of all.
func Merge(n int, lists ...[]Key) []Key {
	at := make(map[uint64]int)
	var all []Key
	for _, list := range lists {
		for _, k := range list {
			if i, ok := at[k.hash]; ok {
				all[i].Rate += k.Rate
				all[i].Error += k.Error
				continue
			}
			at[k.hash] = len(all)
			all = append(all, k)
		}
	}
	return hottest(all, n)
}
