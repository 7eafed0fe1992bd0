package sentinel

import (
	"cmp"
	"slices"
)

// A Place is where a primary is: an address, "host:port", by the configuration of that
// epoch. The zero value is nowhere.
type Place struct {
	Addr  string
	Epoch int64
}

// An answer is what one sentinel says of a primary.
type answer struct {
	Place
	// by is the sentinel that says so. down: it has taken what is there for down.
	by   int
	down bool
}

// A candidate is a place that a primary may have, and how many sentinels say so.
type candidate struct {
	Place
	votes int
}

// candidates are the places where a primary may be, the likeliest first. known is where it
// was last, and sentinels is how many there are.
//
//	of a newer epoch                     sentinels agree on it before they name it
//	of the same epoch                    where most say, or where it is
//	of an older epoch                    a sentinel that knows no better; nobody asks it,
//	                                     unless most say so: they have been set up anew
func candidates(known Place, answers []answer, sentinels int) []candidate {
	var all []candidate
	for _, a := range answers {
		i := slices.IndexFunc(all, func(c candidate) bool { return c.Place == a.Place })
		if i < 0 {
			i = len(all)
			all = append(all, candidate{Place: a.Place})
		}
		all[i].votes++
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { return c.Epoch < known.Epoch && c.votes <= sentinels/2 })
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.Epoch != b.Epoch:
			return cmp.Compare(b.Epoch, a.Epoch)
		case a.votes != b.votes:
			return cmp.Compare(b.votes, a.votes)
		case a.Addr == known.Addr:
			return -1
		case b.Addr == known.Addr:
			return 1
		}
		return 0
	})
	return all
}
