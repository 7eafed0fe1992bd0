package admin

import "time"

// The seconds of a span in which a server was slow. One is not enough, and those do not count in
// which the host was late, and not the server: a busy host stalls the proxy and its servers for
// parts of a second.
const (
	// badSeconds is in how many seconds a server must be slow by the others of its pool; badTail
	// is the same for one request in a hundred, and badOld by its own past.
	badSeconds, badTail, badOld = 2, 3, 3
	// lateLeast is how late the recorder must wake up for that to excuse a server whose requests
	// took no longer. Times of lateOther or longer show that other servers were late.
	lateLeast = 10 * time.Millisecond
	lateOther = 5 * time.Millisecond
	// lateOld is how many requests another server must have had before.
	lateOld = 10
	// lateShare is the share of another server's requests that are quicker than the time looked at.
	lateShare = .9
)

// bad reports whether a server was as slow as that in enough seconds between two samples. q is the
// share of the requests of a second that may be quicker.
func (w *slowWatch) bad(key serverKey, v judgement, q float64, enough, from, to int) bool {
	if v.before {
		enough = max(enough, badOld)
	}
	for at := from + 1; at <= to; at++ {
		now, before := w.samples[at].of[key], w.samples[at-1].of[key]
		if now == nil || before == nil {
			continue
		}
		d, n := now.spread[v.family].since(before.spread[v.family])
		if n == 0 {
			continue
		}
		if takes := d.from(q, n); takes >= v.limit && !w.excused(key, takes, at) {
			enough--
		}
	}
	return enough <= 0
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
