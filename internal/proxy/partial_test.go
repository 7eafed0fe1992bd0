package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// loopStat is a statistic of the first loop.
func (r *rig) loopStat(f stats.LoopField) int64 {
	r.t.Helper()
	s := stats.NewShard(r.layout())
	r.on(0, func(ctx *proxy.Context) { ctx.CopyStats(s) })
	return s.Values[f]
}

// halves has n clients of a pool of Memcached send a request in two halves, all
// first halves before any second one.
func halves(r *rig, n int, request, reply string) {
	r.t.Helper()
	users := make([]*user, n)
	for i := range users {
		users[i] = r.dial()
		users[i].send("mn\r\n" + request[:len(request)/2])
		users[i].expect("MN\r\n") // behind which the half has been parsed too
	}
	for _, u := range users {
		u.send(request[len(request)/2:])
		u.expect(reply)
		u.Close()
	}
	r.awaitIdle()
}

// Parsers of half sent requests are kept for others, but not all that there ever
// were at one time, and none that has grown large.
func TestKeptParsers(t *testing.T) {
	const most = 128
	r := startRig(t, fmt.Sprintf("nuthatch:\n  threads: 1\np:\n  listen: %%s\n  servers:\n  - %s:1\n", testkit.StartMemcached(t).Addr()))
	small, large := "get a b\r\n", "get"+strings.Repeat(" k", 1000)+"\r\n"
	kept := func() int64 { return r.loopStat(stats.FreeParsers) }
	for _, n := range []int{3, most + 20, 10} {
		halves(r, n, small, "END\r\n")
		if got, want := kept(), min(int64(n), most); got < want || got > most {
			t.Errorf("after %d clients %d parsers are kept, want %d to %d", n, got, want, most)
		}
	}
	r.on(0, (*proxy.Context).Trim)
	if got := kept(); got != 0 {
		t.Errorf("after Trim %d parsers are kept", got)
	}
	halves(r, 5, large, "END\r\n")
	if got := kept(); got > 1 {
		t.Errorf("after large requests %d parsers are kept", got)
	}
	halves(r, 5, small, "END\r\n")
	if got := kept(); got < 3 {
		t.Errorf("after small requests %d parsers are kept", got)
	}
}
