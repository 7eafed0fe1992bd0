package memcache_test

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/proto/memcache"
)

// Values that are merged in slices come out as if they were merged at once, with
// another request merged at once between any two slices; what is given up leaves
// nothing behind.
func TestMergeSome(t *testing.T) {
	large := strings.Repeat("x", 10_000)
	parts := []part{
		{reply: value("a", "1") + value("c", large) + value("d", "") + "END\r\n"},
		{reply: value("b", "2") + value("e", strings.Repeat("y", 100)) + "END\r\n"},
		{reply: "END\r\n"},
	}
	seq := []uint16{0, 1, 2, 0, 0, 1, 2}
	var pool mbuf.Pool
	p := memcache.New(memcache.Options{})
	var once mbuf.Chain
	p.Merge(parentOf(&pool, seq, parts...), &pool, &once)
	for _, giveUp := range []bool{true, false} {
		var some mbuf.Chain
		m := parentOf(&pool, seq, parts...)
		slices := 0
		for done := false; !done && (!giveUp || slices < 4); slices++ {
			var failed bool
			if done, failed = p.MergeSome(m, 1, &pool, &some); failed {
				t.Fatal("it failed")
			}
			var other mbuf.Chain
			p.Merge(parentOf(&pool, []uint16{1, 0}, part{reply: value("f", "1") + "END\r\n"}, part{reply: value("g", "2") + "END\r\n"}), &pool, &other)
			if got, want := flatten(&pool, &other), value("g", "2")+value("f", "1")+"END\r\n"; got != want {
				t.Fatalf("a request merged between two slices gets %q", got)
			}
		}
		if giveUp {
			p.MergeStop(&pool)
			some.Release(&pool)
			for _, f := range m.Frags {
				f.Reply.Release(&pool)
			}
			continue
		}
		if slices != len(seq)+1 {
			t.Errorf("%d keys are merged in %d slices of one", len(seq), slices)
		}
		if got, want := flatten(&pool, &some), flatten(&pool, &once); got != want {
			t.Errorf("%d bytes in slices, %d at once", len(got), len(want))
		}
	}
	if pool.Live() != 0 {
		t.Errorf("%d chunks are still in use", pool.Live())
	}
}
