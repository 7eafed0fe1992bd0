package proxy

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// Health is what all loops share of one server.
//
//	     server_failure_limit failures in a row
//	up ────────────────────────────────────────► ejected ◄──────┐
//	 ▲                                             │            │ it fails
//	 │              server_retry_timeout is over   │            │
//	 │              eject: ring   it is on the     │            │
//	 │                            ring again       │            │
//	 │              eject: fail   one request is   ▼            │
//	 └────────────────────────────let through── probing ────────┘
//	     it answers
//
// In a pool that does not eject it is failing instead, until it answers. So is one
// that wants a login which the pool does not have.
//
// Loops note what happens to their connections, and whichever is the one to
// notice that it changes something, changes it for all.
type Health struct {
	// addrs are the server's addresses; nil while its name is not resolved.
	addrs atomic.Pointer[[]unix.Sockaddr]
	// unreachable: the server's name is to be looked up again, since it could not be
	// connected to, or has failed, or takes no writes.
	unreachable atomic.Bool
	// failures counts the failures since the last reply, plus unproven while the
	// server has yet to show that it is well: then it is not 0, so that the next
	// reply is noticed.
	failures atomic.Int64
	// failedAt is when the last failure was counted, in the loops' nanoseconds; 0: none
	// was.
	failedAt atomic.Int64
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

// unproven is far above any number of failures.
const unproven = 1 << 40

// A condition is how a server is, since when and why. It is immutable.
type condition struct {
	state State
	// since is when the server ceased to be up, whatever its state has been since,
	// or when it was last up again.
	since int64
	// why is why it is not up, the latest reason that is known; msg.OK if it is up.
	why msg.Reason
	// before is, of a server that is up, the since of when it was not; 0: it always
	// was up.
	before int64
}

// A State is how a server is.
type State uint8

const (
	// Up means that nothing speaks against the server.
	Up State = iota
	// Failing means that it fails, or refuses the pool's login, and gets its requests
	// all the same.
	Failing
	// Ejected means that it has failed: its keys go to other servers, or requests
	// for them get an error.
	Ejected
	// Probing means that it was ejected and is tried again: nothing has answered yet.
	// With eject: fail one request is under way, else it has its keys.
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
	// Since is when the server ceased to be up, or when it was last up again, in the
	// loops' nanoseconds; 0: it always was up.
	Since int64
	// Reason is why the server is not up: what it failed for last. It is msg.OK if it
	// is up.
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
	s := ServerState{Failures: h.failures.Load() & (unproven - 1), Service: h.inService(), RetryAt: h.retryAt.Load()}
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

// Gets reports whether the i-th server gets the requests for its keys, whether or
// not it answers them.
func (t *Topology) Gets(i int) bool { return t.health[i].passes() }

// become publishes a state, and returns the one before. The reason stays what it
// was if why is msg.OK and the server is not up.
func (h *Health) become(s State, why msg.Reason, now int64) (before State) {
	for {
		old := h.condition.Load()
		was := old
		if was == nil {
			was = &condition{}
		}
		next := &condition{state: s, since: now, why: why}
		switch {
		case s == Up:
			next.why, next.before = msg.OK, was.since
		case was.state != Up:
			next.since = was.since
			if why == msg.OK {
				next.why = was.why
			}
		}
		if was.state == s && (s == Up || *was == *next) || h.condition.CompareAndSwap(old, next) {
			return was.state
		}
	}
}

// refuses notes that the server, which answers, refuses what every request needs.
// It reports whether it was up before.
func (h *Health) refuses(why msg.Reason, now int64) bool {
	c := h.condition.Load()
	if c != nil && c.state != Up {
		h.because(why)
		return false
	}
	h.failures.Or(unproven)
	return h.condition.CompareAndSwap(c, &condition{state: Failing, since: now, why: why})
}

// trouble is how long a server that is up was not, the last time.
func (h *Health) trouble() time.Duration {
	if c := h.condition.Load(); c != nil && c.state == Up {
		return time.Duration(c.since - c.before)
	}
	return 0
}

// isUp reports whether nothing speaks against the server.
func (h *Health) isUp() bool {
	c := h.condition.Load()
	return c == nil || c.state == Up
}

// because notes why a server is not up that was not up before.
func (h *Health) because(why msg.Reason) {
	c := h.condition.Load()
	if c == nil || c.state == Up || c.why == why {
		return
	}
	// If somebody else has changed it, that is as new.
	h.condition.CompareAndSwap(c, &condition{state: c.state, since: c.since, why: why})
}

// An outcome is what a failure or an answer changed.
type outcome uint8

const (
	nothingNew outcome = iota
	// fails: a server that is not ejected for it is not up any more.
	fails
	ejected
	// stillFails: a server that was tried again has failed again. ejectedAgain: and
	// was ejected again.
	stillFails
	ejectedAgain
	// answers: it is up again. isBack: and was ejected.
	answers
	isBack
)

// moment is how long, in nanoseconds, after a failure the end of connections that
// were there before has the same cause.
const moment = int64(time.Second)

// isAnother reports whether a connection that was dialled at time made, and failed at
// time now, is another failure than the last, and notes it then. Connections that
// fail together are one failure, in all loops together: what was dialled before the
// last was counted can tell nothing of what has happened since.
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

// failed notes that a connection to the i-th server, dialled at time made, failed at
// time now. Of an ejected one, what happens to the connections that it still has
// tells nothing new, unless a request was let through to it.
func (t *Topology) failed(i int, why msg.Reason, made, now int64) outcome {
	h := t.health[i]
	at := h.retryAt.Load()
	if at > now || at != 0 && t.conf.Eject == config.EjectFail {
		// A probe may fail when the next one is due: its server was ejected before.
		c := h.condition.Load()
		if c != nil && c.state == Probing && h.condition.CompareAndSwap(c, &condition{state: Ejected, since: c.since, why: why}) {
			return stillFails
		}
		return nothingNew
	}
	if !h.isAnother(made, now) {
		return nothingNew
	}
	n, limit := h.failures.Add(1)&(unproven-1), max(1, int64(t.conf.ServerFailureLimit))
	switch {
	case n < limit:
		h.because(why)
		return nothingNew
	case !t.conf.AutoEjectHosts:
		if h.become(Failing, why, now) == Up {
			return fails
		}
		return nothingNew
	}
	until := now + int64(t.conf.ServerRetryTimeout)
	if t.conf.HealthCheck.Interval > 0 {
		until = untilChecked
	}
	switch was, done := t.eject(i, at, until, why, now); {
	case !done:
		return nothingNew // another loop has just ejected it
	case was == Probing:
		return ejectedAgain
	default:
		return ejected
	}
}

// eject ejects the i-th server, if it is still to be tried again at time at, and
// reports whether this call did, and how the server was.
func (t *Topology) eject(i int, at, until int64, why msg.Reason, now int64) (was State, done bool) {
	h := t.health[i]
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

// answered notes that the i-th server, which has failed since it last did,
// replied at time now: its failures were not consecutive. If it was not up for
// them it is now.
func (t *Topology) answered(i int, now int64) outcome {
	h := t.health[i]
	h.failures.Store(0)
	at := h.retryAt.Load()
	switch {
	case t.conf.Eject == config.EjectFail && at != untilChecked && h.backSince(at, now):
		return isBack
	case h.well(now):
		return answers
	}
	return nothingNew
}

// well notes that nothing speaks against the server any more, unless it is
// ejected. It reports whether anything did until this call.
func (h *Health) well(now int64) bool {
	return !h.isUp() && h.retryAt.Load() == 0 && h.become(Up, msg.OK, now) != Up
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
		if h.retryAt.Load() == 0 {
			if _, done := t.eject(i, 0, untilChecked, why, now); done {
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

// risen notes that the i-th server's checks succeed. Failures of its requests, if
// they go on, have the last word.
func (t *Topology) risen(i int, now int64) Verdict {
	h := t.health[i]
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

// tried puts a server whose time of ejection is over, at time at, back on the
// ring, and reports whether this call did. It is up when it has answered.
func (h *Health) tried(at, now int64) bool {
	if !h.retryAt.CompareAndSwap(at, 0) {
		return false
	}
	h.failures.Or(unproven)
	h.become(Probing, msg.OK, now)
	return true
}
