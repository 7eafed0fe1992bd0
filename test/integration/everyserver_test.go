package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// toAll are calls of the commands that go to every server: right, with too few
// words and too many, and with odd values. Their replies do not depend on how
// many servers the keys are spread over.
var toAll = []string{
	"SET only x", "DBSIZE", "DBSIZE x", "KEYS *", "KEYS o?ly", "KEYS [", "KEYS none*", "KEYS", "KEYS a b", "RANDOMKEY", "RANDOMKEY x",
	"SCAN", "SCAN x", "SCAN 1.5", "SCAN 18446744073709551616", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1", "SCAN 0 COUNT x",
	"SCAN 0 COUNT 99999999999999999999", "SCAN 0 COUNT", "SCAN 0 MATCH", "SCAN 0 NOSUCH x",
	"PUBLISH c m", "PUBLISH c", "PUBLISH c m x", `PUBLISH "" ""`,
	"PUBSUB CHANNELS", "PUBSUB CHANNELS c*", "PUBSUB CHANNELS a b", "PUBSUB NUMSUB", "PUBSUB NUMSUB a b a", "PUBSUB NUMPAT", "PUBSUB NUMPAT x",
	"PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB a", "PUBSUB", "PUBSUB NOSUCH",
	`SCRIPT LOAD "return 1"`, `SCRIPT LOAD "return ("`, "SCRIPT LOAD", `SCRIPT LOAD ""`,
	"SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "SCRIPT EXISTS x e0e1f9fabfc9d4800c877a703b823ac0578ff8db x", "SCRIPT EXISTS",
	"SCRIPT KILL", "SCRIPT KILL x", "SCRIPT FLUSH x", "SCRIPT FLUSH ASYNC", "SCRIPT FLUSH SYNC x", "SCRIPT FLUSH", "SCRIPT NOSUCH", "SCRIPT",
	`FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function() return 1 end)"`,
	`FUNCTION LOAD "#!lua name=lib\nredis.register_function('f', function() return 1 end)"`,
	`FUNCTION LOAD REPLACE "#!lua name=lib\nredis.register_function('g', function() return 1 end)"`,
	"FUNCTION LOAD x", "FUNCTION LOAD", "FUNCTION LOAD x y", "FUNCTION LIST", "FUNCTION LIST WITHCODE", "FUNCTION LIST LIBRARYNAME l*", "FUNCTION LIST x",
	"FUNCTION STATS", "FUNCTION STATS x", "FUNCTION DUMP", "FUNCTION DUMP x", "FUNCTION RESTORE x", "FUNCTION RESTORE x y", "FUNCTION KILL", "FUNCTION KILL x",
	"FUNCTION DELETE lib", "FUNCTION DELETE lib", "FUNCTION DELETE", "FUNCTION FLUSH x", "FUNCTION FLUSH ASYNC", "FUNCTION FLUSH", "FUNCTION NOSUCH",
	"WAIT 0 1", "WAIT x 1", "WAIT 0 x", "WAIT 0 -1", "WAIT 0", "WAIT 0 1 x", `WAIT 0 ""`,
	"FLUSHDB x", "FLUSHALL x y", "FLUSHDB ASYNC", "SET only x", "FLUSHALL SYNC", "DBSIZE", "KEYS *", "RANDOMKEY",
}

// toOne are calls whose replies are a server's own.
var toOne = []string{"SCAN 0", "SCAN 0 MATCH o* COUNT 5", "SCAN 0 TYPE string", "SCAN 0 TYPE nosuch", "SCAN 0 COUNT 10 MATCH x*", "MODULE LIST", "MODULE LIST x"}

// TestAllServersLikeRedis: the commands for every server are answered, by one
// server and by three, as redis-server answers them, byte for byte.
func TestAllServersLikeRedis(t *testing.T) {
	t.Parallel()
	for _, version := range protocols {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprintf("RESP%s, %d servers", version, n), func(t *testing.T) {
				alone := testkit.StartRedis(t)
				var servers []*testkit.Server
				for range n {
					servers = append(servers, testkit.StartRedis(t))
				}
				s := newStage(t, testkit.Redis, servers, []string{"allow_flush: true"})
				server, proxy := alone.Dial(), s.proxy.Dial(testkit.Redis)
				server.Do("HELLO", version)
				proxy.Do("HELLO", version)
				calls := toAll
				if n == 1 {
					calls = append([]string{"SET only x"}, toOne...)
					calls = append(calls, toAll...)
				}
				for _, line := range calls {
					call := testkit.Command(line)
					want, got := server.Do(call...), proxy.Do(call...)
					if strings.HasPrefix(line, "FUNCTION LIST") || strings.HasPrefix(line, "FUNCTION STATS") {
						want, got = shape(want), shape(got)
					}
					if got != want {
						t.Errorf("%s:\n\tnuthatch %q\n\tredis    %q", line, got, want)
					}
				}
			})
		}
	}
}
