package proxy

import "time"

// A pace lets one line of a kind into the log in each period, a second or longer, and
// counts the others.
type pace struct {
	next   int64
	missed int
}

// mayLog reports whether a line may be written at time now, and how many were left out
// since the last one. The period is a second.
func (p *pace) mayLog(now int64) (missed int, ok bool) { return p.mayLogAfter(now, int64(time.Second)) }

// mayLogAfter is the same with another period.
func (p *pace) mayLogAfter(now, period int64) (missed int, ok bool) {
	if now < p.next {
		p.missed++
		return 0, false
	}
	missed, p.missed = p.missed, 0
	p.next = now + period
	return missed, true
}

// A slowing is a pace whose period grows while lines are left out, from a second to a minute. A
// period in which none is left out makes it a second again, and so does one without a line. So what
// clients do again and again does not fill the log, and a single fault is told at once.
type slowing struct {
	pace
	period int64
}

// mayLog is that of pace.
func (s *slowing) mayLog(now int64) (missed int, ok bool) {
	if now >= s.next {
		period := int64(time.Second)
		if s.missed > 0 && now < s.next+s.period {
			period = min(2*s.period, int64(time.Minute))
		}
		s.period = period
	}
	return s.mayLogAfter(now, s.period)
}
