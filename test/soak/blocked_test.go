package soak

import (
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/testkit"
)

// blockedSize is what a client that waits at a server may take, in bytes, its connection to
// the server included.
const blockedSize = 6 << 10

// Ten thousand clients wait at servers, as many as there are descriptors for. Each gets its
// element, and nothing is left.
func TestBlockedCrowd(t *testing.T) {
	beside(t)
	s := newStage(t, testkit.Redis, "", "private_connections: 60000", "private_idle_timeout: 0")
	n := times(10_000, 300)
	var limit unix.Rlimit
	if err := unix.Prlimit(s.proxy.Pid(), unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	const others = 600 // descriptors of the proxy
	n = min(n, int(limit.Max-others)/2)
	r := &row{piece: "sessions", what: fmt.Sprintf("%d clients wait at servers", n)}
	s.report(r)
	before := s.left()
	empty := s.proxy.RSS()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", s.proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		conns[i] = c
		if _, err := c.Write(testkit.RESP("BLPOP", fmt.Sprintf("queue:%d", i), "0")); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Await(t, "all to wait", func() error {
		var pools pools
		s.ask("/api/v1/pools", &pools)
		if got := pools.waiting(); got != n {
			return fmt.Errorf("%w: %d wait", errLeft, got)
		}
		return nil
	})
	full := s.proxy.RSS()
	c := s.proxy.Dial(testkit.Redis)
	for i, waiting := range conns {
		if got := c.Do("RPUSH", fmt.Sprintf("queue:%d", i), "x"); got != ":1\r\n" {
			t.Fatalf("RPUSH: %q", got)
		}
		if err := waiting.SetReadDeadline(time.Now().Add(testkit.Patience)); err != nil {
			t.Fatal(err)
		}
		var reply [64]byte
		got, err := waiting.Read(reply[:])
		if want := "*2\r\n" + testkit.Bulk(fmt.Sprintf("queue:%d", i)) + testkit.Bulk("x"); err != nil || string(reply[:got]) != want {
			t.Fatalf("client %d: %q, %v", i, reply[:got], err)
		}
		_ = waiting.Close()
	}
	c.Close()
	s.awaitLeft(before)
	each := float64(full-empty) / float64(n)
	r.requests, r.rss, r.left = int64(n), full, "as before: "+before
	r.notes = fmt.Sprintf("RSS %d MB without them, %d MB with them: %.1f KB each", empty>>20, full>>20, each/1024)
	t.Log(r.notes)
	if each > blockedSize && length > 0 { // a few clients say little of one
		t.Errorf("a client that waits takes %.0f bytes, at most %d were wanted", each, blockedSize)
	}
}

// pools are those of the admin listener, as far as they are looked at here.
type pools struct {
	Pools []struct {
		Servers []struct {
			Counters map[string]int64
		}
	}
}

// waiting is how many clients wait at the servers of the first pool.
func (p *pools) waiting() int {
	n := int64(0)
	for _, s := range p.Pools[0].Servers {
		n += s.Counters["private_waiting"]
	}
	return int(n)
}
