package daemon

import (
	"slices"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// TestLoopsInOrder: a snapshot has the loops in the order of their IDs, also if the first one
// answers last.
func TestLoopsInOrder(t *testing.T) {
	server := testkit.StartRedis(t)
	s := startStage(t, pool("alpha", testkit.FreeAddr(t), []string{testkit.Entry(server.Addr(), 1, "s1")}), server)
	first, last := s.loops.contexts[0], s.loops.contexts[1]
	turn := func(ctx *proxy.Context) {
		if err := s.loops.await(ctx, begin(ctx, func(*proxy.Context) {})); err != nil {
			t.Fatal(err)
		}
	}
	for range 500 { // so that the last one has more turns
		turn(last)
	}
	var before stats.LoopSnapshot
	for range 20 {
		held := make(chan struct{})
		first.Loop().Post(func() { <-held })
		taken := make(chan *stats.Snapshot)
		go func() { taken <- s.Snapshot() }()
		for range 20 {
			turn(last)
		}
		close(held)
		snap := <-taken
		if snap == nil || len(snap.Loops) != 2 {
			t.Fatalf("the snapshot is %+v", snap)
		}
		turns := []int64{before[stats.Turns], snap.Loops[0][stats.Turns], snap.Loops[1][stats.Turns]}
		if !slices.IsSorted(turns) {
			t.Fatalf("the first loop had %d turns, and has %d; the last one has %d", turns[0], turns[1], turns[2])
		}
		before = snap.Loops[0]
	}
}
