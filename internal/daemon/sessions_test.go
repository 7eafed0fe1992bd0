package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// whereIs tells in which databases of the server a key is, and with what value.
func whereIs(t *testing.T, server *testkit.Server, key string) map[int]string {
	t.Helper()
	c, found := server.Dial(), map[int]string{}
	defer c.Close()
	for db := range 16 {
		c.Do("SELECT", fmt.Sprint(db))
		if v := c.Do("GET", key); v != "$-1\r\n" {
			found[db] = v
		}
	}
	return found
}

// TestReloadOfRedisDB: clients stay in the database that they chose, and those that
// chose none are in the new one, in both protocols, with requests on their way, and
// through several reloads.
func TestReloadOfRedisDB(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), testkit.Names(server)
	in := func(db int) string {
		return pool("alpha", listen, names, "databases: 16", fmt.Sprintf("redis_db: %d", db))
	}
	s := startStage(t, in(0))
	const own = -1
	clients := map[string]int{}
	conns := map[string]*testkit.Client{}
	for _, db := range []int{own, 0, 1, 3, 4} {
		for _, hello := range []bool{false, true} {
			name := fmt.Sprintf("client of %d, HELLO %t", db, hello)
			c := testkit.Dial(t, testkit.Redis, listen)
			if hello {
				if got := c.Do("HELLO", "3"); !strings.HasPrefix(got, "%") {
					t.Fatalf("HELLO 3: %q", got)
				}
			}
			if db != own {
				c.Send(testkit.RESP("SELECT", fmt.Sprint(db)))
				c.Expect("+OK\r\n")
			}
			clients[name], conns[name] = db, c
		}
	}
	for round, now := range []int{0, 1, 3, 9, 0, 1} {
		// What is on its way when the configuration changes is carried out first.
		server.Pause()
		for name, c := range conns {
			c.Send(slices.Concat(testkit.RESP("SET", name, "before"), testkit.RESP("APPEND", name, fmt.Sprint(round))))
		}
		s.mustReload(in(now))
		for name, c := range conns {
			c.Send(slices.Concat(testkit.RESP("APPEND", name, "!"), testkit.RESP("SET", "round of "+name, fmt.Sprint(round))))
		}
		server.Resume()
		for name, c := range conns {
			c.Expect("+OK\r\n", ":7\r\n")
			if after := c.Reply(); clients[name] != own && after != ":8\r\n" {
				t.Errorf("round %d, %s: its APPEND got %q, and not the value that it had set", round, name, after)
			}
			c.Expect("+OK\r\n")
			want := clients[name]
			if want == own {
				want = now
			}
			found := whereIs(t, server, "round of "+name)
			if found[want] != testkit.Bulk(fmt.Sprint(round)) {
				t.Errorf("round %d, %s: what it wrote is in %v, want database %d", round, name, found, want)
			}
			db, _, _ := strings.Cut(c.Do("CLIENT", "INFO"), " sub=")
			if want := fmt.Sprintf(" db=%d", want); !strings.HasSuffix(db, want) {
				t.Errorf("round %d, %s: CLIENT INFO says %q, want %s", round, name, db, want)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// TestReloadTakesDatabases: who is in a database that the pool no longer has gets
// errors, until it chooses another, or the pool has it again.
func TestReloadTakesDatabases(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), testkit.Names(server)
	many, few := pool("alpha", listen, names, "databases: 16"), pool("alpha", listen, names, "redis_db: 2")
	s := startStage(t, many)
	five, again, own := testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen)
	five.Do("SELECT", "5")
	again.Do("SELECT", "5")
	s.mustReload(few)
	const lost = "-ERR 'SET' is not carried out: the pool no longer has database 5, which this connection is in; SELECT another one\r\n"
	five.Send(slices.Concat(testkit.RESP("SET", "k", "five"), testkit.RESP("PING"), testkit.RESP("SELECT", "0"), testkit.RESP("SET", "k", "two")))
	five.Expect(lost, "+PONG\r\n", "+OK\r\n", "+OK\r\n")
	again.Send(testkit.RESP("SET", "k", "five"))
	again.Expect(lost)
	own.Send(testkit.RESP("GET", "k"))
	own.Expect(testkit.Bulk("two"))
	if found := whereIs(t, server, "k"); len(found) != 1 || found[2] != testkit.Bulk("two") {
		t.Errorf("the key is in %v, want database 2 alone", found)
	}
	s.mustReload(many)
	again.Send(testkit.RESP("SET", "k", "five"))
	again.Expect("+OK\r\n")
	if found := whereIs(t, server, "k"); found[5] != testkit.Bulk("five") {
		t.Errorf("the key is in %v, want it in database 5, too", found)
	}
}

// TestReloadOfSessions: what a client said, or did not say, before a reload means
// the same behind it.
func TestReloadOfSessions(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), testkit.Names(server)
	with := func(lines ...string) string { return pool("alpha", listen, names, lines...) }
	s := startStage(t, with("redis_auth: one"))
	in, out := testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen)
	in.Do("AUTH", "one")
	const noAuth = "-NOAUTH Authentication required\r\n"
	expect := func(c *testkit.Client, want string, args ...string) {
		t.Helper()
		if got := c.Do(args...); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}

	// Another password: who has logged in stays so, as with Redis.
	s.mustReload(with("redis_auth: two"))
	expect(in, "$-1\r\n", "GET", "k")
	expect(out, noAuth, "GET", "k")
	expect(out, "-ERR invalid password\r\n", "AUTH", "one")
	// No password any more: nobody can say one.
	s.mustReload(with())
	expect(out, "$-1\r\n", "GET", "k")
	// And one again: it is asked of those who come.
	s.mustReload(with("redis_auth: three"))
	expect(out, "$-1\r\n", "GET", "k")
	expect(testkit.Dial(t, testkit.Redis, listen), noAuth, "GET", "k")
	s.mustReload(with())

	// Half a request.
	s.mustReload(with("allow_flush: true"))
	flush := testkit.RESP("FLUSHALL")
	in.Send(slices.Concat(testkit.RESP("SET", "kept", "v"), flush[:len(flush)-3]))
	in.Expect("+OK\r\n")
	s.mustReload(with())
	in.Send(flush[len(flush)-3:])
	in.Expect("-ERR 'FLUSHALL' is not supported by nuthatch: the pool's allow_flush is off\r\n")
	expect(in, testkit.Bulk("v"), "GET", "kept")

	// A transaction that was refused, and a SELECT.
	s.mustReload(with("transactions: refuse"))
	in.Do("MULTI")
	s.mustReload(with("databases: 4"))
	if got := in.Do("SET", "k", "v"); !strings.HasPrefix(got, "-ERR 'SET' is not carried out") {
		t.Errorf("in a refused transaction: %q", got)
	}
	expect(in, "-EXECABORT Transaction discarded because of previous errors.\r\n", "EXEC")
	in.Do("SELECT", "7")
	s.mustReload(with("databases: 4", "failed_select: ignore"))
	expect(in, "$-1\r\n", "GET", "k")
	s.mustReload(with("databases: 4"))
	if got := in.Do("SET", "k", "v"); !strings.HasPrefix(got, "-ERR 'SET' is not carried out") {
		t.Errorf("behind a failed SELECT: %q", got)
	}
	expect(in, "+OK\r\n", "SELECT", "3")
	expect(in, "$-1\r\n", "GET", "k")
	expect(server.Dial(), "$-1\r\n", "GET", "k")
}
