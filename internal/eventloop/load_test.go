package eventloop

import (
	"testing"
)

// What one turn receives, sends and closes is bounded; the next turns do the rest, at
// once, and nobody is left out.
func TestLoadOfATurn(t *testing.T) { eachEngine(t, testLoadOfATurn) }

func testLoadOfATurn(t *testing.T) {
	t.Run("received", func(t *testing.T) {
		r := newRig(t)
		const n = maxTurnBytes/recvSize + 20
		var conns []*probe
		for range n {
			c, far := r.pair("unix")
			conns = append(conns, c)
			far.write(string(noise(recvSize)))
		}
		r.step()
		if r.engine.pending() == 0 {
			t.Error("the loop may wait, and has not received all")
		}
		r.wantLoad("received", r.load.received, maxTurnBytes+recvSize)
		for range 3 {
			r.turn(0)
		}
		for i, c := range conns {
			if len(c.data) != recvSize {
				t.Fatalf("connection %d has received %d bytes, want %d", i, len(c.data), recvSize)
			}
		}
	})
	t.Run("sends and closes", func(t *testing.T) {
		r := newRig(t)
		const n = 2*maxSends + 10
		var conns []*probe
		var peers []*peer
		for range n {
			c, far := r.pair("unix")
			conns, peers = append(conns, c), append(peers, far)
			c.say("x")
		}
		turns := 0
		for wait := 0; wait == 0; turns++ {
			wait = r.turn(0)
			r.wantLoad("connections written to", r.load.sends, maxSends)
		}
		if turns != 3 {
			t.Errorf("%d turns, want 3", turns)
		}
		for _, p := range peers {
			p.want("x")
		}
		before := descriptors(t)
		for _, c := range conns {
			c.Close()
		}
		for wait := 0; wait == 0; {
			wait = r.turn(0)
			now := descriptors(t)
			r.wantLoad("descriptors closed", before-now, maxCloses)
			before = now
		}
		for _, p := range peers {
			p.wantEnd()
		}
	})
}

func (r *rig) wantLoad(what string, got, most int) {
	r.t.Helper()
	if got > most {
		r.t.Errorf("%s in a turn: %d, want %d at the most", what, got, most)
	}
}
