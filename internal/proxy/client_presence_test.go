package proxy

import (
	"testing"
	"time"
)

// TestPresenceReads plays what a client reads of its replies, with a bound of 100 bytes
// on what may wait.
func TestPresenceReads(t *testing.T) {
	const soft = 100
	for _, tt := range []struct {
		name string
		// steps are the bytes that the client takes and those that are left, a
		// nanosecond apart from 1 on.
		steps  [][2]int64
		slow   []int
		unread int64
		since  int64
	}{
		{name: "all at once", steps: [][2]int64{{10, 0}}, slow: []int{0}},
		{name: "reads on", steps: [][2]int64{{0, 50}, {20, 30}}, slow: []int{0, 0}, unread: 2},
		{name: "does not read", steps: [][2]int64{{0, 50}, {0, 60}}, slow: []int{0, 0}, unread: 1},
		{name: "reads the rest", steps: [][2]int64{{0, 50}, {50, 0}}, slow: []int{0, 0}},
		{name: "too much waits", steps: [][2]int64{{0, 101}, {1, 200}}, slow: []int{1, 0}, unread: 2, since: 1},
		{name: "reads slowly", steps: [][2]int64{{0, 101}, {60, 200}, {40, 300}}, slow: []int{1, 0, 0}, unread: 3, since: 3},
		{name: "is fast again", steps: [][2]int64{{0, 101}, {60, 41}, {0, 101}}, slow: []int{1, -1, 1}, unread: 2, since: 3},
		{name: "is fast at once", steps: [][2]int64{{0, 101}, {101, 0}}, slow: []int{1, -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v presence
			for i, s := range tt.steps {
				if got := v.took(int(s[0]), s[1], soft, int64(i+1)); got != tt.slow[i] {
					t.Errorf("step %d: slow by %d, want %d", i, got, tt.slow[i])
				}
			}
			if v.unreadSince != tt.unread || v.slowSince != tt.since || v.isSlow() != (tt.since != 0) {
				t.Errorf("not read since %d, slow since %d (%t); want %d, %d", v.unreadSince, v.slowSince, v.isSlow(), tt.unread, tt.since)
			}
			if tt.since != 0 && (v.slowBefore(tt.since) || !v.slowBefore(tt.since+1)) {
				t.Errorf("slow before %d or not before %d", tt.since, tt.since+1)
			}
		})
	}
}

// TestPresenceWithoutBound: without a bound nobody is slow.
func TestPresenceWithoutBound(t *testing.T) {
	var v presence
	if v.took(0, 1<<40, 0, 1) != 0 || v.isSlow() || v.slowBefore(2) {
		t.Error("a client is slow in a pool without a bound")
	}
}

func TestPresenceTimes(t *testing.T) {
	var v presence
	v.came(int64(5 * time.Second))
	v.noteActivity(int64(7 * time.Second))
	now := int64(9500 * time.Millisecond)
	if age, silent := v.age(now), v.silent(now); age != 4 || silent != 2 {
		t.Errorf("age %d, silent %d seconds, want 4 and 2", age, silent)
	}
}
