package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// redis-cli -3 shows RESP3's types; HELLO is sent by itself.
func TestRedisCLIInRESP3(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	cli := testkit.Program(t, "redis-cli")
	session := "hset h f 1 g 2\nhgetall h\nsadd s a\nsmembers s\nzadd z 1.5 m\nzrange z 0 -1 withscores\nzscore z m\nget none\nmget none h\n" +
		"mget n1 n2 n3 n4 n5\nclient getname\nselect 1\n"
	got := command(t, session, cli, "-3", "-p", port(t, s.proxy), "--no-raw")
	want := "(integer) 2\n1# \"f\" => \"1\"\n2# \"g\" => \"2\"\n(integer) 1\n1~ \"a\"\n(integer) 1\n1) 1) \"m\"\n   2) (double) 1.5\n(double) 1.5\n(nil)\n" +
		"1) (nil)\n2) (nil)\n1) (nil)\n2) (nil)\n3) (nil)\n4) (nil)\n5) (nil)\n(nil)\n(error) ERR DB index is out of range\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// go-redis in RESP3, in databases of its own: what one client writes the clients
// of another database do not see.
func TestDatabasesOfGoRedis(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "databases: 16")
	ctx := context.Background()
	clients := map[string]*redis.Client{}
	for _, protocol := range []int{2, 3} {
		for _, db := range []int{0, 1, 15} {
			c := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), Protocol: protocol, DB: db, PoolSize: 4})
			t.Cleanup(func() { _ = c.Close() })
			clients[fmt.Sprintf("RESP%d db%d", protocol, db)] = c
			for i := range 30 {
				if err := c.Set(ctx, fmt.Sprintf("RESP%d:%d", protocol, i), fmt.Sprint(db, " ", i), 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.ZAdd(ctx, fmt.Sprint("z", protocol), redis.Z{Score: float64(db) + 0.5, Member: "m"}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range clients {
		db := c.Options().DB
		for _, writer := range []int{2, 3} {
			var keys []string
			for i := range 30 {
				keys = append(keys, fmt.Sprintf("RESP%d:%d", writer, i))
			}
			values, err := c.MGet(ctx, keys...).Result()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if v != fmt.Sprint(db, " ", i) {
					t.Errorf("%s: %s is %v", name, keys[i], v)
				}
			}
			if score, err := c.ZScore(ctx, fmt.Sprint("z", writer), "m").Result(); err != nil || score != float64(db)+0.5 {
				t.Errorf("%s: score %v, %v", name, score, err)
			}
		}
	}
	// 16 is one too many, and said when the client connects.
	c := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), DB: 16, MaxRetries: -1})
	defer c.Close()
	if err := c.Get(ctx, "a").Err(); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("database 16: %v", err)
	}
}

// HELLO and SELECT on servers with a password: each lane logs in.
func TestLanesLogIn(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Server{testkit.StartRedis(t, "--requirepass", "pw"), testkit.StartRedis(t, "--requirepass", "pw")}
	s := newStage(t, testkit.Redis, servers, []string{"redis_auth: pw", "databases: 3", "redis_db: 1"})
	for _, protocol := range []int{2, 3} {
		for _, db := range []int{0, 2} {
			c := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), Protocol: protocol, Password: "pw", DB: db})
			for i := range 10 {
				if err := c.Incr(t.Context(), fmt.Sprint("k", i)).Err(); err != nil {
					t.Errorf("RESP%d, database %d: %v", protocol, db, err)
				}
			}
			c.Close()
		}
	}
}
