package hotkeys

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const second = int64(time.Second)

// zipf asks for keys as users do: few of them most of the time.
func zipf(seed uint64, n int, ask func(i uint64)) {
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), 1.2, 1, 1<<20)
	for range n {
		ask(z.Uint64())
	}
}

// The hottest keys of a long tail are found, in their order, with their rates.
func TestHottest(t *testing.T) {
	s := NewSketch(0)
	exact := map[uint64]float64{}
	const n = 200_000 // in five seconds
	i := int64(0)
	zipf(1, n, func(k uint64) {
		exact[k]++
		s.Add(fmt.Appendf(nil, "key:%d", k), 1, i*5*second/n)
		i++
	})
	top := s.Top(10, 5*second)
	if len(top) != 10 {
		t.Fatalf("%d keys, want 10", len(top))
	}
	for i, k := range top {
		want := exact[uint64(i)] / 5
		if k.Key != fmt.Sprintf("key:%d", i) || k.Rate < want-0.001 || k.Rate-k.Error > want+0.001 {
			t.Errorf("place %d: %s at %.0f/s, too high by at most %.0f; want key:%d at %.0f/s", i, k.Key, k.Rate, k.Error, i, want)
		}
	}
}

// The rate of a key that is asked for steadily is right at all times, and goes
// down when nobody asks any more.
func TestRateIsOfNow(t *testing.T) {
	s := NewSketch(0)
	for ms := int64(0); ms < 60_000; ms += 10 {
		now := ms * int64(time.Millisecond)
		s.Add([]byte("steady"), 5, now) // 5 requests each 10 ms: 500/s
		if ms > 2000 && ms%1700 == 0 {
			if r := s.Top(1, now)[0].Rate; math.Abs(r-500) > 10 {
				t.Fatalf("after %d ms: %.1f/s, want 500", ms, r)
			}
		}
	}
	if r := s.Top(1, 120*second)[0].Rate; r > 20 {
		t.Errorf("a minute after the last request: %.1f/s", r)
	}
	if top := s.Top(1, 1000*second); len(top) != 0 {
		t.Errorf("long after: %+v", top)
	}
}

func TestMerge(t *testing.T) {
	a, b := NewSketch(0), NewSketch(0)
	for range 100 {
		a.Add([]byte("both"), 1, 0)
		b.Add([]byte("both"), 2, 0)
		b.Add([]byte("one"), 2, 0)
	}
	top := Merge(2, a.Top(9, second), b.Top(9, second), nil)
	if len(top) != 2 || top[0].Key != "both" || top[0].Rate != 300 || top[1].Key != "one" || top[1].Rate != 200 {
		t.Errorf("%+v", top)
	}
}

// Where all keys are asked for alike none is hot, however few samples were taken; one
// that stands out is.
func TestNoneIsHot(t *testing.T) {
	s := NewSketch(0)
	rnd := rand.New(rand.NewPCG(2, 1))
	add := func(samples int, weight uint64) {
		for range samples {
			s.Add(fmt.Appendf(nil, "key:%d", rnd.IntN(1000)), weight, 0)
		}
	}
	for _, samples := range []int{100, 20_000} {
		if add(samples, 350); len(Merge(20, s.Top(counters, second))) != 0 {
			t.Errorf("after %d samples of keys that are asked for alike: %+v", samples, Merge(20, s.Top(counters, second)))
		}
	}
	for range 1000 {
		add(20, 350)
		s.Add([]byte("hot"), 350, 0)
	}
	if top := Merge(20, s.Top(counters, second)); len(top) != 1 || top[0].Key != "hot" || math.Abs(top[0].Rate-350_000) > top[0].Error {
		t.Errorf("with one that stands out: %+v", top)
	}
}

// Few requests, of which none was left out, are told as they are.
func TestFewRequests(t *testing.T) {
	s := NewSketch(0)
	s.Add([]byte("once"), 1, 0)
	if top := Merge(20, s.Top(counters, second)); len(top) != 1 || top[0].Rate != 1 || top[0].Error != 0 {
		t.Errorf("%+v", top)
	}
}

// Long keys are told apart by what is not shown of them.
func TestLongKeys(t *testing.T) {
	s := NewSketch(0)
	long := strings.Repeat("x", 1000)
	s.Add([]byte(long+"a"), 2, 0)
	s.Add([]byte(long+"b"), 1, 0)
	top := s.Top(9, second)
	if len(top) != 2 || top[0].Key != long[:MaxKey] || top[0].Len != 1001 {
		t.Errorf("%d keys, the first with %d of %d bytes", len(top), len(top[0].Key), top[0].Len)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	s, l := NewSketch(0), &Largest{}
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%d", i)
	}
	if n := testing.AllocsPerRun(10, func() {
		for i, k := range keys {
			s.Add(k, 1, second)
			l.Add(2000+i, 1, k, len(k), second)
		}
	}); n != 0 {
		t.Errorf("adding allocates %v times", n)
	}
}

func TestLargest(t *testing.T) {
	var l Largest
	for i := range 100 {
		l.Add(1000*(i%50), 7, fmt.Appendf(nil, "key:%d", i%50), 6, second)
	}
	l.Add(90_000, 8, []byte("key:49"), 6, second)
	l.Add(80_000, 9, []byte("key:49"), 6, second)
	top := l.Top(second)
	if len(top) != largestKept || top[0] != (Large{Key: "key:49", Len: 6, Size: 90_000, At: second, Type: 8}) || top[15].Size != 34_000 {
		t.Errorf("%d kept: %+v", len(top), top)
	}
	if l.Least() != 34_000 || (&Largest{}).Least() != leastLarge {
		t.Errorf("one must exceed %d, and %d in a new list", l.Least(), (&Largest{}).Least())
	}
	l.Add(40_000, 7, []byte("late"), 4, 3000*second)
	if top := l.Top(3700 * second); len(top) != 1 || top[0].Key != "late" || l.Least() != leastLarge {
		t.Errorf("after an hour: %+v", top)
	}
}

func TestMergeLargest(t *testing.T) {
	a := []Large{{Key: "a", Len: 1, Size: 9}, {Key: "b", Len: 1, Size: 5}}
	b := []Large{{Key: "a", Len: 1, Size: 12}, {Key: "c", Len: 1, Size: 7}}
	if got := MergeLargest(2, a, b, nil); len(got) != 2 || got[0].Size != 12 || got[1].Key != "c" {
		t.Errorf("%+v", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	s := NewSketch(0)
	var keys [][]byte
	zipf(3, 4096, func(k uint64) { keys = append(keys, fmt.Appendf(nil, "some:key:%d", k)) })
	for i := 0; b.Loop(); i++ {
		s.Add(keys[i&4095], 1, int64(i)*1000)
	}
}
