package admin

import (
	"slices"
	"time"

	"nuthatch/internal/admin/api"
)

// The seconds of a span in which a server was slow. One is not enough, and those do not count in
// which the host was late, and not the server: a busy host stalls the proxy and its servers for
// parts of a second.
const (
	// badSeconds is in how many seconds a server must be slow by the others of its pool; badTail
	// is the same for one request in a hundred in ten seconds, and badOld by its own past.
	badSeconds, badTail, badOld = 2, 5, 3
	// lateLeast is how late the recorder must wake up for that to excuse a server whose requests
	// took no longer. Times of lateOther or longer show that other servers were late.
	lateLeast = 10 * time.Millisecond
	lateOther = 5 * time.Millisecond
	// lateOld is how many requests another server must have had before.
	lateOld = 10
	// quickFor is for how long a server must be quick to be slow no longer: quickShare of the
	// requests of each second: a busy host makes some of the others slow.
	quickFor   = 4 * time.Second
	quickShare = .75
	// slowShare is the share of the latest requests that must be slow for a server to stay so.
	slowShare = .4
	// lateShare is the share of another server's requests that are quicker than the time looked at.
	lateShare = .9
)

// bad reports whether a server was as slow as that in enough seconds between two samples. q is the
// share of the requests of a second that may be quicker.
func (w *slowWatch) bad(key serverKey, v judgement, q float64, enough, from, to int) bool {
	if v.before {
		enough = max(enough, badOld)
	}
	seconds, _ := w.slowSeconds(key, v, q, from, to)
	return seconds >= enough
}

// worst is the family by which a server is slow in enough seconds between two samples: the one by
// which it was already or, without that, the one that takes longest by what is usual.
func (w *slowWatch) worst(key serverKey, found []judgement, from, to int) (worst judgement, ok bool) {
	was := w.found[key]
	for _, v := range found {
		if !w.bad(key, v, .5, badSeconds, from, to) {
			continue
		}
		if was != nil && was.over.IsZero() && was.by.family == v.family {
			return v, true
		}
		if !ok || v.times() > worst.times() {
			worst, ok = v, true
		}
	}
	return worst, ok
}

// times is how many times as long as usual the requests take.
func (v judgement) times() float64 {
	return v.takes.Seconds() / max(v.usual, 1<<spreadUnit).Seconds()
}

// keeps reports whether a server that is slow by one family stays so, though it was found by
// another one now: as long as its own was slow a moment ago, unless only its slowest requests were.
func (w *slowWatch) keeps(key serverKey, was, found *slowness, now time.Time) bool {
	if was.Way == api.SlowTail && found.Way != api.SlowTail {
		return false
	}
	return was.by.family != found.by.family && now.Sub(was.own) < slowStays && !w.isQuick(key, was.by, now)
}

// follows has what is found continue what was found before.
func (s *slowness) follows(was *slowness) {
	s.Since = was.Since
	if s.by.family == was.by.family && s.Family == "" {
		s.Family = was.Family // the server has had other requests
	}
}

// badTail reports whether the slowest requests of the i-th server took as long as that in enough
// seconds, without those in which another server of its pool had one that took half as long or, of
// more than four others, a quarter of these had: then the host was late.
func (w *slowWatch) badTail(keys []serverKey, i int, v judgement, enough, from, to int) bool {
	seconds := 0
	for at := from + 1; at <= to; at++ {
		if bad, _ := w.slowSeconds(keys[i], v, 1, at-1, at); bad == 0 {
			continue
		}
		late := 0
		for j, other := range keys {
			now, before := w.samples[at].of[other], w.samples[at-1].of[other]
			if j == i || now == nil || before == nil {
				continue
			}
			if d, n := now.spread[v.family].since(before.spread[v.family]); n > 0 && d.from(1, n) >= v.limit/2 {
				late++
			}
		}
		if 4*late < len(keys)-1 || late == 0 {
			seconds++
		}
	}
	return seconds >= enough
}

// othersAreLate reports whether half of the other servers or more have a share of requests that
// take half as long as what is slow at the i-th server, or longer, of a quarter of its own share
// or more. Of two servers that are as late as each other, about one request in a hundred, chance
// puts one above that and the other below.
func (s *slowSpan) othersAreLate(i int, v judgement) bool {
	own, late, all := s.servers[i].spread[v.family].longer(v.limit), 0, 0
	for j := range s.servers {
		n := s.servers[j].n[v.family]
		if j == i || n == 0 {
			continue
		}
		all++
		if 4*s.servers[j].spread[v.family].longer(v.limit/2)*v.n >= own*n {
			late++
		}
	}
	return 2*late >= all
}

// longer is how many times are in the buckets from that of took on.
func (s *spread) longer(took time.Duration) (n int64) {
	for i := len(s) - 1; i >= 0 && s.edge(i+1) > took; i-- {
		n += int64(s[i])
	}
	return n
}

// goesOn reports whether many of the latest requests of that family were slow at a server that was,
// compared with others: those of the last quickFor or, without any, of the last second that has
// some. Few may be too few to be found anew.
func (w *slowWatch) goesOn(key serverKey, v judgement) bool {
	if v.way == api.SlowTail || v.before {
		return false
	}
	slow, all, last := int64(0), int64(0), len(w.samples)-1
	for at := last; at > 0 && (all == 0 || w.samples[last].second.Sub(w.samples[at-1].second) <= quickFor); at-- {
		now, before := w.samples[at].of[key], w.samples[at-1].of[key]
		if now == nil || before == nil {
			continue
		}
		d, n := now.spread[v.family].since(before.spread[v.family])
		if late := d.longer(v.limit); n > 0 && (late == 0 || !w.excused(key, d.from(1, n), at)) {
			slow, all = slow+late, all+n
		}
	}
	return all > 0 && float64(slow) >= slowShare*float64(all)
}

// slowSeconds is in how many seconds between two samples a server was as slow as that, and how many
// requests it had.
func (w *slowWatch) slowSeconds(key serverKey, v judgement, q float64, from, to int) (seconds int, requests int64) {
	for at := from + 1; at <= to; at++ {
		now, before := w.samples[at].of[key], w.samples[at-1].of[key]
		if now == nil || before == nil {
			continue
		}
		d, n := now.spread[v.family].since(before.spread[v.family])
		if n == 0 {
			continue
		}
		requests += n
		if takes := d.from(q, n); takes >= v.limit && !w.excused(key, takes, at) {
			seconds++
		}
	}
	return seconds, requests
}

// signs are when the first second began and the last one ended in which a server was as slow as it
// was found, of its window; zero if there is none.
func (w *slowWatch) signs(key serverKey, slow *slowness) (first, last time.Time) {
	to := len(w.samples) - 1
	q := map[string]float64{api.SlowHalf: .5, api.SlowTail: 1}[slow.Way] // all: the quickest one
	window := time.Duration(slow.Window * float64(time.Second))
	for at := to; at > 0 && w.samples[to].second.Sub(w.samples[at-1].second) <= window; at-- {
		if seconds, _ := w.slowSeconds(key, slow.by, q, at-1, at); seconds == 0 {
			continue
		}
		first = w.samples[at-1].second
		if last.IsZero() {
			last = w.samples[at].second
		}
	}
	return first, last
}

// isQuick reports whether a server that was slow had requests of that family in the last quickFor,
// and was not slow in any of these seconds. A tail is looked at for as long as it is found in.
func (w *slowWatch) isQuick(key serverKey, v judgement, now time.Time) bool {
	q, long := quickShare, quickFor
	if v.way == api.SlowTail {
		q, long = 1, max(long, v.long)
	}
	last := len(w.samples) - 1
	from := slices.IndexFunc(w.samples, func(s slowSample) bool { return now.Sub(s.second) <= long })
	seconds, requests := w.slowSeconds(key, v, q, from, last)
	return seconds == 0 && requests > 0
}

// hasOld reports whether a span from that sample on has what was slow before the server was quick
// again: that does not count once more.
func (w *slowWatch) hasOld(key serverKey, from int) bool {
	slow := w.found[key]
	return slow != nil && !slow.over.IsZero() && w.samples[from].second.Before(slow.over.Add(-quickFor))
}

// excused reports whether requests of a second took so long for the host's sake: the recorder
// itself was late, or most of the other servers of the process were. The same server in
// another pool is no other.
func (w *slowWatch) excused(key serverKey, takes time.Duration, at int) bool {
	s := &w.samples[at]
	if s.late >= lateLeast && takes <= s.late {
		return true
	}
	if s.others == nil {
		s.others = w.lateServers(at)
	}
	late, all := 0, 0
	for other, is := range s.others {
		if other.server == key.server {
			continue
		}
		if all++; is {
			late++
		}
	}
	return 2*late > all
}

// lateServers are the servers that had requests in a second and have a past, and whether they took
// much longer than before.
func (w *slowWatch) lateServers(at int) map[serverKey]bool {
	of := make(map[serverKey]bool)
	for key, now := range w.samples[at].of {
		before, own := w.samples[at-1].of[key], w.past[key]
		if before == nil || own == nil || now == before || !now.grown(before) {
			continue
		}
		for f := range now.spread {
			d, n := now.spread[f].since(before.spread[f])
			_, usual := own.spread[f].since(nil)
			if n == 0 || usual < lateOld {
				continue
			}
			takes := d.from(lateShare, n)
			of[key] = of[key] || takes >= lateOther && takes >= oldTimes*own.spread[f].from(.5, usual)
		}
	}
	return of
}
