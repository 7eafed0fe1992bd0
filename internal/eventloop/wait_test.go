package eventloop

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// A poll is one wait of a loop in the kernel.
type poll struct {
	timeout int
	hidden  bool
}

// The parts of a wait add up to the time until the next turn, and none of it is
// waited twice: a timer is late by the kernel's rounding and no more.
func TestWaitEndsInTime(t *testing.T) { eachEngine(t, testWaitEndsInTime) }

func testWaitEndsInTime(t *testing.T) {
	const ms = int64(time.Millisecond)
	for _, tt := range []struct {
		name string
		next int64 // when the next turn must be, counted from the turn
		// ends are how the waits end: after so many nanoseconds, with this.
		takes  []int64
		errnos []syscall.Errno
		want   []poll
	}{
		{"never", 0, []int64{9 * ms, 0}, nil, []poll{{9, true}, {-1, false}}},
		{"now", -1, []int64{0}, nil, []poll{{0, true}}},
		{"5 ms", 5 * ms, []int64{5 * ms}, nil, []poll{{5, true}}},
		{"9 ms", 9 * ms, []int64{9 * ms}, nil, []poll{{9, true}}},
		{"a little more", 9*ms + 1, []int64{9 * ms, ms}, nil, []poll{{9, true}, {1, false}}},
		{"10 ms", 10 * ms, []int64{9 * ms, ms}, nil, []poll{{9, true}, {1, false}}},
		{"15 ms", 15 * ms, []int64{9 * ms, 6 * ms}, nil, []poll{{9, true}, {6, false}}},
		{"an hour", int64(time.Hour), []int64{9 * ms, 0}, nil, []poll{{9, true}, {3600_000 - 9, false}}},
		// A busy machine may give the thread back late.
		{"late", 15 * ms, []int64{12 * ms, 3 * ms}, nil, []poll{{9, true}, {3, false}}},
		{"too late", 15 * ms, []int64{20 * ms, 0}, nil, []poll{{9, true}, {0, false}}},
		// A signal ends the hidden wait.
		{"signal", 15 * ms, []int64{4 * ms, 11 * ms}, []syscall.Errno{syscall.EINTR, 0}, []poll{{9, true}, {11, false}}},
		{"signal in a short wait", 5 * ms, []int64{4 * ms, ms}, []syscall.Errno{syscall.EINTR, 0}, []poll{{5, true}, {1, false}}},
		{"signal in a wait for ever", 0, []int64{4 * ms, 0}, []syscall.Errno{syscall.EINTR, 0}, []poll{{9, true}, {-1, false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.byHand = true
			const begin = int64(time.Hour)
			if tt.next != 0 {
				r.onTurn = func(int64) int64 { return begin + tt.next }
			}
			var polls []poll
			r.polled().poll = func(timeout int, hidden bool) (int, syscall.Errno) {
				i := len(polls)
				polls = append(polls, poll{timeout, hidden})
				r.now += tt.takes[i] // which is what Clock tells
				if i < len(tt.errnos) {
					return 0, tt.errnos[i]
				}
				return 0, 0
			}
			if _, err := r.wait(r.turnAt(0, begin)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(polls, tt.want) {
				t.Errorf("it waited %v, want %v", polls, tt.want)
			}
		})
	}
}
