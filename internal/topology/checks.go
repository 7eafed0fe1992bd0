package topology

import (
	"sync/atomic"
	"time"

	"nuthatch/internal/msg"
)

// A Check is a health check that is over. It is immutable.
type Check struct {
	// At is when it was over, in the loops' nanoseconds, and Took how long it took.
	At   int64
	Took time.Duration
	// Why is why it failed; msg.OK if it did not.
	Why msg.Reason
}

// checkLog is what is known of a server's checks. One goroutine at a time writes it.
type checkLog struct {
	last  atomic.Pointer[Check]
	count atomic.Int64
	took  atomic.Int64
}

// Checks are how many health checks of the server are over, how long they took together,
// and the last one, nil if there was none. It may be called from any goroutine.
func (h *Health) Checks() (count int64, took time.Duration, last *Check) {
	return h.checkLog.count.Load(), time.Duration(h.checkLog.took.Load()), h.checkLog.last.Load()
}

// NoteCheck notes how a health check of the server went. Only one goroutine at a time may
// call it for a server.
func (h *Health) NoteCheck(c Check) {
	h.checkLog.last.Store(&c)
	h.checkLog.count.Add(1)
	h.checkLog.took.Add(int64(c.Took))
}

// FailsChecks reports whether the server's last health check failed.
func (h *Health) FailsChecks() bool { return h.checks.Load() < 0 }

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
