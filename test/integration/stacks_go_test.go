package integration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"nuthatch/internal/testkit"
)

var (
	errTask = errors.New("as it should")
	errMore = errors.New("not all is done")
)

// asynq: tasks now and later, one that fails and is tried again, and a unique one. Its queues
// have a hash tag each.
func TestStackAsynq(t *testing.T) {
	t.Parallel()
	s := redisStage(t, `hash_tag: "{}"`)
	at := asynq.RedisClientOpt{Addr: testkit.Plain(t, s.proxy.Addr())}
	var done, failed atomic.Int64
	server := asynq.NewServer(at, asynq.Config{
		Concurrency: 4, Queues: map[string]int{"critical": 2, "default": 1}, LogLevel: asynq.FatalLevel,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return 0 }, TaskCheckInterval: 100 * time.Millisecond,
		DelayedTaskCheckInterval: 100 * time.Millisecond,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc("does", func(context.Context, *asynq.Task) error {
		done.Add(1)
		return nil
	})
	mux.HandleFunc("fails", func(context.Context, *asynq.Task) error {
		if failed.Add(1) < 3 {
			return errTask
		}
		return nil
	})
	if err := server.Start(mux); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	client := asynq.NewClient(at)
	defer func() { _ = client.Close() }()
	enqueue := func(kind string, options ...asynq.Option) {
		t.Helper()
		if _, err := client.EnqueueContext(t.Context(), asynq.NewTask(kind, nil), options...); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for range 20 {
		enqueue("does")
		enqueue("does", asynq.Queue("critical"))
	}
	enqueue("does", asynq.ProcessIn(200*time.Millisecond))
	enqueue("fails", asynq.MaxRetry(5))
	enqueue("does", asynq.Unique(time.Hour), asynq.ProcessIn(time.Hour))
	if _, err := client.EnqueueContext(t.Context(), asynq.NewTask("does", nil), asynq.Unique(time.Hour), asynq.ProcessIn(time.Hour)); !errors.Is(err, asynq.ErrDuplicateTask) {
		t.Errorf("the same task again: %v", err)
	}
	testkit.Await(t, "the tasks to be done", func() error {
		if n, m := done.Load(), failed.Load(); n != 41 || m != 3 {
			return fmt.Errorf("%w: %d are, and %d times it was tried", errMore, n, m)
		}
		return nil
	})
}

// redsync: one at a time holds the lock.
func TestStackRedsync(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	client := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr())})
	defer func() { _ = client.Close() }()
	rs := redsync.New(redsyncgoredis.NewPool(client))
	ctx := t.Context()
	first := rs.NewMutex("lock", redsync.WithExpiry(testkit.Patience))
	if err := first.LockContext(ctx); err != nil {
		t.Fatal(err)
	}
	second := rs.NewMutex("lock", redsync.WithTries(1))
	if err := second.LockContext(ctx); err == nil {
		t.Error("two have the lock")
	}
	if ok, err := first.ExtendContext(ctx); !ok || err != nil {
		t.Errorf("to keep it: %t, %v", ok, err)
	}
	if ok, err := first.UnlockContext(ctx); !ok || err != nil {
		t.Errorf("to give it up: %t, %v", ok, err)
	}
	if err := second.LockContext(ctx); err != nil {
		t.Errorf("it is free: %v", err)
	}
}

// rueidis with its client-side cache, which is on by default: what another changes is read
// anew. It also sends transactions and waits for elements.
func TestStackRueidis(t *testing.T) {
	t.Parallel()
	s := redisStage(t, `hash_tag: "{}"`)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{testkit.Plain(t, s.proxy.Addr())}, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := t.Context()
	other := s.proxy.Dial(testkit.Redis)
	for _, key := range spread(20) {
		other.Do("SET", key, "old")
		read := func() rueidis.RedisResult { return client.DoCache(ctx, client.B().Get().Key(key).Cache(), time.Hour) }
		if got, err := read().ToString(); got != "old" || err != nil {
			t.Fatalf("%s: %q, %v", key, got, err)
		}
		if r := read(); !r.IsCacheHit() {
			t.Errorf("%s is not cached", key)
		}
		other.Do("SET", key, "new")
		testkit.Await(t, "the new value", func() error {
			if got, err := read().ToString(); got != "new" {
				return fmt.Errorf("%w: %q, %w", errMore, got, err)
			}
			return nil
		})
	}
	err = client.Dedicated(func(c rueidis.DedicatedClient) error {
		for _, r := range c.DoMulti(
			ctx, c.B().Watch().Key("{one}a").Build(), c.B().Multi().Build(), c.B().Incr().Key("{one}a").Build(),
			c.B().Incr().Key("{one}b").Build(), c.B().Exec().Build(),
		) {
			if err := r.Error(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("a transaction: %v", err)
	}
	other.Do("RPUSH", "queue", "x")
	if got, err := client.Do(ctx, client.B().Blpop().Key("queue").Timeout(20).Build()).AsStrSlice(); err != nil || len(got) != 2 || got[1] != "x" {
		t.Errorf("BLPOP: %q, %v", got, err)
	}
}
