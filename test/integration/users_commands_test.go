package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/proto/redis"
	"nuthatch/internal/testkit"
)

// madeUsers is how many users are made up for TestEveryCommandOfUsers.
const madeUsers = 40

// neverQueued are commands that are not queued in a transaction, or refused there whatever the
// user.
var neverQueued = []string{"multi", "exec", "discard", "watch", "quit", "reset", "psync", "save", "shutdown", "sync", "debug", "module"}

// TestEveryCommandOfUsers: an attempt of every command is denied to a client of nuthatch if and only
// if redis-server with the same users denies it, in the same words. The users' rules are made up. The
// attempts are queued in transactions, so that none is carried out. Who may not administer the
// servers may not pause all clients of the pool either, whatever the other rules are (USERS.md).
func TestEveryCommandOfUsers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 5))
	plain := testkit.StartRedis(t)
	calls, names := attemptsOf(plain.Dial())
	var file strings.Builder
	file.WriteString("user default on nopass ~* &* +@all\n")
	for i := range madeUsers {
		fmt.Fprintf(&file, "user u%d on nopass %s (+multi +discard)\n", i, makeRules(r, names))
	}
	path := writeUsers(t, file.String())
	alone := testkit.StartRedis(t, "--aclfile", path)
	administrator := alone.Dial()
	defer administrator.Close()
	s := newStage(t, testkit.Redis, []*testkit.Server{plain}, []string{"allow_flush: true", "allow_monitor: true", "acl_file: " + path})
	for i := range madeUsers {
		server, proxy := alone.Dial(), s.proxy.Dial(testkit.Redis)
		user := fmt.Sprintf("u%d", i)
		for _, c := range []*testkit.Client{server, proxy} {
			if got := c.Do("AUTH", user, "x"); got != "+OK\r\n" {
				t.Fatalf("AUTH %s: %q", user, got)
			}
		}
		for _, call := range calls {
			key := func() string { return []string{"a1", "a2", "b1", "b2", "c"}[r.IntN(5)] }
			words := slices.Clone(call)
			for k, w := range words {
				if w == "K" {
					words[k] = key()
				}
			}
			b := slices.Concat(testkit.RESP("MULTI"), testkit.RESP(words...), testkit.RESP("DISCARD"))
			server.Send(b)
			proxy.Send(b)
			server.Reply()
			proxy.Reply()
			want, got := server.Reply(), proxy.Reply()
			if name := strings.Join(call[:min(2, len(call))], "|"); strings.HasPrefix(got, "-NOPERM") && pausing[name] && !mayReset(administrator, user) {
				want = got
			}
			if got != want && (strings.HasPrefix(want, "-NOPERM") || strings.HasPrefix(got, "-NOPERM")) {
				t.Errorf("%s: %q:\n\tnuthatch %q\n\tredis    %q", user, words, got, want)
			}
			server.Reply()
			proxy.Reply()
		}
		server.Close()
		proxy.Close()
	}
	if t.Failed() {
		t.Log(file.String())
	}
}

// pausing are the commands that need the right to administer besides their own.
var pausing = map[string]bool{"client|pause": true, "client|unpause": true}

// mayReset asks a server whether a user may reset its statistics: the right to administer.
func mayReset(administrator *testkit.Client, user string) bool {
	return administrator.Do("ACL", "DRYRUN", user, "CONFIG", "RESETSTAT") == "+OK\r\n"
}

// attemptsOf are a call of each command that redis-server has, where K stands for a key, and their
// names.
func attemptsOf(server *testkit.Client) (calls [][]string, names []string) {
	for _, row := range redis.Table() {
		name := strings.Join(row.Name, "|")
		if slices.Contains(neverQueued, row.Name[0]) || server.Do("COMMAND", "INFO", name) == "*1\r\n$-1\r\n" {
			continue
		}
		names = append(names, name)
		call := slices.Concat(row.Name, testkit.Command(row.Example))
		for row.Example == "" && len(call) < row.MinWords {
			call = append(call, "K")
		}
		if strings.HasPrefix(name, "command|getkeys") {
			call = append(call, "K") // redis-server 7.0 wants one word more than later ones
		}
		keys := []string{"str", "str2", "num", "list", "list2", "set", "set2", "hash", "zset", "zset2", "geo", "hll", "hll2", "stream", "new", "new1", "new2", "missing"}
		for i, w := range call[len(row.Name):] {
			if slices.Contains(keys, w) {
				call[len(row.Name)+i] = "K"
			}
		}
		calls = append(calls, call)
	}
	return calls, names
}

// makeRules makes up the rules of a user.
func makeRules(r *rand.Rand, names []string) string {
	categories := strings.Fields("keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking dangerous connection transaction scripting")
	patterns := strings.Fields("a* b* a1 b2 ?1 [ab]2 [^a]* *2")
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	rule := func() string {
		switch r.IntN(8) {
		case 0, 1:
			return pick([]string{"+@", "+@", "-@"}) + pick(categories)
		case 2, 3:
			return pick([]string{"+", "-"}) + pick(names)
		case 4, 5:
			return pick([]string{"~", "%R~", "%W~"}) + pick(patterns)
		case 6:
			return "&" + pick(patterns)
		}
		return pick([]string{"+@all", "+@read", "+@write", "-@all"})
	}
	var rules []string
	for range 2 + r.IntN(8) {
		rules = append(rules, rule())
	}
	if r.IntN(3) == 0 {
		rules = append(rules, "("+rule()+" "+rule()+" "+rule()+")")
	}
	return strings.Join(rules, " ")
}
