package eventloop

import (
	"testing"
	"time"
)

// A loop that is run by hand has the time that it is told, does what was posted,
// and does not wait.
func TestStep(t *testing.T) { eachEngine(t, testStep) }

func testStep(t *testing.T) {
	l, err := NewOn(engineOf(t), time.Now(), &rig{t: t})
	if err != nil {
		t.Fatal(err)
	}
	const hour = int64(time.Hour)
	var at int64
	l.Post(func() { at = l.Now() })
	if n, err := l.Step(hour); n != 1 || err != nil || at != hour {
		t.Errorf("a step with something posted: %d ready, %v, at %d, want 1 at %d", n, err, at, hour)
	}
	if n, err := l.Step(2 * hour); n != 0 || err != nil || l.Now() != 2*hour {
		t.Errorf("a step with nothing to do: %d ready, %v, at %d", n, err, l.Now())
	}
	l.Stop()
	if err := l.Run(); err != nil {
		t.Error(err)
	}
}

// TestStepLeft: a step on what the last one left to read sees no old events.
func TestStepLeft(t *testing.T) { eachEngine(t, testStepLeft) }

func testStepLeft(t *testing.T) {
	r := newRig(t)
	c, far := r.pair("unix")
	c.lend = func() []byte { return nil }
	far.write(string(noise(recvSize)))
	for i, want := range []int{1, 1, 0} {
		if n, err := r.Step(1); n != want || err != nil {
			t.Errorf("step %d: %d ready, %v, want %d", i, n, err, want)
		}
	}
	told := []string{"lend", "data", "lend"}
	if engineOf(t) == IOUring { // the first receive is a smaller one
		told = append(told, "data")
	}
	c.wantLog(told...)
}
