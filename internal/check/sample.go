package check

import (
	"crypto/rand"
	"math"

	"nuthatch/internal/hashkit"
)

const (
	// prefix is the beginning of every key that is made.
	prefix = "nuthatch-check:"
	// doubt is the chance that more keys are misplaced than Missed says.
	doubt = 0.05
	// tagText is how many random letters are between two characters of a hash tag. A
	// key of Memcached's has at most 250 bytes.
	tagText = 12
)

// A sample is a key and the number of the server that owns it.
type sample struct {
	key    string
	server int
}

// pairs are hash tags that a file may have, or lack.
var pairs = []string{"{}", "[]", "()", "<>", "$$", "||", "##", "::"}

// tagged is a random key with parts that the pool's hash tag, and tags that nutcracker
// may have in its place, take for the key. So a tag that only one of the two has, or
// another one, shows.
func (c *checker) tagged() string {
	key := []byte(prefix)
	for _, tag := range append([]string{c.Pool.HashTag}, pairs...) {
		if tag != "" {
			key = append(key, tag[0])
			key = append(key, rand.Text()[:tagText]...)
			key = append(key, tag[1])
		}
	}
	return string(append(key, rand.Text()[:tagText]...))
}

// findKeys makes random keys, so many for each server that owns any. Keys that differ
// only in a number at the end would be neighbours on the ring with some hashes. Every
// other key has hash tags.
func (c *checker) findKeys() {
	each, servers := c.Keys, len(c.servers)
	shares := make([]float64, servers)
	for i, share := range c.ring.Continuum.Shares(c.ring.Hash) {
		shares[c.owners[i]] += share
	}
	missing := 0
	for _, share := range shares {
		if share > 0 {
			missing += each
		}
	}
	points := make(map[uint32]bool)
	for tries := 0; missing > 0 && tries < maxTries+each*servers*1000; tries++ {
		key := prefix + rand.Text()
		if tries%2 == 1 {
			key = c.tagged()
		}
		owner := c.owners[c.ring.Server([]byte(key), 0)]
		if c.servers[owner].Keys == each {
			continue
		}
		missing--
		c.servers[owner].Keys++
		c.keys = append(c.keys, sample{key, owner})
		points[c.point(key)] = true
	}
	c.coverage = Coverage{Points: c.ring.Continuum.Points(), Covered: len(points), Missed: missed(shares, c.servers)}
}

// point is the point of the ring, or the slot, that decides about a key.
func (c *checker) point(key string) uint32 {
	hash := c.ring.KeyHash([]byte(key))
	if c.Pool.Distribution == hashkit.Modula {
		return hash % uint32(c.ring.Continuum.Points())
	}
	p, _ := c.ring.Continuum.Lookup(hash)
	return p.Value
}

// Coverage is how much a sample says.
type Coverage struct {
	// Points is how many points the ring has, or slots for modula, and Covered how
	// many of them keys of the sample belong to.
	Points  int `json:"ring_points"`
	Covered int `json:"ring_points_covered"`
	// Missed is the largest share of all keys that can be elsewhere although every
	// key of the sample is in place: a larger one would be seen 19 times out of 20.
	Missed float64 `json:"could_have_missed"`
}

// missed is the largest share of all keys that can be misplaced while a sample of the
// servers' keys shows none of them, with a probability of doubt. Shares are those of the
// servers.
//
// If the part p of a server's keys is misplaced, its sample of n keys shows nothing with
// probability (1-p)^n, and all of them together with the product. Among the ways to
// misplace a share of all keys the product is largest where 1-p is c*n/share for the
// servers where that is below 1, for some c, and no key of the others is misplaced.
func missed(shares []float64, servers []Server) float64 {
	want := math.Log(doubt)
	low, high := 0.0, 1.0
	for range 60 {
		c := (low + high) / 2
		sum := 0.0
		for i, share := range shares {
			if n := float64(servers[i].Keys); n > 0 && share > c*n {
				sum += n * math.Log(c*n/share)
			}
		}
		if sum < want {
			low = c
		} else {
			high = c
		}
	}
	all := 0.0
	for i, share := range shares {
		all += max(share-high*float64(servers[i].Keys), 0)
	}
	return all
}
