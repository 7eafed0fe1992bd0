package eventloop

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// A fakeRig is a loop on a network, with one connection to it.
type fakeRig struct {
	*rig
	net *Network
}

// eachNetwork runs a test with sends that end at once, and with such as end later.
func eachNetwork(t *testing.T, f func(t *testing.T, r *fakeRig)) {
	t.Helper()
	for name, completions := range map[string]bool{"at once": false, "completions": true} {
		t.Run(name, func(t *testing.T) {
			r := &fakeRig{rig: &rig{t: t}, net: NewNetwork()}
			r.net.Completions = completions
			l, err := r.net.New(time.Unix(1e9, 0), r.rig)
			if err != nil {
				t.Fatal(err)
			}
			r.Loop = l
			f(t, r)
			l.close()
			if n := l.bufs.Live(); n != 0 {
				t.Errorf("%d chunks are in use at the end", n)
			}
			if n := l.Ahead(); n != 0 {
				t.Errorf("%d bytes are ahead at the end", n)
			}
		})
	}
}

// calm runs turns until there is nothing to do.
func (r *fakeRig) calm() {
	r.t.Helper()
	for turns := 0; ; turns++ {
		n, err := r.Step(int64(turns))
		if err != nil {
			r.t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if turns == 1000 {
			r.t.Fatal("the loop has something to do for ever")
		}
	}
}

// joined returns a connection that was accepted, and the other end of it.
func (r *fakeRig) joined() (*probe, *Peer) {
	r.t.Helper()
	addr := &unix.SockaddrUnix{Name: "@server"}
	a := acceptedFDs{}
	ln, err := r.Listen(r.net.Listen(addr), &a)
	if err != nil {
		r.t.Fatal(err)
	}
	far, err := r.net.Dial(addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.calm()
	if len(a) != 1 {
		r.t.Fatalf("accepted %v, want one", a)
	}
	ln.Close()
	p := &probe{rig: r.rig}
	r.attachAs(p, a[0], false)
	return p, far
}

// acceptedFDs are the sockets that were accepted.
type acceptedFDs []int

func (a *acceptedFDs) OnAccept(c Accepted) { *a = append(*a, c.fd) }

func (a *acceptedFDs) OnAcceptError(syscall.Errno) {}

func (p *Peer) want(t *testing.T, want string) {
	t.Helper()
	b := make([]byte, len(want)+1)
	if n, err := p.Read(b); err != nil || string(b[:n]) != want {
		t.Errorf("the peer read %q, %v, want %q", b[:n], err, want)
	}
}

func (p *Peer) wantError(t *testing.T, want error) {
	t.Helper()
	var b [1]byte
	if n, err := p.Read(b[:]); n != 0 || !errors.Is(err, want) {
		t.Errorf("the peer read %d bytes, %v, want %v", n, err, want)
	}
}

func (p *Peer) write(t *testing.T, s string) {
	t.Helper()
	if n, err := p.Write([]byte(s)); n != len(s) || err != nil {
		t.Errorf("the peer wrote %d of %d bytes: %v", n, len(s), err)
	}
}

func TestFakeData(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		c, far := r.joined()
		far.write(t, "hello")
		c.onData = func(data []byte) { c.say("you said " + string(data)) }
		r.calm()
		far.want(t, "you said hello")
		far.wantError(t, unix.EAGAIN)
		c.wantLog("data", "sent")
	})
}

// Bytes that are there before the end, or before a reset, are told before it; while
// reading is paused only the reset is.
func TestFakeEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(far *Peer)
		log  []string
		errs int
	}{
		"end":   {end: (*Peer).CloseWrite, log: []string{"data", "eof"}},
		"close": {end: (*Peer).Close, log: []string{"data", "eof"}},
	} {
		eachNetwork(t, func(t *testing.T, r *fakeRig) {
			c, far := r.joined()
			far.write(t, "last")
			tt.end(far)
			r.calm()
			if len(tt.log) > 0 {
				c.wantLog(tt.log...)
			}
			if string(c.data) != "last" {
				t.Errorf("%s: received %q", name, c.data)
			}
		})
	}
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		c, far := r.joined()
		c.say("nobody reads this")
		r.calm()
		c.PauseRead()
		far.Close()
		r.calm()
		c.wantLog("sent", "error")
		if c.errs[0] != syscall.EPIPE {
			t.Errorf("a reset while reading is paused: %v", c.errs)
		}
	})
}

// TestFakeWindow: a peer that does not read leaves the rest in the output, and gets
// it when it does.
func TestFakeWindow(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		r.net.Window = 10
		c, far := r.joined()
		c.say("0123456789abcdefghij!")
		r.calm()
		if c.sent != 10 || c.Out().Len() != 11 {
			t.Errorf("%d bytes sent, %d left, want 10 and 11", c.sent, c.Out().Len())
		}
		for _, want := range []string{"0123456789", "abcdefghij", "!"} {
			far.want(t, want)
			r.calm()
		}
		if c.sent != 21 {
			t.Errorf("%d bytes sent, want 21", c.sent)
		}
	})
}

// TestFakePause: what comes while reading is paused waits; with completions it counts.
func TestFakePause(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		c, far := r.joined()
		c.PauseRead()
		far.write(t, "wait")
		r.calm()
		c.wantLog()
		ahead := 0
		if r.net.Completions {
			ahead = 4
		}
		if n, ok := c.Unread(); n != 4 || !ok || r.Ahead() != ahead {
			t.Errorf("%d bytes unread (%t), %d ahead, want 4 and %d", n, ok, r.Ahead(), ahead)
		}
		c.ResumeRead()
		r.calm()
		c.wantLog("data")
	})
}

// TestFakeDial: connections are made and refused, at once or later.
func TestFakeDial(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		addr := &unix.SockaddrUnix{Name: "@port"}
		c := &probe{rig: r.rig}
		_, err := r.Dial(&c.Conn, addr, socket.Keepalive{}, c, nil)
		r.calm()
		if r.net.Completions {
			c.wantLog("error")
			err = c.errs[0]
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connecting to nobody: %v", err)
		}
		port := r.net.Serve(addr)
		c.log = nil
		if _, err := r.Dial(&c.Conn, addr, socket.Keepalive{}, c, nil); err != nil {
			t.Fatal(err)
		}
		c.say("hello")
		r.calm()
		c.Flush()
		r.calm()
		far := port.Accept()
		if far == nil {
			t.Fatal("nobody to accept")
		}
		far.want(t, "hello")
		c.Close()
		if n, err := far.Read(make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("behind the end: %d, %v", n, err)
		}
		if port.Accept() != nil {
			t.Error("a second connection")
		}
	})
}

// TestFakePost: what is posted runs in the next turn.
func TestFakePost(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *fakeRig) {
		ran := false
		r.Post(func() { ran = true })
		r.calm()
		if !ran {
			t.Error("what was posted has not run")
		}
	})
}
