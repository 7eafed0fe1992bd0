package eventloop_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/socket"
	"nuthatch/internal/testkit/scramble"
)

// A far is the other end of a connection with a stage, on a network without
// descriptors, and the loop that has it.
type far struct {
	t    *testing.T
	net  *eventloop.Network
	loop *eventloop.Loop
	now  int64
	h    *scribe
	raw  *eventloop.Peer
	end  *scramble.End
}

type noHook struct{}

func (noHook) OnTurn(int64) int64 { return 0 }
func (noHook) OnWake()            {}
func (noHook) OnFlush()           {}

// A scribe is a handler that notes what it is told.
type scribe struct {
	eventloop.Conn
	loop *eventloop.Loop
	data []byte
	log  []string
	sent int
	errs []syscall.Errno
	// fault is what the stage says of an error.
	fault error
	// pauses: it takes no more after each piece. most: of how many bytes a piece may be.
	pauses bool
	most   int
	// lends is how much it lends, in body.
	lends int
	body  mbuf.Chain
}

func (s *scribe) OnConnect() { s.log = append(s.log, "connect") }

func (s *scribe) OnData(data []byte) {
	s.data = append(s.data, data...)
	if s.pauses {
		s.PauseRead()
	}
}

func (s *scribe) OnLent(n int) {
	s.data = append(s.data, s.body.Lent(n)...)
	s.body.Release(s.loop.Bufs())
}

func (s *scribe) OnEOF()    { s.log = append(s.log, "eof") }
func (s *scribe) OnEnding() { s.log = append(s.log, "ending") }

func (s *scribe) OnError(err syscall.Errno) {
	s.errs, s.fault = append(s.errs, err), s.Fault()
	s.log = append(s.log, "error")
	s.Close()
}

func (s *scribe) OnSent(n int) { s.sent += n }

func (s *scribe) Grant() int {
	if s.most > 0 {
		return s.most
	}
	return eventloop.Unlimited
}

func (s *scribe) Lend() []byte {
	if s.lends == 0 {
		return nil
	}
	return s.body.Lend(s.loop.Bufs(), s.lends)
}

func (s *scribe) say(b []byte) {
	s.Out().Append(s.loop.Bufs(), b)
	s.Flush()
}

type accepted []eventloop.Accepted

func (a *accepted) OnAccept(c eventloop.Accepted) { *a = append(*a, c) }
func (a *accepted) OnAcceptError(syscall.Errno)   {}

var farAddr = &unix.SockaddrUnix{Name: "@far"}

// newFar accepts a connection with a stage. Nothing is said yet.
func newFar(t *testing.T, completions bool, st eventloop.Stage) *far {
	t.Helper()
	f := &far{t: t, net: eventloop.NewNetwork(), now: 1}
	f.net.Completions = completions
	l, err := f.net.New(time.Unix(0, 0), noHook{})
	if err != nil {
		t.Fatal(err)
	}
	f.loop, f.h = l, &scribe{loop: l}
	var all accepted
	if _, err := l.Listen(f.net.Listen(farAddr), &all); err != nil {
		t.Fatal(err)
	}
	if f.raw, err = f.net.Dial(farAddr); err != nil {
		t.Fatal(err)
	}
	f.calm()
	if err := all[0].Attach(&f.h.Conn, f.h, st); err != nil {
		t.Fatal(err)
	}
	if len(f.h.log) != 0 {
		t.Errorf("within Attach the handler is told %v", f.h.log)
	}
	f.calm()
	t.Cleanup(f.over)
	return f
}

// meet has the two ends shake hands.
func (f *far) meet() *far {
	f.end = scramble.NewEnd(f.raw, true, false, func() {})
	f.calm()
	return f
}

// calm runs turns until there is nothing to do.
func (f *far) calm() {
	f.t.Helper()
	for range 10_000 {
		n, err := f.loop.Step(f.now)
		if err != nil {
			f.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	f.t.Fatal("the loop has something to do for ever")
}

// over fails if anything is left.
func (f *far) over() {
	f.h.Close()
	f.h.body.Release(f.loop.Bufs())
	f.calm()
	if n, m := f.loop.Bufs().Live(), f.loop.Ahead(); n != 0 || m != 0 {
		f.t.Errorf("at the end %d chunks are in use, and %d bytes of stages'", n, m)
	}
}

// write sends all of b, and hear reads all there is.
func (f *far) write(b []byte) {
	f.t.Helper()
	for len(b) > 0 || !f.end.Flush() {
		n, err := f.end.Write(b)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			f.t.Fatal(err)
		}
		b = b[max(n, 0):]
		f.calm()
	}
}

func (f *far) hear() (got []byte, ended bool) {
	f.t.Helper()
	buf := make([]byte, 7000)
	for {
		n, err := f.end.Read(buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			before := len(got)
			f.calm()
			if n, err = f.end.Read(buf); errors.Is(err, unix.EAGAIN) && before == len(got) {
				return got, false
			}
		case err != nil:
			f.t.Fatal(err)
		}
		if err == nil && n == 0 {
			return got, true
		}
		got = append(got, buf[:max(n, 0)]...)
	}
}

func (f *far) wantLog(want ...string) {
	f.t.Helper()
	if !slices.Equal(f.h.log, want) {
		f.t.Errorf("the handler was told %v, want %v", f.h.log, want)
	}
}

func eachFar(t *testing.T, test func(t *testing.T, completions bool)) {
	t.Helper()
	for _, completions := range []bool{false, true} {
		t.Run(fmt.Sprintf("completions=%t", completions), func(t *testing.T) { test(t, completions) })
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// What goes in at one end comes out at the other, whole and in order, however much it
// is, whatever the handler grants or lends.
func TestStageCarries(t *testing.T) {
	eachFar(t, func(t *testing.T, completions bool) {
		for _, h := range []scribe{{}, {most: 100}, {lends: 50_000}, {lends: 10}} {
			f := newFar(t, completions, &scramble.Stage{}).meet()
			f.wantLog("connect")
			f.h.most, f.h.lends = h.most, h.lends
			want := random(300_000)
			f.write(want)
			if !bytes.Equal(f.h.data, want) {
				t.Fatalf("grant %d, lent %d: %d bytes come, not those that were sent", h.most, h.lends, len(f.h.data))
			}
			f.h.say(want)
			got, ended := f.hear()
			if !bytes.Equal(got, want) || ended {
				t.Fatalf("%d bytes go, not those that were said; ended: %t", len(got), ended)
			}
			if f.h.sent != len(want) || f.h.Out().Len() != 0 || f.h.InFlight() != 0 {
				t.Errorf("%d bytes were told as sent, %d and %d are left, want %d", f.h.sent, f.h.Out().Len(), f.h.InFlight(), len(want))
			}
		}
	})
}

// capture is what an end would write.
type capture struct{ b []byte }

func (c *capture) Read([]byte) (int, error)    { return 0, unix.EAGAIN }
func (c *capture) Write(b []byte) (int, error) { c.b = append(c.b, b...); return len(b), nil }
func (c *capture) CloseWrite()                 {}
func (c *capture) Close()                      {}

// Records may come in any two pieces, and byte by byte.
func TestStageSplit(t *testing.T) {
	var c capture
	want := random(700)
	e := scramble.NewEnd(&c, true, false, func() {})
	if _, err := e.Write(want); err != nil {
		t.Fatal(err)
	}
	e.CloseWrite()
	play := func(t *testing.T, pieces ...[]byte) {
		t.Helper()
		f := newFar(t, false, &scramble.Stage{})
		for _, p := range pieces {
			if len(p) > 0 {
				if _, err := f.raw.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			f.calm()
		}
		if !bytes.Equal(f.h.data, want) {
			t.Fatalf("%d bytes come", len(f.h.data))
		}
		f.wantLog("connect", "eof")
		f.over()
	}
	for i := range c.b {
		play(t, c.b[:i], c.b[i:])
	}
	play(t, slices.Collect(slices.Chunk(c.b, 1))...)
}

// What the handler has said stays in its output until the records that carry it have
// gone, and counts for no more than them.
func TestStageShortWrites(t *testing.T) {
	eachFar(t, func(t *testing.T, completions bool) {
		f := newFar(t, completions, &scramble.Stage{}).meet()
		f.net.Window = 5000
		want := random(200_000)
		f.h.say(want)
		f.calm()
		if f.h.sent != 0 || f.h.Out().Len() != len(want) {
			t.Errorf("%d bytes were told as sent, %d are left; no record has gone", f.h.sent, f.h.Out().Len())
		}
		var got []byte
		buf := make([]byte, 3000)
		for len(got) < len(want) {
			n, err := f.end.Read(buf)
			if err != nil && !errors.Is(err, unix.EAGAIN) {
				t.Fatal(err)
			}
			got = append(got, buf[:max(n, 0)]...)
			f.calm()
			if f.h.sent < len(got) || f.h.sent+f.h.Out().Len() != len(want) {
				t.Fatalf("%d bytes were told as sent, %d are left, %d have come", f.h.sent, f.h.Out().Len(), len(got))
			}
			if held := f.loop.Bufs().InUse(); held > len(want)+6*mbuf.LargeSize {
				t.Fatalf("%d bytes are held for %d", held, f.h.Out().Len())
			}
		}
		if !bytes.Equal(got, want) {
			t.Error("what comes is not what was said")
		}
	})
}

// A handler that takes no more gets the rest when it does again, before the end.
func TestStagePause(t *testing.T) {
	eachFar(t, func(t *testing.T, completions bool) {
		f := newFar(t, completions, &scramble.Stage{}).meet()
		f.h.pauses, f.h.most = true, 1000
		want := random(30_000)
		f.write(want)
		f.end.CloseWrite()
		f.calm()
		for n := 1; len(f.h.data) < len(want); n++ {
			if len(f.h.data) > 1000*n {
				t.Fatalf("after %d pauses %d bytes have come", n, len(f.h.data))
			}
			if slices.Contains(f.h.log, "eof") {
				t.Fatal("the end comes before the last bytes")
			}
			before := len(f.h.data)
			f.h.ResumeRead()
			if len(f.h.data) != before {
				t.Fatal("bytes come within ResumeRead")
			}
			f.calm()
			if n, ok := f.h.Unread(); !ok || n == 0 && len(f.h.data) < len(want) {
				t.Fatalf("%d bytes are unread (%t)", n, ok)
			}
		}
		f.h.ResumeRead()
		f.calm()
		if !bytes.Equal(f.h.data, want) {
			t.Error("what comes is not what was sent")
		}
		if n := len(f.h.log); f.h.log[n-1] != "eof" || slices.Contains(f.h.log[:n-1], "eof") {
			t.Errorf("the handler was told %v, want one eof at the end", f.h.log)
		}
	})
}

// Both sides may say that no more comes, and hear the other out.
func TestStageHalfClose(t *testing.T) {
	eachFar(t, func(t *testing.T, completions bool) {
		f := newFar(t, completions, &scramble.Stage{}).meet()
		f.write([]byte("asked"))
		f.end.CloseWrite()
		f.calm()
		f.wantLog("connect", "eof")
		f.h.say([]byte("answered"))
		if got, ended := f.hear(); string(got) != "answered" || ended {
			t.Errorf("%q comes behind the end, ended: %t", got, ended)
		}
		f.h.CloseWrite()
		f.calm()
		if got, ended := f.hear(); len(got) > 0 || !ended {
			t.Errorf("%q comes, ended: %t", got, ended)
		}

		f = newFar(t, completions, &scramble.Stage{}).meet()
		f.h.CloseWrite()
		f.calm()
		if _, ended := f.hear(); !ended {
			t.Error("the peer does not hear the end")
		}
		f.write([]byte("more"))
		if string(f.h.data) != "more" {
			t.Errorf("%q comes behind our end", f.h.data)
		}
	})
}

// A connection that is closed, and one that is told its last words, ends in the
// stage's way.
func TestStageClose(t *testing.T) {
	ended := 0
	st := &scramble.Stage{Ends: func() { ended++ }}
	f := newFar(t, false, st).meet()
	f.h.LastWords([]byte("no room"))
	f.h.Close()
	f.h.Close()
	f.calm()
	if got, over := f.hear(); string(got) != "no room" || !over {
		t.Errorf("the last words are %q, ended: %t", got, over)
	}
	if ended != 1 {
		t.Errorf("the stage hears %d times that it is over", ended)
	}
	if f.h.Fault() != nil || f.h.Staged() != nil {
		t.Error("a closed connection has a stage")
	}
}

// Bytes that are no record end the connection, before the handshake and behind it, and
// the handler can know why.
func TestStageFault(t *testing.T) {
	for name, begin := range map[string]func(f *far){
		"before": func(*far) {},
		"behind": func(f *far) { f.meet() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFar(t, false, &scramble.Stage{})
			begin(f)
			if _, err := f.raw.Write(bytes.Repeat([]byte("garbage"), 5000)); err != nil {
				t.Fatal(err)
			}
			f.calm()
			if !slices.Equal(f.h.errs, []syscall.Errno{syscall.EPROTO}) || !errors.Is(f.h.fault, scramble.ErrRecord) {
				t.Errorf("errors %v, because of %v", f.h.errs, f.h.fault)
			}
		})
	}
}

// A peer that goes in the middle of the handshake has just gone.
func TestStageEndOfHandshake(t *testing.T) {
	f := newFar(t, false, &scramble.Stage{})
	f.raw.CloseWrite()
	f.calm()
	f.wantLog("eof")
}

// A lateFault has found a fault in the handshake when its peer goes, and has not told it.
type lateFault struct {
	scramble.Stage
	wire *eventloop.Wire
}

func (s *lateFault) Begin(w *eventloop.Wire) {
	s.wire = w
	s.Stage.Begin(w)
}

func (s *lateFault) Ended() {
	s.wire.Post(func() { s.wire.Fail(scramble.ErrRecord) })
}

// A peer that goes because of a fault that the stage has found does not hide the fault.
func TestStageFaultBeforeTheEnd(t *testing.T) {
	f := newFar(t, false, new(lateFault))
	f.raw.CloseWrite()
	f.calm()
	if !slices.Equal(f.h.errs, []syscall.Errno{syscall.EPROTO}) || !errors.Is(f.h.fault, scramble.ErrRecord) {
		t.Errorf("errors %v, because of %v", f.h.errs, f.h.fault)
	}
	f.wantLog("error")
}

// What came behind the handshake, the end included, waits for its end.
func TestStageBehindHandshake(t *testing.T) {
	f := newFar(t, false, &scramble.Stage{})
	end := scramble.NewEnd(f.raw, true, true, func() {})
	if _, err := end.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	f.raw.CloseWrite()
	f.calm()
	f.wantLog("connect", "eof")
	if string(f.h.data) != "early" {
		t.Errorf("%q comes", f.h.data)
	}
}

// A connection with a stage that dials is made when that is ready.
func TestStageDials(t *testing.T) {
	eachFar(t, func(t *testing.T, completions bool) {
		f := newFar(t, completions, &scramble.Stage{})
		port := f.net.Serve(&unix.SockaddrUnix{Name: "@port"})
		h := &scribe{loop: f.loop}
		inProgress, err := f.loop.Dial(&h.Conn, &unix.SockaddrUnix{Name: "@port"}, socket.Keepalive{}, h, &scramble.Stage{Dials: true})
		if err != nil || !inProgress {
			t.Fatalf("in progress: %t, %v", inProgress, err)
		}
		f.calm()
		if h.Open() || !h.Attached() || len(h.log) > 0 {
			t.Errorf("open: %t; the handler was told %v", h.Open(), h.log)
		}
		h.Out().AppendString(f.loop.Bufs(), "waits")
		h.PauseRead() // is no reason not to shake hands
		end := scramble.NewEnd(port.Accept(), false, false, func() {})
		buf := make([]byte, 100)
		for n := 0; n == 0; n, _ = end.Read(buf) {
			f.calm()
			if len(h.log) > 2 {
				t.Fatal("nothing comes")
			}
		}
		if !h.Open() || !bytes.HasPrefix(buf, []byte("waits")) {
			t.Errorf("open: %t; %q comes", h.Open(), buf)
		}
		h.Close()
		f.calm()
	})
}

// held is a stage that is ready when a goroutine says so.
type held struct {
	scramble.Stage
	begun chan *eventloop.Wire
}

func (h *held) Begin(w *eventloop.Wire) {
	h.Stage.Begin(w)
	h.begun <- w
}

// What a stage does elsewhere comes back to the loop, unless the connection is closed by
// then.
func TestStagePost(t *testing.T) {
	st := &held{begun: make(chan *eventloop.Wire, 1)}
	f := newFar(t, false, st)
	w := <-st.begun
	ran := make(chan bool, 2)
	done := make(chan bool)
	go func() { done <- w.Post(func() { ran <- true }) }()
	if !<-done {
		t.Fatal("nothing can be posted")
	}
	f.calm()
	if !<-ran {
		t.Fatal("what was posted did not run")
	}
	w.Post(func() { ran <- true })
	f.h.Close()
	f.calm()
	if len(ran) != 0 {
		t.Error("what was posted ran on a closed connection")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a stage writes on a closed connection")
	}
}

// A turn's output is wrapped once.
func TestStageSealsOnce(t *testing.T) {
	st := &counting{}
	f := newFar(t, false, st).meet()
	for range 100 {
		f.h.say([]byte("a reply"))
	}
	f.calm()
	if st.wraps != 1 {
		t.Errorf("what was said in one turn is wrapped %d times", st.wraps)
	}
}

type counting struct {
	scramble.Stage
	wraps int
}

func (c *counting) Wrap(b []byte) error {
	c.wraps++
	return c.Stage.Wrap(b)
}
