package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// checked are the lines of a pool whose servers are checked, and ejected.
func checked(more ...string) []string {
	return append([]string{
		"timeout: 200", "auto_eject_hosts: true", "server_retry_timeout: 600000",
		"health_check: {interval: 20ms, timeout: 200ms, rise: 2, fall: 2}",
	}, more...)
}

// A server that is stopped is ejected by its checks, without a request, and its
// keys go to the others; when it goes on it is back at once, and not only when
// server_retry_timeout, of ten minutes, is over. Of Redis and of Memcached.
func TestHealthChecks(t *testing.T) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		s1, s2 := testkit.StartRedis(t), testkit.StartRedis(t)
		proxy := testkit.StartNuthatch(t, testkit.Pool{
			Protocol: testkit.Redis, Servers: testkit.Names(s1, s2), Lines: checked(),
		}.String())
		stopAndGoOn(t, proxy, s1)
		c := proxy.Dial(testkit.Redis)
		for _, key := range spread(20) {
			c.Send(testkit.RESP("SET", key, "v"))
			c.Expect("+OK\r\n")
		}
		if n := strings.Count(s1.Dial().Do("KEYS", "*"), "$"); n == 0 {
			t.Error("the server that is back has none of the keys")
		}
	})
	t.Run("memcached", func(t *testing.T) {
		t.Parallel()
		s1, s2 := testkit.StartMemcached(t), testkit.StartMemcached(t)
		proxy := testkit.StartNuthatch(t, testkit.Pool{
			Protocol: testkit.Memcache, Servers: testkit.Names(s1, s2), Lines: checked(),
		}.String())
		stopAndGoOn(t, proxy, s1)
	})
}

// stopAndGoOn stops a server and has it go on, and awaits that each is noticed.
func stopAndGoOn(t *testing.T, proxy *testkit.Proxy, s *testkit.Server) {
	t.Helper()
	s.Pause()
	proxy.AwaitStat(1, "alpha", "server_ejects")
	s.Resume()
	awaitLog(t, proxy, "passes its checks again")
}

func awaitLog(t *testing.T, proxy *testkit.Proxy, line string) {
	t.Helper()
	testkit.Await(t, "a line in the log: "+line, func() error {
		log, err := os.ReadFile(proxy.Log)
		if err == nil && !strings.Contains(string(log), line) {
			return fmt.Errorf("the log:\n%s", log)
		}
		return err
	})
}

// A replica that has lost its master, and may not serve without, answers checks
// and requests alike that it is down. With eject: fail its clients are told so
// by the proxy, until it is a master itself.
func TestHealthCheckOfAReplica(t *testing.T) {
	t.Parallel()
	s := testkit.StartRedis(t, "--replica-serve-stale-data", "no")
	proxy := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: testkit.Names(s), Lines: checked("eject: fail"),
	}.String(), testkit.Threads(2))
	c := proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("SET", "k", "v"))
	c.Expect("+OK\r\n")

	admin := s.Dial()
	admin.Do("REPLICAOF", "127.0.0.1", strings.Split(testkit.FreeAddr(t), ":")[1])
	proxy.AwaitStat(1, "alpha", "server_ejects")
	c.Send(testkit.RESP("GET", "k"))
	c.Expect("-ERR the server of this key is ejected; requests for it fail until it answers again\r\n")
	awaitLog(t, proxy, "the server of this key has lost its master")

	admin.Do("REPLICAOF", "NO", "ONE")
	awaitLog(t, proxy, "passes its checks again")
	c.Send(testkit.RESP("GET", "k"))
	c.Expect("$1\r\nv\r\n")
}
