package topology

import (
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// An Outcome is what a failure or an answer changed.
type Outcome uint8

const (
	// NothingNew means that nothing worth a log line changed.
	NothingNew Outcome = iota
	// BeginsToFail means that a server has begun to fail, and is not ejected.
	BeginsToFail
	// IsEjected means that the server was ejected.
	IsEjected
	// FailsStill means that a server that was tried again has failed again.
	FailsStill
	// IsEjectedAgain means the same, and that it was ejected again.
	IsEjectedAgain
	// Answers means that the server is up again.
	Answers
	// IsBack means the same for a server that was ejected.
	IsBack
)

// moment is how long after a failure, in nanoseconds, the end of older connections
// counts as the same failure.
const moment = int64(time.Second)

// isAnother reports whether a failure at time now counts as a new one, and if so notes
// it. The failed connection was dialled at time made. Connections that fail together,
// in any loops, are one failure: a connection that was dialled before the last failure
// was counted has the same cause.
func (h *Health) isAnother(made, now int64) bool {
	for {
		at := h.failedAt.Load()
		if made < at && now-at < moment {
			return false
		}
		if h.failedAt.CompareAndSwap(at, now) {
			return true
		}
	}
}

// Failed notes that a connection to the server, dialled at time made, failed at
// time now. Failures of an ejected server's old connections do not count, unless
// a request was let through to it.
func (t *Topology) Failed(h *Health, why msg.Reason, made, now int64) Outcome {
	at := h.retryAt.Load()
	if at > now || at != 0 && t.conf.Eject == config.EjectFail {
		// A probe may fail when the next one is due. Its server is ejected already.
		c := h.condition.Load()
		if c != nil && c.state == Probing && h.condition.CompareAndSwap(c, &condition{state: Ejected, since: c.since, found: c.found, why: why}) {
			return FailsStill
		}
		return NothingNew
	}
	if !h.isAnother(made, now) {
		return NothingNew
	}
	n, limit := h.failures.Add(1)&(unproven-1), max(1, int64(t.conf.ServerFailureLimit))
	switch {
	case n < limit && (t.conf.AutoEjectHosts || !IsUnreachable(why)):
		h.because(why)
		return NothingNew
	case !t.conf.AutoEjectHosts:
		if h.become(Failing, why, now) == Up {
			return BeginsToFail
		}
		return NothingNew
	}
	until := now + int64(t.conf.ServerRetryTimeout)
	if t.conf.HealthCheck.Interval > 0 {
		until = untilChecked
	}
	switch was, done := t.eject(h, at, until, why, now); {
	case !done:
		return NothingNew // another loop has just ejected it
	case was == Probing:
		return IsEjectedAgain
	default:
		return IsEjected
	}
}

// IsUnreachable reports whether a failure for that reason leaves no doubt: there is
// nothing to connect to. A request that took too long, or a connection that ended, may
// be the only one of its kind.
func IsUnreachable(why msg.Reason) bool {
	switch why {
	case msg.ConnRefused, msg.HostUnreachable, msg.NetUnreachable, msg.HostDown, msg.SocketMissing, msg.Unresolved:
		return true
	default:
		return false
	}
}

// eject ejects the server, unless another goroutine has changed at, the time of its
// next try. It reports whether it did, and the server's state before.
func (t *Topology) eject(h *Health, at, until int64, why msg.Reason, now int64) (was State, done bool) {
	if !h.retryAt.CompareAndSwap(at, until) {
		return was, false
	}
	h.checks.Store(0)
	was = h.become(Ejected, why, now)
	if t.conf.Eject == config.EjectFail {
		h.failures.Store(1)
		return was, true
	}
	h.failures.Store(0)
	t.rebuildSoon(now, nil)
	return was, true
}

// Answered notes that the server replied at time now, for the first time since it
// failed. So its failures were not consecutive. If they had taken it down, it is up
// now.
func (t *Topology) Answered(h *Health, now int64) Outcome {
	h.failures.Store(0)
	h.unanswered.Store(0)
	at := h.retryAt.Load()
	switch {
	case t.conf.Eject == config.EjectFail && at != untilChecked && h.backSince(at, now):
		return IsBack
	case h.well(now):
		return Answers
	}
	return NothingNew
}

// well notes that the server is well, unless it is ejected. It reports whether it was
// not well until this call, or in the program before.
func (h *Health) well(now int64) bool {
	if at := h.failedFrom.Load(); at != 0 && h.condition.CompareAndSwap(nil, &condition{since: now, found: now, before: at}) {
		h.failedFrom.Store(0)
		return true
	}
	return !h.IsUp() && h.retryAt.Load() == 0 && h.become(Up, msg.OK, now) != Up
}

// back ends the server's ejection, if it is ejected, and reports whether this
// call did.
func (h *Health) back(now int64) bool { return h.backSince(h.retryAt.Load(), now) }

// backSince is back, unless another goroutine has changed at, the time of the server's
// next try.
func (h *Health) backSince(at, now int64) bool {
	if at == 0 || !h.retryAt.CompareAndSwap(at, 0) {
		return false
	}
	h.become(Up, msg.OK, now)
	return true
}

// tried puts a server whose ejection ended at time at back on the ring, and reports
// whether this call did. The server is up when it has answered.
func (h *Health) tried(at, now int64) bool {
	if !h.retryAt.CompareAndSwap(at, 0) {
		return false
	}
	h.failures.Or(unproven)
	h.become(Probing, msg.OK, now)
	return true
}
