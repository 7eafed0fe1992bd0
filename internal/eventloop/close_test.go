package eventloop

import (
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCloseWithin closes a connection in each method of its handler. The probe
// fails if any is called afterwards.
func TestCloseWithin(t *testing.T) { eachEngine(t, testCloseWithin) }

func testCloseWithin(t *testing.T) {
	tests := []struct {
		name string
		log  []string
		run  func(r *rig, c *probe, far *peer)
	}{
		{"data", []string{"data"}, func(r *rig, c *probe, far *peer) {
			c.onData = func([]byte) { c.say("never sent"); c.Close() }
			far.write("x")
			far.endWriting()
			r.step()
		}},
		{"eof", []string{"eof"}, func(r *rig, c *probe, far *peer) {
			c.onEOF = func() { c.say("never sent"); c.Close() }
			far.endWriting()
			r.step()
		}},
		{"sent", []string{"sent"}, func(r *rig, c *probe, far *peer) {
			c.onSent = func(int) { c.Close() }
			far.write("unread")
			c.say("x")
			r.turn(0)
			far.want("x")
		}},
		{"a part sent", []string{"sent"}, func(r *rig, c *probe, _ *peer) {
			c.onSent = func(int) { c.Close() }
			fillOutput(c)
			c.Flush()
			r.turn(0)
		}},
		{"error", []string{"error"}, func(r *rig, c *probe, far *peer) {
			far.reset()
			r.step()
		}},
		{"error of a write", []string{"error"}, func(r *rig, c *probe, far *peer) {
			if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
				r.t.Fatal(err)
			}
			c.say("x")
			r.turn(0)
		}},
		{"lend", []string{"lend"}, func(r *rig, c *probe, far *peer) {
			c.lend = func() []byte { c.Close(); return nil }
			far.write("unread")
			r.step()
		}},
		{"lent", []string{"lend", "lent"}, func(r *rig, c *probe, far *peer) {
			c.lend = func() []byte { return make([]byte, 1) }
			c.onLent = func(int) { c.Close() }
			far.write("more than lent")
			r.step()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			c, far := r.pair("tcp")
			fd := c.fd
			tt.run(r, c, far)
			c.wantLog(tt.log...)
			if c.Attached() || c.Out().Len() != 0 || r.bufs.Live() != 0 {
				t.Errorf("closed: attached %t, %d bytes of output, %d chunks in use", c.Attached(), c.Out().Len(), r.bufs.Live())
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
				t.Errorf("the descriptor is open after the turn (%v)", err)
			}
			c.Close()
			c.Flush()
			r.turn(0)
			r.quiet("after the connection was closed")
			c.wantLog(tt.log...)
		})
	}
}

// TestCloseWhileConnecting covers the two ends of an attempt to connect.
func TestCloseWhileConnecting(t *testing.T) { eachEngine(t, testCloseWhileConnecting) }

func testCloseWhileConnecting(t *testing.T) {
	t.Run("in OnConnect", func(t *testing.T) {
		r := newRig(t)
		_, sa := listenTCP(t)
		fd, inProgress := connect(t, sa)
		c := &probe{rig: r}
		c.onConnect = c.Close
		r.attachAs(c, fd, inProgress)
		c.Out().AppendString(&r.bufs, "never sent")
		r.step()
		c.wantLog("connect")
		r.quiet("closed")
	})
	t.Run("before", func(t *testing.T) {
		r := newRig(t)
		fd, inProgress := connect(t, refusing(t))
		c := &probe{rig: r}
		r.attachAs(c, fd, inProgress)
		c.Close()
		n, err := r.wait(0)
		if err != nil {
			t.Fatal(err)
		}
		r.turn(n)
		c.wantLog()
		r.quiet("closed")
	})
}

// TestClosedWithinBatch: of two connections with an event in one turn, the first
// closes the second, whose event must not be told.
func TestClosedWithinBatch(t *testing.T) { eachEngine(t, testClosedWithinBatch) }

func testClosedWithinBatch(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		a, farA := r.pair(kind)
		b, farB := r.pair(kind)
		a.onData = func([]byte) { b.Close() }
		b.onData = func([]byte) { a.Close() }
		farA.write("x")
		farB.write("x")
		r.arrived(a, b)
		r.wantBatch(2)
		if got := len(a.log) + len(b.log); got != 1 {
			t.Errorf("%d events were told, %v and %v, want one", got, a.log, b.log)
		}
		if a.Attached() == b.Attached() {
			t.Errorf("attached: %t and %t, want one of them", a.Attached(), b.Attached())
		}
	})
}

// arrived waits until each connection has something to read, so that one turn
// will see it all.
func (r *rig) arrived(conns ...*probe) {
	r.t.Helper()
	for _, c := range conns {
		p := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, patience); n != 1 || err != nil {
			r.t.Fatalf("nothing to read on descriptor %d: %v", c.fd, err)
		}
	}
}

// wantBatch runs a turn on n events.
func (r *rig) wantBatch(n int) {
	r.t.Helper()
	got, err := r.wait(patience)
	if err != nil || got != n {
		r.t.Fatalf("%d events, %v, want %d", got, err, n)
	}
	r.turn(got)
}

// TestDescriptorOfClosedWithinBatch: the first of two connections closes the
// second and opens a third, which must get neither the second's descriptor nor
// its event. In the next turn it may have the number.
func TestDescriptorOfClosedWithinBatch(t *testing.T) {
	eachEngine(t, testDescriptorOfClosedWithinBatch)
}

func testDescriptorOfClosedWithinBatch(t *testing.T) {
	r := newRig(t)
	var third, fourth *probe
	replace := func(c *probe) {
		fd := c.fd
		c.Close()
		var far *peer
		third, far = r.pair("unix")
		if third.fd == fd || far.fd == fd {
			t.Error("a descriptor was given away with its event still to come")
		}
	}
	a, farA := r.pair("unix")
	b, farB := r.pair("unix")
	a.onData = func([]byte) { replace(b) }
	b.onData = func([]byte) { replace(a) }
	farA.write("x")
	farB.write("x")
	r.wantBatch(2)
	third.wantLog()

	// The number is free now, and whoever gets it is a connection like any other.
	closed := a.fd
	if a.Attached() {
		closed = b.fd
	}
	fd, err := unix.FcntlInt(uintptr(third.fd), unix.F_DUPFD_CLOEXEC, closed)
	if err != nil || fd != closed {
		t.Fatalf("descriptor %d, %v, want %d", fd, err, closed)
	}
	unix.Close(fd)
	fourth, far := r.pair("unix")
	if fourth.fd != closed {
		t.Fatalf("the new connection has descriptor %d, want %d", fourth.fd, closed)
	}
	for range 3 {
		far.write("hello")
		r.step()
	}
	fourth.wantLog("data", "data", "data")
}

// TestReattachWithinBatch: the first of two connections closes the second and
// connects it anew. The event of the second's first life must not be taken for
// one of its second.
func TestReattachWithinBatch(t *testing.T) { eachEngine(t, testReattachWithinBatch) }

func testReattachWithinBatch(t *testing.T) {
	r := newRig(t)
	_, sa := listenTCP(t)
	again := func(c *probe) {
		c.Close()
		fd, inProgress := connect(t, sa)
		r.attachAs(c, fd, inProgress)
	}
	a, farA := r.pair("unix")
	b, farB := r.pair("unix")
	a.onData = func([]byte) { again(b) }
	b.onData = func([]byte) { again(a) }
	farA.write("x")
	farB.write("x")
	r.wantBatch(2)
	first, second := a, b
	if len(first.log) == 0 {
		first, second = b, a
	}
	first.wantLog("data")
	second.wantLog()
	r.step()
	second.wantLog("connect", "sent")
}

// TestReattachWithinTurn: a connection that is closed and made anew in one turn
// starts afresh: nothing of its first life goes out or holds it up.
func TestReattachWithinTurn(t *testing.T) { eachEngine(t, testReattachWithinTurn) }

func testReattachWithinTurn(t *testing.T) {
	r := newRig(t)
	c, far := r.pair("tcp")
	ln, sa := listenTCP(t)
	c.onEOF = func() {
		c.say("never sent")
		c.PauseRead()
		c.Close()
		fd, inProgress := connect(t, sa)
		r.attachAs(c, fd, inProgress)
		c.say("hello")
	}
	far.endWriting()
	r.step()
	r.until("connected and sent", func() bool { return len(c.log) >= 3 })
	c.wantLog("eof", "connect", "sent")
	far.wantEnd()
	fd, err := accept(ln, 0)
	if err != nil {
		t.Fatal(err)
	}
	newFar := own(t, fd)
	newFar.want("hello")
	newFar.write("world")
	newFar.endWriting()
	c.onEOF = nil
	r.step()
	if string(c.data) != "world" {
		t.Errorf("received %q", c.data)
	}
	c.wantLog("eof", "connect", "sent", "data")
}

// TestCloseOther: a connection that is flushed earlier in the turn closes one
// that is to be flushed, and has another flushed besides.
func TestCloseOther(t *testing.T) { eachEngine(t, testCloseOther) }

func testCloseOther(t *testing.T) {
	r := newRig(t)
	a, farA := r.pair("tcp")
	b, farB := r.pair("tcp")
	c, farC := r.pair("tcp")
	a.onSent = func(int) {
		b.Close()
		c.say("from a")
	}
	a.say("a")
	b.say("b")
	r.turn(0)
	farA.want("a")
	if engineOf(t) == IOUring {
		farB.want("b") // it was sent together with what a said
	}
	farB.wantEnd()
	farC.want("from a")
	b.wantLog()
	c.wantLog("sent")
}

// TestErrorLeavesOthersAlone: after the loop was told of an error it has
// nothing more to say of the connection, and others go on.
func TestErrorLeavesOthersAlone(t *testing.T) { eachEngine(t, testErrorLeavesOthersAlone) }

func testErrorLeavesOthersAlone(t *testing.T) {
	r := newRig(t)
	a, farA := r.pair("tcp")
	b, farB := r.pair("tcp")
	farA.reset()
	farB.write("hello")
	r.arrived(a, b)
	r.wantBatch(2)
	a.wantLog("error")
	b.wantLog("data")
	if a.errs[0] != syscall.ECONNRESET {
		t.Errorf("error %v, want %v", a.errs[0], syscall.ECONNRESET)
	}
}

// A connection whose error cannot be asked for has failed for that reason, and not
// for none.
func TestConnectErrorUnknown(t *testing.T) { eachEngine(t, testConnectErrorUnknown) }

func testConnectErrorUnknown(t *testing.T) {
	r := newRig(t)
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) // ready, and no socket
	if err != nil {
		t.Fatal(err)
	}
	c := &probe{rig: r}
	r.attachAs(c, fd, true)
	r.step()
	c.wantLog("error")
	if !slices.Equal(c.errs, []syscall.Errno{unix.ENOTSOCK}) {
		t.Errorf("the errors are %v", c.errs)
	}
}
