package eventloop

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
)

// TestZeroConn: a connection that was never attached has nothing to do.
func TestZeroConn(t *testing.T) {
	var c Conn
	c.Flush()
	c.PauseRead()
	c.ResumeRead()
	c.Close()
	if c.Attached() || c.Open() || c.Out().Len() != 0 {
		t.Error("a connection without a descriptor is attached")
	}
}

func TestData(t *testing.T) { eachEngine(t, testData) }

func testData(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		c, peer := r.pair(kind)
		if !c.Open() || !c.Attached() || c.fd < 0 {
			t.Error("an attached connection is not open")
		}
		for _, s := range []string{"x", "hello", strings.Repeat("y", 1000)} {
			c.data = nil
			peer.write(s)
			r.until("data", func() bool { return len(c.data) >= len(s) })
			if string(c.data) != s {
				t.Errorf("received %q, want %q", c.data, s)
			}
		}
		r.quiet("after all was read")
	})
}

// TestReadIsBounded: one turn takes at most recvSize of a connection, what is
// left comes in the next, in order.
func TestReadIsBounded(t *testing.T) { eachEngine(t, testReadIsBounded) }

func testReadIsBounded(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	want := noise(150 << 10)
	peer.write(string(want))
	for turns := 1; len(c.data) < len(want); turns++ {
		r.step()
		if len(c.data) > turns*recvSize {
			t.Fatalf("%d bytes after %d turns", len(c.data), turns)
		}
	}
	wantBytes(t, "received", c.data, want)
}

// TestDataIsOnlyLent: with invariants on, data that a handler keeps shows
// garbage.
func TestDataIsOnlyLent(t *testing.T) { eachEngine(t, testDataIsOnlyLent) }

func testDataIsOnlyLent(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	var kept []byte
	c.onData = func(data []byte) { kept = data }
	peer.write("hello")
	r.step()
	if poisoned := kept[0] == invariant.PoisonByte; poisoned != invariant.On {
		t.Errorf("the bytes are overwritten when OnData returns: %t, want %t", poisoned, invariant.On)
	}
}

// TestEOF: a peer that only sends no more still gets the rest of the output,
// and the loop is told once.
func TestEOF(t *testing.T) { eachEngine(t, testEOF) }

func testEOF(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		c, peer := r.pair(kind)
		peer.write("last words")
		peer.endWriting()
		r.until("end of stream", func() bool { return len(c.log) > 1 })
		c.wantLog("data", "eof")
		r.quiet("after the end")
		c.say("answer")
		r.turn(0)
		peer.want("answer")
		c.PauseRead()
		c.ResumeRead()
		r.quiet("after the end, resumed")
		c.Close()
		r.turn(0)
		peer.wantEnd()
		c.wantLog("data", "eof", "sent")
	})
}

// TestGoneAfterEOF: a peer that has gone altogether is an error, since nothing
// can be read that would tell.
func TestGoneAfterEOF(t *testing.T) { eachEngine(t, testGoneAfterEOF) }

func testGoneAfterEOF(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		c, peer := r.pair(kind)
		peer.endWriting()
		r.step()
		c.wantLog("eof")
		if kind == "tcp" {
			peer.reset()
		} else {
			peer.close()
		}
		r.step()
		c.wantLog("eof", "error")
		if len(c.errs) != 1 || c.errs[0] != syscall.EPIPE {
			t.Errorf("errors %v, want %v", c.errs, syscall.EPIPE)
		}
	})
}

// TestReset: what came before a reset is still received.
func TestReset(t *testing.T) { eachEngine(t, testReset) }

func testReset(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	peer.write("-ERR go away\r\n")
	peer.reset()
	r.step()
	r.step()
	c.wantLog("data", "error")
	if string(c.data) != "-ERR go away\r\n" || c.errs[0] != syscall.ECONNRESET {
		t.Errorf("received %q, then %v", c.data, c.errs)
	}
	if c.Attached() {
		t.Error("the connection is still attached")
	}
}

// TestResetWhilePaused: a reset is seen although nothing is read.
func TestResetWhilePaused(t *testing.T) { eachEngine(t, testResetWhilePaused) }

func testResetWhilePaused(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	c.PauseRead()
	peer.write("unread")
	r.step()
	r.quiet("paused")
	peer.reset()
	r.step()
	c.wantLog("error")
	if c.errs[0] != syscall.ECONNRESET {
		t.Errorf("error %v, want %v", c.errs, syscall.ECONNRESET)
	}
}

// TestWriteError: a write finds the connection broken before any event does.
func TestWriteError(t *testing.T) { eachEngine(t, testWriteError) }

func testWriteError(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	peer.close()
	c.say("hello?")
	r.turn(0)
	c.wantLog("error")
	if c.errs[0] != syscall.EPIPE {
		t.Errorf("error %v, want %v", c.errs, syscall.EPIPE)
	}
}

// fillOutput gives c an output of many shapes of chunks, shared ones among
// them, larger than any socket's buffer, and returns what it holds.
func fillOutput(c *probe) []byte {
	bufs := &c.rig.bufs
	out := c.Out()
	var shared mbuf.Chain
	shared.Append(bufs, noise(2*mbuf.LargeSize))
	for i := range 40 {
		out.AppendString(bufs, fmt.Sprintf("$%d\r\n", i))
		for k := shared.Head(); k != nil; k = k.Next() {
			out.AppendRange(bufs, k, i, mbuf.ShareMin*(1+i%8))
		}
		var one mbuf.Chain
		one.Append(bufs, noise(mbuf.LargeSize))
		out.Splice(bufs, &one)
	}
	shared.Release(bufs)
	return out.AppendTo(nil)
}

// takeRest has the peer take want a piece at a time, of which the connection has
// begun to send a part, and told nothing of anything before.
func takeRest(c *probe, peer *peer, want []byte) {
	t := c.rig.t
	t.Helper()
	var got []byte
	for len(got) < len(want) {
		got = append(got, peer.drain(100<<10)...)
		n, err := c.rig.wait(0)
		if err != nil {
			t.Fatal(err)
		}
		c.rig.turn(n)
		if c.sent+c.Out().Len() != len(want) {
			t.Fatalf("%d bytes are told to be sent, %d are left, of %d", c.sent, c.Out().Len(), len(want))
		}
	}
	wantBytes(t, "the peer received", got, want)
}

// TestShortWrites: a slow reader gets all of a large output, and the kernel is
// asked to tell when there is room only once it lacked.
func TestShortWrites(t *testing.T) { eachEngine(t, testShortWrites) }

func testShortWrites(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		c, peer := r.pair(kind)
		want := fillOutput(c)
		if r.watchesRoom(c) {
			t.Error("room was asked for before a short write")
		}
		c.Flush()
		r.turn(0)
		if !r.watchesRoom(c) || c.sent == 0 || c.sent == len(want) {
			t.Fatalf("%d of %d bytes were sent at once; want a short write", c.sent, len(want))
		}
		r.quiet("while there is no room")
		takeRest(c, peer, want)
		if c.blocked || c.sent != len(want) {
			t.Errorf("blocked: %t, after all was sent; %d bytes told, want %d", c.blocked, c.sent, len(want))
		}
		if n := r.bufs.Live(); n != 0 {
			t.Errorf("%d chunks are in use after all was sent", n)
		}
		r.quiet("after all was sent")
	})
}

// TestShortWritesAgain: the kernel tells of room each time that it lacked, though
// it is asked only once.
func TestShortWritesAgain(t *testing.T) { eachEngine(t, testShortWritesAgain) }

func testShortWritesAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		r := newRig(t)
		c, peer := r.pair(kind)
		// Buffers of a fixed size, which do not grow to hold all of it.
		for fd, option := range map[int]int{c.fd: unix.SO_SNDBUF, peer.fd: unix.SO_RCVBUF} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 64<<10); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			want := fillOutput(c)
			c.Flush()
			r.turn(0)
			if !c.blocked {
				t.Fatalf("time %d: all was sent at once; want a short write", i)
			}
			takeRest(c, peer, want)
			c.sent = 0
		}
	})
}

// TestManyChunks sends an output of more chunks than the kernel takes at once.
func TestManyChunks(t *testing.T) { eachEngine(t, testManyChunks) }

func testManyChunks(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	var shared mbuf.Chain
	shared.Append(&r.bufs, noise(mbuf.LargeSize))
	for i := range 1500 {
		c.Out().AppendRange(&r.bufs, shared.Head(), i, mbuf.ShareMin)
	}
	shared.Release(&r.bufs)
	want := c.Out().AppendTo(nil)
	c.Flush()
	r.turn(0)
	var got []byte
	for len(got) < len(want) {
		got = append(got, peer.drain(1<<20)...)
		if c.Out().Len() > 0 {
			r.step()
		}
	}
	wantBytes(t, "the peer received", got, want)
}

// TestReadsWhileBlocked: a connection with output that nobody takes still
// receives.
func TestReadsWhileBlocked(t *testing.T) { eachEngine(t, testReadsWhileBlocked) }

func testReadsWhileBlocked(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	fillOutput(c)
	c.Flush()
	r.turn(0)
	peer.write("hello")
	r.until("data", func() bool { return string(c.data) == "hello" })
	c.PauseRead()
	peer.write("more")
	r.step()
	r.quiet("paused and blocked")
	c.ResumeRead()
	r.until("data", func() bool { return string(c.data) == "hellomore" })
}

// TestOneWritePerTurn: all that is said in a turn goes out in one piece, and is
// told once.
func TestOneWritePerTurn(t *testing.T) { eachEngine(t, testOneWritePerTurn) }

func testOneWritePerTurn(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	c.onData = func([]byte) {
		for i := range 100 {
			c.say(fmt.Sprintf("%d,", i%10))
		}
	}
	peer.write("go")
	r.step()
	peer.want(strings.Repeat("0,1,2,3,4,5,6,7,8,9,", 10))
	c.wantLog("data", "sent")
}

// TestOutputNeedsFlush: what is appended without Flush stays.
func TestOutputNeedsFlush(t *testing.T) { eachEngine(t, testOutputNeedsFlush) }

func testOutputNeedsFlush(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	c.Out().AppendString(&r.bufs, "hello")
	r.turn(0)
	if c.Out().Len() != 5 || c.sent != 0 {
		t.Errorf("%d bytes were sent without Flush", c.sent)
	}
	c.Flush()
	c.Flush()
	r.turn(0)
	peer.want("hello")
	c.wantLog("sent")
	// Nothing to say: what waits for the output to be empty is told so.
	c.Flush()
	r.turn(0)
	c.wantLog("sent", "sent")
}

func TestPauseRead(t *testing.T) { eachEngine(t, testPauseRead) }

func testPauseRead(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")

	// A pause during which nothing comes costs nothing.
	c.PauseRead()
	r.quiet("paused")
	c.ResumeRead()
	r.quiet("resumed")
	peer.write("one")
	r.step()
	c.wantLog("data")

	// What comes during one waits, and the loop hears of it once.
	c.PauseRead()
	peer.write("two")
	r.step()
	c.wantLog("data")
	r.quiet("paused, with bytes waiting")
	c.ResumeRead()
	c.ResumeRead()
	r.step()
	c.wantLog("data", "data")

	// So does the end of the stream.
	c.PauseRead()
	peer.write("three")
	peer.endWriting()
	r.step()
	r.quiet("paused, with the end waiting")
	c.ResumeRead()
	r.step()
	r.step()
	c.wantLog("data", "data", "data", "eof")
	if string(c.data) != "onetwothree" {
		t.Errorf("received %q", c.data)
	}
}

// TestPauseWithin: a pause takes effect at once, and does not stop the output.
func TestPauseWithin(t *testing.T) { eachEngine(t, testPauseWithin) }

func testPauseWithin(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	c.onData = func([]byte) { c.PauseRead(); c.say("busy") }
	peer.write("one")
	r.step()
	peer.want("busy")
	peer.write("two")
	r.step()
	r.quiet("paused")
	if string(c.data) != "one" {
		t.Errorf("received %q", c.data)
	}
	c.ResumeRead()
	r.step()
	if string(c.data) != "onetwo" {
		t.Errorf("received %q", c.data)
	}
}

// TestLend: bytes go where the handler wants them as long as it does, and
// through OnData otherwise.
func TestLend(t *testing.T) { eachEngine(t, testLend) }

func testLend(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("tcp")
	place := make([]byte, 10)
	filled := 0
	c.lend = func() []byte { return place[filled:] } // empty, once it is full
	c.onLent = func(n int) { filled += n }
	peer.write("0123")
	r.step()
	peer.write("456789 and more")
	r.until("data", func() bool { return string(c.data) == " and more" })
	if string(place) != "0123456789" {
		t.Errorf("the lent place holds %q", place)
	}
	c.wantLog("lend", "lent", "lend", "lent", "lend", "data")

	// Lent in vain: the peer has no more.
	filled = 0
	c.log = nil
	peer.endWriting()
	r.step()
	c.wantLog("lend", "eof")
}

// TestLendChain receives a large body straight into a chain's chunks.
func TestLendChain(t *testing.T) { eachEngine(t, testLendChain) }

func testLendChain(t *testing.T) {
	r := newRig(t)
	c, peer := r.pair("unix")
	want := noise(1 << 20)
	var body mbuf.Chain
	c.lend = func() []byte {
		if body.Len() == len(want) {
			return nil
		}
		return body.Lend(&r.bufs, len(want)-body.Len())
	}
	c.onLent = func(n int) {
		if got := body.Lent(n); len(got) != n {
			t.Errorf("%d bytes were lent, %d received", len(got), n)
		}
	}
	written := make(chan error, 1)
	go func() {
		b := slices.Concat(want, []byte("+OK\r\n"))
		for len(b) > 0 {
			n, err := unix.Write(peer.fd, b)
			if err != nil {
				written <- err
				return
			}
			b = b[n:]
		}
		written <- nil
	}()
	r.until("what follows", func() bool { return string(c.data) == "+OK\r\n" })
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "the body", body.AppendTo(nil), want)
	body.Release(&r.bufs)
}
