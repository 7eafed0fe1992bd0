package eventloop

import "testing"

// TestFlushWithinFlush: a handler that is told of its flush gives more output to a connection
// whose output goes out in the same flush. Its peer gets all of it once.
func TestFlushWithinFlush(t *testing.T) { eachEngine(t, testFlushWithinFlush) }

func testFlushWithinFlush(t *testing.T) {
	r := newRig(t)
	a, far := r.pair("tcp")
	b, _ := r.pair("tcp")
	a.say("one")
	b.onSent = func(int) { a.say("two") }
	b.Flush()
	r.turn(0)
	b.onSent = nil
	a.say("three")
	r.turn(0)
	far.want("onetwothree")
	if rest := far.drain(10); len(rest) > 0 {
		t.Errorf("then comes %q", rest)
	}
}

// TestCloseWithinManySends: more connections send than go to the kernel at once. The handler of
// the first closes the one that is next.
func TestCloseWithinManySends(t *testing.T) { eachEngine(t, testCloseWithinManySends) }

func testCloseWithinManySends(t *testing.T) {
	r := newRig(t)
	conns, peers := r.pairs(maxBatch + 2)
	for _, c := range conns {
		c.say("x")
	}
	closed := conns[maxBatch]
	conns[0].onSent = func(int) { closed.Close() }
	r.turn(0)
	for i, p := range peers {
		if conns[i] == closed {
			p.wantEnd()
		} else {
			p.want("x")
		}
	}
}

// TestCloseWithinManyReceives: more connections have something to read than goes to the kernel at
// once. The handler of the first closes the one that is next, which is then not asked for room.
func TestCloseWithinManyReceives(t *testing.T) { eachEngine(t, testCloseWithinManyReceives) }

func testCloseWithinManyReceives(t *testing.T) {
	r := newRig(t)
	conns, peers := r.pairs(maxReceives + 2)
	for _, p := range peers {
		p.write("x")
	}
	closed := conns[maxReceives]
	conns[0].onData = func([]byte) { closed.Close() }
	r.until("what all others sent", func() bool {
		n := 0
		for _, c := range conns {
			n += len(c.data)
		}
		return n >= len(conns)-1
	})
	if len(closed.data) > 0 {
		t.Errorf("the closed connection got %q", closed.data)
	}
}

// pairs are that many connections over TCP and their peers.
func (r *rig) pairs(n int) (conns []*probe, peers []*peer) {
	r.t.Helper()
	for range n {
		c, p := r.pair("tcp")
		conns, peers = append(conns, c), append(peers, p)
	}
	return conns, peers
}
