package eventloop

import (
	"testing"
	"time"
)

// The longest turn is measured if that is wanted.
func TestLongestTurn(t *testing.T) { eachEngine(t, testLongestTurn) }

func testLongestTurn(t *testing.T) {
	l, err := NewOn(engineOf(t), time.Now(), hookFunc(never))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	// on runs f in a turn and waits for the next one: the turn in progress does not
	// count.
	on := func(f func()) {
		for range 2 {
			done := make(chan struct{})
			l.Post(func() { f(); close(done) })
			<-done
			f = func() {}
		}
	}
	var off, timed time.Duration
	on(func() { l.TimeTurns(false) })
	on(func() { off = l.LongestTurn(false) })
	on(func() { l.TimeTurns(true) })
	on(func() { timed = l.LongestTurn(true) })
	l.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if off != 0 || timed <= 0 {
		t.Errorf("the longest turn took %v when it was not measured, %v when it was", off, timed)
	}
}
