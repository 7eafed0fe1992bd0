package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
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
		s.proxy.Signal(syscall.SIGUSR1)
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
