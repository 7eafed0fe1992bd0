package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

var errBlocked = errors.New("another number of clients is blocked")

// awaitBlocked waits until so many of the server's clients wait.
func awaitBlocked(t *testing.T, server *testkit.Client, n int) {
	t.Helper()
	testkit.Await(t, "clients to be blocked", func() error {
		if info := server.Do("INFO", "clients"); !strings.Contains(info, fmt.Sprintf("\r\nblocked_clients:%d\r\n", n)) {
			return errBlocked
		}
		return nil
	})
}

// A client that goes, or says no more, while it waits takes no element along.
func TestBlockedClientVanishes(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, nil)
	direct, other := server.Dial(), s.proxy.Dial(testkit.Redis)
	// More than the kernel keeps for who does not read.
	junk := strings.Repeat(string(testkit.RESP("SET", "junk", strings.Repeat("x", 1000))), 700)
	for _, end := range []func(c *testkit.Client){(*testkit.Client).Close, (*testkit.Client).CloseWrite} {
		for _, tt := range []struct{ before, behind string }{
			{"", ""},
			{"", string(testkit.RESP("PING"))},
			{"", junk},
			{string(testkit.RESP("GET", "q2")), junk},
		} {
			c := s.proxy.Dial(testkit.Redis)
			c.Send([]byte(tt.before + string(testkit.RESP("BLPOP", "q", "0")) + tt.behind))
			awaitBlocked(t, direct, 1)
			end(c)
			awaitBlocked(t, direct, 0)
			if got := other.Do("EXISTS", "junk"); got != ":0\r\n" {
				t.Errorf("what stood behind was carried out: %q", got)
			}
			if got := other.Do("RPUSH", "q", "x") + other.Do("LPOP", "q"); got != ":1\r\n"+testkit.Bulk("x") {
				t.Errorf("%q", got)
			}
		}
	}
}

// What waits is seen, and ended by CLIENT UNBLOCK. No time of the pool's holds for it.
func TestBlockedClients(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{"timeout: 200", "request_timeout: 300ms", "client_idle_timeout: 1s", "server_idle_timeout: 1s"})
	direct := server.Dial()
	for _, tt := range []struct{ reason, want string }{
		{"TIMEOUT", "*-1\r\n"}, {"ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"},
	} {
		c, other := s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis)
		id := strings.Trim(c.Do("CLIENT", "ID"), ":\r\n")
		c.Send(testkit.RESP("BLPOP", "q", "0"))
		awaitBlocked(t, direct, 1)
		if got := other.Do("CLIENT", "LIST", "ID", id); !strings.Contains(got, " flags=b ") {
			t.Errorf("%q", got)
		}
		if got := other.Do("CLIENT", "UNBLOCK", id, tt.reason); got != ":1\r\n" {
			t.Errorf("CLIENT UNBLOCK %s: %q", tt.reason, got)
		}
		if got := c.Reply(); got != tt.want {
			t.Errorf("%s: %q", tt.reason, got)
		}
		if got := c.Do("BLPOP", "q", "1.5"); got != "*-1\r\n" { // longer than any time of the pool's
			t.Errorf("%q", got)
		}
	}
}

// A server that becomes a replica ends what waits there with an error of its own, which
// the client gets. It keeps its connection, and waits at the server again when that is a primary.
func TestBlockedClientsAtFailover(t *testing.T) {
	t.Parallel()
	server, other := testkit.StartRedis(t), testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, nil)
	direct := server.Dial()
	host, port, _ := strings.Cut(other.Addr(), ":")
	for _, waits := range [][]string{
		{"BLPOP", "q", "0"},
		{"BLMOVE", "q", "to", "LEFT", "RIGHT", "100"},
		{"BZPOPMIN", "z", "0"},
		{"XREAD", "BLOCK", "0", "STREAMS", "x", "$"},
		{"WAIT", "3", "0"},
	} {
		for _, hello := range []string{"2", "3"} {
			c := s.proxy.Dial(testkit.Redis)
			c.Do("HELLO", hello)
			if got := c.Do("SET", "k", "v"); got != "+OK\r\n" {
				t.Fatalf("SET: %q", got)
			}
			c.Send(testkit.RESP(waits...))
			c.Send(testkit.RESP("PING"))
			awaitBlocked(t, direct, 1)
			if got := direct.Do("REPLICAOF", host, port); got != "+OK\r\n" {
				t.Fatalf("REPLICAOF: %q", got)
			}
			if got := c.Reply(); !strings.HasPrefix(got, "-UNBLOCKED force unblock from blocking operation, instance state changed") {
				t.Errorf("%s, RESP%s: %q", waits[0], hello, got)
			}
			c.Expect("+PONG\r\n")
			if got := direct.Do("REPLICAOF", "NO", "ONE"); got != "+OK\r\n" {
				t.Fatalf("REPLICAOF NO ONE: %q", got)
			}
			c.Send(testkit.RESP("BLPOP", "q", "0"))
			awaitBlocked(t, direct, 1)
			if got := s.proxy.Dial(testkit.Redis).Do("RPUSH", "q", "x"); got != ":1\r\n" {
				t.Errorf("RPUSH: %q", got)
			}
			c.Expect("*2\r\n" + testkit.Bulk("q") + testkit.Bulk("x"))
		}
	}
}
