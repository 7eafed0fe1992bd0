package eventloop

import "fmt"

// Step runs one turn without waiting, as if the time were now. It returns how many
// events there were or are left, plus one if the hook wants the next turn at once. It
// is for tests that run a loop by hand, with a time of their own, in place of Run. Run
// after Stop then closes what the loop holds.
func (l *Loop) Step(now int64) (ready int, err error) {
	if err := l.start(); err != nil {
		return 0, err
	}
	n, err := l.engine.wait(0)
	if err != nil {
		return 0, fmt.Errorf("eventloop: %w", err)
	}
	l.byHand = true
	ready = n + l.engine.pending() + len(l.stirred)
	if l.turnAt(n, now) == 0 && l.engine.pending()+len(l.stirred)+len(l.late) == 0 {
		ready++
	}
	return ready, nil
}
