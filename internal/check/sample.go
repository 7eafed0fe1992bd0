package check

import (
	"crypto/rand"
	"fmt"
	"math"

	"nuthatch/internal/hashkit"
)

const (
	// prefix begins every key that is made up.
	prefix = "nuthatch-check:"
	// doubt is the chance that more keys are misplaced than Missed says.
	doubt = 0.05
)

// A sample is a key and the number of the server that owns it.
type sample struct {
	key    string
	server int
}

// findKeys makes random keys, so many for each server. Keys that differ only in a
// number at the end would be neighbours on the ring with some hashes. If the pool
// has a hash tag, every other key has it.
func (c *checker) findKeys() error {
	each, servers := c.Keys, len(c.servers)
	// made is how many keys were made for each server, those that were not needed
	// included.
	made := make([]int, servers)
	points := make(map[uint32]bool)
	tries := 0
	for len(c.keys) < servers*each {
		if tries > maxTries+each*servers*1000 {
			return ErrUnowned
		}
		tries++
		key := prefix + rand.Text()
		if tag := c.Pool.HashTag; tag != "" && tries%2 == 1 {
			key = fmt.Sprintf("%s%c%s%c:%s", prefix, tag[0], rand.Text(), tag[1], rand.Text())
		}
		owner := c.owners[c.ring.Server([]byte(key), 0)]
		made[owner]++
		if c.servers[owner].Keys == each {
			continue
		}
		c.servers[owner].Keys++
		c.keys = append(c.keys, sample{key, owner})
		points[c.point(key)] = true
	}
	c.coverage = Coverage{Points: c.ring.Continuum.Points(), Covered: len(points)}
	shares := make([]float64, servers)
	for i, n := range made {
		shares[i] = float64(n) / float64(tries)
	}
	c.coverage.Missed = missed(shares, each)
	return nil
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

// missed is the largest share of all keys that can be misplaced while a sample of n
// keys of each server shows none of them, with a probability of doubt. Shares are
// those of the servers.
//
// If of a server's keys the part p is misplaced, its sample shows nothing with
// probability (1-p)^n, and all of them together with the product. Among the ways to
// misplace a share of all keys the product is largest where 1-p is c/share for the
// servers whose share is above some c, and no key of the others is misplaced.
func missed(shares []float64, n int) float64 {
	want := math.Log(doubt) / float64(n)
	low, high := 0.0, 1.0
	for range 60 {
		c := (low + high) / 2
		sum := 0.0
		for _, share := range shares {
			if share > c {
				sum += math.Log(c / share)
			}
		}
		if sum < want {
			low = c
		} else {
			high = c
		}
	}
	all := 0.0
	for _, share := range shares {
		all += max(share-high, 0)
	}
	return all
}
