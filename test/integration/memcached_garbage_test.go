package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// garbler makes byte streams that are nearly the protocol.
type garbler struct{ rng *rand.Rand }

func (g garbler) pick(words ...string) string { return words[g.rng.IntN(len(words))] }

// garbage is a stream of some requests, most of them wrong somewhere.
func (g garbler) garbage() []byte {
	var b []byte
	for range 1 + g.rng.IntN(60) {
		b = append(b, g.request()...)
	}
	for range g.rng.IntN(4) { // and some bytes other than they should be
		at := g.rng.IntN(len(b))
		switch g.rng.IntN(3) {
		case 0:
			b[at] = byte(g.rng.Uint32())
		case 1:
			b = append(b[:at], b[min(len(b), at+1+g.rng.IntN(5)):]...)
		default:
			b = append(b[:at], append([]byte(g.pick("\r\n", " ", "\x00", "\r", "noreply", " q", "\x80")), b[at:]...)...)
		}
		if len(b) == 0 {
			return nil
		}
	}
	return b
}

func (g garbler) request() string {
	line := g.pick("get", "gets", "gat 0", "set", "add", "cas", "append", "incr", "decr", "touch", "delete", "mg", "ms", "md", "ma", "me", "mn",
		"version", "stats items", "flush_all", "bogus", "bget", "stats cachedump")
	for range g.rng.IntN(8) {
		line += " " + g.pick("junk", "junk", "num", "none", "0", "1", "5", "7", "300", "-1", "noreply", "q", "b", "v", "k", "N0", "T0", "Oxx", "MA",
			"I", "C1", "YWJj", strings.Repeat("k", 251), strings.Repeat("x", g.rng.IntN(60)), "20000", "2000000")
	}
	line += g.pick("\r\n", "\r\n", "\r\n", "\n", "\r\r\n")
	return line + g.pick("", "", "hello\r\n", "x\r\n", "\r\n", strings.Repeat("get num\r\n", 30)+"\r\n")
}

// Clients that send garbage, in pieces, and break off anywhere: the clients that
// share the servers' connections with them get their own replies, each byte of
// them, and the proxy stays as it was.
func TestMemcacheGarbage(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t, "max_request_size: 1mb")
	first := newSpeaker(t, s.proxy.Addr(), "first", 0)
	for i := range sharedKeys {
		first.say(store(fmt.Sprintf("set %s 0 0 %d", sharedKey(i), len(named(sharedKey(i)))), named(sharedKey(i))), "STORED\r\n")
	}
	if err := first.round(); err != nil {
		t.Fatal(err)
	}
	before := s.proxy.RSS()
	streams := 400
	if os.Getenv(longEnv) != "" {
		streams = 20_000
	}
	stop := make(chan struct{})
	var calm, loud sync.WaitGroup
	for i := range 4 {
		c := newSpeaker(t, s.proxy.Addr(), fmt.Sprintf("calm%d", i), uint64(i+1))
		calm.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for range 50 {
					c.utter()
				}
				c.say("mn\r\n", "MN\r\n")
				if err := c.round(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 4 {
		g := garbler{rand.New(rand.NewPCG(uint64(i), 7))}
		loud.Go(func() {
			for range streams {
				if t.Failed() {
					return
				}
				g.spill(t, s.proxy)
			}
		})
	}
	loud.Wait()
	close(stop)
	calm.Wait()
	if grown := s.proxy.RSS() - before; grown > memoryLimit {
		t.Errorf("the proxy has grown by %d MB", grown>>20)
	}
}

// spill sends one stream over a connection of its own, and reads what comes until
// nothing does.
func (g garbler) spill(t *testing.T, p *testkit.Proxy) {
	c, err := testkit.TryDial(t, testkit.Memcache, p.Addr())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	b := g.garbage()
	for len(b) > 0 {
		n := 1 + g.rng.IntN(len(b))
		if c.TrySend(b[:n]) != nil {
			return // the proxy may hang up
		}
		b = b[n:]
	}
	if g.rng.IntN(2) == 0 {
		c.CloseWrite()
		c.ExpectEnd()
	}
}

// A value that is too large for the pool is dropped as it comes, and takes no
// memory.
func TestMemcacheRefusedValues(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t)
	before := s.proxy.RSS()
	const size = 60 << 20
	tooLarge := "SERVER_ERROR object too large for cache\r\n"
	var running sync.WaitGroup
	for i, tt := range []struct{ line, answer string }{
		{"set a 0 0 %d", tooLarge},
		{"set a 0 0 %d noreply", ""},
		{"ms a %d", tooLarge},
		{"ms a %d q", tooLarge},
		{"set " + strings.Repeat("k", 251) + " 0 0 %d", "CLIENT_ERROR bad command line format\r\n"},
	} {
		c := newSpeaker(t, s.proxy.Addr(), fmt.Sprint(i), 1)
		running.Go(func() {
			if err := c.conn.SetDeadline(time.Now().Add(3 * testkit.Patience)); err != nil {
				t.Error(err)
			}
			fmt.Fprintf(c.conn, tt.line+"\r\n", size)
			chunk := []byte(strings.Repeat("get a\r\n", 10_000))
			for sent := 0; sent < size; sent += len(chunk) {
				if _, err := c.conn.Write(chunk[:min(len(chunk), size-sent)]); err != nil {
					t.Error(err)
					return
				}
			}
			c.say("\r\nget none\r\nmn\r\n", tt.answer+"END\r\nMN\r\n")
			if err := c.round(); err != nil {
				t.Errorf("%s: %v", tt.line, err)
			}
		})
	}
	running.Wait()
	if grown := s.proxy.RSS() - before; grown > memoryLimit/2 {
		t.Errorf("the proxy has grown by %d MB", grown>>20)
	}
}
