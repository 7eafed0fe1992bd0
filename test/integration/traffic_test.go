package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// named is the only value that a key ever has.
func named(key string) string { return strings.Repeat(key+".", 1+len(key)%7*20) }

// A worker pipelines requests whose replies it can check: a key's value names
// the key.
type worker struct {
	client *testkit.Client
	rng    *rand.Rand
	keys   []string
	served *atomic.Int64 // replies with the right value
	failed *atomic.Int64 // errors
}

// round pipelines n requests and checks their replies. Its error is a wrong
// reply or a lost connection.
func (w *worker) round(n int) error {
	var blob []byte
	var checks []func(string) bool
	for range n {
		request, check := w.request()
		blob, checks = append(blob, request...), append(checks, check)
	}
	if err := w.client.TrySend(blob); err != nil {
		return err
	}
	for i, check := range checks {
		reply, err := w.client.TryReply()
		switch {
		case err != nil:
			return fmt.Errorf("reply %d: %w", i, err)
		case reply[0] == '-':
			w.failed.Add(1)
		case check(string(reply)):
			w.served.Add(1)
		default:
			return fmt.Errorf("reply %d is another's: %.200q", i, reply)
		}
	}
	return nil
}

func (w *worker) request() (request []byte, check func(reply string) bool) {
	key := w.keys[w.rng.IntN(len(w.keys))]
	right := func(key, reply string) bool { return reply == "$-1\r\n" || reply == testkit.Bulk(named(key)) }
	switch w.rng.IntN(4) {
	case 0:
		return testkit.RESP("SET", key, named(key)), func(reply string) bool { return reply == "+OK\r\n" }
	case 1:
		keys := []string{"MGET", key}
		for range 5 {
			keys = append(keys, w.keys[w.rng.IntN(len(w.keys))])
		}
		return testkit.RESP(keys...), func(reply string) bool {
			return isArrayOf(reply, keys[1:], right)
		}
	default:
		return testkit.RESP("GET", key), func(reply string) bool { return right(key, reply) }
	}
}

// isArrayOf reports whether a reply is an array with a right element per key.
func isArrayOf(reply string, keys []string, right func(key, element string) bool) bool {
	rest, ok := strings.CutPrefix(reply, fmt.Sprintf("*%d\r\n", len(keys)))
	for _, key := range keys {
		element := testkit.Bulk(named(key))
		if strings.HasPrefix(rest, "$-1\r\n") {
			element = "$-1\r\n"
		}
		if !ok || !strings.HasPrefix(rest, element) || !right(key, element) {
			return false
		}
		rest = rest[len(element):]
	}
	return rest == ""
}

// crowd runs n workers until stop is closed and returns a function that waits
// for them.
func crowd(t *testing.T, proxy *testkit.Proxy, n int, stop <-chan struct{}) (served, failed *atomic.Int64, wait func()) {
	t.Helper()
	served, failed = new(atomic.Int64), new(atomic.Int64)
	var running sync.WaitGroup
	for i := range n {
		w := &worker{
			client: proxy.Dial(testkit.Redis), rng: rand.New(rand.NewPCG(uint64(i), 1)),
			keys: spread(2000), served: served, failed: failed,
		}
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := w.round(1 + w.rng.IntN(40)); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	return served, failed, running.Wait
}

// awaitMore waits until the counter has grown by n.
func awaitMore(t *testing.T, counter *atomic.Int64, n int64) {
	t.Helper()
	target := counter.Load() + n
	testkit.Await(t, "traffic", func() error {
		if now := counter.Load(); now < target && !t.Failed() {
			return fmt.Errorf("%d of %d", now, target)
		}
		return nil
	})
}

// Fifty clients pipeline while a server is killed and restarted, and another one
// stopped and resumed: errors there are, but no reply is another's, and no
// client loses its connection.
func TestNoWrongValue(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{"timeout: 300"},
		{"timeout: 300", "server_connections: 3", "preconnect: true"},
		{"timeout: 300", "auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 200"},
	} {
		t.Run(strings.Join(lines, ", "), func(t *testing.T) {
			s := redisStage(t, lines...)
			stop := make(chan struct{})
			served, failed, wait := crowd(t, s.proxy, 50, stop)
			for range 3 {
				awaitMore(t, served, 5000)
				s.servers[0].Kill()
				awaitMore(t, failed, 1)
				awaitMore(t, served, 2000)
				s.servers[0].Restart()
				awaitMore(t, served, 2000)
				s.servers[1].Pause()
				awaitMore(t, failed, 1)
				s.servers[1].Resume()
			}
			awaitMore(t, served, 5000)
			close(stop)
			wait()
			t.Logf("%d replies right, %d errors", served.Load(), failed.Load())
		})
	}
}

// What a client wrote last is what it reads next, with several connections to
// each server.
func TestReadMyLastWrite(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "server_connections: 4")
	var running sync.WaitGroup
	for i := range 8 {
		c := s.proxy.Dial(testkit.Redis)
		running.Go(func() {
			var blob []byte
			const n = 2000
			for j := range n {
				key := fmt.Sprintf("own:%d:%d", i, j%17)
				blob = append(blob, testkit.RESP("SET", key, fmt.Sprint(j))...)
				blob = append(blob, testkit.RESP("GET", key)...)
			}
			go func() { _ = c.TrySend(blob) }() // the reader sees a failure
			for j := range n {
				for _, want := range []string{"+OK\r\n", testkit.Bulk(fmt.Sprint(j))} {
					if got, err := c.TryReply(); err != nil || string(got) != want {
						t.Errorf("client %d, write %d: got %q (%v), want %q", i, j, got, err, want)
						return
					}
				}
			}
		})
	}
	running.Wait()
}

// flood sends request without end and never reads, until the proxy stops reading
// from it, or limit bytes are gone. It reports how much went out.
func flood(c *testkit.Client, request []byte, limit int) int {
	chunk := []byte(strings.Repeat(string(request), 1+(64<<10)/len(request)))
	sent := 0
	for sent < limit {
		n, err := c.SendWithin(chunk, 500*time.Millisecond)
		sent += n
		if err != nil {
			return sent
		}
	}
	return sent
}

const (
	floodLimit  = 400 << 20 // bytes that a flood sends if nobody stops it
	memoryLimit = 150 << 20 // growth of the proxy that is allowed meanwhile, race detector's share included
)

// Clients that pipeline without end and never read, be it that replies are big or
// that the server has stopped: the proxy stops reading from them, its memory
// stays where it is, and others are served.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		request []byte
		paused  bool
	}{
		{"big replies", testkit.RESP("GET", "big"), false},
		{"many small replies", testkit.RESP("PING"), false},
		{"many keys", testkit.RESP(append([]string{"MGET"}, spread(50)...)...), false},
		{"big requests to a stopped server", testkit.RESP("SET", "k", strings.Repeat("x", 50_000)), true},
		{"small requests to a stopped server", testkit.RESP("GET", "k"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := redisStage(t)
			calm := s.proxy.Dial(testkit.Redis)
			calm.Send(testkit.RESP("SET", "big", strings.Repeat("v", 200_000)))
			calm.Expect("+OK\r\n")
			before := s.proxy.RSS()
			if c.paused {
				for _, server := range s.servers {
					server.Pause()
				}
			}
			var running sync.WaitGroup
			for range 4 {
				greedy := s.proxy.Dial(testkit.Redis)
				running.Go(func() {
					if sent := flood(greedy, c.request, floodLimit); sent >= floodLimit {
						t.Errorf("the proxy took %d MB without a reply read", sent>>20)
					}
				})
			}
			running.Wait()
			if grown := s.proxy.RSS() - before; grown > memoryLimit {
				t.Errorf("the proxy has grown by %d MB", grown>>20)
			}
			for _, server := range s.servers {
				if c.paused {
					server.Resume()
				}
			}
			for i := range 200 {
				key := fmt.Sprintf("calm:%d", i)
				calm.Send(append(testkit.RESP("SET", key, key), gets(key)...))
				calm.Expect("+OK\r\n", testkit.Bulk(key))
			}
		})
	}
}

// A client that was not read from, because it did not read, gets every reply in
// order once it does.
func TestSlowReaderCatchesUp(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	c := s.proxy.Dial(testkit.Redis)
	const n = 3000
	var blob []byte
	for i := range n {
		key := fmt.Sprintf("k%d", i)
		blob = append(blob, testkit.RESP("SET", key, strings.Repeat(key, 2000))...)
		blob = append(blob, testkit.RESP("GET", key)...)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.TrySend(blob) }()
	// Another client's round trips give the flood time to fill what it can.
	other := s.proxy.Dial(testkit.Redis)
	for range 500 {
		other.Send(testkit.RESP("PING"))
		other.Expect("+PONG\r\n")
	}
	for i := range n {
		c.Expect("+OK\r\n", testkit.Bulk(strings.Repeat(fmt.Sprintf("k%d", i), 2000)))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// A client that closes its sending side gets the replies to all that it sent,
// also big ones and from a slow server, and then the end.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	proxy, _ := scriptedStage(t, testkit.Redis, func(k *testkit.Talk) {
		for args, ok := k.Command(); ok && k.Late(20*time.Millisecond); args, ok = k.Command() {
			k.Reply(rightReply(args))
		}
	})
	c := proxy.Dial(testkit.Redis)
	big := strings.Repeat("k", 300_000)
	c.Send(append(gets("a", big, "b"), "*2\r\n$3\r\nGET\r\n$1"...))
	c.CloseWrite()
	if got, want := c.ExpectEnd(), testkit.Bulk("a")+testkit.Bulk(big)+testkit.Bulk("b"); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}
