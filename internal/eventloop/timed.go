package eventloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// TimeTurns has the processor time of each turn measured, or no more. It costs two
// system calls in each. It must run on the loop.
func (l *Loop) TimeTurns(on bool) { l.timed = on }

// LongestTurn is the most processor time that one turn has taken, the waits between
// turns left out, since turns were first timed or reset was last true; the turn in
// progress does not count. It must run on the loop.
func (l *Loop) LongestTurn(reset bool) time.Duration {
	longest := l.longest
	if reset {
		l.longest = 0
	}
	return longest
}

// timedTurn is turn, with its time if that is wanted.
func (l *Loop) timedTurn(n int) int {
	if !l.timed {
		return l.turn(n)
	}
	before := threadTime()
	timeout := l.turn(n)
	l.longest = max(l.longest, threadTime()-before)
	return timeout
}

// threadTime is the processor time that the calling thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	// The clock exists on every kernel that has epoll.
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}
