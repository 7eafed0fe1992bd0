// Package hotkeys finds the most requested keys, and the largest requests and
// replies, in bounded memory.
//
// The hottest keys are found by the Space-Saving algorithm (Metwally, Agrawal and El
// Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams",
// 2005): as many counters as there is room for, and a key without a counter takes
// over the smallest one, with its count. A count is then too high by at most what
// was taken over, and every key that has more than its share of the counters is
// there. Counts halve every ten seconds, so that they tell of now.
//
// A sampled request stands for w of them, so a count is off by chance, with a variance
// of w(w-1) for each sample. Error has both. A key whose true count may be half of its
// count, or less, is not hot: if all keys are requested alike there is none.
//
// A Sketch belongs to one event loop, which adds a sample of its requests. The
// sketches of several loops are merged as their copies are.
package hotkeys

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"time"
)

const (
	// MaxKey is how many bytes of a key are kept.
	MaxKey = 128
	// counters is how many keys a sketch counts.
	counters = 256
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
	// hashes are the keys' hashes, in a slice of their own, because it is searched.
	hashes [counters]uint64
	counts [counters]float64
	// taken is the count of a counter when its key took it over. spread is the variance
	// of what was added since then.
	taken, spread [counters]float64
	keys          [counters]key
	used          int
	// halved is when the counts were last halved. before is how many seconds the counts
	// of that time stand for.
	halved int64
	before float64
}

// NewSketch returns an empty sketch, at time now in nanoseconds.
func NewSketch(now int64) *Sketch { return &Sketch{halved: now} }

// Add counts a sampled request for the key at time now. It stands for weight of
// them.
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
	w := float64(weight)
	s.counts[i] += w
	s.spread[i] += w * (w - 1)
}

func (s *Sketch) enter(i int, hash uint64, text []byte, taken float64) {
	s.hashes[i], s.counts[i], s.taken[i], s.spread[i] = hash, taken, taken, 0
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
			s.spread[i] /= 4
		}
	}
}

// A Key is one of the hottest.
type Key struct {
	// Key is the beginning of the key, and Len the length of the whole.
	Key string
	Len int
	// Rate is about how often it was asked for in a second, and Error by how much
	// that may be off, in nineteen cases of twenty.
	Rate, Error float64

	// taken is the part of Error that is for certain not exceeded, spread the
	// variance of Rate.
	taken, spread float64
	hash          uint64
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
			Rate: s.counts[i] / window, taken: s.taken[i] / window, spread: s.spread[i] / (window * window),
		})
		keys[i].judge()
	}
	return hottest(keys, n)
}

// judge sets Error.
func (k *Key) judge() { k.Error = k.taken + 2*math.Sqrt(k.spread) }

func hottest(keys []Key, n int) []Key {
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(a.Key, b.Key))
	})
	return keys[:min(n, len(keys))]
}

// Merge makes one list of several loops': the n hottest keys of all. Those that may
// not be hot are left out.
func Merge(n int, lists ...[]Key) []Key {
	at := make(map[uint64]int)
	var all []Key
	for _, list := range lists {
		for _, k := range list {
			if i, ok := at[k.hash]; ok {
				all[i].Rate += k.Rate
				all[i].taken += k.taken
				all[i].spread += k.spread
				continue
			}
			at[k.hash] = len(all)
			all = append(all, k)
		}
	}
	for i := range all {
		all[i].judge()
	}
	all = slices.DeleteFunc(all, func(k Key) bool { return k.Error > k.Rate/2 })
	return hottest(all, n)
}
