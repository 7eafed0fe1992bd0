package integration

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A load is clients of all kinds that check their replies, through a failover.
type load struct {
	t     testing.TB
	addr  string
	crowd *testkit.Crowd
	stop  chan struct{}
	going sync.WaitGroup
}

// startLoad starts clients that pipeline, send commands of several keys and transactions,
// that block, and that listen.
func startLoad(t testing.TB, addr string, clients int) *load {
	t.Helper()
	l := &load{t: t, addr: addr, stop: make(chan struct{})}
	l.crowd = testkit.Traffic{
		Protocol: testkit.Redis, Addr: addr, Clients: clients, Round: 10, Pause: 5 * time.Millisecond, Moves: true, Seed: 7,
	}.Start(t)
	l.crowd.Lost()
	for i := range 3 {
		l.run(func(c *testkit.Client, n int) error { return transacts(c, fmt.Sprintf("tx:%d", i), n) })
		l.run(func(c *testkit.Client, n int) error { return blocks(c, fmt.Sprintf("list:%d", i), n) })
	}
	return l
}

// run repeats a client's work until the end of the load. An error that the proxy answers is
// none, and an end of the connection is one.
func (l *load) run(work func(c *testkit.Client, n int) error) {
	c := testkit.Dial(l.t, testkit.Redis, l.addr)
	l.going.Go(func() {
		defer c.Close()
		for n := 1; ; n++ {
			select {
			case <-l.stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			if err := work(c, n); err != nil {
				l.t.Error(err)
				return
			}
		}
	})
}

// end ends the load, and returns what the crowd has seen.
func (l *load) end() testkit.Seen {
	close(l.stop)
	l.going.Wait()
	return l.crowd.Stop()
}

var errNotYet = errors.New("not yet")

var errOther = errors.New("that is no reply to this request")

// say sends requests in one piece, and returns their replies.
func say(c *testkit.Client, requests ...[]string) ([]string, error) {
	var blob []byte
	for _, r := range requests {
		blob = append(blob, testkit.RESP(r...)...)
	}
	if err := c.TrySend(blob); err != nil {
		return nil, err
	}
	replies := make([]string, len(requests))
	for i := range requests {
		b, err := c.TryReply()
		if err != nil {
			return nil, fmt.Errorf("reply %d of %v: %w", i+1, requests, err)
		}
		replies[i] = string(b)
	}
	return replies, nil
}

func isError(reply string) bool { return strings.HasPrefix(reply, "-") }

// transacts writes and reads two keys in a transaction, between two questions that show
// whether the replies are in order.
func transacts(c *testkit.Client, key string, n int) error {
	value := fmt.Sprintf("%s|%d", key, n)
	mark := fmt.Sprintf("mark:%s:%d", key, n)
	all, err := say(c, []string{"ECHO", mark}, []string{"MULTI"}, []string{"SET", key, value}, []string{"GET", key}, []string{"EXEC"}, []string{"ECHO", mark})
	if err != nil {
		return err
	}
	bulk := func(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }
	want := []string{bulk(mark), "+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*2\r\n+OK\r\n" + bulk(value), bulk(mark)}
	for i := range want {
		if all[i] != want[i] && (i != 4 || !isError(all[i])) {
			return fmt.Errorf("transaction %d of %s: reply %d is %q: %w", n, key, i+1, all[i], errOther)
		}
	}
	return nil
}

// blocks waits for an element that it has pushed itself.
func blocks(c *testkit.Client, key string, n int) error {
	value := fmt.Sprintf("%s|%d", key, n)
	mark := fmt.Sprintf("mark:%s:%d", key, n)
	all, err := say(c, []string{"RPUSH", key, value}, []string{"BLPOP", key, "0.2"}, []string{"ECHO", mark})
	if err != nil {
		return err
	}
	popped := all[1] == "*-1\r\n" || isError(all[1]) || strings.HasPrefix(all[1], "*2\r\n") && strings.Contains(all[1], "\r\n"+key+"|")
	if !popped || !isError(all[0]) && all[0][0] != ':' || !strings.HasSuffix(all[2], mark+"\r\n") {
		return fmt.Errorf("wait %d for %s: the replies are %q: %w", n, key, all, errOther)
	}
	return nil
}

// sentinelPool is a pool over a primary that sentinels know.
func sentinelPool(w *testkit.Watched) string {
	return testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{w.Entry("s1")},
		Lines: []string{w.Line(), "timeout: 3000", "on_readonly: resolve", "retry: unsent", "pubsub: {on_loss: resubscribe}"},
	}.String()
}

// probes are the writes of awaitServed.
var probes atomic.Int64

// awaitServed waits until a client's write is served by the primary, and returns how long
// that took. On a busy machine Sentinel may fail over again meanwhile, and end the
// connections of a server that it demotes.
func awaitServed(t testing.TB, c *testkit.Client, w *testkit.Watched) time.Duration {
	t.Helper()
	began := time.Now()
	testkit.Await(t, "a write at the primary", func() error {
		value := fmt.Sprint("after:", probes.Add(1)) // what another client wrote says nothing of this one
		if reply := c.Do("SET", "probe", value); reply != "+OK\r\n" {
			return fmt.Errorf("the proxy says %q", reply)
		}
		if reply, err := askOf(w.Primary(0), "GET", "probe"); err != nil || !strings.HasSuffix(reply, value+"\r\n") {
			return fmt.Errorf("the primary has %q: %w", reply, errors.Join(err, errNotYet))
		}
		return nil
	})
	return time.Since(began)
}

// askOf asks a server, if there is one.
func askOf(s *testkit.Server, request ...string) (string, error) {
	if s == nil {
		return "", errors.New("there is no primary")
	}
	c := s.Dial()
	defer c.Close()
	replies, err := say(c, request)
	if err != nil {
		return "", err
	}
	return replies[0], nil
}

// TestSentinel: failovers by hand, a primary that is killed, one that stops for a while, and one
// that comes back quickly. No client is lost, no reply is out of order, and no value is
// another's. Clients that watch, wait and listen go on.
func TestSentinel(t *testing.T) {
	t.Parallel()
	w := testkit.StartWatched(t, "main", 2, 3, 700*time.Millisecond)
	p := testkit.StartNuthatch(t, sentinelPool(w))
	probe := testkit.Dial(t, testkit.Redis, p.Addrs[0])
	defer probe.Close()
	awaitServed(t, probe, w)

	listener := testkit.Dial(t, testkit.Redis, p.Addrs[0])
	defer listener.Close()
	listener.Do("SUBSCRIBE", "news")
	l := startLoad(t, p.Addrs[0], 20)
	failovers := []struct {
		name string // without spaces: keys begin with it
		do   func(primary *testkit.Server) (undo func())
	}{
		{"by-hand", func(*testkit.Server) func() {
			s := w.Sentinels[1].Dial()
			defer s.Close()
			testkit.Await(t, "a failover that is accepted", func() error {
				if reply := s.Do("SENTINEL", "FAILOVER", "main"); reply != "+OK\r\n" {
					return errors.New(reply)
				}
				return nil
			})
			return func() {}
		}},
		{"killed", func(primary *testkit.Server) func() { primary.Kill(); return primary.Restart }},
		{"stopped", func(primary *testkit.Server) func() { primary.Pause(); return primary.Resume }},
	}
	for _, f := range failovers {
		old := w.Primary(0)
		l.crowd.AwaitMore(&l.crowd.Served, 500)
		h := hold(t, p, f.name+":", "SUBSCRIBE", "PUBLISH")
		undo := f.do(old)
		w.AwaitPrimaryOtherThan(0, old)
		took := awaitServed(t, probe, w)
		t.Logf("%s: %v after the failover was visible a write is served", f.name, took)
		undo()
		awaitServed(t, h.watcher, w) // its own loop has the new address, too
		h.goesOn(t)
		l.crowd.AwaitMore(&l.crowd.Served, 500)
		w.AwaitSettled()
	}
	// It is back before anybody has missed it.
	primary := w.Primary(0)
	primary.Kill()
	primary.Restart()
	awaitServed(t, probe, w)
	l.crowd.AwaitMore(&l.crowd.Served, 500)

	seen := l.end()
	t.Logf("%d right answers, %d errors: %s", seen.Served, seen.Failed, seen.ErrorTexts())
	testkit.Await(t, "a message for the listener", func() error {
		if reply := probe.Do("PUBLISH", "news", "hello"); reply != ":1\r\n" {
			return errors.New(reply)
		}
		return nil
	})
	if reply := listener.Reply(); !strings.Contains(reply, "hello") {
		t.Errorf("the listener hears %q", reply)
	}
}
