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
	if err := c.findKeys(); err != nil {
		t.Fatal(err)
	}
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
		keys   int
		want   float64
	}{
		{[]float64{1}, 100, 0.0295},
		{[]float64{0.5, 0.5}, 100, 0.0149},
		{[]float64{1. / 3, 1. / 3, 1. / 3}, 100, 0.00994},
		{[]float64{1. / 3, 1. / 3, 1. / 3}, 1000, 0.000998},
		// All of a large server's doubt, and nothing of a small one's.
		{[]float64{0.99, 0.01}, 100, 0.99 * 0.0295},
		{[]float64{1, 0}, 100, 0.0295},
	} {
		if got := missed(tt.shares, tt.keys); math.Abs(got-tt.want) > 0.01*tt.want {
			t.Errorf("%v, %d keys: %.5f, want %.5f", tt.shares, tt.keys, got, tt.want)
		}
	}
}
