package daemon

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// INFO tells, by command, how many requests the proxy refused, and how many had another
// error for a reply: the server's, the proxy's, or one that was made of several.
func TestCommandErrors(t *testing.T) {
	server, listen := testkit.StartRedis(t), testkit.FreeAddr(t)
	startStageWith(t, pool("alpha", listen, []string{
		testkit.Entry(server.Addr(), 1, "s1"), testkit.Entry(testkit.Refused(t), 1, "s2"),
	}), "", server)
	ctx := t.Context()
	c := redis.NewClient(&redis.Options{Addr: listen, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer c.Close()
	keys := []string{"", ""} // of the one server, and of the other
	for i := 0; keys[0] == "" || keys[1] == ""; i++ {
		key, at := fmt.Sprint("key", i), 0
		if err := c.StrLen(ctx, key).Err(); err != nil {
			at = 1
		}
		keys[at] = key
	}
	must := func(words ...any) {
		t.Helper()
		if err := c.Do(ctx, words...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	fail := func(words ...any) {
		t.Helper()
		if err := c.Do(ctx, words...).Err(); err == nil {
			t.Fatalf("%q: no error", words)
		}
	}
	must("SET", keys[0], "value")
	fail("LPUSH", keys[0], "x")                 // by the server
	fail("GET", keys[1])                        // there is no server
	fail("GET")                                 // no key
	fail("MSET", keys[0], "value", keys[1], "") // one part of two
	fail("RENAME", keys[0], keys[1])            // two servers
	fail("SHUTDOWN")
	must("MULTI")
	must("INCRBY", keys[0], "x") // QUEUED
	must("EXEC")
	must("MULTI")
	fail("INCRBY", keys[0])
	fail("EXEC")
	direct := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer direct.Close()
	if err := direct.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	fail("MSET", keys[0], "value", keys[1], "") // both parts of two: it is one failure
	info, err := c.Info(ctx, "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"set:calls=1,usec=[0-9]+,usec_per_call=[0-9.]+,rejected_calls=0,failed_calls=0",
		"lpush:calls=1,.*,rejected_calls=0,failed_calls=1",
		"get:calls=1,.*,rejected_calls=1,failed_calls=1",
		"mset:calls=2,.*,rejected_calls=0,failed_calls=2",
		"rename:calls=0,.*,rejected_calls=1,failed_calls=0",
		"shutdown:calls=0,.*,rejected_calls=1,failed_calls=0",
	} {
		if !regexp.MustCompile("(?m)^cmdstat_" + want + "\r$").MatchString(info) {
			t.Errorf("no line %q in %q", want, info)
		}
	}
}
