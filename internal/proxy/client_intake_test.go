package proxy

import (
	"testing"

	"nuthatch/internal/mbuf"
)

// TestIntakeKeepsOrder: what is to be parsed again comes before all that came after it,
// and the stash counts from when its first bytes came.
func TestIntakeKeepsOrder(t *testing.T) {
	bufs := new(mbuf.Pool)
	var in intake
	if in.putBack(bufs, 1) {
		t.Error("nothing is put back")
	}
	var taken mbuf.Chain
	taken.AppendString(bufs, "first ")
	in.takeAgain(bufs, &taken)
	if taken.Len() != 0 {
		t.Errorf("%d bytes are left where the request was", taken.Len())
	}
	in.keep(bufs, []byte("second "), 5)
	in.keep(bufs, []byte("third"), 6)
	if !in.putBack(bufs, 7) {
		t.Error("the request is not put back")
	}
	if got, want := string(in.stash.AppendTo(nil)), "first second third"; got != want || in.stashedAt != 5 {
		t.Errorf("the stash is %q of %d, want %q of 5", got, in.stashedAt, want)
	}
	if n := in.received(); n != 18 || !in.hasMore() {
		t.Errorf("%d bytes have come (empty: %t), want 18", n, !in.hasMore())
	}
	if at := in.cameAt(9); at != 5 {
		t.Errorf("the next request came at %d, want 5", at)
	}
	in.dropStash(bufs)
	if at := in.cameAt(9); at != 9 || in.hasMore() {
		t.Errorf("with an empty stash the next request came at %d (empty: %t), want 9", at, !in.hasMore())
	}
	taken.AppendString(bufs, "alone")
	in.takeAgain(bufs, &taken)
	if in.putBack(bufs, 11); in.stashedAt != 11 {
		t.Errorf("a request that is put back into an empty stash counts from %d, want 11", in.stashedAt)
	}
	in.dropStash(bufs)
	if n := bufs.Live(); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
}

func TestIntakeSkips(t *testing.T) {
	in := intake{skip: 5}
	if !in.hasMore() {
		t.Error("a request is not at its end")
	}
	for _, step := range []struct{ data, want string }{{"abc", ""}, {"defgh", "fgh"}, {"ij", "ij"}} {
		if got := step.data[in.skipped([]byte(step.data)):]; got != step.want {
			t.Errorf("of %q %q is left, want %q", step.data, got, step.want)
		}
	}
	if in.hasMore() {
		t.Error("something is left to be skipped")
	}
}

// TestIntakeWaits: each reason to wait is its owner's; that all replies have come ends
// only the one.
func TestIntakeWaits(t *testing.T) {
	in := intake{waits: waitsForReplies | waitsForPool}
	if in.mayGoOn(false) || in.waits != waitsForReplies|waitsForPool {
		t.Errorf("waits for %b with replies to come", in.waits)
	}
	if in.mayGoOn(true) || in.waits != waitsForPool {
		t.Errorf("waits for %b when all replies have come, want the pool", in.waits)
	}
	in.waits = 0
	if !in.mayGoOn(false) {
		t.Error("waits for nothing")
	}
}

// TestIntakePatience: a client that will send no more does not wait for a paused pool
// as long as others.
func TestIntakePatience(t *testing.T) {
	bufs := new(mbuf.Pool)
	var in intake
	in.keep(bufs, []byte("x"), 100)
	defer in.dropStash(bufs)
	for _, tt := range []struct {
		name   string
		ending bool
		waits  wait
		limit  int64
		want   int64
	}{
		{name: "no limit"},
		{name: "a limit", limit: 7, want: 107},
		{name: "it ends", ending: true, limit: 7, want: 107},
		{name: "it ends in a paused pool", ending: true, waits: waitsForPool, want: 100 + endingPatience},
		{name: "and has a shorter limit", ending: true, waits: waitsForPool, limit: 7, want: 107},
		{name: "and a longer one", ending: true, waits: waitsForPool, limit: 2 * endingPatience, want: 100 + endingPatience},
	} {
		in.ending, in.waits = tt.ending, tt.waits
		if got := in.dueAt(in.patience(tt.limit)); got != tt.want {
			t.Errorf("%s: due at %d, want %d", tt.name, got, tt.want)
		}
	}
	in.dropStash(bufs)
	if got := in.dueAt(7); got != 0 {
		t.Errorf("an empty stash is due at %d", got)
	}
}
