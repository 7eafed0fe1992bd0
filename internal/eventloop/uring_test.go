package eventloop

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestRingFlagWithoutWork: the kernel sets the flag for work of the ring after it has put the
// work there. If the loop has done the work in between, the flag stays, and says nothing. What
// was found is delivered all the same, and a wait waits.
func TestRingFlagWithoutWork(t *testing.T) { t.Run(IOUring.String(), testRingFlagWithoutWork) }

func testRingFlagWithoutWork(t *testing.T) {
	r := newRig(t)
	u := r.engine.(*uring)
	c, far := r.pair("tcp")
	// Who waits for the flag to go does so until then.
	over := time.AfterFunc(patience*time.Millisecond, func() { atomic.AndUint32(u.ring.sqFlags, ^uint32(ioringSQTaskrun)) })
	defer over.Stop()
	for _, words := range []string{"one", "two"} {
		far.write(words)
		atomic.OrUint32(u.ring.sqFlags, ioringSQTaskrun)
		before := u.ring.stats.Enters
		r.step()
		if string(c.data) != words {
			t.Errorf("received %q, want %q", c.data, words)
		}
		if n := u.ring.stats.Enters - before; n > 10 {
			t.Errorf("%d enters for one event", n)
		}
		c.data = nil
	}
	atomic.OrUint32(u.ring.sqFlags, ioringSQTaskrun)
	before := u.ring.stats.Enters
	if n, err := r.wait(briefWait); n != 0 || err != nil {
		t.Errorf("a wait for nothing finds %d events, %v", n, err)
	}
	if n := u.ring.stats.Enters - before; n > 10 {
		t.Errorf("a wait for nothing takes %d enters", n)
	}
}

// TestRingsMemory: what a loop's ring takes is within the bound that is stated for it, and is not
// counted as received.
func TestRingsMemory(t *testing.T) { t.Run(IOUring.String(), testRingsMemory) }

func testRingsMemory(t *testing.T) {
	r := newRig(t)
	takes, most := r.engine.(*uring).ring.stats.BufferBytes, IOUring.LoopMemory()
	if takes > most || takes < most-8192 {
		t.Errorf("the ring takes %d bytes, and %d are its bound", takes, most)
	}
	if n := r.Ahead(); n != 0 {
		t.Errorf("%d bytes count as received", n)
	}
}
