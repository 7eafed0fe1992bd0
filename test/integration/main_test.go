// Package integration runs nuthatch in front of real redis-servers and
// memcacheds, with real clients, and in front of servers that misbehave by
// script.
package integration

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"nuthatch/internal/testkit"
)

func TestMain(m *testing.M) {
	// Most tests wait for servers most of the time. Four at once keep two processors busy.
	if runtime.GOMAXPROCS(0) < 4 {
		if err := flag.Set("test.parallel", "4"); err != nil { // the command line still decides
			panic(err)
		}
	}
	os.Exit(testkit.Main(m))
}

// A stage is nuthatch in front of three fresh servers.
type stage struct {
	proxy   *testkit.Proxy
	servers []*testkit.Server
}

// redisStage puts nuthatch in front of three redis-servers. lines are added to
// the pool.
func redisStage(t *testing.T, lines ...string) stage {
	t.Helper()
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
	return newStage(t, testkit.Redis, servers, lines)
}

// memcacheStage puts nuthatch in front of three memcacheds.
func memcacheStage(t *testing.T, lines ...string) stage {
	t.Helper()
	servers := []*testkit.Server{testkit.StartMemcached(t), testkit.StartMemcached(t), testkit.StartMemcached(t)}
	return newStage(t, testkit.Memcache, servers, lines)
}

func newStage(t *testing.T, protocol testkit.Protocol, servers []*testkit.Server, lines []string) stage {
	t.Helper()
	pool := testkit.Pool{Protocol: protocol, Servers: testkit.Names(servers...), Lines: lines}
	return stage{proxy: testkit.StartNuthatch(t, pool.String()), servers: servers}
}

// scriptedStage puts nuthatch, with one event loop and so one connection to its
// server at a time, in front of a server that follows a script.
func scriptedStage(
	t *testing.T, protocol testkit.Protocol, script func(*testkit.Talk), lines ...string,
) (*testkit.Proxy, *testkit.Scripted) {
	t.Helper()
	server := testkit.StartScripted(t, script)
	pool := testkit.Pool{
		Protocol: protocol, Servers: []string{testkit.Entry(server.Addr(), 1, "scripted")}, Lines: lines,
	}
	return testkit.StartNuthatch(t, pool.String(), testkit.Threads(1)), server
}

// spread returns n keys of which every server gets a share.
func spread(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%08x", uint32(i+1)*2654435761)
	}
	return keys
}

// store is a memcached storage command with its data block.
func store(line, data string) string { return line + "\r\n" + data + "\r\n" }
