package eventloop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// A flood is many connections that echo what they get, while their handlers pause, resume
// and close each other, and their peers send, read, end and reset.
type flood struct {
	*rig
	rnd   *rand.Rand
	conns []*flooded
	buf   []byte // what peers read into
}

type flooded struct {
	*probe
	far        *peer
	sent, back []byte
	over       bool // the peer sends no more
}

func newFlood(r *rig, seed uint64) *flood {
	f := &flood{rig: r, rnd: rand.New(rand.NewPCG(seed, 2)), buf: make([]byte, 100<<10)}
	for i := range 24 {
		c, far := r.pair([]string{"tcp", "unix"}[i%2])
		x := &flooded{probe: c, far: far}
		c.onData = func(data []byte) {
			f.meddle()
			if c.Attached() {
				c.Out().Append(&r.bufs, data)
				c.Flush()
			}
		}
		c.onSent = func(int) { f.meddle() }
		f.conns = append(f.conns, x)
	}
	return f
}

func (f *flood) any() *flooded { return f.conns[f.rnd.IntN(len(f.conns))] }

// meddle has a handler do something to another connection.
func (f *flood) meddle() {
	switch n := f.rnd.IntN(300); {
	case n < 60:
		f.any().PauseRead()
	case n < 120:
		f.any().ResumeRead()
	case n <= 122:
		f.any().Close()
	}
}

// happen has a peer do something.
func (f *flood) happen() {
	f.t.Helper()
	x := f.any()
	switch n := f.rnd.IntN(200); {
	case n < 120 && !x.over:
		b := make([]byte, sizes[f.rnd.IntN(len(sizes))])
		for i := range b {
			b[i] = byte(len(x.sent) + i + (len(x.sent)+i)>>8)
		}
		k, err := unix.SendmsgN(x.far.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == nil {
			x.sent = append(x.sent, b[:k]...)
		}
	case n < 190:
		f.hear(x)
	case n == 190 && !x.over:
		x.over = true
		_ = unix.Shutdown(x.far.fd, unix.SHUT_WR)
	}
}

// hear reads what has come back, if anything.
func (f *flood) hear(x *flooded) (n int) {
	n, _, err := unix.Recvfrom(x.far.fd, f.buf, unix.MSG_DONTWAIT)
	if err != nil || n < 0 {
		return 0
	}
	x.back = append(x.back, f.buf[:n]...)
	return n
}

// TestFlood: whatever handlers do to each other's connections, what a connection gets is what
// was sent, and what comes back is what it got: all of it, unless it was closed.
func TestFlood(t *testing.T) { eachEngine(t, testFlood) }

func testFlood(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t)
			f := newFlood(r, seed)
			for i := range 1000 {
				if f.happen(); i%20 == 0 {
					f.turnOnce()
				}
			}
			for _, x := range f.conns {
				x.onData, x.onSent = func(data []byte) {
					x.Out().Append(&r.bufs, data)
					x.Flush()
				}, nil
				x.ResumeRead()
			}
			for turns := 0; !f.calm(); turns++ {
				if turns == 10000 {
					for i, x := range f.conns {
						if x.Attached() && len(x.back) != len(x.sent) {
							t.Errorf("connection %d: of %d bytes %d came, and %d back", i, len(x.sent), len(x.data), len(x.back))
						}
					}
					t.FailNow()
				}
				f.turnOnce()
			}
			f.check()
		})
	}
}

// turnOnce runs a turn on what is ready, if anything.
func (f *flood) turnOnce() {
	f.t.Helper()
	n, err := f.wait(0)
	if err != nil {
		f.t.Fatal(err)
	}
	f.turn(n)
}

// calm has the peers read, and reports whether all that was sent to open connections has come
// back.
func (f *flood) calm() bool {
	calm := true
	for _, x := range f.conns {
		for f.hear(x) > 0 {
			continue
		}
		calm = calm && (!x.Attached() || len(x.back) == len(x.sent))
	}
	return calm
}

func (f *flood) check() {
	f.t.Helper()
	open := 0
	for i, x := range f.conns {
		if x.Attached() {
			open++
			wantBytes(f.t, "got", x.data, x.sent)
			wantBytes(f.t, "came back", x.back, x.sent)
			continue
		}
		if !bytes.HasPrefix(x.sent, x.data) || !bytes.HasPrefix(x.data, x.back) {
			f.t.Errorf("closed connection %d: what it got (%d bytes) or what came back (%d) is not what was sent (%d)", i, len(x.data), len(x.back), len(x.sent))
		}
	}
	if open == 0 {
		f.t.Error("no connection is open at the end")
	}
}
