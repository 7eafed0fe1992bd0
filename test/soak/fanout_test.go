package soak

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/testkit"
)

// listenerSize is the most memory, in bytes, that a client takes that listens over a shared
// connection.
const listenerSize = 2 << 10

// Ten thousand clients listen over shared connections. Each hears each message once, and
// nothing is left.
func TestListeningCrowd(t *testing.T) {
	beside(t)
	s := newStage(t, testkit.Redis, "", "pubsub: {connections: shared}")
	n := times(10_000, 600)
	var limit unix.Rlimit
	if err := unix.Prlimit(s.proxy.Pid(), unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	const others = 600 // descriptors of the proxy
	n = min(n, int(limit.Max-others))
	r := &row{piece: "sessions", what: fmt.Sprintf("%d clients listen over shared connections", n)}
	s.report(r)
	before := s.left()
	empty := s.proxy.RSS()
	conns := crowd(t, s.proxy.Addr(), n)
	full := s.proxy.RSS()
	p := s.proxy.Dial(testkit.Redis)
	const messages = 3
	for i := range messages {
		p.Do("PUBLISH", "news", fmt.Sprint("message ", i))
	}
	p.Close()
	var want strings.Builder
	for i := range messages {
		want.Write(testkit.RESP("message", "news", fmt.Sprint("message ", i)))
	}
	got := make([]byte, want.Len())
	for i, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(testkit.Patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want.String() {
			t.Fatalf("client %d: %q, %v", i, got, err)
		}
		_ = c.Close()
	}
	s.awaitLeft(before)
	each := float64(full-empty) / float64(n)
	r.requests, r.rss, r.left = int64(n*messages), full, "as before: "+before
	r.notes = fmt.Sprintf("RSS %d MB without them, %d MB with them: %.1f KB each", empty>>20, full>>20, each/1024)
	t.Log(r.notes)
	if each > listenerSize && length > 0 { // a few clients say little of one
		t.Errorf("a client that listens takes %.0f bytes, at most %d were wanted", each, listenerSize)
	}
}

// crowd has n clients listen to one channel.
func crowd(t *testing.T, addr string, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	ack := make([]byte, len("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"))
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		conns[i] = c
		if _, err := c.Write(testkit.RESP("SUBSCRIBE", "news")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, ack); err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

// How many messages of 100 bytes a second of processor time brings to a thousand clients: by
// redis-server itself, and by the proxy. The soak prints the ratio; nobody judges it, since
// the machine may be busy.
func TestFanout(t *testing.T) {
	beside(t)
	s := newStage(t, testkit.Redis, "", "pubsub: {connections: shared}")
	n := times(1000, 100)
	r := &row{piece: "sessions", what: fmt.Sprintf("messages of 100 bytes to %d clients", n)}
	s.report(r)
	messages := times(1000, 50)
	var rates [2][]float64
	for range times(3, 1) {
		for i, of := range []struct {
			addr string
			pid  int
		}{{s.servers[0].Addr(), s.servers[0].Pid()}, {s.proxy.Addr(), s.proxy.Pid()}} {
			conns := crowd(t, of.addr, n)
			cpu := deliver(t, of.addr, of.pid, conns, messages)
			rates[i] = append(rates[i], float64(n*messages)/cpu.Seconds())
			for _, c := range conns {
				_ = c.Close()
			}
		}
	}
	direct, through := median(rates[0]), median(rates[1])
	r.requests = int64(len(rates[0]) * n * messages)
	r.notes = fmt.Sprintf("deliveries in a second of processor time: redis-server %.0f, nuthatch %.0f, ratio %.2f", direct, through, through/direct)
	t.Log(r.notes)
}

func median(all []float64) float64 {
	best := all[0]
	for i := range all {
		less := 0
		for _, x := range all {
			if x < all[i] {
				less++
			}
		}
		if less == len(all)/2 {
			best = all[i]
		}
	}
	return best
}

// deliver says so many messages, a few at a time, and returns the processor time that the
// process took until all were heard.
func deliver(t *testing.T, addr string, pid int, conns []net.Conn, messages int) time.Duration {
	t.Helper()
	text := testkit.RESP("message", "news", strings.Repeat("x", 100))
	before := processorTime(t, pid)
	var hearing sync.WaitGroup
	for _, c := range conns {
		hearing.Go(func() {
			if _, err := io.CopyN(io.Discard, c, int64(len(text)*messages)); err != nil {
				t.Error(err)
			}
		})
	}
	p := testkit.Dial(t, testkit.Redis, addr)
	defer p.Close()
	for range messages {
		p.Do("PUBLISH", "news", strings.Repeat("x", 100))
	}
	hearing.Wait()
	return processorTime(t, pid) - before
}

// processorTime is how much processor time a process has taken.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	sum := time.Duration(0)
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is a good one
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		var ran int64
		if _, err := fmt.Sscan(string(b), &ran); err == nil {
			sum += time.Duration(ran)
		}
	}
	return sum
}
