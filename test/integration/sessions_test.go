package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// Transactions of go-redis, from many goroutines over few connections: counters add up,
// those of one transaction move together, and what a server refuses is told.
func TestTransactions(t *testing.T) {
	t.Parallel()
	for _, servers := range [][]*testkit.Server{
		{testkit.StartRedis(t)}, {testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)},
	} {
		s := newStage(t, testkit.Redis, servers, []string{`hash_tag: "{}"`})
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%d servers, RESP%d", len(servers), protocol), func(t *testing.T) {
				ctx := t.Context()
				c := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), Protocol: protocol, PoolSize: 4, MaxRetries: -1})
				defer c.Close()
				var running sync.WaitGroup
				for worker := range 8 {
					running.Go(func() {
						for i := range 50 {
							tag := fmt.Sprintf("{%d.%d}", protocol, (worker+i)%7)
							var a, b *redis.IntCmd
							_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
								a = p.Incr(ctx, tag+"a")
								b = p.Incr(ctx, tag+"b")
								p.Publish(ctx, "channel", "message")
								return nil
							})
							if err != nil || a.Val() != b.Val() || a.Val() == 0 {
								t.Errorf("%v, %v and %v", err, a, b)
							}
						}
					})
				}
				running.Wait()
				sum := int64(0)
				for i := range 7 {
					n, err := c.Get(ctx, fmt.Sprintf("{%d.%d}a", protocol, i)).Int64()
					if err != nil {
						t.Error(err)
					}
					sum += n
				}
				if sum != 400 {
					t.Errorf("the counters add up to %d, want 400", sum)
				}
				_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
					for _, key := range spread(20) {
						p.Get(ctx, key)
					}
					return nil
				})
				if several := len(servers) > 1; several != (err != nil && !errors.Is(err, redis.Nil)) {
					t.Errorf("keys of everywhere: %v", err)
				}
			})
		}
	}
}

// A user of the servers' that may not say MULTI: nothing of a transaction is carried out.
func TestTransactionsNotAllowed(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, nil)
	direct := server.Dial()
	direct.Do("ACL", "SETUSER", "default", "-multi")
	c := s.proxy.Dial(testkit.Redis)
	for _, x := range [][2]string{
		{"MULTI", "+OK\r\n"},
		{"INCR n", "+QUEUED\r\n"},
		{"EXEC", "-ERR the server of these keys does not let the connection's user send MULTI\r\n"},
		{"GET n", "$-1\r\n"},
	} {
		if got := c.Do(strings.Fields(x[0])...); got != x[1] {
			t.Errorf("%s: %q, want %q", x[0], got, x[1])
		}
	}
}

// Where the pool says so, a transaction of a client's is refused as a whole, and the connection is good for
// what comes next: in both protocols, and in a pool of one server and of three.
// (go-redis reads nothing behind a MULTI that is refused: "Conn has unread data" in its
// log, and gives the connection up.)
func TestTransactionsOfGoRedis(t *testing.T) {
	t.Parallel()
	for _, servers := range [][]*testkit.Server{
		{testkit.StartRedis(t)}, {testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)},
	} {
		s := newStage(t, testkit.Redis, servers, []string{"transactions: refuse"})
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("%d servers, RESP%d", len(servers), protocol), func(t *testing.T) {
				ctx := context.Background()
				c := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), Protocol: protocol, PoolSize: 1, MaxRetries: -1})
				defer c.Close()
				for range 3 {
					_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
						p.Incr(ctx, "n")
						p.Publish(ctx, "channel", "message")
						p.Del(ctx, "kept", "other")
						return nil
					})
					if err == nil {
						t.Error("the transaction succeeds")
					}
					err = c.Watch(ctx, func(tx *redis.Tx) error {
						_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
							p.Set(ctx, "n", 1, 0)
							return nil
						})
						return err
					}, "n")
					if err == nil {
						t.Error("the transaction that watches succeeds")
					}
				}
				if err := c.Set(ctx, "kept", "v", 0).Err(); err != nil {
					t.Error("behind it:", err)
				}
				if v, err := c.MGet(ctx, "n", "kept").Result(); err != nil || v[0] != nil || v[1] != "v" {
					t.Errorf("the keys are %v, %v", v, err)
				}
			})
		}
	}
}

// Databases as clients see them, and as servers have them: in a pool of one database,
// which has another number there.
func TestOneDatabase(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{"redis_db: 3"})
	direct := server.Dial()
	direct.Do("SET", "a", "of database 0")
	for _, hello := range []string{"2", "3"} {
		c := s.proxy.Dial(testkit.Redis)
		c.Do("HELLO", hello)
		for _, x := range [][2]string{
			{"SET a 1", "+OK\r\n"},
			{"SELECT 0", "+OK\r\n"},
			{"COPY a b DB 0 REPLACE", ":1\r\n"},
			{"COPY a b DB 3", ":0\r\n"},
			{"MOVE a 0", "-ERR source and destination objects are the same\r\n"},
			{"MOVE a 3", "-ERR source and destination objects are the same\r\n"},
			{"COPY a a DB 0", "-ERR source and destination objects are the same\r\n"},
			{"MOVE a 1", "-ERR DB index is out of range\r\n"},
			{"COPY a a DB 1 REPLACE", "-ERR DB index is out of range\r\n"},
			{"GET b", "$1\r\n1\r\n"},
			{"DBSIZE", ":2\r\n"},
		} {
			if got := c.Do(strings.Fields(x[0])...); got != x[1] {
				t.Errorf("RESP%s: %s: %q, want %q", hello, x[0], got, x[1])
			}
		}
		if got := c.Do("CLIENT", "INFO"); !strings.Contains(got, " db=0 ") {
			t.Errorf("CLIENT INFO: %q", got)
		}
	}
	for _, db := range []string{"0", "1", "3"} {
		direct.Do("SELECT", db)
		want := map[string]string{"0": ":1\r\n", "1": ":0\r\n", "3": ":2\r\n"}[db]
		if got := direct.Do("DBSIZE"); got != want {
			t.Errorf("database %s of the server has %q keys, want %q", db, got, want)
		}
	}
}
