package integration

import (
	"strings"
	"testing"

	"nuthatch/internal/proto/redis"
	"nuthatch/internal/testkit"
)

// refusal is the error of a replica, and of a pool for reading alone.
const refusal = "-READONLY You can't write against a read only replica.\r\n"

// TestReadOnlyLikeReplica: a pool for reading alone refuses the commands that a replica of
// redis-server refuses, in its words, and scripts that may write. Nothing changes behind it.
func TestReadOnlyLikeReplica(t *testing.T) {
	replica, behind := testkit.StartRedis(t, "--enable-debug-command", "local"), testkit.StartRedis(t, "--enable-debug-command", "local")
	direct, owner := replica.Dial(), behind.Dial()
	for _, line := range append(stock, functions) {
		for _, c := range []*testkit.Client{direct, owner} {
			if got := c.Do(testkit.Command(line)...); strings.HasPrefix(got, "-") {
				t.Fatalf("%s: %q", line, got)
			}
		}
	}
	direct.Do("REPLICAOF", "127.0.0.1", "1")
	owner.Do("PFCOUNT", "hll") // notes the count in the value
	owner.Do("PFCOUNT", "hll2")
	before := owner.Do("DEBUG", "DIGEST")
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(behind), Lines: []string{"databases: 16", "read_only: true", "allow_flush: true"}}
	proxied := testkit.StartNuthatch(t, pool.String()).Dial(testkit.Redis)
	writes := 0
	for _, row := range redis.Table() {
		name := strings.Join(row.Name, " ")
		known := direct.Do("COMMAND", "INFO", strings.Join(row.Name, "|")) != "*1\r\n$-1\r\n"
		if !known || !row.Treatment.ByKeys() && name != "flushall" && name != "flushdb" && name != "publish" {
			continue
		}
		example := testkit.Command(row.Example)
		switch name {
		case "publish":
			example = []string{"news", "x"}
		case "eval", "evalsha", "fcall": // at a replica each of their commands is judged
			if got := proxied.Do(append(row.Name, example...)...); got != refusal {
				t.Errorf("%s: %q, want it refused", name, got)
			}
			continue
		}
		want := direct.Do(append(row.Name, example...)...) == refusal
		if got := proxied.Do(append(row.Name, example...)...); (got == refusal) != want {
			t.Errorf("%s: %q, and a replica refuses it: %t", name, got, want)
		}
		if want {
			writes++
		}
		if name == "watch" {
			direct.Do("UNWATCH")
			proxied.Do("UNWATCH")
		}
	}
	if writes < 100 {
		t.Errorf("%d commands were refused, expected at least 100", writes)
	}
	for _, line := range []string{"MULTI", "GET str", "SET str x", "EXEC", "MULTI", "GET str", "EXEC", "GETEX str", "SORT list STORE other", "SET str"} {
		words := testkit.Command(line)
		if got, want := proxied.Do(words...), direct.Do(words...); got != want {
			t.Errorf("%s: %q, and from a replica %q", line, got, want)
		}
	}
	if after := owner.Do("DEBUG", "DIGEST"); after != before {
		t.Errorf("the server's keys have changed: %q, and before %q", after, before)
	}
}

// TestReadOnlyMemcached: a pool for reading alone answers what reads as memcached does, and
// refuses all else, with the value behind it.
func TestReadOnlyMemcached(t *testing.T) {
	server := testkit.StartMemcached(t)
	direct := server.Dial()
	direct.Send([]byte("set k 0 0 1\r\n1\r\n"))
	direct.Expect("STORED\r\n")
	pool := testkit.Pool{Protocol: testkit.Memcache, Servers: testkit.Names(server), Lines: []string{"read_only: true", "allow_flush: true"}}
	c := testkit.StartNuthatch(t, pool.String()).Dial(testkit.Memcache)
	const refused = "CLIENT_ERROR the pool is for reading alone (read_only)\r\n"
	for _, tt := range []struct{ request, reply string }{
		{"get k\r\n", "VALUE k 0 1\r\n1\r\nEND\r\n"},
		{"mg k\r\n", "HD\r\n"},
		{"mg k s t f\r\n", "HD s1 t-1 f0\r\n"},
		{"mn\r\n", "MN\r\n"},
		{"set k 0 0 1\r\n2\r\n", refused},
		{"cas k 0 0 1 1\r\n2\r\n", refused},
		{"ms k 1\r\n2\r\n", refused},
		{"ms k 1 q\r\n2\r\n", refused},
		{"append k 0 0 1\r\n2\r\n", refused},
		{"delete k\r\n", refused},
		{"md k q\r\n", refused},
		{"incr k 1\r\n", refused},
		{"decr k 1\r\n", refused},
		{"ma k v\r\n", refused},
		{"touch k 10\r\n", refused},
		{"gat 10 k\r\n", refused},
		{"gats 10 k\r\n", refused},
		{"mg k v T10\r\n", refused},
		{"mg new v N10\r\n", refused},
		{"mg k v R30\r\n", refused},
		{"flush_all\r\n", refused},
		{"verbosity 1\r\n", refused},
		{"set k 0 0 1 noreply\r\n2\r\nget k\r\n", "VALUE k 0 1\r\n1\r\nEND\r\n"},
		{"shutdown\r\n", "SERVER_ERROR 'shutdown' is not supported by nuthatch. It would end a server.\r\n"},
		{"set k\r\n", "ERROR\r\n"},
	} {
		c.Send([]byte(tt.request))
		c.Expect(tt.reply)
	}
	direct.Send([]byte("mg k t\r\nget k\r\n"))
	direct.Expect("HD t-1\r\n", "VALUE k 0 1\r\n1\r\nEND\r\n")
}
