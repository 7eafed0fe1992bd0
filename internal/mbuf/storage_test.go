package mbuf

import (
	"math/rand/v2"
	"testing"

	"nuthatch/internal/pages"
)

// resident is how much of the regions is in memory, in bytes.
func resident(t *testing.T, regions map[*pages.Region]bool) (sum int) {
	t.Helper()
	for r := range regions {
		n, err := r.Resident()
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// TestStorageGoesBack takes and gives back chunks of all sizes, in any order. What
// is resident is never more than what the pool says that it holds and may keep, and
// nothing when all is unused and may not be kept.
func TestStorageGoesBack(t *testing.T) {
	for _, keep := range []int{0, 256 << 10, 4 << 20} {
		rnd := rand.New(rand.NewPCG(1, uint64(keep)))
		var p Pool
		p.Keep(keep)
		regions := map[*pages.Region]bool{}
		var used []*Chunk
		for round := range 20 {
			k := class(rnd.IntN(int(view)))
			for range rnd.IntN(4 << 20 / classSize[k]) {
				c := p.take(k)
				regions[c.region] = true
				c.buf[0], c.buf[len(c.buf)-1] = 1, 1
				used = append(used, c)
			}
			rnd.Shuffle(len(used), func(i, j int) { used[i], used[j] = used[j], used[i] })
			for range rnd.IntN(len(used) + 1) {
				c := used[len(used)-1]
				used = used[:len(used)-1]
				p.put(c)
			}
			if got, most := resident(t, regions), p.Held()+p.Bound(); got > most {
				t.Fatalf("keep %d, round %d: %d bytes are resident, at most %d should be", keep, round, got, most)
			}
		}
		p.Trim()
		if got, most := resident(t, regions), p.Held()+p.Bound(); got > most {
			t.Errorf("keep %d: %d bytes are resident after a trim, at most %d should be", keep, got, most)
		}
		for _, c := range used {
			if c.buf[0] != 1 || c.buf[len(c.buf)-1] != 1 {
				t.Fatal("the system has taken what was in use")
			}
			p.put(c)
		}
		p.Trim()
		if got := resident(t, regions); got > 0 {
			t.Errorf("keep %d: %d bytes are resident when nothing is in use or kept", keep, got)
		}
		if p.Free() > 0 {
			t.Errorf("keep %d: %d bytes are kept after a trim", keep, p.Free())
		}
	}
}

// TestStorageIsUsedAgain: what was given up is the first to be taken.
func TestStorageIsUsedAgain(t *testing.T) {
	var p Pool
	p.Keep(0)
	for range 100 {
		var c Chain
		c.Append(&p, pattern(3*LargeSize))
		c.Release(&p)
	}
	if p.slab.carved > 3*LargeSize {
		t.Errorf("%d bytes are mapped for %d", p.slab.carved, 3*LargeSize)
	}
}

// TestStorageIsUsedOnce: whatever a bound that changes has done to unused chunks,
// each is handed out once.
func TestStorageIsUsedOnce(t *testing.T) {
	for k := range view {
		rnd := rand.New(rand.NewPCG(2, uint64(k)))
		var p Pool
		used := map[*Chunk]bool{}
		for round := range 50 {
			for range rnd.IntN(40) {
				c := p.take(k)
				if used[c] {
					t.Fatalf("size %d, round %d: a chunk that is in use is handed out", classSize[k], round)
				}
				used[c] = true
			}
			for c := range used {
				if rnd.IntN(3) > 0 {
					delete(used, c)
					p.put(c)
				}
			}
			if round%2 == 0 {
				p.Trim()
			} else {
				p.Keep(rnd.IntN(20) * classSize[k])
			}
			if round%10 > 0 {
				continue
			}
			for c := range used {
				delete(used, c)
				p.put(c)
			}
			p.Trim()
			if p.Free() > 0 {
				t.Fatalf("size %d, round %d: %d bytes are kept after a trim", classSize[k], round, p.Free())
			}
		}
	}
}
