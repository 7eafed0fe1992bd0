package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// A tlsStage is a stage whose proxy speaks TLS with clients.
type tlsStage struct {
	stage
	// ca is the file of who signs its certificate.
	ca   string
	conf *tls.Config
}

func newTLSStage(t *testing.T, protocol testkit.Protocol, servers ...*testkit.Server) tlsStage {
	t.Helper()
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	return tlsStage{
		stage: newStage(t, protocol, servers, []string{"tls: {cert: " + cert + ", key: " + key + "}"}),
		ca:    a.CA, conf: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"},
	}
}

// The clients that applications use speak TLS with the proxy themselves.
func TestTLSStacks(t *testing.T) {
	t.Parallel()
	node := testkit.Program(t, "node")
	installNodeClients(t)
	redisServers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
	s := newTLSStage(t, testkit.Redis, redisServers...)
	_, p, err := net.SplitHostPort(s.proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("go-redis", func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: s.proxy.Addr(), TLSConfig: s.conf, ClientName: "test", PoolSize: 10})
		t.Cleanup(func() { _ = client.Close() })
		exerciseGoRedis(t, client)
	})
	for name, args := range map[string][]string{
		"redis-py":   {"/usr/bin/python3", "../clients/redispy.py", p, "2", s.ca},
		"ioredis":    {node, "../clients/ioredis.mjs", p, "2", s.ca},
		"node-redis": {node, "../clients/noderedis.mjs", p, "3", s.ca},
	} {
		t.Run(name, func(t *testing.T) {
			for _, server := range redisServers {
				server.Dial().Do("FLUSHALL")
			}
			if out := command(t, "", args[0], args[1:]...); out != "ok\n" {
				t.Errorf("%s", out)
			}
		})
	}
	t.Run("redis-cli", func(t *testing.T) {
		cli := testkit.Program(t, "redis-cli")
		if got := command(t, "", cli, "--tls", "--cacert", s.ca, "-p", p, "SET", "cli", "v"); got != "OK\n" {
			t.Errorf("SET: %q", got)
		}
		var load strings.Builder
		for i := range 10_000 {
			load.Write(testkit.RESP("SET", fmt.Sprint("load", i), strings.Repeat("v", i%300)))
		}
		if got := command(t, load.String(), cli, "--tls", "--cacert", s.ca, "-p", p, "--pipe"); !strings.Contains(got, "errors: 0, replies: 10000") {
			t.Errorf("--pipe: %s", got)
		}
	})
	t.Run("openssl", func(t *testing.T) {
		openssl := testkit.Program(t, "openssl")
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			// QUIT ends the connection behind the reply, and with it the program.
			out := command(t, "PING\r\nQUIT\r\n", openssl, "s_client", "-quiet", "-verify_return_error", "-CAfile", s.ca,
				"-servername", "localhost", "-connect", s.proxy.Addr(), version)
			if !strings.HasSuffix(out, "+PONG\r\n+OK\r\n") {
				t.Errorf("%s: %q", version, out)
			}
		}
	})
	t.Run("pymemcache", func(t *testing.T) {
		a := testkit.NewAuthority(t)
		cert, key := a.Pair("proxy")
		m := memcacheStage(t, "tls: {cert: "+cert+", key: "+key+"}", "allow_flush: true")
		_, port, err := net.SplitHostPort(m.proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if out := command(t, "", "/usr/bin/python3", "../clients/pymemcache_client.py", port, a.CA); out != "ok\n" {
			t.Errorf("%s", out)
		}
	})
}

// Sessions are resumed at the program that has taken over.
func TestTLSUpgrade(t *testing.T) {
	t.Parallel()
	s := newTLSStage(t, testkit.Redis, testkit.StartRedis(t))
	s.conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		t.Helper()
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: testkit.Patience}, "tcp", s.proxy.Addr(), s.conf)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(testkit.RESP("PING")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("+PONG\r\n"))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "+PONG\r\n" {
			t.Fatalf("%q, %v", got, err)
		}
		return conn.ConnectionState().DidResume
	}
	if resumed() || !resumed() {
		t.Fatal("a session is not resumed")
	}
	pid := s.proxy.Pid()
	for range 2 {
		pid = upgrade(t, s.proxy, pid)
		if !resumed() {
			t.Error("a session is not resumed behind an upgrade")
		}
	}
}

// metric is the sum of a metric of all pools.
func metric(t *testing.T, admin, name string) (sum int64) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\d+)$`).FindAllStringSubmatch(metricsText(t, admin), -1) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// metricsText is what the admin listener tells Prometheus.
func metricsText(t *testing.T, admin string) string {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A TLS client that says no more while it waits takes no element along, although its
// connection stays open and something is sent behind.
func TestBlockedTLSClientEnds(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newTLSStage(t, testkit.Redis, server)
	direct := server.Dial()
	for _, behind := range []string{"", "PING\r\n", strings.Repeat("GET k\r\n", 5000)} {
		c, err := tls.Dial("tcp", s.proxy.Addr(), s.conf)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, "BLPOP q 0\r\n"+behind); err != nil {
			t.Fatal(err)
		}
		awaitBlocked(t, direct, 1)
		if err := c.CloseWrite(); err != nil { // close_notify, and no end of the connection
			t.Fatal(err)
		}
		awaitBlocked(t, direct, 0)
		if got := direct.Do("RPUSH", "q", "x") + direct.Do("LPOP", "q"); got != ":1\r\n"+testkit.Bulk("x") {
			t.Errorf("%d bytes behind: %q", len(behind), got)
		}
	}
}
