package compat

import (
	"testing"

	"nuthatch/internal/testkit"
)

// Where nuthatch is more than nutcracker, a server without a proxy is the judge:
// what a client gets wrong, it is told in the server's words.

// mistakes are a client's, and Redis 7's answers do not depend on the server's
// keys.
var mistakes = []group{
	{"numbers of arguments", `
		GET
		GET a b
		SET a
		MGET
		MSET a
		MSET a 1 b
		DEL
		EXISTS
		TOUCH
		UNLINK
		LINSERT a b
		HSET a f
		EXPIRE a
		PING a b
		ECHO
		ECHO a b
		EVAL "return 1"
		ZADD a 1`},
	{"unknown commands", `
		FROBNICATE
		frobnicate a
		FROBNICATE a b c
		GETX a`},
	{"and then", `
		PING
		PING hello
		ECHO hello
		SELECT 0
		SELECT x
		GET a
		EXISTS a b c`},
}

// Mistakes, and the whole corpus, get from nuthatch what a redis-server by itself
// answers.
func TestLikeRedis(t *testing.T) {
	t.Parallel()
	plain, behind := testkit.StartRedis(t), testkit.StartRedis(t)
	nuthatch := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{behind.Entry("s1")},
		Lines: []string{"failed_select: ignore"}, // as Redis does
	}.String(), testkit.Threads(1))
	for _, groups := range [][]group{mistakes, corpus} {
		for _, g := range groups {
			t.Run(g.name, func(t *testing.T) {
				for _, split := range []testkit.Splitter{nil, testkit.RandomSplit(1, 30)} {
					for _, server := range []*testkit.Server{plain, behind} {
						server.Dial().Do("FLUSHALL")
					}
					testkit.Diff(t, testkit.Redis, plain, nuthatch, commands(g.commands()...), split)
				}
			})
		}
	}
}

// Inline commands, and what Redis skips between requests.
func TestInlineLikeRedis(t *testing.T) {
	t.Parallel()
	plain, behind := testkit.StartRedis(t), testkit.StartRedis(t)
	nuthatch := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{behind.Entry("s1")},
	}.String(), testkit.Threads(1))
	for _, inline := range []string{
		"PING\r\n", "PING\n", "  ping  \r\n", "SET a 1\r\n", "get a\r\n", "SET b \"two words\"\r\n", "GET b\r\n",
		"SET c \"\\x41\\n\\\"\"\r\n", "GET c\r\n", "SET d 'it\\'s'\r\n", "GET d\r\n", "SET \"\" e\r\n", "MGET a b c d \"\"\r\n",
		"FROBNICATE a\r\n", "\r\nPING\r\n", "\r\n\r\n*1\r\n$4\r\nPING\r\n", "*0\r\nPING\r\n", "*-1\r\nPING\r\n",
		"*1\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
	} {
		testkit.Diff(t, testkit.Redis, plain, nuthatch, [][]byte{[]byte(inline)}, nil)
	}
}

// What a client gets wrong gets from nuthatch what a memcached by itself answers.
func TestLikeMemcached(t *testing.T) {
	t.Parallel()
	plain, behind := testkit.StartMemcached(t), testkit.StartMemcached(t)
	nuthatch := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Memcache, Servers: []string{behind.Entry("s1")},
	}.String(), testkit.Threads(1))
	for _, requests := range [][]string{
		{"frobnicate\r\n", "get\r\n", "\r\n", "set a\r\n", "GET a\r\n", "get a\n"},
		{store("set a 0 0 1", "x"), "delete a 0\r\n", "get a\r\n"},
		{store("set a 0 0 1", "x"), "incr a many\r\n", "decr a -1\r\n", "incr a\r\n", "get a\r\n"},
		{"version\r\n", "touch a\r\n", "gets\r\n", "delete\r\n"},
	} {
		testkit.Diff(t, testkit.Memcache, plain, nuthatch, transcriptOf(requests), nil)
	}
	for _, g := range memcacheCorpus {
		t.Run(g.name, func(t *testing.T) {
			for _, server := range []*testkit.Server{plain, behind} {
				c := server.Dial()
				c.Send([]byte("flush_all\r\n"))
				c.Expect("OK\r\n")
			}
			testkit.Diff(t, testkit.Memcache, plain, nuthatch, transcriptOf(g.requests), nil)
		})
	}
}
