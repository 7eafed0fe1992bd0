package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// Clients watch counters that others change too, and add one, while servers end their
// connections or stand still, and while the proxy is reloaded: what was told to be done has
// been done, once, and nothing else but what nobody knows the end of.
func TestWatched(t *testing.T) {
	beside(t)
	_, rng := seeded(t)
	s := newStage(t, testkit.Redis, "", fmt.Sprintf("timeout: %d", timeout.Milliseconds()))
	r := &row{piece: "sessions", what: "WATCH of contended counters, connections ended, servers stopped, reloads"}
	s.report(r)
	before := s.left()
	c := &counters{t: t, client: redis.NewClient(&redis.Options{Addr: s.proxy.Addr(), PoolSize: 40, MaxRetries: -1}), certain: map[string]*atomic.Int64{}}
	for i := range 9 {
		c.certain[fmt.Sprintf("counter:%d", i)] = new(atomic.Int64)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for worker := range uint64(times(100, 30)) {
		running.Go(func() { c.add(ctx, rand.New(rand.NewPCG(worker, 1))) })
	}
	for end := time.Now().Add(share(4, 20*time.Second, 2*time.Second)); time.Now().Before(end) && !t.Failed(); {
		s.disturb(rng)
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) // how long all is well between two troubles
	}
	stop()
	running.Wait()
	for name, certain := range c.certain {
		got, err := c.client.Get(t.Context(), name).Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Errorf("%s: %v", name, err)
		}
		if n := certain.Load(); got < n || got > n+c.unknown.Load() {
			t.Errorf("%s is %d: %d were told to be done, and of %d the end is not known", name, got, n, c.unknown.Load())
		}
	}
	if c.done.Load() == 0 || c.touched.Load() == 0 {
		t.Errorf("%d transactions were done, %d were not because something had changed: the test shows nothing", c.done.Load(), c.touched.Load())
	}
	_ = c.client.Close()
	s.awaitLeft(before)
	r.requests, r.left = c.done.Load(), "as before: "+before
	r.notes = fmt.Sprintf("%d touched, %d of unknown end", c.touched.Load(), c.unknown.Load())
	t.Logf("%+v", *r)
}

// disturb makes a trouble in which no server loses what it has.
func (s *stage) disturb(rng *rand.Rand) {
	server := s.servers[rng.IntN(len(s.servers))]
	switch rng.IntN(5) {
	case 0, 1, 2:
		direct := server.Dial()
		direct.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		direct.Close()
	case 3:
		server.Pause()
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond) // how long the trouble lasts
		server.Resume()
	default:
		if err := syscall.Kill(s.pid(), syscall.SIGUSR1); err != nil {
			s.t.Errorf("a reload: %v", err)
		}
	}
}

// counters are what clients count together.
type counters struct {
	t      *testing.T
	client *redis.Client
	// certain are how often it was told that one was added, unknown how often nobody can
	// tell.
	certain                map[string]*atomic.Int64
	done, touched, unknown atomic.Int64
}

// add adds one to a counter again and again.
func (c *counters) add(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		name := fmt.Sprintf("counter:%d", rng.IntN(len(c.certain)))
		sent := false
		err := c.client.Watch(context.WithoutCancel(ctx), func(tx *redis.Tx) error {
			n, err := tx.Get(ctx, name).Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			sent = true
			_, err = tx.TxPipelined(context.WithoutCancel(ctx), func(p redis.Pipeliner) error {
				p.Set(ctx, name, strconv.Itoa(n+1), 0)
				return nil
			})
			return err
		}, name)
		switch {
		case err == nil:
			c.certain[name].Add(1)
			c.done.Add(1)
		case errors.Is(err, redis.TxFailedErr):
			c.touched.Add(1)
		case sent:
			c.unknown.Add(1)
		}
	}
}

// Workers take elements off queues, some of them through no other command than the one that
// waits, and vanish now and then while they wait. Servers stand still meanwhile, and the pool
// is paused and its connections are replaced: each element is taken once, by a worker that is
// there.
func TestQueues(t *testing.T) {
	beside(t)
	_, rng := seeded(t)
	s := newStage(t, testkit.Redis, "", fmt.Sprintf("timeout: %d", timeout.Milliseconds()))
	r := &row{piece: "sessions", what: "queues; workers vanish, servers stopped, pauses, connections replaced"}
	s.report(r)
	before := s.left()
	q := &queues{t: t, addr: s.proxy.Addr(), pushed: map[string]bool{}, taken: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for worker := range uint64(times(100, 30)) {
		running.Go(func() { q.work(ctx, rand.New(rand.NewPCG(worker, 2))) })
	}
	for end := time.Now().Add(share(4, 20*time.Second, 2*time.Second)); time.Now().Before(end) && !t.Failed(); {
		q.push(rng)
		switch rng.IntN(20) {
		case 0:
			s.action("/pools/alpha/reconnect")
		case 1:
			s.action("/pools/alpha/pause")
			s.action("/pools/alpha/resume")
		case 2:
			server := s.servers[rng.IntN(len(s.servers))]
			server.Pause()
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) // how long the trouble lasts
			server.Resume()
		}
	}
	testkit.Await(t, "the workers to take all", q.left)
	stop()
	running.Wait()
	for element, n := range q.taken {
		if n != 1 {
			t.Errorf("%s was taken %d times", element, n)
		}
	}
	if len(q.pushed) == 0 || q.vanished == 0 {
		t.Errorf("%d elements were pushed, %d workers vanished: the test shows nothing", len(q.pushed), q.vanished)
	}
	s.awaitLeft(before)
	r.requests, r.left = int64(len(q.pushed)), "as before: "+before
	r.notes = fmt.Sprintf("%d workers vanished", q.vanished)
	t.Logf("%+v", *r)
}

// action has the proxy do something, by its API.
func (s *stage) action(path string) {
	s.t.Helper()
	r, err := s.admin.Post("http://nuthatch/api/v1"+path, "application/json", nil)
	if err != nil {
		s.t.Fatalf("POST %s: %v", path, err)
	}
	defer func() { _ = r.Body.Close() }()
	if r.StatusCode >= http.StatusBadRequest {
		s.t.Errorf("POST %s: %s", path, r.Status)
	}
}

// queues are what workers take elements off.
type queues struct {
	t    *testing.T
	addr string

	mu sync.Mutex
	// pushed are the elements that are there for certain, n how many were made up, and taken
	// how often each was taken.
	pushed      map[string]bool
	n, vanished int
	taken       map[string]int
}

// push adds an element to a queue.
func (q *queues) push(rng *rand.Rand) {
	element := fmt.Sprintf("element:%d", q.n)
	q.n++
	got, err := q.ask(nil, "RPUSH", fmt.Sprintf("queue:%d", rng.IntN(5)), element)
	if err == nil && !strings.HasPrefix(got, "-") {
		q.mu.Lock()
		q.pushed[element] = true
		q.mu.Unlock()
	}
}

// ask asks the proxy, over a connection of its own if c is nil.
func (q *queues) ask(c *testkit.Client, words ...string) (string, error) {
	if c == nil {
		var err error
		if c, err = testkit.TryDial(q.t, testkit.Redis, q.addr); err != nil {
			return "", err
		}
		defer c.Close()
	}
	if err := c.TrySend(testkit.RESP(words...)); err != nil {
		return "", err
	}
	reply, err := c.TryReply()
	return string(reply), err
}

// left reports an error as long as not all elements are taken.
func (q *queues) left() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for element := range q.pushed {
		if q.taken[element] == 0 {
			return fmt.Errorf("%w: %s", errLeft, element)
		}
	}
	return nil
}

// work takes elements off a queue, as one worker after the other.
func (q *queues) work(ctx context.Context, rng *rand.Rand) {
	name := fmt.Sprintf("queue:%d", rng.IntN(5))
	for ctx.Err() == nil {
		c, err := testkit.TryDial(q.t, testkit.Redis, q.addr)
		if err != nil {
			q.t.Error(err)
			return
		}
		for range 1 + rng.IntN(20) {
			got, err := q.ask(c, "BLPOP", name, "0.2")
			if err != nil {
				q.t.Errorf("BLPOP: %v", err)
			}
			if lines := strings.Split(got, "\r\n"); len(lines) > 4 {
				q.mu.Lock()
				q.taken[lines[4]]++
				q.mu.Unlock()
			}
			if ctx.Err() != nil {
				break
			}
		}
		// It waits for what nobody pushes, and vanishes.
		_ = c.TrySend(testkit.RESP("BLPOP", "nothing:"+name, "0")) // that is looked for at the end
		c.Close()
		q.mu.Lock()
		q.vanished++
		q.mu.Unlock()
	}
}
