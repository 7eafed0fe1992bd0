package topology

import "nuthatch/internal/route"

// PlacesLike reports whether every key is written to the same servers in both snapshots. It looks
// at all points of the ring, so it is for rare moments.
func (s *Snapshot) PlacesLike(other *Snapshot) bool {
	if s == other {
		return true
	}
	a, b := s.Table.Ring(), other.Table.Ring()
	return a.Hash == b.Hash && a.Tag == b.Tag && a.Continuum.IsLike(b.Continuum, func(i, j int) bool {
		return s.sameTargets(i, other, j)
	})
}

// sameTargets reports whether shard i is written to the same servers as shard j of another
// snapshot.
func (s *Snapshot) sameTargets(i int, other *Snapshot, j int) bool {
	to, from := s.Table.Targets(i, route.Write), other.Table.Targets(j, route.Write)
	if len(to) != len(from) {
		return false
	}
	for k := range to {
		if s.Servers[to[k]] != other.Servers[from[k]] {
			return false
		}
	}
	return true
}
