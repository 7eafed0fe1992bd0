package proxy

import (
	"testing"
	"time"
)

// How long ago a tick was is known to about two milliseconds, also when the ticks have been
// counted from 0 again.
func TestTickAge(t *testing.T) {
	const wraps = int64(1) << (32 + tickBits)
	for _, at := range []int64{0, 1, 1 << tickBits, 12345678901, wraps - 1, wraps, wraps + 1, 7*wraps - 12345678} {
		k := tickOf(at)
		if !k.isTime() {
			t.Errorf("%d is as if long ago", at)
		}
		for _, age := range []time.Duration{0, time.Millisecond, 150 * time.Millisecond, time.Hour, 24 * time.Hour} {
			got := time.Duration(k.age(at + int64(age)))
			if got > age+1<<tickBits || got < age-2<<tickBits {
				t.Errorf("%v after %d it is %v ago", age, at, got)
			}
		}
	}
}
