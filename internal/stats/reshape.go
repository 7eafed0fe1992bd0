package stats

// Reshape gives s another layout, for a reload. The i-th pool of the layout
// keeps the values of pool from[i] of the old one, and its servers those of the
// servers with the same names there. from[i] is negative for a pool that begins
// at zero. Pointers into the old shape stay valid, and what they count is lost.
func (s *Shard) Reshape(layout Layout, from []int) {
	before, pools := s.layout, s.Pools
	s.shape(layout)
	for i, j := range from {
		if j < 0 {
			continue
		}
		s.Pools[i].Values, s.Pools[i].Vectors = pools[j].Values, pools[j].Vectors
		place := places(before[j].Servers)
		for k, name := range layout[i].Servers {
			if was := place(k, name); was >= 0 {
				s.Pools[i].Servers[k] = pools[j].Servers[was]
				s.Pools[i].Reasons[k] = pools[j].Reasons[was]
				s.Pools[i].Errors[k] = (*ErrorCounts)(nil).add(pools[j].Errors[was])
			}
		}
	}
}

// places returns a function that finds the place of a name, -1 if it has none. It tries
// a guess first: there may be tens of thousands of names.
func places(names []string) func(guess int, name string) int {
	var all map[string]int
	return func(guess int, name string) int {
		if guess < len(names) && names[guess] == name {
			return guess
		}
		if all == nil {
			all = make(map[string]int, len(names))
			for i, n := range names {
				all[n] = i
			}
		}
		if i, ok := all[name]; ok {
			return i
		}
		return -1
	}
}
