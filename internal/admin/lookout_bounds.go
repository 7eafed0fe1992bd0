package admin

import (
	"time"

	"nuthatch/internal/admin/api"
)

// A reached is a bound that is reached: from when on, when last, and what was found last.
type reached struct {
	first, last time.Time
	found       api.Finding
}

// lasted is for how long it was reached.
func (r *reached) lasted() time.Duration { return max(r.last.Sub(r.first), lookPeriod) }

// edge tells that a bound that was near is reached, and that it is only near again: that once it
// has not been reached for overAfter.
//
//	Warn     clients are near their limit                                        at once
//	Warn     clients are at their limit, more are refused                        at once
//	Notice   no longer: clients are at their limit, more are refused lasted=20s  once
//	Notice   no longer: clients are near their limit lasted=1m0s                 once
func (l *lookout) edge(s *telling, now time.Time) {
	f, r := &s.found, s.reached
	switch {
	case f.Fails && r == nil:
		s.reached = &reached{first: now, last: now, found: *f}
		if !s.line.IsZero() {
			s.line = now
			l.log.Warn(f.Title, attrsOf(f, "", 0)...)
		}
	case f.Fails:
		r.last, r.found = now, *f
	case r != nil && now.Sub(r.last) >= overAfter:
		s.reached, s.line = nil, now
		l.log.Notice("no longer: "+r.found.Title, attrsOf(f, "lasted", r.lasted())...)
	}
}
