package memcache_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/proto/memcache"
)

// manyKeys are the numbers of keys that splitting and merging are measured at:
// the cost of a key must not depend on them.
var manyKeys = []int{100, 1000, 10_000, 100_000}

// perKey reports what a benchmark's turn costs for each of n keys.
func perKey(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
}

// BenchmarkSplit parses a get of many keys and writes it out again as three,
// the keys dealt in turn.
func BenchmarkSplit(b *testing.B) {
	const servers = 3
	for _, n := range manyKeys {
		b.Run(fmt.Sprint("get", n), func(b *testing.B) {
			var pool mbuf.Pool
			var outs [servers]mbuf.Chain
			p := memcache.New(memcache.Options{})
			parser := p.NewRequestParser()
			dealt := make([]uint16, n)
			for i := range dealt {
				dealt[i] = uint16(i % servers)
			}
			var chains []*mbuf.Chain
			for s := range outs {
				chains = append(chains, &outs[s])
			}
			data := []byte("get" + strings.Repeat(" memtier-1234567", n) + "\r\n")
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r := parseOnce(b, parser, data)
				for s := range outs {
					p.FragmentHead(r, (n+servers-1-s)/servers, &pool, &outs[s])
				}
				p.FragmentKeys(r, 0, dealt, &pool, chains)
				for s := range outs {
					p.FragmentTail(r, &pool, &outs[s])
					outs[s].Release(&pool)
				}
			}
			perKey(b, n)
		})
	}
}

// BenchmarkMerge makes one reply of three.
func BenchmarkMerge(b *testing.B) {
	for _, n := range manyKeys {
		b.Run(fmt.Sprint("get", n), func(b *testing.B) {
			m := newMerger(n, 3)
			b.SetBytes(int64(m.merge()))
			b.ReportAllocs()
			for b.Loop() {
				m.merge()
			}
			perKey(b, n)
		})
	}
}
