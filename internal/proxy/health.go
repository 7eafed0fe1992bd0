package proxy

import (
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// Health is what all loops share of one server.
//
//	     server_failure_limit failures in a row
//	up ────────────────────────────────────────► ejected ◄──────┐
//	 ▲                                             │            │ it fails
//	 │ eject: ring   server_retry_timeout is over  │            │
//	 ├─────────────────────────────────────────────┤            │
//	 │ eject: fail   likewise: one request is      ▼            │
//	 └───────────────────────────────────────── probing ────────┘
//	                 let through; it is answered
//
// Loops note what happens to their connections, and whichever is the one to
// notice that it changes something, changes it for all.
type Health struct {
	// addrs are the server's addresses; nil while its name is not resolved.
	addrs atomic.Pointer[[]unix.Sockaddr]
	// unreachable: the server could not be connected to since its name was last
	// looked up.
	unreachable atomic.Bool
	// failures counts the failures since the last reply. It is not 0 while a
	// server is ejected whose keys stay with it, so that the next reply is noticed.
	failures atomic.Int64
	// retryAt is when, in the loops' nanoseconds, an ejected server is put back
	// on the ring, or the next request let through to it; 0 if it is not ejected,
	// untilChecked if it is checks that bring it back.
	retryAt atomic.Int64
	// checks is how many checks in a row succeeded or, if negative, failed.
	checks atomic.Int64
	// service is a Service: what an operator wants of the server, serviceSince
	// since when.
	service      atomic.Int32
	serviceSince atomic.Int64
	// condition is how the server is; nil: well, from the beginning.
	condition atomic.Pointer[condition]
}

// untilChecked is a time that never comes.
const untilChecked = math.MaxInt64

// A condition is how a server is, since when and why. It is immutable.
type condition struct {
	state State
	since int64
	why   msg.Reason
}

// A State is how a server is.
type State uint8

const (
	// Up means that nothing speaks against the server.
	Up State = iota
	// Failing means that it fails, and gets its requests all the same.
	Failing
	// Ejected means that it has failed: its keys go to other servers, or requests
	// for them get an error.
	Ejected
	// Probing means that it is ejected, and one request is under way to find out
	// whether it answers.
	Probing
	// Disabled means that an operator has taken it out of service.
	Disabled
)

// States are all states.
var States = []State{Up, Failing, Ejected, Probing, Disabled}

// String is the state as the statistics have it.
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Failing:
		return "failing"
	case Ejected:
		return "ejected"
	case Probing:
		return "probing"
	case Disabled:
		return "disabled"
	}
	return "unknown"
}

// A ServerState is how a server is at a moment.
type ServerState struct {
	State State
	// Since is when that began, in the loops' nanoseconds; 0: with the server.
	Since int64
	// Reason is why the server is not up or, if it is, why it last was not;
	// msg.OK if it always was.
	Reason msg.Reason
	// RetryAt is when an ejected server is tried again, in the loops'
	// nanoseconds; 0: that is not known, or it is not ejected.
	RetryAt int64
	// Failures is how often it failed since it last answered.
	Failures int64
	// Service is what an operator wants of it.
	Service Service
}

// State is how the i-th server is. It may be called from any goroutine.
func (t *Topology) State(i int) ServerState {
	h := t.health[i]
	s := ServerState{Failures: h.failures.Load(), Service: h.inService(), RetryAt: h.retryAt.Load()}
	if s.RetryAt == untilChecked {
		s.RetryAt = 0
	}
	if c := h.condition.Load(); c != nil {
		s.State, s.Since, s.Reason = c.state, c.since, c.why
	}
	if s.Service != InService {
		s.State, s.Since = Disabled, h.serviceSince.Load()
	}
	return s
}

// become publishes a state. The reason stays what it was if why is msg.OK.
func (h *Health) become(s State, why msg.Reason, now int64) {
	if was := h.condition.Load(); was != nil && why == msg.OK {
		why = was.why
	}
	h.condition.Store(&condition{state: s, since: now, why: why})
}

// An outcome is what a failure or an answer changed.
type outcome uint8

const (
	nothingNew outcome = iota
	ejected
	probeFailed
	isBack
)

// failed notes that a connection to the i-th server failed at time now. Of an
// ejected one, what happens to the connections that it still has tells nothing
// new, unless a request was let through to it.
func (t *Topology) failed(i int, why msg.Reason, now int64) outcome {
	h := t.health[i]
	at := h.retryAt.Load()
	if at > now || at != 0 && t.conf.Eject == config.EjectFail {
		// A probe may fail when the next one is due: its server was ejected before.
		c := h.condition.Load()
		if c != nil && c.state == Probing && h.condition.CompareAndSwap(c, &condition{Ejected, now, why}) {
			return probeFailed
		}
		return nothingNew
	}
	n, limit := h.failures.Add(1), max(1, int64(t.conf.ServerFailureLimit))
	if n < limit {
		return nothingNew
	}
	if !t.conf.AutoEjectHosts {
		h.fails(why, now)
		return nothingNew
	}
	until := now + int64(t.conf.ServerRetryTimeout)
	if t.conf.HealthCheck.Interval > 0 {
		until = untilChecked
	}
	if !t.eject(i, at, until, why, now) {
		return nothingNew // another loop has just ejected it
	}
	return ejected
}

// eject ejects the i-th server, if it is still to be tried again at time at, and
// reports whether this call did.
func (t *Topology) eject(i int, at, until int64, why msg.Reason, now int64) bool {
	h := t.health[i]
	if !h.retryAt.CompareAndSwap(at, until) {
		return false
	}
	h.checks.Store(0)
	h.become(Ejected, why, now)
	if t.conf.Eject == config.EjectFail {
		h.failures.Store(1)
		return true
	}
	h.failures.Store(0)
	t.rebuild(now, nil)
	return true
}

// fails notes that a server fails that is not ejected for it.
func (h *Health) fails(why msg.Reason, now int64) {
	if c := h.condition.Load(); c == nil || c.state == Up {
		h.become(Failing, why, now)
	}
}

// answered notes that the i-th server, which has failed since it last did,
// replied at time now: its failures were not consecutive. If it is ejected, and
// its keys are still its own, it has come back.
func (t *Topology) answered(i int, now int64) outcome {
	h := t.health[i]
	h.failures.Store(0)
	at := h.retryAt.Load()
	if t.conf.Eject == config.EjectFail && at != untilChecked && h.backSince(at, now) {
		return isBack
	}
	h.well(now)
	return nothingNew
}

// well notes that nothing speaks against the server any more, unless it is
// ejected.
func (h *Health) well(now int64) bool {
	c := h.condition.Load()
	if c == nil || c.state == Up || h.retryAt.Load() != 0 {
		return false
	}
	h.become(Up, msg.OK, now)
	return true
}

// A Verdict is what a health check changed.
type Verdict uint8

const (
	// SameAsBefore means that it changed nothing.
	SameAsBefore Verdict = iota
	// Fallen means that the server is not well any more: it was ejected, where
	// servers are.
	Fallen
	// Risen means that it is well again.
	Risen
)

// Checked notes what a health check of the i-th server found at time now: msg.OK,
// or why it is not well. One goroutine at a time may call it for a server.
func (t *Topology) Checked(i int, why msg.Reason, now int64) Verdict {
	h, conf := t.health[i], t.conf
	if why == msg.OK {
		run := max(0, h.checks.Load()) + 1
		h.checks.Store(run)
		if run < int64(conf.HealthCheck.Rise) {
			return SameAsBefore
		}
		return t.risen(i, now)
	}
	run := min(0, h.checks.Load()) - 1
	h.checks.Store(run)
	if -run < int64(conf.HealthCheck.Fall) {
		return SameAsBefore
	}
	if conf.AutoEjectHosts {
		if h.retryAt.Load() == 0 && t.eject(i, 0, untilChecked, why, now) {
			return Fallen
		}
		return SameAsBefore
	}
	h.fails(why, now)
	if -run == int64(conf.HealthCheck.Fall) {
		return Fallen
	}
	return SameAsBefore
}

// risen notes that the i-th server's checks succeed. Failures of its requests, if
// they go on, have the last word.
func (t *Topology) risen(i int, now int64) Verdict {
	h := t.health[i]
	if h.back(now) {
		h.failures.Store(0)
		t.rebuild(now, nil)
		return Risen
	}
	if h.failures.Load() < max(1, int64(t.conf.ServerFailureLimit)) && h.well(now) {
		return Risen
	}
	return SameAsBefore
}

// back ends the server's ejection, if it is ejected, and reports whether this
// call did.
func (h *Health) back(now int64) bool { return h.backSince(h.retryAt.Load(), now) }

// backSince is back, if the server is still to be tried again at time at.
func (h *Health) backSince(at, now int64) bool {
	if at == 0 || !h.retryAt.CompareAndSwap(at, 0) {
		return false
	}
	h.become(Up, msg.OK, now)
	return true
}
