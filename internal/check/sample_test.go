package check

import (
	"fmt"
	"math"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// sampled is a check of servers with those weights that has its keys.
func sampled(t *testing.T, d hashkit.Distribution, h hashkit.Hash, keys int, weights ...int) *checker {
	t.Helper()
	pool := &config.Pool{Distribution: d, Hash: h}
	for i, w := range weights {
		s, err := config.ParseServer(fmt.Sprintf("127.0.0.1:%d:%d s%d", 7000+i, w, i))
		if err != nil {
			t.Fatal(err)
		}
		pool.Servers = append(pool.Servers, s)
	}
	c := newChecker(Options{Pool: pool, Keys: keys})
	c.findKeys()
	return c
}

// TestKeysAreSpread: the keys belong to as many points of the ring as random ones
// do. Keys that differ in a number at the end belong to a few.
func TestKeysAreSpread(t *testing.T) {
	for _, h := range []hashkit.Hash{hashkit.FNV1a_64, hashkit.FNV1_32, hashkit.OneAtATime, hashkit.Murmur, hashkit.MD5} {
		c := sampled(t, hashkit.Ketama, h, DefaultKeys, 1, 1, 1)
		if c.coverage.Points != 480 || c.coverage.Covered < 160 {
			t.Errorf("hash %v: %d of %d points, want about 220", h, c.coverage.Covered, c.coverage.Points)
		}
		for i := range c.servers {
			if c.servers[i].Keys != DefaultKeys {
				t.Errorf("hash %v: %+v", h, c.servers[i])
			}
		}
	}
	if c := sampled(t, hashkit.Modula, hashkit.FNV1a_64, DefaultKeys, 3, 1); c.coverage != (Coverage{4, 4, c.coverage.Missed}) {
		t.Errorf("of 4 slots: %+v", c.coverage)
	}
}

// TestWeightIsSeen: a weight that differs by a twentieth shows in keys of the
// sample.
func TestWeightIsSeen(t *testing.T) {
	c := sampled(t, hashkit.Ketama, hashkit.FNV1a_64, 1000, 100, 100, 100)
	other := sampled(t, hashkit.Ketama, hashkit.FNV1a_64, 1, 100, 100, 105)
	moved := 0
	for _, s := range c.keys {
		if other.ring.Server([]byte(s.key), 0) != s.server {
			moved++
		}
	}
	if moved == 0 {
		t.Error("no key of 3,000 shows it")
	}
	if share := float64(moved) / float64(len(c.keys)); share < c.coverage.Missed/10 {
		t.Errorf("%.4f moved, and %.4f could have been missed", share, c.coverage.Missed)
	}
}

func TestMissed(t *testing.T) {
	for _, tt := range []struct {
		shares []float64
		keys   []int
		want   float64
	}{
		{[]float64{1}, []int{100}, 0.0295},
		{[]float64{0.5, 0.5}, []int{100, 100}, 0.0149},
		{[]float64{1. / 3, 1. / 3, 1. / 3}, []int{100, 100, 100}, 0.00994},
		{[]float64{1. / 3, 1. / 3, 1. / 3}, []int{1000, 1000, 1000}, 0.000998},
		// All of a large server's doubt, and nothing of a small one's.
		{[]float64{0.99, 0.01}, []int{100, 100}, 0.99 * 0.0295},
		{[]float64{1, 0}, []int{100, 0}, 0.0295},
		// Nothing is known of a server without keys in the sample.
		{[]float64{0.9, 0.1}, []int{100, 0}, 0.1 + 0.9*0.0295},
		// The doubt is that of the server with fewer keys.
		{[]float64{0.5, 0.5}, []int{10, 1000}, 0.5 * 0.2589},
	} {
		servers := make([]Server, len(tt.keys))
		for i, n := range tt.keys {
			servers[i].Keys = n
		}
		if got := missed(tt.shares, servers); math.Abs(got-tt.want) > 0.01*tt.want {
			t.Errorf("%v, %d keys: %.5f, want %.5f", tt.shares, tt.keys, got, tt.want)
		}
	}
}

// TestServersWithoutKeys: a server that owns no keys keeps nobody from checking the
// others. A tiny weight has no point on the ring, and of some hashes one server owns all.
func TestServersWithoutKeys(t *testing.T) {
	for name, c := range map[string]*checker{
		"a tiny weight": sampled(t, hashkit.Ketama, hashkit.FNV1a_64, DefaultKeys, 1, 100_000),
		"crc32":         sampled(t, hashkit.Ketama, hashkit.CRC32, DefaultKeys, 1, 1, 1),
	} {
		with := 0
		for _, s := range c.servers {
			if s.Keys == DefaultKeys {
				with++
			} else if s.Keys != 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if with != 1 || c.coverage.Missed > 0.031 {
			t.Errorf("%s: %d servers have keys, %+v", name, with, c.coverage)
		}
	}
}

// TestTagsAreSeen: keys show a hash tag that only one of the two has, and another one.
func TestTagsAreSeen(t *testing.T) {
	for _, file := range []string{"", "{}", "[]", "ab"} {
		for _, running := range []string{"", "{}", "<>", "$$"} {
			pool := &config.Pool{HashTag: file, Hash: hashkit.FNV1a_64}
			for i := range 3 {
				s, err := config.ParseServer(fmt.Sprintf("127.0.0.1:%d:1 s%d", 7000+i, i))
				if err != nil {
					t.Fatal(err)
				}
				pool.Servers = append(pool.Servers, s)
			}
			c := newChecker(Options{Pool: pool, Keys: DefaultKeys})
			c.findKeys()
			other := c.ring
			other.Tag = [2]byte{}
			copy(other.Tag[:], running)
			moved := 0
			for _, s := range c.keys {
				if other.Server([]byte(s.key), 0) != s.server {
					moved++
				}
				if len(s.key) > 250 {
					t.Fatalf("a key of %d bytes: %s", len(s.key), s.key)
				}
			}
			if same := file == running; same != (moved == 0) || !same && moved < 50 {
				t.Errorf("the file has %q, nutcracker %q: %d of %d keys are elsewhere", file, running, moved, len(c.keys))
			}
		}
	}
}
