package proxy_test

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"nuthatch/internal/proxy"
)

// apart is how many more clients the loop with the most has than the one with the
// fewest, and how many all have.
func (r *rig) apart() (apart, all int) {
	least, most := r.contexts[0].Clients(), 0
	for _, ctx := range r.contexts {
		n := ctx.Clients()
		least, most, all = min(least, n), max(most, n), all+n
	}
	return most - least, all
}

// TestClientsAreDealtEvenly: however clients come and go, loops differ by no more
// than was so before, or by one; those that come fill up the loop that has lost
// the most.
func TestClientsAreDealtEvenly(t *testing.T) {
	const loops = 4
	r := startRig(t, "p:\n  listen: %s\n  redis: true\n  servers:\n  - 127.0.0.1:1:1\nnuthatch:\n  threads: 4\n")
	var open []net.Conn
	// come connects clients, and returns when all have been answered.
	come := func(n int) {
		t.Helper()
		for range n {
			c := r.dial()
			open = append(open, c)
			if _, err := io.WriteString(c, "PING\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, len("+PONG\r\n"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	// leave has the i-th client go.
	leave := func(i int) {
		open[i].Close()
		open[i] = open[len(open)-1]
		open = open[:len(open)-1]
	}
	settled := func() {
		t.Helper()
		await(t, "the clients that went to be gone", func() bool { _, all := r.apart(); return all == len(open) })
	}
	come(4*loops + 1)
	if apart, _ := r.apart(); apart > 1 {
		t.Fatalf("%d clients more on one loop than on another, of clients that came", apart)
	}
	// Clients come in turn to the loops, so each fourth is of one loop.
	for i := len(open) - 1; i >= 0; i -= loops {
		leave(i)
	}
	settled()
	before, _ := r.apart()
	if before < 2 {
		t.Fatalf("%d apart: the test wants one loop to lose its clients", before)
	}
	come(before)
	if apart, _ := r.apart(); apart > 1 {
		t.Errorf("%d clients apart: those that came did not go to the loop that had lost its own", apart)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		for range random.IntN(len(open) / 2) {
			leave(random.IntN(len(open)))
		}
		settled()
		before, _ := r.apart()
		n := random.IntN(12) + 1
		come(n)
		if apart, _ := r.apart(); apart > max(before, 1) {
			t.Fatalf("%d clients apart after %d came, %d before", apart, n, before)
		}
		come(loops)
	}
	for i := range r.contexts {
		r.on(i, func(ctx *proxy.Context) {
			if ctx.Clients() == 0 {
				t.Errorf("loop %d has no clients", i)
			}
		})
	}
}

// A client that is dealt to a loop which has ended is closed, and counted no more.
func TestClientOfAnEndedLoop(t *testing.T) {
	r := startRig(t, "p:\n  listen: %s\n  redis: true\n  servers:\n  - 127.0.0.1:1:1\nnuthatch:\n  threads: 2\n")
	r.contexts[1].Loop().Stop()
	await(t, "the loop to end", func() bool { return !r.contexts[1].Loop().Post(func() {}) })
	stays := r.dial()
	stays.send("PING\r\n")
	stays.expect("+PONG\r\n")
	for range 5 {
		u := r.dial()
		u.expectEOF()
	}
	// It is closed a moment before it is counted no more.
	await(t, "clients to be counted no more", func() bool {
		return r.contexts[1].Clients() == 0 && r.identity.Limits().Clients() == 1
	})
}
