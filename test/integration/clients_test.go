package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// command runs a program to its end and returns what it wrote.
func command(t *testing.T, stdin string, path string, args ...string) string {
	t.Helper()
	return commandWithin(t, 3*testkit.Patience, stdin, path, args...)
}

// commandWithin is command with as much time.
func commandWithin(t *testing.T, most time.Duration, stdin string, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(path), args, err, out)
	}
	return string(out)
}

func port(t *testing.T, p *testkit.Proxy) string {
	t.Helper()
	_, port, err := net.SplitHostPort(testkit.Plain(t, p.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestRedisCLI(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	cli, p := testkit.Program(t, "redis-cli"), port(t, s.proxy)
	for _, c := range []struct{ line, want string }{
		{"ping", "PONG\n"},
		{"set a b", "OK\n"},
		{"get a", "b\n"},
		{"mset c 1 d 2 e 3", "OK\n"},
		{"mget a c d e none", "b\n1\n2\n3\n\n"},
		{"del a c d e none", "4\n"},
		{"rpush l x y z", "3\n"},
		{"lrange l 0 -1", "x\ny\nz\n"},
		{"incr l", "WRONGTYPE Operation against a key holding the wrong kind of value\n\n"},
		{"echo hello", "hello\n"},
		{"-n 0 set a b", "OK\n"},
	} {
		if got := command(t, "", cli, append([]string{"-p", p}, strings.Fields(c.line)...)...); got != c.want {
			t.Errorf("redis-cli %s: got %q, want %q", c.line, got, c.want)
		}
	}
	// A session: several commands over one connection, an unsupported one among them.
	got := command(t, "set s 1\nswapdb 0 1\nget s\nquit\n", cli, "-p", p)
	if !regexp.MustCompile(`^OK\nERR .*(?i:swapdb).*\n\n1\n$`).MatchString(got) {
		t.Errorf("a session: %q", got)
	}
}

// Mass insertion: redis-cli --pipe sends as fast as it can and looks for the
// reply to an ECHO at the end.
func TestRedisCLIPipe(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	var load bytes.Buffer
	const n = 20_000
	for i := range n {
		load.Write(testkit.RESP("SET", fmt.Sprintf("pipe:%d", i), "v"))
	}
	got := command(t, load.String(), testkit.Program(t, "redis-cli"), "-p", port(t, s.proxy), "--pipe")
	if !strings.Contains(got, fmt.Sprintf("errors: 0, replies: %d", n)) {
		t.Errorf("redis-cli --pipe: %s", got)
	}
	total := 0
	for _, server := range s.servers {
		var keys int
		if _, err := fmt.Sscanf(server.Dial().Do("DBSIZE"), ":%d", &keys); err != nil {
			t.Fatal(err)
		}
		total += keys
	}
	if total != n {
		t.Errorf("the servers have %d keys, want %d", total, n)
	}
}

// redis-benchmark's default set of tests, which begins by asking for CONFIG and
// has inline commands, LRANGE of long lists and MSET of ten keys, without and
// with pipelining, and with keys all over the servers.
func TestRedisBenchmark(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	benchmark := testkit.Program(t, "redis-benchmark")
	for _, args := range []string{
		"-n 2000", "-n 5000 -P 16 -r 10000", "-n 500 -d 20000 -r 100 -t set,get,lpush,lpop,mset",
		"-n 2000 -c 200 -t ping,set,get", "-n 2000 --threads 2 -t set,get -r 1000",
	} {
		out := command(t, "", benchmark, append([]string{"-q", "-p", port(t, s.proxy)}, strings.Fields(args)...)...)
		if regexp.MustCompile(`(?i)error|warn|ERR `).MatchString(out) {
			t.Errorf("redis-benchmark %s:\n%s", args, out)
		}
		names := "PING_INLINE PING_MBULK SET GET INCR LPUSH RPUSH LPOP RPOP SADD HSET SPOP ZADD ZPOPMIN LRANGE_100 " +
			"LRANGE_300 LRANGE_500 LRANGE_600 MSET"
		if _, only, ok := strings.Cut(args, "-t "); ok {
			only, _, _ = strings.Cut(only, " ")
			names = strings.ToUpper(strings.NewReplacer(",", " ", "ping", "PING_MBULK").Replace(only))
		}
		for name := range strings.FieldsSeq(names) {
			if !regexp.MustCompile(`(?m)[\r\n]?` + name + `.*: [0-9.]+ requests per second`).MatchString(out) {
				t.Errorf("redis-benchmark %s does not report %s:\n%s", args, name, out)
			}
		}
	}
}

func TestGoRedis(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			client := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), Protocol: protocol, ClientName: "test", PoolSize: 10})
			t.Cleanup(func() { _ = client.Close() })
			exerciseGoRedis(t, client)
		})
	}
}

// must fails the test at an error and passes the value on.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func exerciseGoRedis(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	keys := spread(50)
	if got := must(client.Ping(ctx).Result())(t); got != "PONG" {
		t.Errorf("PING gets %q", got)
	}
	var pairs []any
	for _, key := range keys {
		pairs = append(pairs, key, "value of "+key)
	}
	must(client.MSet(ctx, pairs...).Result())(t)
	for i, v := range must(client.MGet(ctx, keys...).Result())(t) {
		if v != "value of "+keys[i] {
			t.Errorf("MGET: %s has %v", keys[i], v)
		}
	}
	if _, err := client.Get(ctx, "none").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET of a missing key: %v", err)
	}
	cmds := must(client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Get(ctx, key)
			p.Expire(ctx, key, time.Hour)
			p.HSet(ctx, "h:"+key, "field", key)
		}
		return nil
	}))(t)
	if len(cmds) != 3*len(keys) {
		t.Errorf("the pipeline has %d replies", len(cmds))
	}
	if got := must(client.HGetAll(ctx, "h:"+keys[3]).Result())(t); len(got) != 1 || got["field"] != keys[3] {
		t.Errorf("HGETALL gets %v", got)
	}
	must(client.ZAdd(ctx, "z", redis.Z{Score: 1.5, Member: "m"}).Result())(t)
	if got := must(client.ZRangeWithScores(ctx, "z", 0, -1).Result())(t); len(got) != 1 || got[0].Score != 1.5 {
		t.Errorf("ZRANGE gets %v", got)
	}
	if err := client.Incr(ctx, "z").Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE") {
		t.Errorf("INCR of a sorted set: %v", err)
	}
	if err := client.Do(ctx, "FROBNICATE").Err(); err == nil || !strings.Contains(err.Error(), "FROBNICATE") {
		t.Errorf("an unknown command: %v", err)
	}
	if got := must(client.Del(ctx, keys...).Result())(t); got != int64(len(keys)) {
		t.Errorf("DEL gets %d", got)
	}
	must(client.Del(ctx, "z").Result())(t)
}

func TestGoMemcache(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t)
	client := memcache.New(testkit.Plain(t, s.proxy.Addr()))
	client.Timeout = testkit.Patience
	t.Cleanup(func() { _ = client.Close() })
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	keys := spread(60)
	for _, key := range keys {
		check("set", client.Set(&memcache.Item{Key: key, Value: []byte("value of " + key), Flags: 7}), nil)
	}
	items := must(client.GetMulti(append(slices.Clone(keys), "none")))(t)
	if len(items) != len(keys) {
		t.Errorf("GetMulti finds %d of %d", len(items), len(keys))
	}
	for key, item := range items {
		if string(item.Value) != "value of "+key || item.Flags != 7 {
			t.Errorf("%s has %q, flags %d", key, item.Value, item.Flags)
		}
	}
	check("ping", client.Ping(), nil)
	check("add", client.Add(&memcache.Item{Key: keys[0], Value: []byte("x")}), memcache.ErrNotStored)
	check("replace", client.Replace(&memcache.Item{Key: "none", Value: []byte("x")}), memcache.ErrNotStored)
	check("append", client.Append(&memcache.Item{Key: keys[0], Value: []byte("!")}), nil)
	check("prepend", client.Prepend(&memcache.Item{Key: keys[0], Value: []byte("?")}), nil)
	item := must(client.Get(keys[0]))(t)
	if want := "?value of " + keys[0] + "!"; string(item.Value) != want {
		t.Errorf("after append and prepend: %q", item.Value)
	}
	item.Value = []byte("5")
	check("cas", client.CompareAndSwap(item), nil)
	check("cas again", client.CompareAndSwap(item), memcache.ErrCASConflict)
	if n := must(client.Increment(keys[0], 3))(t); n != 8 {
		t.Errorf("incr gets %d", n)
	}
	if n := must(client.Decrement(keys[0], 100))(t); n != 0 {
		t.Errorf("decr gets %d", n)
	}
	check("touch", client.Touch(keys[0], 100), nil)
	check("touch of nothing", client.Touch("none", 100), memcache.ErrCacheMiss)
	check("delete", client.Delete(keys[0]), nil)
	_, err := client.Get(keys[0])
	check("get", err, memcache.ErrCacheMiss)
	big := bytes.Repeat([]byte("0123456789"), 100_000)
	check("set of 1 MB", client.Set(&memcache.Item{Key: "big", Value: big}), nil)
	if got := must(client.Get("big"))(t); !bytes.Equal(got.Value, big) {
		t.Errorf("1 MB comes back as %d bytes", len(got.Value))
	}
}
