package topology

import "nuthatch/internal/msg"

// A Verdict is what a health check changed.
type Verdict uint8

const (
	// SameAsBefore means that nothing changed.
	SameAsBefore Verdict = iota
	// Fallen means that the server has failed its checks; it is ejected if the
	// pool ejects.
	Fallen
	// Risen means that it is well again.
	Risen
)

// Checked notes the result of a health check of the server at time now: msg.OK, or why
// it is not well. Only one goroutine at a time may call it for a server.
func (t *Topology) Checked(h *Health, why msg.Reason, now int64) Verdict {
	conf := t.conf
	if why == msg.OK {
		run := max(0, h.checks.Load()) + 1
		h.checks.Store(run)
		if run < int64(conf.HealthCheck.Rise) {
			return SameAsBefore
		}
		return t.risen(h, now)
	}
	run := min(0, h.checks.Load()) - 1
	h.checks.Store(run)
	if -run < int64(conf.HealthCheck.Fall) {
		return SameAsBefore
	}
	if conf.AutoEjectHosts {
		if h.retryAt.Load() == 0 {
			if _, done := t.eject(h, 0, untilChecked, why, now); done {
				return Fallen
			}
		}
		h.because(why)
		return SameAsBefore
	}
	if h.become(Failing, why, now) == Up {
		return Fallen
	}
	return SameAsBefore
}

// risen notes that the server's checks succeed. Failures of its requests can
// still eject it.
func (t *Topology) risen(h *Health, now int64) Verdict {
	if h.back(now) {
		h.failures.Store(0)
		t.rebuild(now, nil)
		return Risen
	}
	if h.failures.Load()&(unproven-1) < max(1, int64(t.conf.ServerFailureLimit)) && h.well(now) {
		return Risen
	}
	return SameAsBefore
}
