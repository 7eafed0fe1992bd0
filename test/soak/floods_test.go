package soak

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// maxMemory is what the process may use in floods, and maxResident what of it may
// be resident, the program itself included.
const (
	maxMemory   = 64 << 20
	maxResident = maxMemory * 3 / 2
)

// newFlood is a stage with that bound, and the watch over its memory, which judges
// it when the flood is over.
func newFlood(t *testing.T, r *row, pool ...string) (s *stage, judge func()) {
	t.Helper()
	beside(t)
	s = newStage(t, testkit.Redis, fmt.Sprintf("  max_memory: %dmb\n", maxMemory>>20), pool...)
	s.report(r)
	r.bound = maxResident
	rss := s.watchRSS()
	return s, func() {
		t.Helper()
		if r.rss = rss(); r.rss > r.bound {
			t.Errorf("RSS %d MB, above %d MB", r.rss>>20, r.bound>>20)
		}
	}
}

// others is the traffic that a flood must not disturb.
func (s *stage) others(t *testing.T) *testkit.Crowd {
	t.Helper()
	seed, _ := seeded(t)
	c := testkit.Traffic{
		Protocol: s.protocol, Addr: s.proxy.Addr(), Clients: 20, Seed: seed, Pause: 20 * time.Millisecond, Round: 8,
	}.Start(t)
	c.AwaitMore(&c.Served, 200)
	return c
}

// undisturbed ends the traffic, and fails if any request of it did.
func undisturbed(t *testing.T, c *testkit.Crowd, r *row) {
	t.Helper()
	c.AwaitMore(&c.Served, 200)
	seen := c.Stop()
	r.saw(seen)
	if seen.Failed > 0 {
		t.Errorf("others had errors: %s", seen.ErrorTexts())
	}
}

// inParallel calls f for 0 to n-1, some at a time, and stops at the first error.
func inParallel(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	for range 8 * runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !t.Failed(); i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	running.Wait()
}

// Clients connect, speak and vanish, thousands of times over, some without waiting
// for an answer, some in the middle of a word: nothing is left of them, and others
// are served.
func TestVanishing(t *testing.T) {
	r := &row{piece: "vanish"}
	s, judge := newFlood(t, r)
	clients, rounds := times(10_000, 300), times(100, 4)
	before := s.left()
	crowd := s.others(t)
	conns := make([]net.Conn, clients)
	done := 0
	var first, last int64
	end := time.Now().Add(share(15, 150*time.Second, 10*time.Second))
	for ; done < rounds && time.Now().Before(end) && !t.Failed(); done++ {
		inParallel(t, clients, func(i int) error {
			conn, err := net.Dial("tcp", s.proxy.Addr())
			if err != nil {
				return err
			}
			conns[i] = conn
			return speak(conn, i)
		})
		inParallel(t, clients, func(i int) error { return vanish(conns[i], i) })
		s.proxy.AwaitStat(20, "alpha", "client_connections")
		if last = s.proxy.RSS(); done == 0 {
			first = last
		}
	}
	undisturbed(t, crowd, r)
	s.awaitLeft(before)
	r.what = fmt.Sprintf("%d clients connect, speak and vanish, %d times over", clients, done)
	r.left = "as before"
	judge()
	r.notes = fmt.Sprintf("RSS after the first time %d MB, after the last %d MB", first>>20, last>>20)
	if growth := last - first; growth > first/2+32<<20 {
		t.Errorf("its memory grows: %s", r.notes)
	}
	t.Log(r.what, r.notes)
}

// speak has the i-th client say something, and half of them hear the answer.
func speak(conn net.Conn, i int) error {
	key := fmt.Sprintf("vanish:%d", i)
	request := testkit.RESP("SET", key, strings.Repeat("v", i%500))
	switch i % 4 {
	case 0:
		request = request[:len(request)/2]
	case 1:
		request = append(request, testkit.RESP("MGET", key, key+"a", key+"b", key+"c")...)
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	if i%4 < 2 {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return err
	}
	ok := make([]byte, len("+OK\r\n"))
	if _, err := io.ReadFull(conn, ok); err != nil || string(ok) != "+OK\r\n" {
		return fmt.Errorf("SET gets %q, %w", ok, err)
	}
	return nil
}

// vanish ends the connection: mostly with a reset, which leaves no port behind that
// has to rest, and some in order.
func vanish(conn net.Conn, i int) error {
	if tcp, ok := conn.(*net.TCPConn); ok && i%50 > 0 {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	}
	return conn.Close()
}

// Thousands of idle clients are held: they cost little, and when they go their
// memory is there for others.
func TestIdleClients(t *testing.T) {
	clients := times(10_000, 500)
	r := &row{piece: "idle", what: fmt.Sprintf("%d idle clients held", clients)}
	s, judge := newFlood(t, r)
	before := s.left()
	crowd := s.others(t)
	empty := s.proxy.RSS()
	conns := make([]net.Conn, clients)
	inParallel(t, clients, func(i int) (err error) {
		conns[i], err = net.Dial("tcp", s.proxy.Addr())
		return err
	})
	s.proxy.AwaitStat(int64(clients+20), "alpha", "client_connections")
	crowd.AwaitMore(&crowd.Served, 1000)
	full := s.proxy.RSS()
	inParallel(t, clients, func(i int) error { return vanish(conns[i], i) })
	undisturbed(t, crowd, r)
	s.awaitLeft(before)
	r.left = "as before"
	judge()
	r.notes = fmt.Sprintf("RSS %d MB without them, %d MB with them: %.1f KB each", empty>>20, full>>20, float64(full-empty)/1024/float64(clients))
	if grown := full - empty; grown > int64(clients)*20<<10+32<<20 {
		t.Errorf("they cost too much: %s", r.notes)
	}
	t.Log(r.notes)
}

// Thousands of clients whose requests never end, a byte now and then: others are
// served.
func TestSlowloris(t *testing.T) {
	clients := times(5000, 300)
	r := &row{piece: "slowloris", what: fmt.Sprintf("%d clients that send a byte now and then of a request without an end", clients)}
	s, judge := newFlood(t, r)
	before := s.left()
	crowd := s.others(t)
	conns, cut := make([]net.Conn, clients), make([]bool, clients)
	inParallel(t, clients, func(i int) (err error) {
		conns[i], err = net.Dial("tcp", s.proxy.Addr())
		return err
	})
	request := []byte("*3\r\n$3\r\nSET\r\n$8\r\nslow:key\r\n$100000\r\n" + strings.Repeat("s", 1000))
	end := time.Now().Add(share(5, 30*time.Second, time.Second))
	bytes := 0
	for ; time.Now().Before(end) && !t.Failed() && bytes < len(request); bytes++ {
		inParallel(t, clients, func(i int) error {
			// Those whose requests fill the memory and do not come on are cut.
			if _, err := conns[i].Write(request[bytes : bytes+1]); err != nil {
				cut[i] = true
			}
			return nil
		})
	}
	inParallel(t, clients, func(i int) error {
		if cut[i] {
			return conns[i].Close()
		}
		return vanish(conns[i], i)
	})
	undisturbed(t, crowd, r)
	s.awaitLeft(before)
	r.left = "as before"
	judge()
	n := 0
	for _, c := range cut {
		if c {
			n++
		}
	}
	r.notes = fmt.Sprintf("%d bytes of each, %d were cut", bytes, n)
	t.Log(r.notes)
}

// Clients announce thousands of requests of a megabyte each, or for as much, and
// never read: the memory stays within its bound, and others are served.
func TestAnnouncers(t *testing.T) {
	big := strings.Repeat("b", 1<<20)
	for _, c := range []struct {
		name    string
		request []byte
		stopped bool
	}{
		{"requests of 1 MB", testkit.RESP("SET", "big", big), false},
		{"requests of 1 MB to a server that has stopped", testkit.RESP("SET", "big", big), true},
		{"replies of 1 MB", testkit.RESP("GET", "big"), false},
	} {
		t.Run(c.name, func(t *testing.T) { announce(t, c.name, c.request, c.stopped) })
	}
}

func announce(t *testing.T, name string, request []byte, stopped bool) {
	r := &row{piece: "announce", what: "clients announce 10,000 " + name + " and never read"}
	s, judge := newFlood(t, r, "timeout: 2000")
	before := s.left()
	c := s.proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("SET", "big", strings.Repeat("b", 1<<20)))
	c.Expect("+OK\r\n")
	c.Close()
	crowd := s.others(t)
	if stopped {
		s.servers[s.owner("big")].Pause()
	}
	var sent atomic.Int64
	var running sync.WaitGroup
	until := time.Now().Add(share(3, 20*time.Second, time.Second))
	for range times(20, 4) {
		conn, err := net.Dial("tcp", s.proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			defer func() { _ = vanish(conn, 1) }()
			for range 10_000 {
				_ = conn.SetWriteDeadline(until)
				n, err := conn.Write(request)
				sent.Add(int64(n))
				if err != nil {
					break // the time is over, or the proxy has had enough
				}
			}
			time.Sleep(time.Until(until)) // never reads, and stays
		})
	}
	running.Wait()
	if stopped {
		seen := crowd.Stop() // some of it was for the server that has stopped
		r.saw(seen)
		for _, server := range s.servers {
			server.Resume()
		}
	} else {
		undisturbed(t, crowd, r)
	}
	s.awaitLeft(before)
	r.left = "as before"
	judge()
	r.notes = fmt.Sprintf("%d MB taken of them", sent.Load()>>20)
	t.Log(r.notes, "RSS", r.rss>>20)
}

// owner is the server that has a key.
func (s *stage) owner(key string) int {
	for i, server := range s.servers {
		c := server.Dial()
		found := c.Do("EXISTS", key) == ":1\r\n"
		c.Close()
		if found {
			return i
		}
	}
	s.t.Fatalf("no server has %q", key)
	return 0
}
