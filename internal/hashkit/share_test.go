package hashkit

import (
	"fmt"
	"math"
	"testing"
)

// TestSharesAreOverlapWithItself: what a server owns in both of two equal continua
// is what it owns.
func TestSharesAreOverlapWithItself(t *testing.T) {
	for _, d := range []Distribution{Ketama, Modula, Random} {
		for _, h := range []Hash{FNV1a_64, CRC16} {
			for _, weights := range [][]int{{1, 1, 1}, {1, 2, 7}, {5}, {3, 0}} {
				t.Run(fmt.Sprint(d, h, weights), func(t *testing.T) { compareShares(t, d, h, weights) })
			}
		}
	}
}

func compareShares(t *testing.T, d Distribution, h Hash, weights []int) {
	var nodes []Node
	for i, w := range weights {
		nodes = append(nodes, Node{Name: fmt.Sprintf("server%d", i), Weight: w})
	}
	c := NewContinuum(d, nodes)
	got, overlap := c.Shares(h), Overlap(c, c, h)
	sum := 0.0
	for i := range nodes {
		want := float64(overlap[i][i]) / float64(uint64(1)<<h.Bits())
		if len(nodes) == 1 {
			want = 1
		}
		// A random server is drawn with 32 bits, whatever the hash.
		if math.Abs(got[i]-want) > 1e-4 || d != Random && got[i] != want {
			t.Errorf("server %d owns %v, want %v", i, got[i], want)
		}
		sum += got[i]
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the shares sum up to %v", sum)
	}
}

func TestSharesOfDownServers(t *testing.T) {
	c := NewContinuum(Ketama, []Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 1, Down: true}})
	if got := c.Shares(FNV1a_64); got[0] != 1 || got[1] != 0 {
		t.Errorf("shares %v, want all for the live server", got)
	}
	c = NewContinuum(Ketama, []Node{{Name: "a", Weight: 1, Down: true}})
	if got := c.Shares(FNV1a_64); got[0] != 0 {
		t.Errorf("shares %v of no live server", got)
	}
}
