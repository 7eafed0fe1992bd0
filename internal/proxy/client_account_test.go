package proxy

import (
	"testing"

	"nuthatch/internal/msg"
)

func TestAccountHolds(t *testing.T) {
	var a account
	one, two := new(msg.Msg), new(msg.Msg)
	for _, step := range []struct {
		m    *msg.Msg
		n    int
		want int
	}{
		{one, 100, 100},
		{two, 50, 150},
		{one, 10, 60}, // its reply is smaller than it was
		{one, 0, 50},
		{two, 0, 0},
	} {
		if a.hold(step.m, step.n); a.held != step.want || step.m.Held != step.n {
			t.Errorf("%d bytes are held, %d of the message, want %d and %d", a.held, step.m.Held, step.want, step.n)
		}
	}
	a.quiet = 2
	if n := a.inFlight(); n != 2 {
		t.Errorf("%d requests in flight, want the two that nobody waits for", n)
	}
}

// TestAccountExpects: a client that has had no reply may ask for what others ask for;
// then it is its own replies that count, the largest of them the longest.
func TestAccountExpects(t *testing.T) {
	var a account
	others := 5 << 20
	a.openAccount(1 << 20)
	if n := a.expects(others); n != others {
		t.Errorf("before the first reply %d bytes are expected, want %d as others get", n, others)
	}
	if n := a.expects(0); n != 1<<20 {
		t.Errorf("before the first reply %d bytes are expected, want the guess", n)
	}
	a.sawReply(10, &others)
	if n := a.expects(others); n > firstReplyGuess || n < 10 {
		t.Errorf("after a small reply %d bytes are expected", n)
	}
	a.sawReply(1<<20, &others)
	if n := a.expects(0); n != 1<<20 {
		t.Errorf("after a large reply %d bytes are expected, want as many again", n)
	}
	a.sawReply(0, &others)
	if n := a.expects(0); n >= 1<<20 || n < 1<<19 {
		t.Errorf("a reply later %d bytes are expected, want a little less than the largest", n)
	}
	for range 200 {
		a.sawReply(0, &others)
	}
	if n := a.expects(0); n != 0 {
		t.Errorf("of a client that gets nothing %d bytes are expected", n)
	}
}

// TestAccountTellsOthers: only large replies count for what all clients may get.
func TestAccountTellsOthers(t *testing.T) {
	var a account
	others := 0
	a.sawReply(firstReplyGuess, &others)
	if others != 0 {
		t.Errorf("a small reply makes others' %d bytes", others)
	}
	a.sawReply(1<<20, &others)
	if others != 1<<20 {
		t.Errorf("a large reply makes others' %d bytes, want its own", others)
	}
	a.sawReply(1, &others)
	if others >= 1<<20 || others < 1<<19 {
		t.Errorf("a small one after it makes others' %d bytes, want a little less", others)
	}
}

func TestAccountNames(t *testing.T) {
	var a account
	sum := int64(0)
	for _, n := range []int{10, 25, 25, 3, 0} {
		sum += a.countNames(n)
		if sum != int64(n) {
			t.Errorf("%d bytes of names are counted, want %d", sum, n)
		}
	}
}
