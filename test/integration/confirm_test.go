package integration

import (
	"errors"
	"net"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

var errNotOnline = errors.New("the replica is not online")

// startReplica starts a replica of the server.
func startReplica(t *testing.T, of *testkit.Server) *testkit.Server {
	t.Helper()
	host, port, err := net.SplitHostPort(of.Addr())
	if err != nil {
		t.Fatal(err)
	}
	replica := testkit.StartRedis(t, "--replicaof", host, port)
	direct := of.Dial()
	testkit.Await(t, "the replica to be online", func() error {
		if !strings.Contains(direct.Do("INFO", "replication"), "state=online") {
			return errNotOnline
		}
		return nil
	})
	return replica
}

// keyOf is a key that the server has in the pool.
func keyOf(t *testing.T, c *testkit.Client, server *testkit.Server) string {
	t.Helper()
	direct := server.Dial()
	for _, key := range spread(100) {
		if c.Do("SET", key, "x") == "+OK\r\n" && direct.Do("EXISTS", key) == ":1\r\n" {
			return key
		}
	}
	t.Fatal("no key is the server's")
	return ""
}

// WAIT says what replicas have of what its client wrote, at the servers that it wrote to, and
// of nothing else.
func TestWaitCountsReplicas(t *testing.T) {
	t.Parallel()
	a := testkit.StartRedis(t, "--repl-diskless-sync-delay", "0")
	b := testkit.StartRedis(t, "--repl-diskless-sync-delay", "0")
	replica := startReplica(t, a)
	startReplica(t, b)
	s := newStage(t, testkit.Redis, []*testkit.Server{a, b}, nil)
	first := s.proxy.Dial(testkit.Redis)
	ofA, ofB := keyOf(t, first, a), keyOf(t, first, b)

	both, onlyB, nothing := s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis)
	both.Send(testkit.RESP("MSET", ofA, "1", ofB, "1"))
	both.Send(testkit.RESP("WAIT", "1", "0"))
	both.Expect("+OK\r\n", ":1\r\n")

	replica.Pause()
	both.Send(testkit.RESP("SET", ofA, "2"))
	both.Send(testkit.RESP("WAIT", "1", "500"))
	both.Send(testkit.RESP("GET", ofA))
	both.Expect("+OK\r\n", ":0\r\n", testkit.Bulk("2"))
	onlyB.Do("SET", ofB, "2")
	if got := onlyB.Do("WAIT", "1", "0"); got != ":1\r\n" {
		t.Errorf("of a server that the client did not write to: %q", got)
	}
	if got := nothing.Do("WAIT", "0", "0"); got != ":0\r\n" && got != ":1\r\n" { // as the servers have it
		t.Errorf("of a client that wrote nothing: %q", got)
	}

	// A write that was made on a connection of the client's own, and one in a transaction.
	for _, write := range [][][]string{
		{{"WATCH", ofA}, {"SET", ofA, "3"}, {"UNWATCH"}},
		{{"MULTI"}, {"SET", ofA, "4"}, {"EXEC"}},
		{{"EVAL", "return redis.call('SET', KEYS[1], 5)", "1", ofA}},
		{{"RPUSH", ofA + "list", "x"}, {"WAIT", "0", "0"}, {"DEL", ofA}},
	} {
		c := s.proxy.Dial(testkit.Redis)
		for _, words := range write {
			if got := c.Do(words...); strings.HasPrefix(got, "-") {
				t.Errorf("%q: %q", words, got)
			}
		}
		if got := c.Do("WAIT", "1", "50"); got != ":0\r\n" {
			t.Errorf("%q: WAIT: %q", write, got)
		}
	}

	// What was not confirmed is asked for again, until it is.
	both.Send(testkit.RESP("WAIT", "1", "0"))
	awaitBlocked(t, a.Dial(), 1)
	replica.Resume()
	both.Expect(":1\r\n")
}

// A WAIT waits as long as it says, whatever the pool's times are, until it is ended.
func TestWaitTakesItsTime(t *testing.T) {
	t.Parallel()
	st := redisStage(t, "timeout: 2000", "request_timeout: 2s") // a busy machine must answer the rest in time
	c, other := st.proxy.Dial(testkit.Redis), st.proxy.Dial(testkit.Redis)
	if got := c.Do("WAIT", "5", "2500"); got != ":0\r\n" {
		t.Errorf("WAIT: %q", got)
	}
	id := strings.Trim(c.Do("CLIENT", "ID"), ":\r\n")
	c.Send(testkit.RESP("WAIT", "5", "0"))
	for _, s := range st.servers {
		awaitBlocked(t, s.Dial(), 1)
	}
	if got := other.Do("SET", "a", "b"); got != "+OK\r\n" {
		t.Errorf("SET: %q", got)
	}
	if got := other.Do("CLIENT", "UNBLOCK", id); got != ":1\r\n" {
		t.Errorf("CLIENT UNBLOCK: %q", got)
	}
	c.Expect(":0\r\n")
	c.Send(testkit.RESP("WAIT", "5", "0"))
	for _, s := range st.servers {
		awaitBlocked(t, s.Dial(), 1)
	}
	c.Close()
	for _, s := range st.servers {
		awaitBlocked(t, s.Dial(), 0)
	}
}

// In a transaction of a pool of one server nothing is waited for, and yet no replica is
// counted that has not got what the client wrote.
func TestWaitInTransaction(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t, "--repl-diskless-sync-delay", "0")
	replica := startReplica(t, server)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, nil)
	writer := s.proxy.Dial(testkit.Redis)
	replica.Pause()
	if got := writer.Do("SET", "a", "b"); got != "+OK\r\n" {
		t.Errorf("SET: %q", got)
	}
	writer.Do("HELLO", "3") // its next requests go over a fresh connection
	for _, words := range [][]string{{"MULTI"}, {"WAIT", "1", "0"}} {
		writer.Do(words...)
	}
	if got := writer.Do("EXEC"); got != "*1\r\n:0\r\n" {
		t.Errorf("EXEC: %q", got)
	}
}

// Where the servers' user may not publish nothing is confirmed.
func TestWaitNeedsToPublish(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	direct := server.Dial()
	if got := direct.Do("ACL", "SETUSER", "default", "resetchannels"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, nil)
	c := s.proxy.Dial(testkit.Redis)
	want := "-ERR a server does not let the pool's user publish to __redis__:wait, which WAIT and WAITAOF need"
	c.Do("SET", "a", "b")
	if got := c.Do("WAIT", "0", "0"); got != want+"\r\n" {
		t.Errorf("%q", got)
	}
	c.Do("MULTI")
	c.Do("WAIT", "0", "0")
	if got := c.Do("EXEC"); !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	if got := c.Do("GET", "a"); got != testkit.Bulk("b") {
		t.Errorf("%q", got)
	}
}
