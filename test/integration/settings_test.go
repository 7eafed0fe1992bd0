package integration

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// fieldsOf are the fields of INFO.
func fieldsOf(info string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.SplitSeq(info, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// setting is what CONFIG GET says of one setting; empty: nothing.
func setting(t *testing.T, c *testkit.Client, name string) string {
	t.Helper()
	parts := strings.Split(c.Do("CONFIG", "GET", name), "\r\n")
	if len(parts) < 5 {
		return ""
	}
	return parts[4]
}

// told are the settings and fields that a pool of one server must tell as the server
// does.
var (
	toldSettings = []string{
		"maxmemory", "maxmemory-policy", "maxmemory-samples", "save", "appendonly", "appendfsync", "notify-keyspace-events", "hz", "lfu-log-factor",
		"hash-max-listpack-entries", "replica-read-only", "slave-read-only", "lazyfree-lazy-expire", "proto-max-bulk-len", "cluster-enabled",
		"nosuch", "requirepass",
	}
	toldFields = []string{
		"redis_version", "redis_git_sha1", "redis_build_id", "redis_mode", "os", "arch_bits", "multiplexing_api", "gcc_version", "run_id",
		"maxmemory", "maxmemory_human", "maxmemory_policy", "mem_allocator", "total_system_memory", "loading", "rdb_last_bgsave_status",
		"aof_enabled", "expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses", "cluster_enabled", "role", "connected_slaves", "db0",
	}
)

// TestAnswersOfOneServer: with one server behind it a client is told what the server
// says, the moment after it has changed.
func TestAnswersOfOneServer(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t, "--maxmemory", "64mb", "--maxmemory-policy", "volatile-lfu", "--save", "900 1", "--requirepass", "sesame")
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server), Lines: []string{"redis_auth: sesame"}}
	proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(2))
	direct, through := server.Dial(), proxy.Dial(testkit.Redis)
	for _, c := range []*testkit.Client{direct, through} {
		if got := c.Do("AUTH", "sesame"); got != "+OK\r\n" {
			t.Fatal(got)
		}
	}
	compareHello(t, direct, through)
	for i := range 3 {
		if got := direct.Do("CONFIG", "SET", "hz", strconv.Itoa(20+i), "maxmemory", strconv.Itoa(64<<20+i), "notify-keyspace-events", "Kx"); got != "+OK\r\n" {
			t.Fatal(got)
		}
		through.Do("SET", "k"+strconv.Itoa(i), "v", "EX", "1000")
		through.Do("GET", "k"+strconv.Itoa(i))
		through.Do("GET", "nosuch")
		for _, name := range toldSettings {
			want := setting(t, direct, name)
			if name == "requirepass" {
				want = ""
			}
			if got := setting(t, through, name); got != want {
				t.Errorf("CONFIG GET %s is %q, the server's %q", name, got, want)
			}
		}
		ours, theirs := fieldsOf(through.Do("INFO")), fieldsOf(direct.Do("INFO"))
		for _, name := range toldFields {
			got, want := ours[name], theirs[name]
			if name == "db0" { // avg_ttl goes on
				got, _, _ = strings.Cut(got, ",avg_ttl")
				want, _, _ = strings.Cut(want, ",avg_ttl")
			}
			if got != want {
				t.Errorf("INFO: %s is %q, the server's %q", name, got, want)
			}
		}
	}
	if got := through.Do("LOLWUT", "VERSION", "9"); !strings.Contains(got, "Redis ver. "+fieldsOf(direct.Do("INFO", "server"))["redis_version"]+", nuthatch ver. ") {
		t.Errorf("LOLWUT: %q", got)
	}
}

// compareHello compares what HELLO says in both protocols, but for the number of the
// connection.
func compareHello(t *testing.T, direct, through *testkit.Client) {
	t.Helper()
	for _, words := range [][]string{{"HELLO"}, {"HELLO", "3"}, {"HELLO", "2"}} {
		got, want := through.Do(words...), direct.Do(words...)
		id := func(text string) string {
			before, rest, _ := strings.Cut(text, "$2\r\nid\r\n")
			_, rest, _ = strings.Cut(rest, "\r\n")
			return before + rest
		}
		if id(got) != id(want) {
			t.Errorf("%q: %q, the server's %q", words, got, want)
		}
	}
}

// TestAnswersOfThreeServers: of several servers a client is told what warns it, and
// sums.
func TestAnswersOfThreeServers(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Server{
		testkit.StartRedis(t, "--maxmemory", "0", "--maxmemory-policy", "noeviction", "--appendonly", "no"),
		testkit.StartRedis(t, "--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes"),
		testkit.StartRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "noeviction", "--appendonly", "no"),
	}
	proxy := testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(servers...)}.String())
	c := proxy.Dial(testkit.Redis)
	const keys = 60
	for i := range keys {
		c.Do("SET", "k"+strconv.Itoa(i), "v")
		c.Do("GET", "k"+strconv.Itoa(i))
		c.Do("GET", "missing"+strconv.Itoa(i))
	}
	for name, want := range map[string]string{
		"maxmemory": strconv.Itoa(100 << 20), "maxmemory-policy": "allkeys-lru", "appendonly": "no", "databases": "1",
		"slowlog-log-slower-than": "10000", "slowlog-max-len": "128", "latency-monitor-threshold": "10",
	} {
		if got := setting(t, c, name); got != want {
			t.Errorf("CONFIG GET %s is %q, want %q", name, got, want)
		}
	}
	info := fieldsOf(c.Do("INFO"))
	for name, want := range map[string]string{
		"maxmemory": strconv.Itoa(100 << 20), "maxmemory_policy": "allkeys-lru", "keyspace_hits": strconv.Itoa(keys), "keyspace_misses": strconv.Itoa(keys),
		"db0": fmt.Sprintf("keys=%d,expires=0,avg_ttl=0", keys), "redis_version": fieldsOf(servers[0].Dial().Do("INFO", "server"))["redis_version"],
	} {
		if info[name] != want {
			t.Errorf("INFO: %s is %q, want %q", name, info[name], want)
		}
	}
	if len(info["run_id"]) != 40 || info["run_id"] != fieldsOf(c.Do("INFO", "server"))["run_id"] {
		t.Errorf("run_id is %q", info["run_id"])
	}
	sum := 0
	for _, s := range servers {
		n, err := strconv.Atoi(fieldsOf(s.Dial().Do("INFO", "memory"))["used_memory"])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if got, err := strconv.Atoi(info["used_memory"]); err != nil || got < sum/2 || got > 2*sum {
		t.Errorf("used_memory is %q, the servers' sum %d", info["used_memory"], sum)
	}

	servers[1].Stop()
	testkit.Await(t, "the servers that are left to be told", func() error {
		if got := c.Do("INFO", "server"); !strings.Contains(got, "redis_version:") {
			return errors.New(got)
		}
		return nil
	})
	servers[0].Stop()
	servers[2].Stop()
	if got := setting(t, c, "maxmemory-policy"); got != "" {
		t.Errorf("without a server CONFIG GET maxmemory-policy is %q", got)
	}
	if got := fieldsOf(c.Do("INFO")); got["redis_version"] != "" || got["nuthatch_version"] == "" {
		t.Errorf("without a server INFO is %q", got)
	}
	if got := setting(t, c, "databases"); got != "1" {
		t.Errorf("without a server CONFIG GET databases is %q", got)
	}
}

// TestDatabasesInInfo: databases have the numbers that clients give them.
func TestDatabasesInInfo(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	fill := server.Dial()
	for db, keys := range map[string]int{"0": 1, "2": 3, "7": 5} {
		fill.Do("SELECT", db)
		for i := range keys {
			fill.Do("SET", "k"+strconv.Itoa(i), "v")
		}
	}
	for lines, want := range map[string]string{
		"":                             "db0:keys=1,",
		"redis_db: 7":                  "db0:keys=5,",
		"redis_db: 5":                  "",
		"databases: 16\n  redis_db: 2": "db0:keys=1, db2:keys=3, db7:keys=5,",
		"databases: 3":                 "db0:keys=1, db2:keys=3,",
	} {
		pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server)}
		if lines != "" {
			pool.Lines = []string{lines}
		}
		info := testkit.StartNuthatch(t, pool.String()).Dial(testkit.Redis).Do("INFO", "keyspace")
		var got []string
		for line := range strings.SplitSeq(info, "\r\n") {
			if strings.HasPrefix(line, "db") {
				keys, _, _ := strings.Cut(line, "expires")
				got = append(got, keys)
			}
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: %q, want %s", lines, got, want)
		}
	}
}

// valkey answers what a Valkey would, of the given release, and loads.
func valkey(release, policy string) func(*testkit.Talk) {
	info := "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:" + release + "\r\nvalkey_release_stage:ga\r\n" +
		"run_id:0123456789012345678901234567890123456789\r\nos:Linux\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:" + policy + "\r\n"
	bulk := func(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }
	hello := func(first string, proto int) string {
		return first + bulk("server") + bulk("valkey") + bulk("version") + bulk(release) + bulk("proto") + fmt.Sprintf(":%d\r\n", proto) +
			bulk("id") + ":3\r\n" + bulk("mode") + bulk("standalone") + bulk("role") + bulk("master") + bulk("modules") + "*0\r\n"
	}
	return func(k *testkit.Talk) {
		for {
			words, ok := k.Command()
			if !ok {
				return
			}
			switch strings.ToUpper(strings.Join(words, " ")) {
			case "HELLO":
				k.Reply(hello("*14\r\n", 2))
			case "HELLO 3":
				k.Reply(hello("%7\r\n", 3))
			case "INFO":
				k.Reply(bulk(info))
			case "CONFIG GET *":
				k.Reply("*4\r\n" + bulk("maxmemory") + bulk("0") + bulk("maxmemory-policy") + bulk(policy))
			default:
				k.Reply("+OK\r\n")
			}
		}
	}
}

// TestAnswersOfValkey: a Valkey says that it is one, and so does the proxy.
func TestAnswersOfValkey(t *testing.T) {
	t.Parallel()
	a, b := testkit.StartScripted(t, valkey("8.1.4", "noeviction")), testkit.StartScripted(t, valkey("8.0.12", "allkeys-lru"))
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: []string{testkit.Entry(a.Addr(), 1, "a"), testkit.Entry(b.Addr(), 1, "b")}}
	c := testkit.StartNuthatch(t, pool.String()).Dial(testkit.Redis)
	for _, words := range [][]string{{"HELLO", "2"}, {"HELLO", "3"}} {
		if got := c.Do(words...); !strings.Contains(got, "$6\r\nserver\r\n$6\r\nvalkey\r\n$7\r\nversion\r\n$6\r\n8.0.12\r\n") {
			t.Errorf("%q: %q", words, got)
		}
	}
	c.Do("HELLO", "2")
	info := fieldsOf(c.Do("INFO", "server", "memory"))
	for name, want := range map[string]string{
		"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.0.12", "valkey_release_stage": "ga", "maxmemory_policy": "allkeys-lru",
	} {
		if info[name] != want {
			t.Errorf("INFO: %s is %q, want %q", name, info[name], want)
		}
	}
	if got := c.Do("LOLWUT"); !strings.Contains(got, "Valkey ver. 8.0.12, ") {
		t.Errorf("LOLWUT: %q", got)
	}
}

// TestAnswersBesideHungServer: a server that does not answer delays nobody for long,
// and the others are told.
func TestAnswersBesideHungServer(t *testing.T) {
	t.Parallel()
	well := testkit.StartRedis(t, "--maxmemory-policy", "allkeys-lfu")
	hung := testkit.StartScripted(t, func(k *testkit.Talk) { k.Drain() })
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: []string{well.Entry("well"), testkit.Entry(hung.Addr(), 1, "hung")}}
	proxy := testkit.StartNuthatch(t, pool.String())
	begun := time.Now()
	for range 20 {
		c := proxy.Dial(testkit.Redis)
		if got := c.Do("HELLO", "2"); !strings.Contains(got, "$7\r\nversion\r\n") {
			t.Fatalf("HELLO: %q", got)
		}
		if got := setting(t, c, "maxmemory-policy"); got != "allkeys-lfu" {
			t.Errorf("CONFIG GET maxmemory-policy is %q", got)
		}
	}
	// 20 times half a second, and more, would be a server that is waited for each time.
	if d := time.Since(begun); d > testkit.Patience {
		t.Errorf("it took %v", d)
	}
}

// TestLatencyHistogramIsFresh: a client finds in it what it did before it asked.
func TestLatencyHistogramIsFresh(t *testing.T) {
	t.Parallel()
	proxy := testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(testkit.StartRedis(t))}.String(), testkit.Threads(2))
	c := proxy.Dial(testkit.Redis)
	for i := range 30 {
		c.Do("GET", "k")
		want := fmt.Sprintf("$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:%d\r\n", i+1)
		if got := c.Do("LATENCY", "HISTOGRAM", "get"); !strings.Contains(got, want) {
			t.Fatalf("after %d requests: %q", i+1, got)
		}
	}
}
