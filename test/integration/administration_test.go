package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// What administers the servers reaches all of them, and the next CONFIG GET shows it.
func TestAdministration(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "allow_admin: true", "timeout: 10000")
	c := s.proxy.Dial(testkit.Redis)
	for _, tt := range []struct{ text, want string }{
		{"CONFIG SET notify-keyspace-events Ex", "+OK\r\n"},
		{"CONFIG GET notify-keyspace-events", "*2\r\n$22\r\nnotify-keyspace-events\r\n$2\r\nxE\r\n"},
		{"config set MaxMemory 100mb maxmemory-policy allkeys-lfu", "+OK\r\n"},
		{"CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n"},
		{"CONFIG SET maxmemory x", "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value\r\n"},
		{"CONFIG SET maxmemory", "-ERR wrong number of arguments for 'config|set' command\r\n"},
		{"CONFIG SET maxmemory 1 hz", "-ERR syntax error\r\n"},
		{"CONFIG REWRITE", "-ERR The server is running without a config file\r\n"},
		{"CONFIG RESETSTAT", "+OK\r\n"},
		{"MEMORY PURGE", "+OK\r\n"},
		{"SAVE", "+OK\r\n"},
		{"BGSAVE", "+Background saving started\r\n"},
		{"BGSAVE x", "-ERR syntax error\r\n"},
	} {
		if got := c.Do(strings.Fields(tt.text)...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.text, got, tt.want)
		}
	}
	for i, server := range s.servers {
		direct := server.Dial()
		if got := setting(t, direct, "maxmemory") + " " + setting(t, direct, "notify-keyspace-events"); got != "104857600 xE" {
			t.Errorf("server %d has %q", i+1, got)
		}
		testkit.Await(t, "the save to end", func() error { return awaitField(direct, "rdb_bgsave_in_progress", "0") })
	}
	if got := c.Do("BGREWRITEAOF"); got != "+Background append only file rewriting started\r\n" {
		t.Errorf("BGREWRITEAOF: %q", got)
	}
	if n := fieldsOf(c.Do("INFO", "stats"))["admin_requests"]; n != "11" {
		t.Errorf("admin_requests is %s", n)
	}
}

// awaitField fails unless INFO has the field with that value.
func awaitField(c *testkit.Client, name, want string) error {
	if got := fieldsOf(c.Do("INFO"))[name]; got != want {
		return fmt.Errorf("%s is %q", name, got)
	}
	return nil
}

// If one of the servers refuses, or is away, the error names it, and those that have done it.
func TestAdministrationOfSome(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t, "--rename-command", "BGREWRITEAOF", ""), testkit.StartRedis(t)}
	s := newStage(t, testkit.Redis, servers, []string{"allow_admin: true"})
	c := s.proxy.Dial(testkit.Redis)
	if got, want := c.Do("BGREWRITEAOF"), "-ERR 'BGREWRITEAOF' failed at server 's2': unknown command 'BGREWRITEAOF', with args beginning with: ; carried out by 's1', 's3'\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	servers[2].Kill()
	got := c.Do("CONFIG", "SET", "hz", "20")
	if !strings.HasPrefix(got, "-ERR 'CONFIG SET' failed at server 's3': ") || !strings.HasSuffix(got, "; carried out by 's1', 's2'\r\n") {
		t.Errorf("with one server away: %q", got)
	}
	for i, server := range servers[:2] {
		if got := setting(t, server.Dial(), "hz"); got != "20" {
			t.Errorf("server %d has hz %s", i+1, got)
		}
	}
}

// Of all settings that a server has, clients may set those that CONFIG GET shows them as
// the servers'. All others are refused by the proxy, whoever asks.
func TestEverySetting(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{"allow_admin: true", "timeout: 10000"})
	c, direct := s.proxy.Dial(testkit.Redis), server.Dial()
	bounding := []string{"maxclients", "timeout", "databases", "cluster-enabled", "slowlog-log-slower-than", "slowlog-max-len", "latency-monitor-threshold", "proto-max-bulk-len", "client-query-buffer-limit", "maxmemory-clients"}
	shown := elements(c.Do("CONFIG", "GET", "*"))
	all := elements(direct.Do("CONFIG", "GET", "*"))
	if len(all) < 300 {
		t.Fatalf("the server has %d settings", len(all)/2)
	}
	sent := 0
	for pair := range slices.Chunk(all, 2) {
		name, value := pair[0], pair[1]
		visible := false
		for i := 0; i < len(shown); i += 2 {
			visible = visible || shown[i] == name
		}
		got := c.Do("CONFIG", "SET", name, value)
		refused := strings.HasPrefix(got, "-ERR 'CONFIG SET' is not supported by nuthatch: ")
		if want := !visible || slices.Contains(bounding, name); refused != want {
			t.Errorf("CONFIG SET %s: %q, want it refused: %t", name, got, want)
		}
		if !refused {
			sent++
			if want := direct.Do("CONFIG", "SET", name, value); got != want {
				t.Errorf("CONFIG SET %s: %q, the server says %q", name, got, want)
			}
		}
	}
	for _, words := range []string{"nope 1", "NoPe 1", "hz 10 nope 1", "nope 1 hz", "nope", "it's 1", "nope 1 requirepass x"} {
		set := append([]string{"CONFIG", "SET"}, strings.Fields(words)...)
		if got, want := c.Do(set...), direct.Do(set...); got != want {
			t.Errorf("CONFIG SET %s: %q, the server says %q", words, got, want)
		}
	}
	if n := fieldsOf(c.Do("INFO", "stats"))["admin_requests"]; n != strconv.Itoa(sent) || sent < 50 {
		t.Errorf("%d settings were to be sent, and %s were", sent, n)
	}
}
