package admin

import (
	"time"

	"nuthatch/internal/admin/api"
)

// maxStep is the most steps that a bound has after it is near.
const maxStep = 2

// A reached is a step of a bound that is reached: from when on, when last, and what was found
// then. What is found of a step that was passed at once has no title.
type reached struct {
	first, last time.Time
	found       api.Finding
}

// lasts is for how long it was reached.
func (r *reached) lasts() time.Duration { return max(r.last.Sub(r.first), lookPeriod) }

// worst is the highest step that is reached, or nil.
func (s *telling) worst() *reached {
	for i := maxStep - 1; i >= 0; i-- {
		if r := s.reached[i]; r != nil && r.found.Title != "" {
			return r
		}
	}
	return nil
}

// edges tells that a bound that was near is reached, and that it is only near again: that once it
// has not been reached for overAfter. Memory has two such steps: short and full.
//
//	Warn     clients are near their limit                                        at once
//	Warn     clients are at their limit, more are refused                        at once
//	Notice   no longer: clients are at their limit, more are refused lasted=20s  once
//	Notice   no longer: clients are near their limit lasted=1m0s                 once
func (l *lookout) edges(s *telling, now time.Time) {
	f := &s.found
	for i := maxStep - 1; i >= 0; i-- {
		r, step := s.reached[i], i+1
		switch {
		case f.Step < step && r != nil && now.Sub(r.last) >= overAfter:
			s.reached[i] = nil
			if r.found.Title != "" {
				s.line = now
				l.log.Notice("no longer: "+r.found.Title, append(attrsOf(f, "lasted", r.lasts()), endedAt(r.last))...)
			}
		case f.Step < step:
		case r == nil:
			r = &reached{first: now}
			s.reached[i] = r
			fallthrough
		default:
			r.last = now
			if f.Step != step {
				continue
			}
			isNew := r.found.Title == ""
			if r.found = *f; isNew && !s.line.IsZero() && s.worst() == r {
				s.line = now
				l.log.Warn(f.Title, attrsOf(f, "", 0)...)
			}
		}
	}
}
