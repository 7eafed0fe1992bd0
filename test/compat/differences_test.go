package compat

import (
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// Reasons that several differences share.
const (
	whyInTurn       = "an unsupported command gets an error in its turn and the connection goes on"
	whyAllOrNothing = "what follows a transaction, or a database, that the client did not get is not carried out elsewhere or in pieces"
	whyTransaction  = "a transaction goes to the server of its keys in one piece"
	whyHandshake    = "today's clients begin with it"
	whyArity        = "a wrong number of arguments is the client's mistake, told as a server tells it"
	whyMeasure      = "no limit on keys from the size of a buffer"
	whyCrossSlot    = "running on the first key's server would answer wrongly without a word"
	whyServersOwn   = "a server's own error reaches the client unchanged"
	whyMemcached    = "memcached answers so and keeps the connection"
)

// A write of five keys on several servers, and a question for six, one of them
// twice.
var (
	spreadMSET   = "MSET " + strings.Join(someKeys(5), " 1 ") + " 1"
	spreadEXISTS = "EXISTS " + strings.Join(someKeys(6), " ") + " " + someKeys(1)[0]
)

// redisDifferences are the intended ones on a pool without a password.
var redisDifferences = []testkit.Difference{
	{Name: "unsupported", Send: commands("SWAPDB 0 1", "GET a"), Nutcracker: `closed`, Nuthatch: `-ERR .*(?i:swapdb).* ; \$-1 ; \+PONG`, Why: whyInTurn},
	{Name: "unsupported, between others", Send: commands("GET a", "REPLICAOF NO ONE", "GET b"), Nutcracker: `closed`, Nuthatch: `\$-1 ; -ERR .*(?i:replicaof).* ; \$-1 ; \+PONG`, Why: whyInTurn},
	{Name: "MULTI", Send: commands("MULTI", "GET a", "EXEC"), Nutcracker: `closed`, Nuthatch: `\+OK ; \+QUEUED ; \*1\r\n\$-1 ; \+PONG`, Why: whyTransaction},
	{Name: "unknown", Send: commands("FROBNICATE a b c"), Nutcracker: `closed`, Nuthatch: `-ERR unknown command .*(?i:frobnicate).* ; \+PONG`, Why: whyInTurn},
	{Name: "SELECT of another database", Send: commands("SELECT 1", "GET a"), Nutcracker: `closed`, Nuthatch: `-ERR .* ; -ERR 'GET' .* database '1' .* ; \+PONG`, Why: whyAllOrNothing},

	{Name: "SELECT 0", Send: commands("SELECT 0"), Nutcracker: `closed`, Nuthatch: `\+OK ; \+PONG`, Why: whyHandshake},
	{Name: "ECHO", Send: commands("ECHO hello"), Nutcracker: `closed`, Nuthatch: `\$5\r\nhello ; \+PONG`, Why: whyHandshake},
	{Name: "PING with a message", Send: commands("PING hello"), Nutcracker: `closed`, Nuthatch: `\$5\r\nhello ; \+PONG`, Why: whyHandshake},
	{Name: "QUIT", Send: commands("GET a", "QUIT"), Nutcracker: `\$-1 ; closed`, Nuthatch: `\$-1 ; \+OK ; closed`, Why: whyHandshake},
	{Name: "CONFIG GET", Send: commands("CONFIG GET save"), Nutcracker: `closed`, Nuthatch: `\*.* ; \+PONG`, Why: whyHandshake},
	{Name: "CONFIG SET", Send: commands("CONFIG SET save x"), Nutcracker: `closed`, Nuthatch: `-ERR .* ; \+PONG`, Why: whyInTurn},
	{Name: "HELLO", Send: commands("HELLO", "GET a"), Nutcracker: `closed`, Nuthatch: `\*\d+\r\n.*proto.* ; \$-1 ; \+PONG`, Why: whyHandshake},
	{Name: "HELLO 2", Send: commands("HELLO 2 SETNAME me"), Nutcracker: `closed`, Nuthatch: `\*\d+\r\n.*proto\r\n:2.* ; \+PONG`, Why: whyHandshake},
	{Name: "HELLO 3", Send: commands("HELLO 3"), Nutcracker: `closed`, Nuthatch: `%7\r\n.*proto\r\n:3.* ; \+PONG`, Why: whyHandshake},
	{Name: "CLIENT SETNAME", Send: commands("CLIENT SETNAME me", "CLIENT GETNAME"), Nutcracker: `closed`, Nuthatch: `\+OK ; \$2\r\nme ; \+PONG`, Why: whyHandshake},
	{Name: "CLIENT SETINFO", Send: commands("CLIENT SETINFO LIB-NAME x"), Nutcracker: `closed`, Nuthatch: `\+OK ; \+PONG`, Why: whyHandshake},
	{Name: "CLIENT ID", Send: commands("CLIENT ID"), Nutcracker: `closed`, Nuthatch: `:\d+ ; \+PONG`, Why: whyHandshake},
	{Name: "COMMAND COUNT", Send: commands("COMMAND COUNT"), Nutcracker: `closed`, Nuthatch: `:\d+ ; \+PONG`, Why: whyHandshake},
	{Name: "COMMAND DOCS", Send: commands("COMMAND DOCS get"), Nutcracker: `closed`, Nuthatch: `\*2\r\n\$3\r\nget\r\n\*6\r\n(?s:.*) ; \+PONG`, Why: whyHandshake},
	{Name: "INFO", Send: commands("INFO"), Nutcracker: `closed`, Nuthatch: `\$\d+\r\n.*redis_version:.* ; \+PONG`, Why: whyHandshake},
	{Name: "inline PING", Send: [][]byte{[]byte("PING\r\n")}, Nutcracker: `closed`, Nuthatch: `\+PONG ; \+PONG`, Why: whyHandshake},
	{Name: "inline commands", Send: [][]byte{[]byte("SET inline 1\r\n"), []byte("get inline\n")}, Nutcracker: `closed`, Nuthatch: `\+OK ; \$1\r\n1 ; \+PONG`, Why: whyHandshake},

	{Name: "too few arguments", Send: commands("GET", "GET a"), Nutcracker: `closed`, Nuthatch: `-ERR wrong number of arguments for 'get' command ; \$-1 ; \+PONG`, Why: whyArity},
	{Name: "too many arguments", Send: commands("GET a b", "GET a"), Nutcracker: `closed`, Nuthatch: `-ERR wrong number of arguments for 'get' command ; \$-1 ; \+PONG`, Why: whyArity},
	{Name: "MGET of nothing", Send: commands("MGET"), Nutcracker: `closed`, Nuthatch: `-ERR wrong number of arguments for 'mget' command ; \+PONG`, Why: whyArity},
	{Name: "MSET without the last value", Send: commands("MSET a 1 b"), Nutcracker: `closed`, Nuthatch: `-ERR wrong number of arguments for 'mset' command ; \+PONG`, Why: whyArity},
	{Name: "AUTH with a user, no password set", Send: commands("AUTH user pass"), Nutcracker: `closed`, Nuthatch: `-.* ; \+PONG`, Why: whyInTurn},
	{Name: "EVAL with a word for a number", Send: commands(`EVAL "return 1" x k`), Nutcracker: `closed`, Nuthatch: `-ERR .* ; \+PONG`, Why: whyInTurn},

	{Name: "a key of 20,000 bytes", Send: commands("GET " + strings.Repeat("k", 20_000)), Nutcracker: `closed`, Nuthatch: `\$-1 ; \+PONG`, Why: whyMeasure},
	{Name: "EXISTS of many keys", Send: commands(spreadMSET, spreadEXISTS), Nutcracker: `\+OK ; :[0-5] ; \+PONG`, Nuthatch: `\+OK ; :6 ; \+PONG`, Why: whyCrossSlot},
	{Name: "SUNION over servers", Send: commands("SUNION s" + strings.Join(someKeys(8), " s")), Nutcracker: `\*0 ; \+PONG`, Nuthatch: `-CROSSSLOT .* ; \+PONG`, Why: whyCrossSlot},
	{Name: "an empty line between requests", Send: [][]byte{[]byte("\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n")}, Nutcracker: `closed`, Nuthatch: `\$-1 ; \+PONG`, Why: "Redis skips it"},
}

// lockedDifferences are the intended ones on a pool with a password, before AUTH.
var lockedDifferences = []testkit.Difference{
	{Name: "unsupported", Send: commands("KEYS *", "GET a"), Nutcracker: `closed`, Nuthatch: `-(NOAUTH|ERR) .* ; -NOAUTH Authentication required ; -NOAUTH Authentication required`, Why: whyInTurn},
	{Name: "AUTH with a user", Send: commands("AUTH default secret", "GET a"), Nutcracker: `closed`, Nuthatch: `\+OK ; \$-1 ; \+PONG`, Why: whyHandshake},
	{Name: "AUTH with a user and a wrong password", Send: commands("AUTH default wrong", "GET a"), Nutcracker: `closed`, Nuthatch: `-.* ; -NOAUTH Authentication required ; -NOAUTH Authentication required`, Why: whyHandshake},
}

// strangersDifferences are the intended ones on a pool that does not know its
// servers' password.
var strangersDifferences = []testkit.Difference{
	{Name: "MGET", Send: commands("MGET " + strings.Join(someKeys(8), " ")), Nutcracker: `-ERR Invalid argument ; \+PONG`, Nuthatch: `-NOAUTH Authentication required\. ; \+PONG`, Why: whyServersOwn},
	{Name: "MSET", Send: commands(spreadMSET), Nutcracker: `-ERR Invalid argument ; \+PONG`, Nuthatch: `-NOAUTH Authentication required\. ; \+PONG`, Why: whyServersOwn},
	{Name: "DEL", Send: commands("DEL " + strings.Join(someKeys(8), " ")), Nutcracker: `-ERR Invalid argument ; \+PONG`, Nuthatch: `-NOAUTH Authentication required\. ; \+PONG`, Why: whyServersOwn},
}

// memcacheDifferences are the intended ones in front of memcached.
var memcacheDifferences = []testkit.Difference{
	{Name: "unknown", Send: transcriptOf([]string{"frobnicate\r\n", "get a\r\n"}), Nutcracker: `closed`, Nuthatch: `ERROR ; END ; END`, Why: whyMemcached},
	{Name: "unsupported", Send: transcriptOf([]string{"flush_all\r\n", "get a\r\n"}), Nutcracker: `closed`, Nuthatch: `(ERROR|CLIENT_ERROR .*|SERVER_ERROR .*) ; END ; END`, Why: whyInTurn},
	{Name: "get of nothing", Send: transcriptOf([]string{"get\r\n", "get a\r\n"}), Nutcracker: `closed`, Nuthatch: `ERROR ; END ; END`, Why: whyMemcached},
	{Name: "a key of 251 bytes", Send: transcriptOf([]string{"get " + strings.Repeat("k", 251) + "\r\n", "get a\r\n"}), Nutcracker: `closed`, Nuthatch: `CLIENT_ERROR .* ; END ; END`, Why: whyMemcached},
}

// Each intended difference is there, on both sides. Whatever is not listed here
// is the same: the other tests of this package see to that.
func TestDifferences(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]struct {
		start       func(t *testing.T) *pair
		differences []testkit.Difference
	}{
		"redis":     {func(t *testing.T) *pair { t.Helper(); return newRedisPair(t) }, redisDifferences},
		"locked":    {func(t *testing.T) *pair { t.Helper(); return newAuthPair(t, "secret", "redis_auth: secret") }, lockedDifferences},
		"strangers": {func(t *testing.T) *pair { t.Helper(); return newAuthPair(t, "secret", "timeout: 10000") }, strangersDifferences},
		"memcache":  {func(t *testing.T) *pair { t.Helper(); return newMemcachePair(t) }, memcacheDifferences},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := list.start(t)
			for _, d := range list.differences {
				t.Run(d.Name, func(t *testing.T) {
					d.Protocol = pair.protocol
					d.Check(t, pair.nutcracker, pair.nuthatch)
				})
			}
		})
	}
}

// startSaying starts a pair of proxies in front of one server that answers
// everything with the same words.
func startSaying(t *testing.T, words string) *pair {
	t.Helper()
	server := testkit.StartScripted(t, func(k *testkit.Talk) {
		for _, ok := k.Command(); ok; _, ok = k.Command() {
			k.Reply(words + "\r\n")
		}
	})
	yaml := testkit.Pool{Protocol: testkit.Redis, Servers: []string{testkit.Entry(server.Addr(), 1, "")}}.String()
	return &pair{
		protocol:   testkit.Redis,
		nutcracker: testkit.StartNutcracker(t, yaml), nuthatch: testkit.StartNuthatch(t, yaml),
	}
}

// A server's own error reaches the client in its words, also where nutcracker
// takes it for a failure of the server.
func TestServersOwnErrors(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"-OOM command not allowed when used memory > 'maxmemory'.", "-BUSY Redis is busy running a script.",
		"-LOADING Redis is loading the dataset in memory",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			pair := startSaying(t, words)
			testkit.Difference{
				Name: words, Protocol: testkit.Redis, Send: commands("SET a 1"),
				Nutcracker: `-ERR Invalid argument ; \+PONG`, Nuthatch: regexp.QuoteMeta(words) + ` ; \+PONG`,
				Why: whyServersOwn,
			}.Check(t, pair.nutcracker, pair.nuthatch)
		})
	}
	for _, words := range []string{
		"-MISCONF Redis is configured to save RDB snapshots", "-READONLY You can't write against a read only replica.",
		"-MASTERDOWN Link with MASTER is down", "-NOREPLICAS Not enough good replicas to write.", "-MYOWN words", "-",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			startSaying(t, words).diff(t, commands("SET a 1", "GET a"), nil)
		})
	}
}

// What a client reads when servers fail differs in three ways: after a request for
// many keys that has failed nutcracker hangs up, of a split request it does not tell
// the servers' own error, and a name that cannot be resolved is a host that is down.
func TestFailuresThatDiffer(t *testing.T) {
	t.Parallel()
	readOnly := func() string {
		return testkit.StartScripted(t, func(k *testkit.Talk) {
			for _, ok := k.Command(); ok; _, ok = k.Command() {
				k.Reply("-READONLY You can't write against a read only replica.\r\n")
			}
		}).Addr()
	}
	start := func(protocol testkit.Protocol, servers ...string) *pair {
		yaml := testkit.Pool{Protocol: protocol, Servers: servers}.String()
		return &pair{
			protocol:   protocol,
			nutcracker: testkit.StartNutcracker(t, yaml), nuthatch: testkit.StartNuthatch(t, yaml),
		}
	}
	many := strings.Join(someKeys(8), " ")
	gone := testkit.Entry(testkit.Refused(t), 1, "gone")
	half := start(testkit.Redis, testkit.StartRedis(t).Entry("a"), gone)
	memcached := start(testkit.Memcache, testkit.StartMemcached(t).Entry("a"), gone)
	replicas := start(testkit.Redis, testkit.Entry(readOnly(), 1, "a"), testkit.Entry(readOnly(), 1, "b"))
	nowhere := start(testkit.Redis, "no.such.name.invalid:6379:1 a")
	for _, failed := range []struct {
		on            *pair
		request, want string
	}{
		{half, string(commands("MGET " + many)[0]), "-ERR Connection refused\r\n"},
		{memcached, "get " + many + "\r\n", "SERVER_ERROR Connection refused\r\n"},
	} {
		c := failed.on.nutcracker.Dial(failed.on.protocol)
		c.Send([]byte(failed.request))
		c.Expect(failed.want)
		c.ExpectEnd()
		c = failed.on.nuthatch.Dial(failed.on.protocol)
		for range 3 {
			c.Send([]byte(failed.request))
			c.Expect(failed.want)
		}
	}
	for _, d := range []struct {
		testkit.Difference
		on *pair
	}{
		{testkit.Difference{Name: "DEL on replicas", Send: commands("DEL " + many), Nutcracker: `-ERR Invalid argument ; \+PONG`, Nuthatch: `-READONLY .* ; \+PONG`, Why: whyServersOwn}, replicas},
		{testkit.Difference{Name: "a name that cannot be resolved", Send: commands("GET a"), Nutcracker: `-ERR Host is down ; \+PONG`, Nuthatch: `-ERR the name of this key's server cannot be resolved ; \+PONG`, Why: "it says what is wrong"}, nowhere},
	} {
		t.Run(d.Name, func(t *testing.T) {
			d.Protocol = d.on.protocol
			d.Check(t, d.on.nutcracker, d.on.nuthatch)
		})
	}
}
