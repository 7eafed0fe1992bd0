package topology

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/msg"
)

// Health is what all loops share of one server.
//
//	     server_failure_limit failures in a row
//	up ────────────────────────────────────────► ejected ◄──────┐
//	 ▲                                             │            │ it BeginsToFail
//	 │              server_retry_timeout is over   │            │
//	 │              eject: ring   it is on the     │            │
//	 │                            ring again       │            │
//	 │              eject: fail   one request is   ▼            │
//	 └────────────────────────────let through── probing ────────┘
//	     it answers
//
// In a pool that does not eject, the server is failing instead until it answers. So is
// a server that wants a login which the pool does not have.
//
// Loops note what happens to their connections. The loop that finds a change makes it
// for all.
type Health struct {
	// addrs are the server's addresses; nil while its name is not resolved.
	addrs atomic.Pointer[[]unix.Sockaddr]
	// unreachable: the server's name must be looked up again, since the server could
	// not be connected to, has failed, or takes no writes.
	unreachable atomic.Bool
	// failures is how many failures there were since the last reply. unproven is added
	// while the server has yet to show that it is well, so that the next reply is
	// noticed.
	failures atomic.Int64
	// failedAt is when the last failure was counted, in the loops' nanoseconds; 0: none
	// was.
	failedAt atomic.Int64
	// retryAt is when, in the loops' nanoseconds, an ejected server is put back on the
	// ring, or the next request is let through to it. It is 0 if the server is not
	// ejected, and untilChecked if checks bring it back.
	retryAt atomic.Int64
	// checks is how many checks in a row succeeded or, if negative, failed.
	checks atomic.Int64
	// checkLog is how long they took.
	checkLog checkLog
	// service is a Service, which an operator has set. serviceSince is when.
	service      atomic.Int32
	serviceSince atomic.Int64
	// deposedAt is when another server was last known to be promoted in its place, in the
	// loops' nanoseconds; 0: never.
	deposedAt atomic.Int64
	// place is probably its place among its pool's servers.
	place atomic.Int64
	// condition is the server's state; nil: it has always been up.
	condition atomic.Pointer[condition]
	// failedFrom is when the server ceased to be up as the program before has handed it over, in
	// the loops' nanoseconds, until it answers; 0: it has not.
	failedFrom atomic.Int64
	// forsaken: it has closed a connection on which nothing waited, since that was last asked.
	forsaken atomic.Bool
	// unanswered is how many requests have waited in vain on connections that it had accepted,
	// since it last answered.
	unanswered atomic.Int64
	// told is the cause that the log had when the server ceased to be up; nil: it never did.
	told atomic.Pointer[string]
	// private counts the private connections to the server.
	private Private
	// standing is what the server has said of itself as a primary or a replica; nil: nothing.
	standing atomic.Pointer[Standing]
}

// untilChecked is a time that never comes.
const untilChecked = math.MaxInt64

// unproven is far above any number of failures.
const unproven = 1 << 40

// A condition is a server's state, since when and why. It is immutable.
type condition struct {
	state State
	// since is when the server ceased to be up, whatever its state has been since. If
	// it is up, it is when it came up again.
	since int64
	// found is the same as this program has found it.
	found int64
	// why is why it is not up, the latest known reason; msg.OK if it is up.
	why msg.Reason
	// before is, if the server is up, the since of the last time that it was not; 0: it
	// always was up.
	before int64
}

// A State is the state of a server.
type State uint8

const (
	// Up means that nothing is known against the server.
	Up State = iota
	// Failing means that it fails, or refuses the pool's password, and requests are
	// still sent to it.
	Failing
	// Ejected means that it has failed: its keys go to other servers, or requests
	// for them get an error.
	Ejected
	// Probing means that it was ejected, is tried again, and has not answered yet. With
	// eject: fail one request is under way; otherwise it has its keys again.
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

// A ServerState is a server's state at a moment.
type ServerState struct {
	State State
	// Since is when the server ceased to be up, or when it was last up again, in the
	// loops' nanoseconds; 0: it always was up. The program before may have found it,
	// before this one began. Found is when this program did.
	Since, Found int64
	// Reason is why the server is not up: what it failed for last. It is msg.OK if it
	// is up.
	Reason msg.Reason
	// RetryAt is when an ejected server is tried again, in the loops'
	// nanoseconds; 0: that is not known, or it is not ejected.
	RetryAt int64
	// Failures is how often it has failed since it last answered.
	Failures int64
	// Service is the service that an operator has put it in.
	Service Service
}

// State is the server's state. It may be called from any goroutine.
func (h *Health) State() ServerState {
	s := ServerState{Failures: h.failures.Load() & (unproven - 1), Service: h.Service(), RetryAt: h.retryAt.Load()}
	if s.RetryAt == untilChecked {
		s.RetryAt = 0
	}
	if c := h.condition.Load(); c != nil {
		s.State, s.Since, s.Found, s.Reason = c.state, c.since, c.found, c.why
	}
	if s.Service != InService {
		s.State, s.Since = Disabled, h.serviceSince.Load()
	}
	return s
}

// become publishes a state, and returns the one before. If why is msg.OK and the server
// is not up, the reason stays.
func (h *Health) become(s State, why msg.Reason, now int64) (before State) {
	if s == Up {
		h.unanswered.Store(0)
	}
	for {
		old := h.condition.Load()
		was := old
		if was == nil {
			was = &condition{}
		}
		next := &condition{state: s, since: now, found: now, why: why}
		switch {
		case s == Up:
			next.why, next.before = msg.OK, was.since
			h.failedFrom.Store(0)
		case was.state == Up:
			next.since = beganToFail(h, now)
		default:
			next.since, next.found = was.since, was.found
			if why == msg.OK {
				next.why = was.why
			}
		}
		if was.state == s && (s == Up || *was == *next) || h.condition.CompareAndSwap(old, next) {
			return was.state
		}
	}
}

// Refuses notes that the server answers, but refuses what every request needs. It
// reports whether the server was up before.
func (h *Health) Refuses(why msg.Reason, now int64) bool {
	c := h.condition.Load()
	if c != nil && c.state != Up {
		h.because(why)
		return false
	}
	h.failures.Or(unproven)
	return h.condition.CompareAndSwap(c, &condition{state: Failing, since: beganToFail(h, now), found: now, why: why})
}

// IsThere notes that the server answers, though it is not up: its failures were not consecutive.
func (h *Health) IsThere() {
	if n := h.failures.Load(); n&(unproven-1) != 0 {
		h.failures.CompareAndSwap(n, unproven)
	}
}

// Trouble is how long a server that is up now was down the last time.
func (h *Health) Trouble() time.Duration {
	if c := h.condition.Load(); c != nil && c.state == Up {
		return time.Duration(c.since - c.before)
	}
	return 0
}

// Forsakes notes that the server has closed a connection on which nothing waited. It closes what
// is idle, or is gone.
func (h *Health) Forsakes() { h.forsaken.Store(true) }

// WasForsaken reports whether that was noted since the last call. It may be called from any
// goroutine.
func (h *Health) WasForsaken() bool { return h.forsaken.Load() && h.forsaken.Swap(false) }

// Gone notes at time now that nothing is there to be connected to, for the reason why, and
// reports whether nothing was known against the server before. Its next answer is noted. It may
// be called from any goroutine.
func (h *Health) Gone(why msg.Reason, now int64) bool { return h.IsUp() && h.Refuses(why, now) }

// Reached notes at time now that a server that was Gone accepts connections, and reports whether
// nothing else is known against it. It may be called from any goroutine.
func (h *Health) Reached(now int64) bool {
	c := h.condition.Load()
	return c != nil && c.state == Failing && IsUnreachable(c.why) && h.failures.Load()&(unproven-1) == 0 && h.become(Up, msg.OK, now) == Failing
}

// LeavesWaiting notes that n requests have waited for the timeout on a connection that the server
// had accepted.
func (h *Health) LeavesWaiting(n int) { h.unanswered.Add(int64(n)) }

// Unanswered is how many have, since the server last answered. It may be called from any
// goroutine.
func (h *Health) Unanswered() int64 { return h.unanswered.Load() }

// Told notes the cause that the log has had for why the server is not up, and ToldCause is the
// latest. They may be called from any goroutine.
func (h *Health) Told(cause string) { h.told.Store(&cause) }

// ToldCause is empty if there was none.
func (h *Health) ToldCause() string {
	if cause := h.told.Load(); cause != nil {
		return *cause
	}
	return ""
}

// HasFailed reports whether the server's next answer must be noted: it has failed since
// it last answered, or has yet to show that it is well.
func (h *Health) HasFailed() bool { return h.failures.Load() != 0 }

// IsUp reports whether nothing is known against the server.
func (h *Health) IsUp() bool {
	c := h.condition.Load()
	return c == nil || c.state == Up
}

// because notes another reason why a server is not up.
func (h *Health) because(why msg.Reason) {
	c := h.condition.Load()
	if c == nil || c.state == Up || c.why == why {
		return
	}
	// If another goroutine has changed it, its reason is as good.
	h.condition.CompareAndSwap(c, &condition{state: c.state, since: c.since, found: c.found, why: why})
}
