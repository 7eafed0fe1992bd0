package proxy

import (
	"slices"
	"testing"
	"time"
)

// What is told again and again is told ever less often, down to once in a minute, and each line
// says how many were left out. What is told rarely is told each time.
func TestSlowingPace(t *testing.T) {
	var s slowing
	var at []int
	told, left := 0, 0
	step := func(now time.Duration) bool {
		missed, ok := s.mayLog(int64(now))
		if ok {
			told, left = told+1, left+missed
			at = append(at, int(now/time.Second))
		}
		return ok
	}
	const start, rate = time.Hour, 10
	for i := range 200*rate + 1 {
		step(start + time.Duration(i)*time.Second/rate)
	}
	first := int(start / time.Second)
	for i := range at {
		at[i] -= first
	}
	if want := []int{0, 1, 3, 7, 15, 31, 63, 123, 183}; !slices.Equal(at, want) {
		t.Errorf("ten lines a second are told at seconds %v, want %v", at, want)
	}
	if shown := told + left + s.missed; shown != 200*rate+1 {
		t.Errorf("%d lines are told or counted, want %d", shown, 200*rate+1)
	}
	later := start + time.Hour
	for i := range 20 {
		if !step(later+time.Duration(i)*3*time.Second) && i > 1 {
			t.Errorf("line %d of those that come every three seconds is left out", i)
		}
	}
}
