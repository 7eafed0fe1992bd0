package stats

import "slices"

// Reshape gives s another layout, as a reload asks for. The i-th pool of the
// layout goes on with the values of pool from[i] of the old one, and its servers
// with those that they had there under the same name; from[i] is negative for a
// pool that begins at zero. Pointers into the old shape stay valid and count for
// nobody any more.
func (s *Shard) Reshape(layout Layout, from []int) {
	before, pools := s.layout, s.Pools
	s.shape(layout)
	for i, j := range from {
		if j < 0 {
			continue
		}
		s.Pools[i].Values, s.Pools[i].Vectors = pools[j].Values, pools[j].Vectors
		for k, name := range layout[i].Servers {
			if was := slices.Index(before[j].Servers, name); was >= 0 {
				s.Pools[i].Servers[k] = pools[j].Servers[was]
				s.Pools[i].Reasons[k] = pools[j].Reasons[was]
				s.Pools[i].Errors[k] = (*ErrorCounts)(nil).add(pools[j].Errors[was])
			}
		}
	}
}
