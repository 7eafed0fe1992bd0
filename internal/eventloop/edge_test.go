package eventloop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// A tangle is a connection and its peer to whom everything happens in any order, so
// that an event that is told once only would be missed, if it can be.
type tangle struct {
	*rig
	rnd  *rand.Rand
	c    *probe
	far  *peer
	sent []byte
	// ended: the peer has said that it sends no more; gone: it has reset.
	ended, gone bool
}

// sizes are those of writes and of lent places: such as fill what is read into, too.
var sizes = []int{1, 7, 100, 2048, recvSize - 1, recvSize, recvSize + 1, 2 * recvSize}

func newTangle(r *rig, kind string, seed uint64) *tangle {
	x := &tangle{rig: r, rnd: rand.New(rand.NewPCG(seed, 1))}
	x.c, x.far = r.pair(kind)
	var place []byte
	x.c.lend = func() []byte {
		switch x.rnd.IntN(6) {
		case 0:
			x.c.PauseRead()
			return nil
		case 1:
			place = make([]byte, x.size())
			return place
		default:
			return nil
		}
	}
	x.c.onLent = func(n int) { x.c.data = append(x.c.data, place[:n]...) }
	x.c.onData = func([]byte) {
		if x.rnd.IntN(4) == 0 {
			x.c.PauseRead()
		}
	}
	return x
}

func (x *tangle) size() int { return sizes[x.rnd.IntN(len(sizes))] }

// turnNow runs a turn on what is ready, if anything.
func (x *tangle) turnNow() {
	x.t.Helper()
	n, err := x.wait(0)
	if err != nil {
		x.t.Fatal(err)
	}
	x.turn(n)
}

// write has the peer write as much as there is room for.
func (x *tangle) write() {
	x.t.Helper()
	b := make([]byte, x.size())
	for i := range b {
		b[i] = byte(len(x.sent) + i)
	}
	n, err := unix.SendmsgN(x.far.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		x.t.Fatal(err)
	}
	x.sent = append(x.sent, b[:max(n, 0)]...)
}

// happen has one of all things happen.
func (x *tangle) happen() {
	x.t.Helper()
	switch n := x.rnd.IntN(20); {
	case n < 6:
		if !x.ended && !x.gone {
			x.write()
		}
	case n < 13:
		x.turnNow()
	case n < 15:
		x.c.PauseRead()
	case n < 18:
		x.c.ResumeRead()
	case n == 18 && !x.ended && !x.gone:
		x.ended = true
		x.far.endWriting()
	case n == 19 && !x.gone && x.rnd.IntN(4) == 0:
		x.gone = true
		x.far.reset()
	}
}

// TestTangle: whatever the order of data, ends, resets, pauses and reads that fill
// what they read into, all that was sent comes, and its end.
func TestTangle(t *testing.T) { eachEngine(t, testTangle) }

func testTangle(t *testing.T) {
	for seed := range uint64(400) {
		kind := []string{"tcp", "unix"}[seed%2]
		t.Run(fmt.Sprintf("%s%d", kind, seed), func(t *testing.T) {
			r := newRig(t)
			x := newTangle(r, kind, seed)
			for range 40 {
				x.happen()
			}
			if x.gone {
				r.until("an error, whether or not it is read from", func() bool { return !x.c.Attached() })
				return
			}
			x.turnNow()
			x.turnNow()
			if x.c.noRead {
				r.quiet("paused")
			}
			x.c.lend, x.c.onData = nil, nil
			x.c.ResumeRead()
			r.until("all that was sent", func() bool { return len(x.c.data) >= len(x.sent) })
			wantBytes(t, "received", x.c.data, x.sent)
			if !x.ended {
				x.far.endWriting()
			}
			r.until("the end", func() bool { return x.c.eof })
			r.quiet("after the end")
		})
	}
}

// TestResetAtPause: a reset is seen, which is told once, if just then nothing is to
// be read any more.
func TestResetAtPause(t *testing.T) { eachEngine(t, testResetAtPause) }

func testResetAtPause(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	c.lend = func() []byte { c.PauseRead(); return nil }
	peer.reset()
	r.step()
	c.wantLog("lend", "error")

	c, peer = r.pair("tcp")
	c.onData = func([]byte) { c.PauseRead() }
	peer.write("unread")
	peer.reset()
	r.step()
	r.step()
	c.wantLog("data", "error")
}

// TestGoneAtOnce: a peer that closes altogether says that it sends no more, and has
// gone.
func TestGoneAtOnce(t *testing.T) { eachEngine(t, testGoneAtOnce) }

func testGoneAtOnce(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	peer.write("last words")
	peer.close()
	r.until("error", func() bool { return !c.Attached() })
	c.wantLog("data", "eof", "error")
}

// TestAnewWithMoreToRead: what was left to read, or behind it, is the old
// connection's, not that which is made with the same object in the same turn.
func TestAnewWithMoreToRead(t *testing.T) { eachEngine(t, testAnewWithMoreToRead) }

func testAnewWithMoreToRead(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	next := own(t, fds[1])
	c.lend = func() []byte { return nil }
	c.onData = func([]byte) {
		c.onData = nil
		c.Close()
		r.attachAs(c, fds[0], false)
	}
	peer.write(string(noise(recvSize)))
	peer.close()
	r.step()
	r.step()
	r.quiet("with nothing to read")
	next.write("hello")
	r.step()
	r.quiet("after all was read")
	next.endWriting()
	r.step()
	c.wantLog("lend", "data", "lend", "data", "lend", "eof")
}

// TestUrgent: a read stops short of urgent bytes, which nobody wants, and what is
// behind them comes all the same.
func TestUrgent(t *testing.T) { eachEngine(t, testUrgent) }

func testUrgent(t *testing.T) {
	r := newRig(t)
	c, first := r.pair("tcp")
	d, second := r.pair("tcp")
	for _, both := range []bool{false, true} { // alone in a turn, and beside another
		peers, conns := []*peer{first}, []*probe{c}
		if both {
			peers, conns = append(peers, second), append(conns, d)
		}
		want := make([]string, len(conns))
		for i, p := range peers {
			want[i] = string(conns[i].data) + "onetwo"
			p.write("one")
			if err := unix.Sendto(p.fd, []byte("!"), unix.MSG_OOB, nil); err != nil {
				t.Fatal(err)
			}
			p.write("two")
		}
		for i, c := range conns {
			r.until("what is behind", func() bool { return len(c.data) >= len(want[i]) })
			if string(c.data) != want[i] {
				t.Errorf("received %q, want %q", c.data, want[i])
			}
		}
	}
}
