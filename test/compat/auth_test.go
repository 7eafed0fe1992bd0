package compat

import (
	"testing"

	"nuthatch/internal/testkit"
)

// newAuthPair starts a pair whose servers want serverPassword, none if it is
// empty, and whose pools have the given lines.
func newAuthPair(t *testing.T, serverPassword string, lines ...string) *pair {
	t.Helper()
	start := func() *testkit.Server { return testkit.StartRedis(t, "--requirepass", serverPassword) }
	return newPair(t, testkit.Redis, start, lines)
}

// authConversations are for a pool with redis_auth: secret, whose servers do as
// they are told.
var authConversations = [][]string{
	{"GET a"},
	{"PING"},
	{"MGET a b c d"},
	{"MSET a 1 b 2", "DEL a b c", "SET a 1", "EVAL \"return 1\" 1 k", "LOLWUT", "COMMAND"},
	{"AUTH wrong", "GET a"},
	{"AUTH secre", "AUTH secrets", "AUTH SECRET", "AUTH \"\"", "PING"},
	{"AUTH secret", "SET a 1", "GET a", "PING", "MSET a 1 b 2 c 3 d 4", "MGET a b c d", "DEL a b c d"},
	{"auth secret", "PING"},
	{"GET a", "AUTH secret", "GET a"},
	{"AUTH secret", "PING", "AUTH wrong", "PING", "GET a", "AUTH secret", "GET a"},
	{"AUTH secret", "AUTH secret", "GET a"},
}

// plainConversations have no request for several keys, whose errors are an
// intended difference, and none that is served before AUTH and differs from call
// to call.
var plainConversations = [][]string{
	{"GET a", "PING", "SET a 1", "GET a"},
	{"AUTH secret", "GET a", "PING"},
	{"AUTH wrong", "GET a", "PING"},
}

// What a client is told before, by and after AUTH, with and without a password
// on the pool and on the servers, matching or not.
func TestAuth(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]struct {
		server, line  string
		conversations [][]string
	}{
		"both":                   {"secret", "redis_auth: secret", authConversations},
		"pool only":              {"", "redis_auth: secret", authConversations},
		"another on the servers": {"other", "redis_auth: secret", plainConversations},
		"servers only":           {"secret", "timeout: 10000", plainConversations},
		"neither":                {"", "timeout: 10000", plainConversations},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := newAuthPair(t, setting.server, setting.line)
			for _, lines := range setting.conversations {
				pair.diff(t, commands(lines...), nil)
				pair.diff(t, commands(lines...), testkit.RandomSplit(1, 10))
			}
		})
	}
}

// The proxy logs in on every connection of its own: also on one that replaces
// another.
func TestAuthOnReconnect(t *testing.T) {
	t.Parallel()
	pair := newAuthPair(t, "secret", "redis_auth: secret", "redis_db: 2")
	for side, p := range pair.sides() {
		c := p.Dial(testkit.Redis)
		c.Send(testkit.RESP("AUTH", "secret"))
		c.Expect("+OK\r\n")
		for range 3 {
			c.Send(testkit.RESP("MSET", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6"))
			c.Expect("+OK\r\n")
			for i, s := range pair.behind[side] {
				own := s.Dial()
				own.Do("AUTH", "secret")
				own.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				p.AwaitStat(0, "alpha", []string{"s1", "s2", "s3"}[i], "server_connections")
				own.Close()
			}
		}
	}
}

// redis_db: every server connection selects the database first.
func TestRedisDB(t *testing.T) {
	t.Parallel()
	for _, setting := range []struct{ line, lands string }{
		{"redis_db: 0", "0"}, {"redis_db: 3", "3"}, {"redis_db: 15", "15"},
	} {
		t.Run(setting.line, func(t *testing.T) {
			t.Parallel()
			pair := newRedisPair(t, setting.line)
			pair.diff(t, commands("MSET a 1 b 2 c 3 d 4", "MGET a b c d", "GET a", "SET e 5", "DEL a b"), nil)
			for side := range pair.behind {
				found := 0
				for _, s := range pair.behind[side] {
					c := s.Dial()
					c.Do("SELECT", setting.lands)
					for _, key := range []string{"c", "d", "e"} {
						if c.Do("EXISTS", key) == ":1\r\n" {
							found++
						}
					}
				}
				if found != 3 {
					t.Errorf("%s: database %s has %d of 3 keys", pair.sides()[side].Addr(), setting.lands, found)
				}
			}
		})
	}
}
