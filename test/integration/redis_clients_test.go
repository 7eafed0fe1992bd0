package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// redis-py, as Debian packages it, with a script of its own. Whether that release
// has RESP3, the script says.
func TestRedisPy(t *testing.T) {
	t.Parallel()
	for _, resp := range []string{"2", "3"} {
		t.Run("RESP"+resp, func(t *testing.T) {
			s := redisStage(t)
			out := command(t, "", "/usr/bin/python3", "../clients/redispy.py", port(t, s.proxy), resp)
			switch {
			case out == "ok\n":
			case resp == "3" && strings.HasSuffix(out, "has no RESP3\n"):
				t.Log(out)
			default:
				t.Errorf("redispy.py: %s", out)
			}
		})
	}
}

// node-redis and ioredis, in the releases of test/clients/package-lock.json.
func TestNodeClients(t *testing.T) {
	t.Parallel()
	node := testkit.Program(t, "node")
	installNodeClients(t)
	for _, args := range []string{"noderedis.mjs 2", "noderedis.mjs 3", "ioredis.mjs 2"} {
		t.Run(args, func(t *testing.T) {
			s := redisStage(t)
			script, resp, _ := strings.Cut(args, " ")
			if out := command(t, "", node, "../clients/"+script, port(t, s.proxy), resp); out != "ok\n" {
				t.Errorf("%s: %s", args, out)
			}
		})
	}
}

// nodeClients is held by who installs them.
var nodeClients sync.Mutex

// installNodeClients installs what the lock file names, where that is missing or
// of another release.
func installNodeClients(t *testing.T) {
	t.Helper()
	nodeClients.Lock()
	defer nodeClients.Unlock()
	const dir = "../clients/"
	want, err := os.Stat(dir + "package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	// npm writes it last.
	got, err := os.Stat(dir + "node_modules/.package-lock.json")
	switch {
	case err == nil && got.ModTime().After(want.ModTime()):
	case err == nil || errors.Is(err, os.ErrNotExist):
		commandWithin(t, unpackTime, "", testkit.Program(t, "npm"), "--prefix", dir, "ci", "--ignore-scripts")
	default:
		t.Fatal(err)
	}
}

// redis-cli goes through all keys: to list them, and to find the biggest.
func TestRedisCLIScans(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	keys := spread(2000)
	c := s.proxy.Dial(testkit.Redis)
	for _, key := range keys {
		c.Send(testkit.RESP("SET", key, "x"))
	}
	for _, request := range []string{"SET big " + strings.Repeat("x", 5000), "RPUSH list 1 2 3 4", "HSET hash f v", "ZADD zset 1 a 2 b", "SADD set a b c"} {
		c.Send(testkit.RESP(strings.Fields(request)...))
	}
	for range len(keys) + 5 {
		c.Reply()
	}
	cli, p := testkit.Program(t, "redis-cli"), port(t, s.proxy)
	slices.Sort(keys)
	for _, resp := range [][]string{nil, {"-3"}} {
		found := strings.Fields(command(t, "", cli, append(resp, "-p", p, "--scan", "--pattern", "????????")...))
		slices.Sort(found)
		if !slices.Equal(found, keys) {
			t.Errorf("%q --scan finds %d keys, want %d", resp, len(found), len(keys))
		}
		for option, want := range map[string][]string{
			"--bigkeys": {
				"Sampled 2005 keys in the keyspace", `Biggest string found '"big"' has 5000 bytes`, `Biggest   list found '"list"' has 4 items`,
				`Biggest   hash found '"hash"' has 1 fields`, `Biggest   zset found '"zset"' has 2 members`, `Biggest    set found '"set"' has 3 members`,
			},
			"--memkeys": {"Sampled 2005 keys in the keyspace", `Biggest string found '"big"' has `},
		} {
			out := command(t, "", cli, append(resp, "-p", p, option)...)
			for _, line := range want {
				if !strings.Contains(out, line) {
					t.Errorf("%q %s does not say %q:\n%s", resp, option, line, out)
				}
			}
		}
	}
	for _, server := range s.servers {
		if got := server.Dial().Do("DBSIZE"); got == ":0\r\n" {
			t.Error("a server has no keys")
		}
	}
}

// redis-cli --pipe and redis-benchmark in RESP3.
func TestRedisToolsInRESP3(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	p := port(t, s.proxy)
	var load bytes.Buffer
	for _, key := range spread(5000) {
		load.Write(testkit.RESP("HSET", key, "f", key))
		load.Write(testkit.RESP("HGETALL", key))
	}
	if got := command(t, load.String(), testkit.Program(t, "redis-cli"), "-3", "-p", p, "--pipe"); !strings.Contains(got, "errors: 0, replies: 10000") {
		t.Errorf("redis-cli -3 --pipe: %s", got)
	}
	out := command(t, "", testkit.Program(t, "redis-benchmark"), "-3", "-q", "-p", p, "-n", "2000", "-P", "8", "-r", "1000")
	if strings.Contains(strings.ToLower(out), "err") || strings.Count(out, "requests per second") < 19 {
		t.Errorf("redis-benchmark -3:\n%s", out)
	}
}

// What go-redis's users do beyond the commands of TestGoRedis, in its own idioms:
// scripts, iterators, pipelines from many goroutines, streams, locks.
func TestGoRedisIdioms(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			s := redisStage(t)
			client := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, s.proxy.Addr()), Protocol: protocol, ClientName: "test"})
			t.Cleanup(func() { _ = client.Close() })
			keys := spread(300)
			goRedisPipelines(t, client, keys)
			goRedisIterators(t, client, keys)
			goRedisScripts(t, client, keys)
			goRedisTypes(t, client)
			goRedisRefusals(t, client, keys)
			goRedisWaits(t, client)
			goRedisListens(t, client, keys[:20])
		})
	}
}

// goRedisPipelines has ten goroutines increment the keys in pipelines.
func goRedisPipelines(t *testing.T, client *redis.Client, keys []string) {
	t.Helper()
	ctx := t.Context()
	var running sync.WaitGroup
	for range 10 {
		running.Go(func() {
			_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, key := range keys {
					p.Incr(ctx, key)
					p.Expire(ctx, key, time.Hour)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for i, v := range must(client.MGet(ctx, keys...).Result())(t) {
		if v != "10" {
			t.Errorf("%s is %v after ten increments", keys[i], v)
		}
	}
}

func goRedisIterators(t *testing.T, client *redis.Client, keys []string) {
	t.Helper()
	ctx := t.Context()
	seen := map[string]bool{}
	for it := client.Scan(ctx, 0, "*", 20).Iterator(); it.Next(ctx); {
		seen[it.Val()] = true
	}
	if n := must(client.DBSize(ctx).Result())(t); len(seen) != len(keys) || n != int64(len(keys)) {
		t.Errorf("SCAN finds %d keys, DBSIZE says %d, want %d", len(seen), n, len(keys))
	}
	fields := map[string]any{}
	for i := range 1000 {
		fields[strconv.Itoa(i)] = i
	}
	must(client.HSet(ctx, "hash", fields).Result())(t)
	n := 0
	for it := client.HScan(ctx, "hash", 0, "", 100).Iterator(); it.Next(ctx); {
		n++
	}
	if n != 2*len(fields) {
		t.Errorf("HSCAN finds %d fields and values, want %d", n, 2*len(fields))
	}
}

func goRedisScripts(t *testing.T, client *redis.Client, keys []string) {
	t.Helper()
	ctx := t.Context()
	add := redis.NewScript(`return redis.call("INCRBY", KEYS[1], ARGV[1])`)
	for _, key := range keys[:50] { // EVALSHA, and EVAL at NOSCRIPT
		if got := must(add.Run(ctx, client, []string{key}, 5).Int())(t); got != 15 {
			t.Errorf("the script makes %s %d", key, got)
		}
	}
	loaded := redis.NewScript(`return {KEYS[1], ARGV[1]}`)
	must(loaded.Load(ctx, client).Result())(t)
	if got := must(loaded.Exists(ctx, client).Result())(t); !slices.Equal(got, []bool{true}) {
		t.Errorf("SCRIPT EXISTS: %v", got)
	}
	for _, key := range keys[:50] {
		if got := must(loaded.EvalSha(ctx, client, []string{key}, "x").StringSlice())(t); !slices.Equal(got, []string{key, "x"}) {
			t.Errorf("EVALSHA at %s: %q", key, got)
		}
	}
	must(client.FunctionLoad(ctx, "#!lua name=lib\nredis.register_function('twice', function(k, a) return a[1] .. a[1] end)").Result())(t)
	for _, key := range keys[:20] {
		if got := must(client.FCall(ctx, "twice", []string{key}, "ab").Text())(t); got != "abab" {
			t.Errorf("FCALL at %s: %q", key, got)
		}
	}
	if got := must(client.FunctionStats(ctx).Result())(t); len(got.Engines) != 1 || got.Engines[0].FunctionsCount != 1 {
		t.Errorf("FUNCTION STATS: %+v", got)
	}
}

func goRedisTypes(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	id := must(client.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: map[string]any{"f": "v"}}).Result())(t)
	must(client.XGroupCreate(ctx, "stream", "group", "0").Result())(t)
	read := must(client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "group", Consumer: "c", Streams: []string{"stream", ">"}, Count: 5, Block: -1}).Result())(t)
	if len(read) != 1 || len(read[0].Messages) != 1 || read[0].Messages[0].ID != id || read[0].Messages[0].Values["f"] != "v" {
		t.Errorf("XREADGROUP: %+v", read)
	}
	if got := must(client.XAck(ctx, "stream", "group", id).Result())(t); got != 1 {
		t.Errorf("XACK: %d", got)
	}
	must(client.GeoAdd(ctx, "geo", &redis.GeoLocation{Name: "Palermo", Longitude: 13.361389, Latitude: 38.115556}).Result())(t)
	if got := must(client.GeoSearch(ctx, "geo", &redis.GeoSearchQuery{Longitude: 15, Latitude: 37, Radius: 200, RadiusUnit: "km"}).Result())(t); !slices.Equal(got, []string{"Palermo"}) {
		t.Errorf("GEOSEARCH: %q", got)
	}
	must(client.ZAdd(ctx, "zset", redis.Z{Score: 1.5, Member: "a"}, redis.Z{Score: 2, Member: "b"}).Result())(t)
	if got := must(client.ZMScore(ctx, "zset", "a", "none", "b").Result())(t); !slices.Equal(got, []float64{1.5, 0, 2}) {
		t.Errorf("ZMSCORE: %v", got)
	}
	if key, got, err := client.ZMPop(ctx, "min", 1, "zset").Result(); err != nil || key != "zset" || len(got) != 1 || got[0].Member != "a" {
		t.Errorf("ZMPOP: %s %v %v", key, got, err)
	}
	if ok := must(client.SetNX(ctx, "lock", "me", time.Minute).Result())(t); !ok {
		t.Error("SETNX of a free lock fails")
	}
	if ok := must(client.SetNX(ctx, "lock", "you", time.Minute).Result())(t); ok {
		t.Error("SETNX of a lock that is held succeeds")
	}
	if now := must(client.Time(ctx).Result())(t); time.Since(now).Abs() > time.Minute {
		t.Errorf("TIME: %v", now)
	}
	if got := must(client.ConfigGet(ctx, "maxmemory*").Result())(t); got["maxmemory"] != "0" || got["maxmemory-policy"] != "noeviction" {
		t.Errorf("CONFIG GET: %v", got)
	}
	if got := must(client.Command(ctx).Result())(t); len(got) < 200 || got["get"] == nil || got["get"].FirstKeyPos != 1 {
		t.Errorf("COMMAND tells of %d commands", len(got))
	}
}

// goRedisWaits waits for elements: for none, and for one that comes.
func goRedisWaits(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	for name, err := range map[string]error{
		"BLPOP":       client.BLPop(ctx, time.Second, "nothing").Err(),
		"BLMPOP":      client.BLMPop(ctx, time.Second, "left", 1, "nothing").Err(),
		"XREAD BLOCK": client.XRead(ctx, &redis.XReadArgs{Streams: []string{"nothing", "$"}, Block: 10 * time.Millisecond}).Err(),
	} {
		if !errors.Is(err, redis.Nil) {
			t.Errorf("%s in vain: %v", name, err)
		}
	}
	var running sync.WaitGroup
	running.Go(func() {
		if got, err := client.BRPop(ctx, time.Minute, "queue").Result(); err != nil || got[1] != "job" {
			t.Errorf("BRPOP: %v, %v", got, err)
		}
	})
	if err := client.RPush(ctx, "queue", "job").Err(); err != nil {
		t.Error(err)
	}
	running.Wait()
}

// goRedisListens listens to channels of every server and to a pattern, and hears each
// message once.
func goRedisListens(t *testing.T, client *redis.Client, channels []string) {
	t.Helper()
	ctx := t.Context()
	listener := client.Subscribe(ctx, channels...)
	defer func() { _ = listener.Close() }()
	if err := listener.PSubscribe(ctx, "news.*"); err != nil {
		t.Fatal(err)
	}
	for range len(channels) + 1 {
		must(listener.Receive(ctx))(t)
	}
	for _, name := range channels {
		if n := must(client.Publish(ctx, name, "to "+name).Result())(t); n != 1 {
			t.Errorf("PUBLISH on %s: %d listen", name, n)
		}
	}
	must(client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{t}job", "done", 0)
		p.Publish(ctx, "news.job", "done")
		return nil
	}))(t)
	heard := map[string]string{}
	for range len(channels) + 1 {
		m := must(listener.ReceiveMessage(ctx))(t)
		heard[m.Pattern+m.Channel] += m.Payload
	}
	for _, name := range channels {
		if heard[name] != "to "+name {
			t.Errorf("on %s %q was heard", name, heard[name])
		}
	}
	if heard["news.*news.job"] != "done" {
		t.Errorf("of the pattern %q was heard", heard["news.*news.job"])
	}
	if err := errors.Join(listener.Unsubscribe(ctx), listener.PUnsubscribe(ctx)); err != nil {
		t.Error(err)
	}
}

func goRedisRefusals(t *testing.T, client *redis.Client, keys []string) {
	t.Helper()
	ctx := t.Context()
	pairs := []any{}
	for _, key := range keys {
		pairs = append(pairs, "new"+key, "x")
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"SINTER of all servers": {client.SInter(ctx, keys...).Err(), "CROSSSLOT"},
		"MSETNX of all servers": {client.MSetNX(ctx, pairs...).Err(), "CROSSSLOT"},
		"EVAL of all servers":   {client.Eval(ctx, "return 1", keys).Err(), "CROSSSLOT"},
		"FLUSHALL":              {client.FlushAll(ctx).Err(), "allow_flush is off"},
		"SHUTDOWN":              {client.Shutdown(ctx).Err(), "not supported by nuthatch"},
		"a wrong type":          {client.LPush(ctx, keys[0], "x").Err(), "WRONGTYPE"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
	if n := must(client.Exists(ctx, "new"+keys[0], "new"+keys[1]).Result())(t); n != 0 {
		t.Error("MSETNX that was refused has set something")
	}
}
