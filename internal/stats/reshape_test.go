package stats

import "testing"

func TestReshape(t *testing.T) {
	s := NewShard(Layout{
		{Name: "gone", Servers: []string{"x"}},
		{Name: "kept", Servers: []string{"a", "b", "c"}},
		{Name: "replaced", Servers: []string{"y"}},
	})
	s.TotalConnections = 9
	for i := range s.Pools {
		s.Pools[i].Values[ClientEOF] = int64(10 * i)
		for j := range s.Pools[i].Servers {
			s.Pools[i].Servers[j][Requests] = int64(10*i + j + 1)
			s.Pools[i].Reasons[j][ClosedConnections][2] = int64(10*i + j + 1)
		}
	}
	old := &s.Pools[1].Servers[1]

	s.Reshape(Layout{
		{Name: "kept", Servers: []string{"c", "new", "a"}},
		{Name: "replaced", Servers: []string{"y"}},
		{Name: "new", Servers: []string{"a"}},
	}, []int{1, -1, -1})

	if s.TotalConnections != 9 {
		t.Errorf("connections since the start: %d, want 9", s.TotalConnections)
	}
	if got := s.Pools[0].Values[ClientEOF]; got != 10 {
		t.Errorf("a pool that stays counts %d, want 10", got)
	}
	for j, want := range []int64{13, 0, 11} {
		if got := s.Pools[0].Servers[j][Requests]; got != want {
			t.Errorf("server %d counts %d, want %d", j, got, want)
		}
		if got := s.Pools[0].Reasons[j][ClosedConnections][2]; got != want {
			t.Errorf("server %d counts %d by reason, want %d", j, got, want)
		}
	}
	for i := 1; i < 3; i++ {
		if s.Pools[i].Values[ClientEOF] != 0 || s.Pools[i].Servers[0][Requests] != 0 {
			t.Errorf("pool %d does not begin at zero: %+v", i, s.Pools[i])
		}
	}
	old[Requests]++ // of a server that is gone and finishes what it has
	snap := Sum(Layout{{Name: "kept", Servers: []string{"c", "b"}}}, []*Shard{s})
	if got := snap.Pools[0].Servers[1].Values[Requests]; got != 0 {
		t.Errorf("a server that is gone counts %d, want 0", got)
	}
}
