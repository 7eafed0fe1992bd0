package topology

import (
	"slices"
	"testing"
)

// Two snapshots place keys alike if no key has another server, whatever the places of the
// servers are.
func TestPlacesLike(t *testing.T) {
	pool := poolOf(t, 4, "")
	topo := New(pool)
	first := topo.Snapshot()
	for _, tt := range []struct {
		name   string
		change func(all []Member) []Member
		want   bool
	}{
		{"the same", func(all []Member) []Member { return all }, true},
		{"other places", func(all []Member) []Member { slices.Reverse(all); return all }, true},
		{"another weight", func(all []Member) []Member { all[1].Server.Weight = 7; return all }, false},
		{"another name", func(all []Member) []Member { all[1].Server.Name = "other"; return all }, false},
		{"one server less", func(all []Member) []Member { return all[1:] }, false},
		{"one server", func(all []Member) []Member { return all[:1] }, false},
	} {
		topo.Publish(tt.change(membersOf(pool, -1)), 0, 0)
		now := topo.Snapshot()
		if got := now.PlacesLike(first); got != tt.want || first.PlacesLike(now) != got {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
		topo.Publish(membersOf(pool, -1), 0, 0)
		first = topo.Snapshot()
	}
	topo.SetService(first.Servers[0], OffTheRing, 0)
	if topo.Snapshot().PlacesLike(first) {
		t.Error("a server off the ring keeps its keys")
	}
}
