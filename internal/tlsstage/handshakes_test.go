package tlsstage_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/tlsstage"
)

// hello is what a client says first.
func (h *hall) hello() []byte {
	said := new(first)
	_ = tls.Client(said, h.client).Handshake()
	return said.b
}

// A first keeps what is said first, and ends there.
type first struct {
	*caller
	b []byte
}

func (f *first) Write(b []byte) (int, error) {
	f.b = append(f.b, b...)
	return 0, io.ErrClosedPipe
}

// says has new clients say that, and nothing more.
func (h *hall) says(all ...[]byte) (guests []*guest) {
	h.t.Helper()
	for _, b := range all {
		c, g := h.call()
		if _, err := c.say(b); err != nil {
			h.t.Fatal(err)
		}
		guests = append(guests, g)
	}
	return guests
}

// serves has a client shake hands, and say something.
func (h *hall) serves() {
	h.t.Helper()
	c, g := h.call()
	if _, err := tls.Client(c, h.client).Write([]byte("asked")); err != nil {
		h.t.Fatal(err)
	}
	h.until("the request", func() bool { return string(g.data) == "asked" })
	g.Close()
}

// Clients that say a byte, or half of their first message, take no place, and are counted for
// what they have said. They end when the time is over.
func TestHalfHellosHoldNobodyUp(t *testing.T) {
	h := newHall(t)
	h.pool.Handshakes.Set(1, 0)
	hello := h.hello()
	before := h.loop.Ahead()
	guests := h.says(hello[:1], hello[:4], hello[:len(hello)/2], hello[:len(hello)-1])
	if n, waiting := h.pool.Handshakes.UnderWay(); n+waiting > 0 {
		t.Errorf("%d handshakes are under way, and %d wait", n, waiting)
	}
	if n, said := h.loop.Ahead()-before, len(hello)*3/2; n < 4*8<<10+said {
		t.Errorf("%d bytes are counted of 4 clients, and they have said %d", n, said)
	}
	h.serves()
	h.pool.Handshakes.Set(1, 50*time.Millisecond)
	guests = append(guests, h.says(hello[:1], hello[:100])...)
	h.until("the end of the last two", func() bool { return guests[4].fault != nil && guests[5].fault != nil })
	for i, g := range guests {
		if want := i >= 4; errors.Is(g.fault, tlsstage.ErrSlow) != want || g.made {
			t.Errorf("client %d: %v", i, g.fault)
		}
	}
}

// A first message that is too long ends the connection.
func TestLongHello(t *testing.T) {
	h := newHall(t)
	long := make([]byte, tlsstage.MaxHello+1)
	copy(long, "\x16\x03\x01\x40\x00\x01\x01\x00\x00")
	for _, n := range []int{len(long) - 1, len(long)} {
		g := h.says(long[:n])[0]
		h.turn()
		if errors.Is(g.fault, tlsstage.ErrLongHello) != (n > tlsstage.MaxHello) {
			t.Errorf("after %d bytes: %v", n, g.fault)
		}
	}
}

// A handshake that waits for its client gives way to others when they wait, and stays when
// none does.
func TestIdleHandshakesGiveWay(t *testing.T) {
	h := newHall(t)
	hello := h.hello()
	h.pool.Handshakes.Set(2, 200*time.Millisecond)
	alone := h.says(hello)[0]
	h.until("that it takes too long", func() bool { return alone.fault != nil })
	if !errors.Is(alone.fault, tlsstage.ErrSlow) {
		t.Errorf("one that keeps nobody waiting ends: %v", alone.fault)
	}
	h.pool.Handshakes.Set(2, time.Minute/20) // a tenth of it is what they may wait
	idle := h.says(hello, hello, hello)
	h.until("a place", func() bool { return idle[0].fault != nil || idle[1].fault != nil })
	for i, g := range idle {
		if g.fault != nil && !errors.Is(g.fault, tlsstage.ErrHeldUp) {
			t.Errorf("client %d: %v", i, g.fault)
		}
	}
	h.serves()
}

// A client whose handshake takes too long is told so by an alert, behind what the handshake has said:
// as long as that is not encrypted.
func TestAlertAfterHello(t *testing.T) {
	h := newHall(t)
	h.pool.Handshakes.Set(1, 100*time.Millisecond)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h.client.MaxVersion = version
		c, g := h.call()
		if _, err := c.say(h.hello()); err != nil {
			t.Fatal(err)
		}
		h.until("that it takes too long", func() bool { return g.fault != nil })
		g.Close()
		all, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		said, told := bytes.CutSuffix(all, []byte("\x15\x03\x03\x00\x02\x02\x50"))
		if want := version == tls.VersionTLS12; told != want || len(said) == 0 {
			t.Errorf("%s: %d bytes, and an alert %t", tls.VersionName(version), len(said), told)
		}
	}
}

// Handshakes wait in a queue. It has an end, and each one's time runs there, too. Whoever goes
// leaves it at once.
func TestHandshakeQueue(t *testing.T) {
	h := newHall(t)
	hello := h.hello()
	shakes := h.pool.Handshakes
	shakes.SetRoom(3)
	shakes.Set(1, 0)
	free := shakes.Busy()
	waiting := func(want int) {
		t.Helper()
		if n, waiting := shakes.UnderWay(); n != 1 || waiting != want {
			t.Errorf("%d are under way and %d wait, want 1 and %d", n, waiting, want)
		}
	}
	guests := h.says(hello, hello, hello, hello)
	waiting(3)
	over := h.says(hello)[0]
	h.turn()
	if !errors.Is(over.fault, tlsstage.ErrBusy) {
		t.Errorf("one more than may wait: %v", over.fault)
	}
	guests[1].Close()
	waiting(2)
	c, ended := h.call()
	if _, err := c.say(hello); err != nil {
		t.Fatal(err)
	}
	waiting(3)
	c.peer.CloseWrite()
	h.until("the end of one that says no more", func() bool { return ended.ended })
	waiting(2)
	guests[2].Close()
	shakes.Set(1, 50*time.Millisecond)
	c, late := h.call()
	if _, err := c.say(hello); err != nil {
		t.Fatal(err)
	}
	h.until("that the last one's time is over", func() bool { return late.fault != nil })
	if !errors.Is(late.fault, tlsstage.ErrSlow) {
		t.Errorf("one that waits too long in the queue: %v", late.fault)
	}
	var told [7]byte
	if _, err := io.ReadFull(c, told[:]); err != nil || string(told[:]) != msg.TLSRefusal {
		t.Errorf("it is told %x, %v", told, err)
	}
	waiting(1)
	shakes.Set(1, 0)
	free()
	guests[0].Close()
	guests[3].Close()
	h.serves()
}
