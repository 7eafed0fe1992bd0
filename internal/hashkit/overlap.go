package hashkit

import "sort"

// Overlap counts, for two continua, the hash values that server i owns in a and
// server j owns in b: the result's [i][j]. Every value that h can take counts
// once, so the counts sum up to 2^h.Bits(). It is exact. A continuum without a
// live server owns nothing.
//
//	a  |····0····|··1··|······2······|····0····|   the larger period, walked
//	b  |0··|1··|0··|1··|0··|1··|0··|1··|0··|1··|   the smaller, in closed form where it repeats
//
// modula repeats. So one common period is walked, and the counts are multiplied.
func Overlap(a, b *Continuum, h Hash) [][]uint64 {
	counts := make([][]uint64, a.servers)
	for i := range counts {
		counts[i] = make([]uint64, b.servers)
	}
	if len(a.points) == 0 || len(b.points) == 0 {
		return counts
	}
	outer, inner := a.runs(), b.runs()
	add := func(o, i int, n uint64) { counts[o][i] += n }
	if outer.period < inner.period {
		outer, inner = inner, outer
		add = func(o, i int, n uint64) { counts[i][o] += n }
	}
	values := uint64(1) << h.Bits()
	if inner.period >= values {
		overlapOnce(outer.list, inner.list, values, add)
		return counts
	}
	common := outer.period / gcd(outer.period, inner.period) * inner.period
	if times := values / common; times > 0 {
		overlapPeriods(outer, inner, common, func(o, i int, n uint64) { add(o, i, n*times) })
		values %= common
	}
	overlapPeriods(outer, inner, values, add)
	return counts
}

// A run is the values from the end of the run before it up to its own end,
// excluded, which have one owner.
type run struct {
	end    uint64
	server int
}

// runs are the owners of the values from 0 up to period; above, they repeat.
type runs struct {
	period uint64
	list   []run // Invariant: not empty; the last one ends at period.
}

func (c *Continuum) runs() runs {
	r := runs{period: 1 << 32}
	if c.modulo > 0 {
		r.period = uint64(c.modulo)
	}
	for _, p := range c.points {
		end := min(uint64(p.value)+1, r.period)
		if n := len(r.list); n > 0 && r.list[n-1].end >= end {
			continue // of points of one value, the first owns it
		}
		r.list = append(r.list, run{end, int(p.server)})
	}
	return r
}

// overlapOnce walks both lists side by side, up to limit.
func overlapOnce(a, b []run, limit uint64, add func(i, j int, n uint64)) {
	for at := uint64(0); at < limit; {
		end := min(a[0].end, b[0].end, limit)
		add(a[0].server, b[0].server, end-at)
		at = end
		if a[0].end == at {
			a = a[1:]
		}
		if b[0].end == at {
			b = b[1:]
		}
	}
}

// overlapPeriods walks the runs of a, again and again up to limit, and counts in each
// how often b's runs occur. In a few of them b does not begin anew; these are walked.
// In the others all of b's runs are counted in closed form.
func overlapPeriods(a, b runs, limit uint64, add func(i, j int, n uint64)) {
	start := uint64(0)
	at, again := 0, uint64(0) // the run of b that owns start, and where its period began
	for base := uint64(0); base < limit; base += a.period {
		for _, r := range a.list {
			end := min(base+r.end, limit)
			if end-start >= b.period {
				from := uint64(0)
				for _, s := range b.list {
					n := below(end, from, s.end, b.period) - below(start, from, s.end, b.period)
					add(r.server, s.server, n)
					from = s.end
				}
				start, again = end, end/b.period*b.period
				at = sort.Search(len(b.list)-1, func(i int) bool { return b.list[i].end > end-again })
				continue
			}
			for start < end {
				to := min(again+b.list[at].end, end)
				add(r.server, b.list[at].server, to-start)
				start = to
				if to == again+b.list[at].end {
					at++
				}
				if at == len(b.list) {
					at, again = 0, again+b.period
				}
			}
		}
	}
}

// below is how many of the numbers under x are, modulo period, in [from, to).
func below(x, from, to, period uint64) uint64 {
	rest := min(max(x%period, from), to) - from
	return x/period*(to-from) + rest
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
