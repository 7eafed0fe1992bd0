package proxy

import (
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
	// failures counts the failures since the last reply. It is not 0 while a
	// server is ejected whose keys stay with it, so that the next reply is noticed.
	failures atomic.Int64
	// retryAt is when, in the loops' nanoseconds, an ejected server is put back
	// on the ring, or the next request let through to it; 0 if it is not ejected.
	retryAt atomic.Int64
	// service is a Service: what an operator wants of the server, serviceSince
	// since when.
	service      atomic.Int32
	serviceSince atomic.Int64
	// condition is how the server is; nil: well, from the beginning.
	condition atomic.Pointer[condition]
}

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
	if at > now {
		c := h.condition.Load()
		if c != nil && c.state == Probing && h.condition.CompareAndSwap(c, &condition{Ejected, now, why}) {
			return probeFailed
		}
		return nothingNew
	}
	n, limit := h.failures.Add(1), max(1, int64(t.conf.ServerFailureLimit))
	if !t.conf.AutoEjectHosts {
		if n == limit {
			h.become(Failing, why, now)
		}
		return nothingNew
	}
	if n < limit {
		return nothingNew
	}
	if !h.retryAt.CompareAndSwap(at, now+int64(t.conf.ServerRetryTimeout)) {
		return nothingNew // another loop has just ejected it
	}
	h.become(Ejected, why, now)
	if t.conf.Eject == config.EjectFail {
		h.failures.Store(limit)
		return ejected
	}
	h.failures.Store(0)
	t.rebuild(now, nil)
	return ejected
}

// answered notes that the i-th server, which has failed since it last did,
// replied at time now: its failures were not consecutive. If it is ejected, and
// its keys are still its own, it has come back.
func (t *Topology) answered(i int, now int64) outcome {
	h := t.health[i]
	h.failures.Store(0)
	if t.conf.Eject == config.EjectFail && h.back(now) {
		return isBack
	}
	if c := h.condition.Load(); c != nil && c.state != Up && h.retryAt.Load() == 0 {
		h.become(Up, msg.OK, now)
	}
	return nothingNew
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
