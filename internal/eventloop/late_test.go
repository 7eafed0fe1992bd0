package eventloop

import "testing"

// A lateRig is a loop with a connection whose output can wait and one whose cannot,
// and their peers.
type lateRig struct {
	*rig
	late, now       *probe
	farLate, farNow *peer
}

func newLateRig(t *testing.T) *lateRig {
	r := &lateRig{rig: newRig(t)}
	r.late, r.farLate = r.pair("tcp")
	r.now, r.farNow = r.pair("tcp")
	return r
}

// say has the first connection say something that can wait.
func (r *lateRig) say(text string) {
	r.late.Out().AppendString(&r.bufs, text)
	r.late.FlushLate()
}

// silent fails if anything of that was sent.
func (r *lateRig) silent() {
	r.t.Helper()
	if b := r.farLate.drain(100); len(b) > 0 {
		r.t.Fatalf("%q was sent already", b)
	}
}

// TestFlushLate: output that can wait does so while the loop has something else to
// do, and no longer.
func TestFlushLate(t *testing.T) { eachEngine(t, testFlushLate) }

func testFlushLate(t *testing.T) {
	t.Run("nothing else was written", func(t *testing.T) {
		r := newLateRig(t)
		r.say("one")
		r.say("two")
		if next := r.turnAt(1, 1); next != -1 {
			t.Errorf("the next turn is in %d ms, want none", next)
		}
		r.farLate.want("onetwo")
		r.late.wantLog("sent")
	})
	t.Run("something else was written", func(t *testing.T) {
		r := newLateRig(t)
		r.say("one")
		r.now.say("now")
		if next := r.turnAt(1, 1); next != 0 {
			t.Errorf("the next turn is in %d ms, want at once", next)
		}
		r.farNow.want("now")
		r.silent()
		r.say("two")
		r.turnAt(0, 2)
		r.farLate.want("onetwo")
		r.late.wantLog("sent")
		r.quiet("after all was sent")
	})
	t.Run("for long enough", func(t *testing.T) {
		r := newLateRig(t)
		for now := int64(1); now <= 1+maxLate; now += maxLate / 5 {
			r.silent()
			r.say(".")
			r.now.say("now")
			r.turnAt(1, now)
		}
		r.farLate.want("......")
		r.say("again")
		r.now.say("now")
		r.turnAt(1, 2*maxLate)
		r.silent()
	})
}

// TestFlushLateEnds: what else can become of output that waits.
func TestFlushLateEnds(t *testing.T) { eachEngine(t, testFlushLateEnds) }

func testFlushLateEnds(t *testing.T) {
	t.Run("it grows long", func(t *testing.T) {
		r := newLateRig(t)
		r.say("one")
		text := string(noise(lateSize))
		r.say(text)
		r.now.say("now")
		r.turnAt(1, 1)
		r.farLate.want("one" + text)
		r.turnAt(0, 2)
	})
	t.Run("more comes that cannot wait", func(t *testing.T) {
		r := newLateRig(t)
		r.say("one")
		r.late.say("two")
		r.now.say("now")
		r.turnAt(1, 1)
		r.farLate.want("onetwo")
		r.turnAt(0, 2)
		r.late.wantLog("sent", "sent")
	})
	t.Run("the connection is closed", func(t *testing.T) {
		r := newLateRig(t)
		r.say("one")
		r.now.say("now")
		r.turnAt(1, 1)
		r.late.Close()
		r.turnAt(0, 2)
		r.late.wantLog()
	})
	t.Run("the connection is closed and made anew", func(t *testing.T) {
		r := newLateRig(t)
		ln, sa := listenTCP(t)
		r.say("lost")
		r.now.say("now")
		r.turnAt(1, 1)
		r.late.Close()
		fd, inProgress := connect(t, sa)
		r.attachAs(r.late, fd, inProgress)
		r.late.Out().AppendString(&r.bufs, "hello")
		r.until("sent", func() bool { return r.late.sent > 0 })
		nfd, err := accept(ln, 0)
		if err != nil {
			t.Fatal(err)
		}
		own(t, nfd).want("hello")
	})
}

// TestFlushLateStop: output that waits when the loop is stopped goes out.
func TestFlushLateStop(t *testing.T) { eachEngine(t, testFlushLateStop) }

func testFlushLateStop(t *testing.T) {
	r := run(t, hookFunc(never))
	hand := &rig{t: t, Loop: r.Loop}
	var late, now *probe
	var farLate, farNow *peer
	r.do(func() {
		late, farLate = hand.pair("unix")
		now, farNow = hand.pair("unix")
	})
	r.do(func() {
		late.Out().AppendString(&r.bufs, "held")
		late.FlushLate()
		now.say("now")
		r.Stop()
	})
	r.end()
	farNow.want("now")
	farLate.want("held")
	farLate.wantEnd()
}
