package eventloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// TimeTurns turns the measuring of each turn's processor time on or off. It costs two
// system calls in each turn. It must run on the loop.
func (l *Loop) TimeTurns(on bool) { l.timed = on }

// LongestTurn is the most processor time that one turn has taken, without the waits
// between turns, since turns were first timed or since the last call with reset. The
// turn in progress does not count. It must run on the loop.
func (l *Loop) LongestTurn(reset bool) time.Duration {
	longest := l.longest
	if reset {
		l.longest = 0
	}
	return longest
}

// timedTurn is turn, and measures its time if that is wanted.
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
