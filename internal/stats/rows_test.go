package stats

import "testing"

// Rows that a pool gets are counted and summed by their names, and another shard's layout
// is not touched.
func TestSetRows(t *testing.T) {
	shared := Layout{{Name: "alpha", Servers: []string{"a", "b"}}, {Name: "beta", Servers: []string{"c"}}}
	s, other := NewShard(shared), NewShard(shared)
	s.Pools[0].Servers[1][Requests], other.Pools[0].Servers[1][Requests] = 3, 4
	rows := NewRows(3)
	rows.Servers[0] = s.Pools[0].Servers[1]
	s.SetRows(0, []string{"b", "c", "d"}, rows)
	s.Pools[0].Rows().Servers[2][Requests]++
	if len(shared[0].Servers) != 2 || len(other.layout[0].Servers) != 2 {
		t.Error("the other shard's layout has changed")
	}
	dst := NewShard(shared)
	s.Copy(dst)
	sum := Sum(Layout{{Name: "alpha", Servers: []string{"b", "d"}}}, []*Shard{dst, other})
	if b, d := sum.Pools[0].Servers[0].Values[Requests], sum.Pools[0].Servers[1].Values[Requests]; b != 7 || d != 1 {
		t.Errorf("b has %d requests, want 7, and d %d, want 1", b, d)
	}
}
