package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A server becomes a replica by hand, and keeps its connections. The EXEC of a client that watches
// keys gets null where Sentinel will name another primary, and the server's words elsewhere. Who
// listens stays.
func TestExecAtReplica(t *testing.T) {
	t.Parallel()
	w := testkit.StartWatched(t, "main", 0, 1, time.Minute)
	server := w.Servers[0]
	for _, tt := range []struct {
		name string
		pool testkit.Pool
		want string
	}{
		{"of Sentinel", testkit.Pool{Protocol: testkit.Redis, Servers: []string{w.Entry("s1")}, Lines: []string{w.Line(), "private_idle_timeout: 0"}}, "*-1\r\n"},
		{"of a server", testkit.Pool{Protocol: testkit.Redis, Servers: []string{server.Entry("s1")}}, "-EXECABORT "},
	} {
		execAtReplica(t, tt.name, tt.pool, server, tt.want)
	}
}

// execAtReplica demotes the server between a client's WATCH and its EXEC, whose reply begins with
// want.
func execAtReplica(t *testing.T, name string, pool testkit.Pool, server *testkit.Server, want string) {
	t.Helper()
	p := testkit.StartNuthatch(t, pool.String())
	c, listener, admin := testkit.Dial(t, testkit.Redis, p.Addrs[0]), testkit.Dial(t, testkit.Redis, p.Addrs[0]), server.Dial()
	defer c.Close()
	defer listener.Close()
	defer admin.Close()
	testkit.Await(t, "a write at the primary", func() error {
		if got := c.Do("SET", "k", "1"); got != "+OK\r\n" {
			return fmt.Errorf("SET: %q", got)
		}
		return nil
	})
	listener.Do("SUBSCRIBE", "news")
	for _, word := range []string{"WATCH k", "MULTI", "SET k 2"} {
		if got := c.Do(strings.Fields(word)...); got[0] != '+' {
			t.Fatalf("a pool %s: %s: %q", name, word, got)
		}
	}
	host, port, err := net.SplitHostPort(testkit.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := admin.Do("REPLICAOF", host, port); got != "+OK\r\n" {
		t.Fatalf("REPLICAOF: %q", got)
	}
	if got := c.Do("EXEC"); !strings.HasPrefix(got, want) {
		t.Errorf("a pool %s: EXEC: %q, want %q", name, got, want)
	}
	admin.Do("PUBLISH", "news", "x")
	if got := listener.Reply(); !strings.Contains(got, "\r\nx\r\n") {
		t.Errorf("a pool %s: a message: %q", name, got)
	}
	newcomer := testkit.Dial(t, testkit.Redis, p.Addrs[0])
	defer newcomer.Close()
	newcomer.Send(testkit.RESP("WATCH", "k"))
	if strings.HasPrefix(want, "*") { // of Sentinel: it waits for a primary
		awaitLogged(t, p, 1, `reason="the server of this key is a replica`)
	}
	if got := admin.Do("REPLICAOF", "NO", "ONE"); got != "+OK\r\n" {
		t.Fatalf("REPLICAOF NO ONE: %q", got)
	}
	if got := newcomer.Reply(); got != "+OK\r\n" {
		t.Errorf("a pool %s: WATCH at a replica: %q", name, got)
	}
}
