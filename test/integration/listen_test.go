package integration

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// A pool that listens on a Unix socket with a mode, in front of servers on Unix
// sockets.
func TestUnixSockets(t *testing.T) {
	t.Parallel()
	for _, mode := range []struct {
		text string
		bits fs.FileMode
	}{{"0600", 0o600}, {"0666", 0o666}, {"0770", 0o770}} {
		t.Run(mode.text, func(t *testing.T) {
			t.Parallel()
			path := testkit.SocketPath(t, "proxy")
			proxy := testkit.StartNuthatch(t, testkit.Pool{
				Listen: path + " " + mode.text, Protocol: testkit.Redis,
				Servers: testkit.Names(testkit.StartRedisUnix(t), testkit.StartRedisUnix(t)),
			}.String())
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != mode.bits {
				t.Errorf("the socket has mode %v, want %v", info.Mode().Perm(), mode.bits)
			}
			c := proxy.Dial(testkit.Redis)
			c.Send(testkit.RESP("MSET", "a", "1", "b", "2", "c", "3", "d", "4"))
			c.Expect("+OK\r\n")
			if got, want := c.Do("MGET", "a", "b", "c", "d"), "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n"; got != want {
				t.Errorf("MGET gets %q", got)
			}
			proxy.Stop()
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the socket is still there after the proxy ended (%v)", err)
			}
		})
	}
}

// A socket that a proxy left behind when it was killed does not keep the next one
// from starting.
func TestStaleUnixSocket(t *testing.T) {
	t.Parallel()
	path := testkit.SocketPath(t, "proxy")
	proxy := testkit.StartNuthatch(t, testkit.Pool{
		Listen: path, Protocol: testkit.Memcache, Servers: testkit.Names(testkit.StartMemcachedUnix(t)),
	}.String())
	proxy.Kill()
	proxy.Restart()
	c := proxy.Dial(testkit.Memcache)
	c.Send([]byte(store("set a 0 0 1", "x") + "get a\r\n"))
	c.Expect("STORED\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n")
}

// loopback6 is the IPv6 loopback host. On a machine without IPv6 it is the IPv4
// one, and the test says so.
func loopback6(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 on this machine, using IPv4: %v", err)
		return "127.0.0.1"
	}
	_ = l.Close()
	return "::1"
}

// A pool that listens on IPv6, in front of servers on IPv6, written as
// nutcracker has it (the port behind the last colon) and in brackets.
func TestIPv6(t *testing.T) {
	t.Parallel()
	host := loopback6(t)
	for name, form := range map[string]func(string) string{
		"plain":    func(entry string) string { return strings.NewReplacer("[", "", "]", "").Replace(entry) },
		"brackets": func(entry string) string { return `"` + entry + `"` },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var servers []string
			for _, s := range []string{"s1", "s2"} {
				servers = append(servers, form(testkit.StartRedisAt(t, testkit.FreeAddrOn(t, host)).Entry(s)))
			}
			proxy := testkit.StartNuthatch(t, testkit.Pool{
				Listen: form(testkit.FreeAddrOn(t, host)), Protocol: testkit.Redis, Servers: servers,
			}.String())
			c := proxy.Dial(testkit.Redis)
			keys := spread(10)
			for _, key := range keys {
				c.Send(append(testkit.RESP("SET", key, key), gets(key)...))
				c.Expect("+OK\r\n", testkit.Bulk(key))
			}
			if got := c.Do(append([]string{"MGET"}, keys...)...); !strings.HasPrefix(got, "*10\r\n$8\r\n") {
				t.Errorf("MGET gets %q", got)
			}
		})
	}
}

// Names are resolved, for listening and for servers.
func TestNamesResolved(t *testing.T) {
	t.Parallel()
	_, serverPort, _ := net.SplitHostPort(testkit.StartRedis(t).Addr())
	_, listenPort, _ := net.SplitHostPort(testkit.FreeAddr(t))
	proxy := testkit.StartNuthatch(t, testkit.Pool{
		Listen: "localhost:" + listenPort, Protocol: testkit.Redis,
		Servers: []string{testkit.Entry("localhost:"+serverPort, 1, "s1")},
	}.String())
	c := proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("SET", "a", "1"))
	c.Expect("+OK\r\n")
}

// client_connections is a limit: a client above it is turned away, and there is
// room again when another has left.
func TestClientConnections(t *testing.T) {
	t.Parallel()
	const limit = 5
	s := redisStage(t, "client_connections: 5")
	s.proxy.AwaitStat(0, "alpha", "client_connections") // the kit's own has gone
	var clients []*testkit.Client
	for range limit {
		c := s.proxy.Dial(testkit.Redis)
		c.Send(testkit.RESP("PING"))
		c.Expect("+PONG\r\n")
		clients = append(clients, c)
	}
	for range 3 {
		c := s.proxy.Dial(testkit.Redis)
		if got := c.ExpectEnd(); got != "" && !strings.HasPrefix(got, "-ERR ") {
			t.Errorf("a client above the limit gets %q", got)
		}
	}
	clients[0].Close()
	testkit.Await(t, "room for another client", func() error {
		c := s.proxy.Dial(testkit.Redis)
		defer c.Close()
		if err := c.TrySend(testkit.RESP("PING")); err != nil {
			return err
		}
		_, err := c.TryReply()
		return err
	})
	for _, c := range clients[1:] {
		c.Send(testkit.RESP("PING"))
		c.Expect("+PONG\r\n")
	}
}
