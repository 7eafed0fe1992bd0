package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// keyed are commands of one key, K; some fail on what the key holds.
var keyed = []string{
	"SET K v", "GET K", "INCR K", "APPEND K x", "STRLEN K", "DEL K", "EXISTS K", "TYPE K", "TTL K", "EXPIRE K 1000", "PERSIST K",
	"LPUSH K a b", "RPOP K", "LRANGE K 0 -1", "LLEN K", "BLPOP K 0", "SADD K x y", "SCARD K", "SISMEMBER K x", "HSET K f v", "HGETALL K", "HGET K f",
	"ZADD K 1 m", "ZSCORE K m", "ZRANGE K 0 -1 WITHSCORES", "GETDEL K", "OBJECT ENCODING K", "SETEX K x v", "PING", "ECHO hello",
	"EVAL return{KEYS[1],1,{2}} 1 K",
}

// With transactions: per_server, transactions over three servers have the replies that one
// redis-server gives them, byte for byte, in both protocols.
func TestTransactionsPerServerLikeRedis(t *testing.T) {
	t.Parallel()
	for _, version := range protocols {
		t.Run("RESP"+version, func(t *testing.T) {
			t.Parallel()
			s := redisStage(t, "transactions: per_server")
			alone, proxy := testkit.StartRedis(t).Dial(), s.proxy.Dial(testkit.Redis)
			alone.Do("HELLO", version)
			proxy.Do("HELLO", version)
			const seed = 17
			rng := rand.New(rand.NewPCG(seed, 0))
			keys := spread(30)
			for range 500 {
				lines := []string{"MULTI"}
				for range rng.IntN(12) {
					lines = append(lines, strings.ReplaceAll(keyed[rng.IntN(len(keyed))], " K", " "+keys[rng.IntN(len(keys))]))
				}
				lines = append(lines, []string{"EXEC", "EXEC", "EXEC", "DISCARD"}[rng.IntN(4)])
				var all []byte
				for _, line := range lines {
					all = append(all, testkit.RESP(strings.Fields(line)...)...)
				}
				alone.Send(all)
				proxy.Send(all)
				for _, line := range lines {
					want, got := alone.Reply(), proxy.Reply()
					if got != want {
						t.Fatalf("%q, %s:\n\tnuthatch %q\n\tredis    %q", lines, line, got, want)
					}
				}
			}
			for _, server := range s.servers {
				if got := server.Dial().Do("DBSIZE"); got == ":0\r\n" {
					t.Error("a server has no key: the test shows nothing")
				}
			}
		})
	}
}

// While one of its servers is down, a transaction is carried out by none, or the commands of
// that one have errors: as it was told, so it is.
func TestTransactionsPerServerOneDown(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "transactions: per_server", "server_retry_timeout: 100")
	c := s.proxy.Dial(testkit.Redis)
	down, up := keyOf(t, c, s.servers[0]), keyOf(t, c, s.servers[1])
	exec := func(value string) string {
		t.Helper()
		c.Do("MULTI")
		c.Do("SET", up, value)
		c.Do("SET", down, value)
		return c.Do("EXEC")
	}
	s.servers[0].Kill()
	was := "x"
	for i := range 50 {
		value := fmt.Sprint(i)
		switch got := exec(value); {
		case strings.HasPrefix(got, "*2\r\n+OK\r\n-"):
			was = value
		case !strings.HasPrefix(got, "-"):
			t.Errorf("EXEC: %q", got)
		}
		if got := c.Do("GET", up); got != testkit.Bulk(was) {
			t.Errorf("%q, and was told to be %s", got, was)
		}
	}
	s.servers[0].Restart()
	testkit.Await(t, "the server to answer again", func() error {
		if got := exec("again"); got != "*2\r\n+OK\r\n+OK\r\n" {
			return fmt.Errorf("%w: %q", errMore, got)
		}
		return nil
	})
}
