package eventloop

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestFlushLate: output that can wait does so while the loop has something else to
// do, and no longer.
func TestFlushLate(t *testing.T) {
	say := func(c *probe, text string) {
		c.Out().AppendString(&c.rig.bufs, text)
		c.FlushLate()
	}
	silent := func(t *testing.T, p *peer) {
		t.Helper()
		if b := p.drain(100); len(b) > 0 {
			t.Fatalf("%q was sent already", b)
		}
	}
	pairs := func(t *testing.T) (r *rig, late, other *probe, farLate, farOther *peer) {
		r = newRig(t)
		late, farLate = r.pair("tcp")
		other, farOther = r.pair("tcp")
		return r, late, other, farLate, farOther
	}
	t.Run("nothing else was written", func(t *testing.T) {
		r, late, _, far, _ := pairs(t)
		say(late, "one")
		say(late, "two")
		if next := r.turnAt(1, 1); next != -1 {
			t.Errorf("the next turn is in %d ms, want none", next)
		}
		far.want("onetwo")
		late.wantLog("sent")
	})
	t.Run("something else was written", func(t *testing.T) {
		r, late, other, far, farOther := pairs(t)
		say(late, "one")
		other.say("now")
		if next := r.turnAt(1, 1); next != 0 {
			t.Errorf("the next turn is in %d ms, want at once", next)
		}
		farOther.want("now")
		silent(t, far)
		say(late, "two")
		r.turnAt(0, 2)
		far.want("onetwo")
		late.wantLog("sent")
		r.quiet("after all was sent")
	})
	t.Run("for long enough", func(t *testing.T) {
		r, late, other, far, _ := pairs(t)
		for now := int64(1); now <= 1+maxLate; now += maxLate / 5 {
			silent(t, far)
			say(late, ".")
			other.say("now")
			r.turnAt(1, now)
		}
		far.want("......")
		say(late, "again")
		other.say("now")
		r.turnAt(1, 2*maxLate)
		silent(t, far)
	})
	t.Run("long output", func(t *testing.T) {
		r, late, other, far, _ := pairs(t)
		say(late, "one")
		text := string(noise(lateSize))
		say(late, text)
		other.say("now")
		r.turnAt(1, 1)
		far.want("one" + text)
		r.turnAt(0, 2)
	})
	t.Run("then at once", func(t *testing.T) {
		r, late, other, far, _ := pairs(t)
		say(late, "one")
		late.say("two")
		other.say("now")
		r.turnAt(1, 1)
		far.want("onetwo")
		r.turnAt(0, 2)
		late.wantLog("sent", "sent")
	})
	t.Run("closed", func(t *testing.T) {
		r, late, other, _, _ := pairs(t)
		say(late, "one")
		other.say("now")
		r.turnAt(1, 1)
		late.Close()
		r.turnAt(0, 2)
		late.wantLog()
	})
	t.Run("closed and made anew", func(t *testing.T) {
		r, late, other, _, _ := pairs(t)
		ln, sa := listenTCP(t)
		say(late, "lost")
		other.say("now")
		r.turnAt(1, 1)
		late.Close()
		fd, inProgress := connect(t, sa)
		r.attachAs(late, fd, inProgress)
		late.Out().AppendString(&r.bufs, "hello")
		r.until("sent", func() bool { return late.sent > 0 })
		nfd, _, err := unix.Accept(ln)
		if err != nil {
			t.Fatal(err)
		}
		own(t, nfd).want("hello")
	})
}
