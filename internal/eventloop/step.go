package eventloop

import (
	"fmt"
	"os"
)

// Step runs one turn without waiting, on what is ready, as if the time were now.
// It returns on how many descriptors something was ready, or left to read, and one
// more if the hook has the next turn follow at once. It is for
// whoever runs a loop by hand, with a time of his own, in place of Run; Run after
// Stop then closes what the loop holds.
func (l *Loop) Step(now int64) (ready int, err error) {
	n, err := l.wait(0)
	if err != nil {
		return 0, fmt.Errorf("eventloop: %w", os.NewSyscallError("epoll_wait", err))
	}
	l.byHand = true
	ready = n + len(l.again)
	if l.turnAt(n, now) == 0 && len(l.again)+len(l.late) == 0 {
		ready++
	}
	return ready, nil
}
