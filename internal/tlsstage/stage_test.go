package tlsstage_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/testkit"
	"nuthatch/internal/tlsstage"
)

// A hall is a loop on a network without descriptors, where connections with TLS are
// accepted. Handshakes have their goroutines; all else is done by the test.
type hall struct {
	t      *testing.T
	net    *eventloop.Network
	loop   *eventloop.Loop
	fds    accepted
	pool   *tlsstage.Pool
	client *tls.Config
	guests []*guest
}

type noHook struct{}

func (noHook) OnTurn(int64) int64 { return 0 }
func (noHook) OnWake()            {}
func (noHook) OnFlush()           {}

type accepted []eventloop.Accepted

func (a *accepted) OnAccept(c eventloop.Accepted) { *a = append(*a, c) }
func (a *accepted) OnAcceptError(syscall.Errno)   {}

var address = &unix.SockaddrUnix{Name: "@hall"}

func newHall(t *testing.T) *hall {
	t.Helper()
	a := testkit.NewAuthority(t)
	conf := config.TLS{}
	conf.Cert, conf.Key = a.Pair("proxy")
	end, err := tlsstage.ForClients(&conf, new(tlsstage.Tickets), nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{t: t, net: eventloop.NewNetwork(), client: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}}
	h.pool = &tlsstage.Pool{Handshakes: tlsstage.NewHandshakes(1), Clients: end, PlainReply: "no TLS"}
	h.pool.Handshakes.Set(10, 0)
	if h.loop, err = h.net.New(time.Unix(0, 0), noHook{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.loop.Listen(h.net.Listen(address), &h.fds); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, g := range h.guests {
			g.Close()
		}
		h.turn()
		if n, m := h.loop.Bufs().Live(), h.loop.Ahead(); n != 0 || m != 0 {
			t.Errorf("at the end %d chunks are in use, and %d bytes of stages", n, m)
		}
	})
	return h
}

// turn runs a turn, and lets handshakes go on.
func (h *hall) turn() {
	h.t.Helper()
	if _, err := h.loop.Step(1); err != nil {
		h.t.Fatal(err)
	}
	runtime.Gosched()
}

// until runs turns until cond holds.
func (h *hall) until(what string, cond func() bool) {
	h.t.Helper()
	for end := time.Now().Add(testkit.Patience); !cond(); h.turn() {
		if time.Now().After(end) {
			h.t.Fatalf("waited %v for %s", testkit.Patience, what)
		}
	}
}

// A guest is the handler of a connection, which notes what it hears.
type guest struct {
	eventloop.Conn
	loop  *eventloop.Loop
	data  []byte
	made  bool
	ended bool
	sent  int
	fault error
}

func (g *guest) OnConnect()         { g.made = true }
func (g *guest) OnData(data []byte) { g.data = append(g.data, data...) }
func (g *guest) OnEOF()             { g.ended = true }
func (g *guest) OnEnding()          {}
func (g *guest) OnError(syscall.Errno) {
	g.fault = g.Fault()
	g.Close()
}
func (g *guest) OnSent(n int) { g.sent += n }
func (g *guest) Grant() int   { return eventloop.Unlimited }
func (g *guest) Lend() []byte { return nil }
func (g *guest) OnLent(int)   {}

// A caller is the other end, as crypto/tls takes it. Reads run turns until there is
// something; what is written goes into held while hold is set.
type caller struct {
	net.Conn // for what is not used
	hall     *hall
	peer     *eventloop.Peer
	hold     bool
	held     []byte
}

func (c *caller) Read(b []byte) (int, error) {
	for end := time.Now().Add(testkit.Patience); ; c.hall.turn() {
		n, err := c.peer.Read(b)
		switch {
		case !errors.Is(err, unix.EAGAIN) && n == 0 && err == nil:
			return 0, io.EOF
		case !errors.Is(err, unix.EAGAIN):
			return n, err
		case time.Now().After(end):
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (c *caller) Write(b []byte) (int, error) {
	if c.hold {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	return c.say(b)
}

// say writes, turn by turn.
func (c *caller) say(b []byte) (int, error) {
	for n := 0; n < len(b); c.hall.turn() {
		k, err := c.peer.Write(b[n:])
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		n += max(k, 0)
	}
	return len(b), nil
}

func (c *caller) Close() error                     { c.peer.Close(); return nil }
func (c *caller) SetDeadline(time.Time) error      { return nil }
func (c *caller) SetWriteDeadline(time.Time) error { return nil }

// call connects.
func (h *hall) call() (*caller, *guest) {
	h.t.Helper()
	return h.callWith(h.pool.Client())
}

// callWith connects to a guest with that stage.
func (h *hall) callWith(st eventloop.Stage) (*caller, *guest) {
	h.t.Helper()
	peer, err := h.net.Dial(address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.fds = nil
	h.until("the connection", func() bool { return len(h.fds) > 0 })
	g := &guest{loop: h.loop}
	if err := h.fds[0].Attach(&g.Conn, g, st); err != nil {
		h.t.Fatal(err)
	}
	h.guests = append(h.guests, g)
	return &caller{hall: h, peer: peer}, g
}

func versions(t *testing.T, f func(t *testing.T, h *hall)) {
	t.Helper()
	for name, v := range map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t)
			h.client.MinVersion, h.client.MaxVersion = v, v
			f(t, h)
		})
	}
}

// Records may come in any two pieces.
func TestRecordsSplit(t *testing.T) {
	versions(t, func(t *testing.T, h *hall) {
		c, g := h.call()
		conn := tls.Client(c, h.client)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		h.until("the handshake", func() bool { return g.made })
		var want []byte
		for i := 0; ; i++ {
			text := []byte(strings.Repeat("request ", 3))
			c.hold, c.held = true, nil
			for range 2 {
				if _, err := conn.Write(text); err != nil {
					t.Fatal(err)
				}
				want = append(want, text...)
			}
			c.hold = false
			if i > len(c.held) {
				break
			}
			for _, piece := range [][]byte{c.held[:i], c.held[i:]} {
				if _, err := c.say(piece); err != nil {
					t.Fatal(err)
				}
				h.turn()
			}
			h.until("what was sent", func() bool { return len(g.data) >= len(want) })
			if !bytes.Equal(g.data, want) {
				t.Fatalf("split at %d another text comes", i)
			}
		}
	})
}

// The handshake may come in any two pieces too, each of its flights split at every byte, with
// the first request behind it.
func TestHandshakeSplit(t *testing.T) {
	versions(t, func(t *testing.T, h *hall) {
		h.client.CurvePreferences = []tls.CurveID{tls.X25519} // a hello is short
		for i, longest := 1, 2; i < longest; i++ {
			c, g := h.call()
			said := &splitting{caller: c, at: i}
			conn := tls.Client(said, h.client)
			if _, err := conn.Write([]byte("at once")); err != nil {
				t.Fatal(err)
			}
			h.until("the request", func() bool { return string(g.data) == "at once" })
			g.Close()
			longest = max(longest, said.longest)
		}
	})
}

// A splitting caller says what it says in two pieces. longest is the longest that it has said
// at once.
type splitting struct {
	*caller
	at, longest int
}

func (s *splitting) Write(b []byte) (int, error) {
	s.longest = max(s.longest, len(b))
	at := min(s.at, len(b))
	for _, piece := range [][]byte{b[:at], b[at:]} {
		if _, err := s.say(piece); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// What is said goes out as it is said, in one record where it fits, and is told as sent
// when it has gone.
func TestSaid(t *testing.T) {
	versions(t, func(t *testing.T, h *hall) {
		c, g := h.call()
		conn := tls.Client(c, h.client)
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		h.until("the handshake", func() bool { return g.made })
		for _, n := range []int{1, 16 << 10, 16<<10 + 1, 300_000} {
			want := bytes.Repeat([]byte("v"), n)
			before := g.sent
			g.Out().Append(h.loop.Bufs(), want)
			g.Flush()
			got := make([]byte, n)
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if g.sent-before != n || g.Out().Len() != 0 {
				t.Errorf("%d bytes were told as sent, %d are left, want %d", g.sent-before, g.Out().Len(), n)
			}
		}
	})
}

// Each side may say that no more comes, and hear the other out.
func TestHalfClose(t *testing.T) {
	versions(t, func(t *testing.T, h *hall) {
		c, g := h.call()
		conn := tls.Client(c, h.client)
		if _, err := conn.Write([]byte("asked")); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		h.until("the end", func() bool { return g.ended })
		if string(g.data) != "asked" {
			t.Errorf("%q comes", g.data)
		}
		g.Out().AppendString(h.loop.Bufs(), "answered")
		g.Flush()
		h.turn()
		g.CloseWrite()
		if got, err := io.ReadAll(conn); err != nil || string(got) != "answered" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// An idle connection holds no chunk, and its memory is counted.
func TestIdle(t *testing.T) {
	versions(t, func(t *testing.T, h *hall) {
		c, g := h.call()
		conn := tls.Client(c, h.client)
		if _, err := conn.Write([]byte("asked")); err != nil {
			t.Fatal(err)
		}
		h.until("the request", func() bool { return len(g.data) > 0 })
		if n := h.loop.Bufs().Live(); n != 0 {
			t.Errorf("%d chunks are in use", n)
		}
		if n := h.loop.Ahead(); n < 4<<10 || n > 32<<10 {
			t.Errorf("%d bytes are counted", n)
		}
		if n, ok := g.Unread(); n != 0 || !ok {
			t.Errorf("%d bytes are unread (%t)", n, ok)
		}
		c.hold = true
		if _, err := conn.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.say(c.held[:9]); err != nil {
			t.Fatal(err)
		}
		h.turn()
		if n, ok := g.Unread(); n != 9 || !ok {
			t.Errorf("of half a record %d bytes are unread (%t), want 9", n, ok)
		}
	})
}

// A peer that goes in the middle of the handshake has just gone, and one that says what
// is no TLS is told.
func TestNoHandshake(t *testing.T) {
	h := newHall(t)
	for _, said := range []string{"", "\x16\x03\x01\x00\xff\x01"} {
		c, g := h.call()
		if _, err := c.say([]byte(said)); err != nil {
			t.Fatal(err)
		}
		c.peer.CloseWrite()
		h.until("the end", func() bool { return g.ended })
		if g.made || g.fault != nil {
			t.Errorf("after %q: made: %t, %v", said, g.made, g.fault)
		}
	}
	c, g := h.call()
	if _, err := c.say([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	h.until("the fault", func() bool { return g.fault != nil })
	b := make([]byte, 100)
	if n, _ := c.peer.Read(b); !errors.Is(g.fault, tlsstage.ErrPlain) || string(b[:n]) != "no TLS" {
		t.Errorf("%v, and the peer hears %q", g.fault, b[:n])
	}
	c, g = h.call()
	if _, err := c.say([]byte("\x16\x03\x01\x00\x04nono")); err != nil {
		t.Fatal(err)
	}
	h.until("the fault", func() bool { return g.fault != nil })
	if n, _ := c.peer.Read(b); n < 7 || b[0] != 0x15 {
		t.Errorf("the peer hears %x, want an alert", b[:max(n, 0)])
	}
}
