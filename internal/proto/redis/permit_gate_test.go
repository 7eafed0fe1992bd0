package redis

import (
	"fmt"
	"math"
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/mbuf"
)

// TestAdmits: what is admitted by a look at how keys begin is what a trial allows, wherever the
// request's bytes lie, and whatever stands in memory behind them.
func TestAdmits(t *testing.T) {
	requests := [][]string{
		{"GET", "key:1"},
		{"GET", "kex:1"},
		{"GET", "k"},
		{"GET", ""},
		{"SET", "key:1", "key:2"},
		{"EXISTS", "key:1", "kex:1"},
		{"MGET", "key:1", "key:22", "key:333"},
		{"MGET", "key:1", "kex:1", "key:3"},
		{"MGET", "key:1", "", "key:3"},
		{"MGET", "key:1", "other:long:prefix:1", "key:2"},
		{"MGET", "other:long:prefix:1", "other:long:prefix:2", "other:long:prefiy:3"},
		{"MSET", "key:1", "kex:1", "key:2", "v"},
		{"MSET", "key:1", "v", "kex:1", "v"},
		{"DEL", "read:1", "key:1"},
		{"MGET", "read:1", "key:1"},
		{"ZUNION", "2", "key:1", "key:2"},
		{"ZUNIONSTORE", "read:1", "1", "key:2"},
		{"COPY", "key:1", "key:2", "DB", "1"},
		{"EVAL", "x", "2", "key:1", "kex:1"},
		{"XREAD", "STREAMS", "key:1", "kex:2", "0", "0"},
		{"MGET", "x[y", "x1y", "key:1"},
		{"MSETEX", "1", "key:1", "v", "EX", "1"},
	}
	rules := []string{
		"+@all ~key:*", "+@all ~*", "+@read ~key:* %R~read:*", "+@all ~read:* ~other:long:prefix:* ~key:*", "+@all ~key:1 ~key:2", "+@all ~x?y ~key:*", "+@all %W~* %R~key:*",
	}
	admitted := 0
	for _, rule := range rules {
		u := userOf(t, rule)
		for _, words := range requests {
			p := New(Options{Servers: 2})
			data := resp(words...)
			inFull := func(cut int) acl.Verdict {
				var trial acl.Trial
				req := finished(t, p, data)
				if cut == 0 && p.admits(req, u) {
					admitted++
				}
				p.JudgeSome(&trial, req, u, 0, math.MaxInt)
				return trial.Verdict()
			}
			for cut := range len(data) {
				want := inFull(cut).IsAllowed()
				if got := p.admits(finished(t, p, data), u); got && !want {
					t.Fatalf("%s: %q is admitted", rule, words)
				}
				if cut == 0 {
					continue
				}
				for _, stale := range []string{"key:1", "y:1", ":", "other:long:prefix:", "r:long:prefix:1"} {
					if admitsCut(t, p, data, cut, stale, u) && !want {
						t.Fatalf("%s: %q cut at %d, before %q, is admitted", rule, words, cut, stale)
					}
				}
			}
		}
	}
	if admitted < 30 {
		t.Errorf("only %d of the requests are admitted", admitted)
	}
}

// admitsCut tells whether a request is admitted that lies in two chunks. stale stands behind the first
// of them.
func admitsCut(t *testing.T, p *Protocol, data []byte, cut int, stale string, u *acl.User) bool {
	var pool mbuf.Pool
	var before, chain, rest mbuf.Chain
	before.Append(&pool, fmt.Append(nil, string(data[:cut]), stale))
	before.Release(&pool)
	chain.Append(&pool, data[:cut]) // into the same chunk
	rest.Append(&pool, data[cut:])
	chain.AppendShared(&pool, &rest)
	rest.Release(&pool)
	defer chain.Release(&pool)
	parser := p.NewRequestParser()
	if _, done, err := parser.Parse(data); !done || err != nil {
		t.Fatal(err)
	}
	return p.admits(parser.FinishChain(&chain), u)
}
