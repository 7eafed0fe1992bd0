package eventloop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// A flood is many connections that echo what they get, while their handlers pause, resume
// and close each other, and their peers send, read, end, close and reset. A new connection
// takes the place of one that is closed, and often its descriptor.
type flood struct {
	*rig
	rnd   *rand.Rand
	ln    int
	sa    unix.Sockaddr
	conns []*flooded
	// made counts the connections, lent the receives into lent places.
	made, lent int
	// busy: within a handler a peer does something.
	busy bool
	buf  []byte // what peers read into
}

type flooded struct {
	*probe
	id         int
	far        *peer
	sent, back []byte
	over       bool // the peer sends no more
	gone       bool // the peer has closed, or reset
}

func newFlood(r *rig, seed uint64) *flood {
	f := &flood{rig: r, rnd: rand.New(rand.NewPCG(seed, 2)), buf: make([]byte, 100<<10), conns: make([]*flooded, 24)}
	f.ln, f.sa = listenTCP(r.t)
	for i := range f.conns {
		f.renew(i)
	}
	return f
}

// renew puts a new connection into the place.
func (f *flood) renew(i int) {
	f.t.Helper()
	f.made++
	x := &flooded{probe: &probe{rig: f.rig}, id: f.made}
	f.connect(x)
	f.conns[i] = x
	f.wild(x)
}

// wild has the connection's handler do anything.
func (f *flood) wild(x *flooded) {
	x.onData = func(data []byte) {
		f.meddle()
		x.echo(data)
	}
	x.onSent = func(int) { f.meddle() }
	x.onEOF = func() { x.over = true }
	var place []byte
	x.lend = func() []byte {
		f.meddle()
		switch f.rnd.IntN(12) {
		case 0:
			x.PauseRead()
		case 1:
			place = make([]byte, sizes[f.rnd.IntN(len(sizes))])
			return place
		}
		return nil
	}
	x.onLent = func(n int) {
		f.lent++
		x.data = append(x.data, place[:n]...)
		x.echo(place[:n])
	}
}

func (x *flooded) echo(data []byte) {
	if x.Attached() {
		x.Out().Append(&x.rig.bufs, data)
		x.Flush()
	}
}

// connect gives the connection a socket and a peer.
func (f *flood) connect(x *flooded) {
	f.t.Helper()
	accept := func(flags int) int {
		fd, err := accept(f.ln, flags|unix.SOCK_CLOEXEC)
		if err != nil {
			f.t.Fatal(err)
		}
		return fd
	}
	switch x.id % 3 {
	case 0:
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.SetNonblock(fds[0], true)
		}
		if err != nil {
			f.t.Fatal(err)
		}
		x.far = own(f.t, fds[1])
		f.attachAs(x.probe, fds[0], false)
	case 1:
		x.far = newPeer(f.t, unix.AF_INET)
		if err := connectTo(x.far.fd, f.sa); err != nil {
			f.t.Fatal(err)
		}
		f.attachAs(x.probe, accept(unix.SOCK_NONBLOCK), false)
	default:
		if _, err := f.Dial(&x.Conn, f.sa, socket.Keepalive{}, x.probe, nil); err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(x.Close)
		x.far = own(f.t, accept(0))
	}
}

func (f *flood) any() *flooded { return f.conns[f.rnd.IntN(len(f.conns))] }

// meddle has a handler do something to another connection.
func (f *flood) meddle() {
	switch n := f.rnd.IntN(300); {
	case n < 60:
		f.any().PauseRead()
	case n < 120:
		f.any().ResumeRead()
	case n < 125:
		f.any().Close()
	case n < 150:
		f.any().Flush()
	case n < 200 && !f.busy:
		f.busy = true
		f.happen()
		f.busy = false
	}
}

// happen has a peer do something.
func (f *flood) happen() {
	f.t.Helper()
	x := f.any()
	switch n := f.rnd.IntN(200); {
	case n < 120 && !x.over && !x.gone:
		b := make([]byte, sizes[f.rnd.IntN(len(sizes))])
		for i := range b {
			at := len(x.sent) + i
			b[i] = byte(x.id*37 + at + at>>8)
		}
		k, err := unix.SendmsgN(x.far.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == nil {
			x.sent = append(x.sent, b[:k]...)
		}
	case n < 190 && !x.gone:
		f.hear(x)
	case n == 190 && !x.over && !x.gone:
		x.over = true
		_ = unix.Shutdown(x.far.fd, unix.SHUT_WR)
	case n == 191 && !x.gone:
		x.gone = true
		if x.id%3 == 0 {
			x.far.close()
		} else {
			x.far.reset()
		}
	case n < 194:
		x.Close()
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

// TestFlood: whatever handlers do to each other's connections, and peers to theirs, what a
// connection gets is what was sent to it, and what comes back is what it got: all of it, unless
// it was closed. Nothing is left of the connections in the engine. NUTHATCH_FLOODS=5000 makes it
// that many floods, in two minutes.
func TestFlood(t *testing.T) { eachEngine(t, testFlood) }

func testFlood(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	if text := os.Getenv("NUTHATCH_FLOODS"); text != "" {
		var err error
		if seeds, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t)
			ahead := r.Ahead()
			f := newFlood(r, seed)
			for range 2 {
				f.rage()
				f.settle()
			}
			if f.made < len(f.conns)+8 || f.lent == 0 {
				t.Errorf("there were %d connections, and %d receives into lent places: too few", f.made, f.lent)
			}
			for _, x := range f.conns {
				f.check(x)
				x.Close()
			}
			f.turnOnce()
			for turns := 0; f.engine.pending() > 0 && turns < 100; turns++ {
				f.turnOnce()
			}
			f.empty()
			if got := r.Ahead(); got != ahead {
				t.Errorf("%d bytes are counted at the end, %d were at the beginning", got, ahead)
			}
		})
	}
}

// rage has everything happen.
func (f *flood) rage() {
	f.t.Helper()
	f.replace()
	for _, x := range f.conns {
		f.wild(x)
	}
	for i := range 400 {
		f.happen()
		switch {
		case i%20 == 0:
			f.turnOnce()
		case i%100 == 10:
			f.replace()
		}
	}
}

// replace puts new connections into the places of those that are closed.
func (f *flood) replace() {
	f.t.Helper()
	for i, x := range f.conns {
		if x.Attached() {
			continue
		}
		f.check(x)
		x.far.close()
		f.renew(i)
	}
}

// settle lets all connections go on until all that was sent to those that are open has come
// back.
func (f *flood) settle() {
	f.t.Helper()
	for _, x := range f.conns {
		x.onData, x.onSent, x.lend = x.echo, nil, nil
		x.ResumeRead()
	}
	for turns := 0; !f.calm(); turns++ {
		if turns == 10000 {
			for i, x := range f.conns {
				if x.Attached() && len(x.back) != len(x.sent) {
					f.t.Errorf("connection %d: of %d bytes %d came, and %d back", i, len(x.sent), len(x.data), len(x.back))
				}
			}
			f.t.FailNow()
		}
		f.turnOnce()
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
		for !x.gone && f.hear(x) > 0 {
			continue
		}
		calm = calm && (!x.Attached() || !x.gone && len(x.back) == len(x.sent))
	}
	return calm
}

// check compares what a connection got, and what came back, with what was sent.
func (f *flood) check(x *flooded) {
	f.t.Helper()
	if x.Attached() {
		wantBytes(f.t, "got", x.data, x.sent)
		wantBytes(f.t, "came back", x.back, x.sent)
		return
	}
	if !bytes.HasPrefix(x.sent, x.data) || !bytes.HasPrefix(x.data, x.back) {
		f.t.Errorf("closed connection %d: what it got (%d bytes) or what came back (%d) is not what was sent (%d)", x.id, len(x.data), len(x.back), len(x.sent))
	}
}

// empty fails if the engine knows anything of a connection.
func (f *flood) empty() {
	f.t.Helper()
	switch e := f.engine.(type) {
	case *epoll:
		for fd, s := range e.table {
			if s != nil && fd != e.wakefd {
				f.t.Errorf("descriptor %d is in the table", fd)
			}
		}
	case *uring:
		for fd := range e.table {
			if ent := &e.table[fd]; fd != e.wakefd && (ent.armed != 0 || ent.conn != nil || ent.held != nil || ent.inBatch) {
				f.t.Errorf("descriptor %d is in the table: %+v", fd, *ent)
			}
		}
		if e.n != 0 || e.ending != 0 || e.ring.unsubmitted() != 0 {
			f.t.Errorf("the batch has %d operations, %d without a result, and %d are not submitted", e.n, e.ending, e.ring.unsubmitted())
		}
	}
	if n := len(f.polled().closing); n != 0 {
		f.t.Errorf("%d descriptors wait to be closed", n)
	}
}
