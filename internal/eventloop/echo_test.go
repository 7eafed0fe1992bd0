package eventloop

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/mbuf"
)

// A talk is an echo under way: bytes go to a connection, come back from it, and
// are the same.
type talk struct {
	r    *rig
	far  *peer
	msg  []byte
	back []byte
}

// newTalk echoes messages through the connection's output. With lent set they
// are received straight into a chain and go back by reference.
func newTalk(r *rig, kind string, msg []byte, lent bool) *talk {
	r.t.Helper()
	c := &echo{r: r, lent: lent}
	p, far := r.pair(kind)
	fd := p.fd
	nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	p.Close()
	r.turn(0)
	if err := r.Loop.attach(&c.Conn, nfd, false, c); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return &talk{r: r, far: far, msg: msg, back: make([]byte, len(msg))}
}

// round sends the messages, and reads them back.
func (k *talk) round() error {
	for sent, got := 0, 0; got < len(k.msg); {
		if sent < len(k.msg) {
			n, err := unix.Write(k.far.fd, k.msg[sent:min(sent+recvSize, len(k.msg))])
			if err != nil {
				return err
			}
			sent += n
		}
		for got < sent {
			if err := k.r.tryStep(); err != nil {
				return err
			}
			n, err := unix.Read(k.far.fd, k.back[got:])
			if err != nil || n == 0 {
				return io.ErrUnexpectedEOF
			}
			got += n
		}
	}
	return nil
}

// An echo is a handler that does as little as one can.
type echo struct {
	Conn
	ignored
	r    *rig
	lent bool
	body mbuf.Chain
}

func (e *echo) OnData(data []byte) {
	e.Out().Append(&e.r.bufs, data)
	e.Flush()
}

func (e *echo) Lend() []byte {
	if !e.lent {
		return nil
	}
	return e.body.Lend(&e.r.bufs, mbuf.LargeSize)
}

func (e *echo) OnLent(n int) {
	e.body.Lent(n)
	e.Out().Splice(&e.r.bufs, &e.body)
	e.Flush()
}

// ignored is the part of a Handler that an echo has no use for.
type ignored struct{}

func (ignored) OnConnect()         {}
func (ignored) OnEOF()             {}
func (ignored) OnEnding()          {}
func (ignored) OnError(unix.Errno) {}
func (ignored) OnSent(int)         {}
func (ignored) Grant() int         { return Unlimited }

var talks = []struct {
	name string
	kind string
	msg  []byte
	lent bool
}{
	{"64 small messages tcp", "tcp", bytes.Repeat([]byte("*1\r\n$4\r\nPING\r\n"), 64), false},
	{"one small message unix", "unix", []byte("*1\r\n$4\r\nPING\r\n"), false},
	{"large message lent", "unix", noise(64 << 10), true},
}

// TestSteadyStateAllocatesNothing: neither receiving nor sending costs memory
// once the first messages have gone through.
func TestSteadyStateAllocatesNothing(t *testing.T) { eachEngine(t, testSteadyStateAllocatesNothing) }

func testSteadyStateAllocatesNothing(t *testing.T) {
	for _, tt := range talks {
		t.Run(tt.name, func(t *testing.T) {
			k := newTalk(newRig(t), tt.kind, tt.msg, tt.lent)
			var err error
			n := testing.AllocsPerRun(200, func() {
				if err == nil {
					err = k.round()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, "echoed", k.back, k.msg)
			if n != 0 {
				t.Errorf("%v allocations per round, want none", n)
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, tt := range talks {
		b.Run(tt.name, func(b *testing.B) {
			k := newTalk(newRig(b), tt.kind, tt.msg, tt.lent)
			b.SetBytes(int64(len(k.msg)))
			b.ReportAllocs()
			for b.Loop() {
				if err := k.round(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCrowd: many connections echo in the same turn, so that io_uring has batches.
func BenchmarkCrowd(b *testing.B) {
	for _, engine := range []Engine{Epoll, IOUring} {
		for _, kind := range []string{"unix", "tcp"} {
			b.Run(kind+"/"+engine.String(), func(b *testing.B) {
				r := newRig(b)
				talks := make([]*talk, 50)
				for i := range talks {
					talks[i] = newTalk(r, kind, []byte("*1\r\n$4\r\nPING\r\n"), false)
				}
				before := cpuTime(b)
				for b.Loop() {
					for _, k := range talks {
						if _, err := unix.Write(k.far.fd, k.msg); err != nil {
							b.Fatal(err)
						}
					}
					for _, k := range talks {
						k.hear()
					}
				}
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N*len(talks)), "cpu-ns/message")
			})
		}
	}
}

// hear has turns run until the message has come back.
func (k *talk) hear() {
	for {
		n, _, err := unix.Recvfrom(k.far.fd, k.back, unix.MSG_DONTWAIT)
		if err == nil && n == len(k.msg) {
			return
		}
		k.r.step()
	}
}

// cpuTime is the processor time of the calling thread, in nanoseconds. The rest of the machine
// says less there than in time that passes.
func cpuTime(b *testing.B) int64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		b.Fatal(err)
	}
	return at.Nano()
}

func BenchmarkPost(b *testing.B) {
	r := newRig(b)
	f := func() {}
	b.ReportAllocs()
	for b.Loop() {
		r.Post(f)
		r.step()
	}
}
