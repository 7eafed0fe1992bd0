package integration

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// userFile is a file of users that redis-server and nuthatch are given alike.
const userFile = `user default on >open ~* &* +@all
user alice on >a >a2 ~cache:* %R~read:* %W~write:* &news +@all -@dangerous
user bob on >b ~* resetchannels &b* -@all +@read +acl|whoami +subscribe +psubscribe +publish
user carol off >c ~* &* +@all
user dave on nopass ~dave:* (%R~shared:* +get) (~count:* +incr) -@all +set
`

// writeUsers writes a file of users, and returns its path.
func writeUsers(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// userCalls are what a client says, over one connection.
var userCalls = []string{
	// Nobody has logged in.
	"GET cache:1", "PING", "MULTI", "EXEC", "ACL WHOAMI",
	"AUTH", "AUTH wrong", "AUTH open", "ACL WHOAMI", "AUTH open x y", "AUTH nobody x", "AUTH alice wrong", "AUTH carol c", "AUTH default wrong", "ACL WHOAMI", "NOSUCH", "GET",
	"ACL USERS", "ACL LIST", "ACL GETUSER alice", "ACL GETUSER bob", "ACL GETUSER carol", "ACL GETUSER dave", "ACL GETUSER default", "ACL GETUSER nobody",
	"ACL CAT", "ACL CAT nosuch", "ACL CAT a b", "ACL GENPASS 0", "ACL GENPASS x", "ACL GENPASS 4097", "ACL GENPASS 1 2", "ACL NOSUCH", "ACL",
	"ACL WHOAMI x", "ACL USERS x", "ACL LIST x", "ACL GETUSER", "ACL LOG x", "ACL LOG RESET", "ACL LOG",
	"ACL DRYRUN alice GET cache:1", "ACL DRYRUN alice GET other", "ACL DRYRUN alice KEYS *", "ACL DRYRUN nobody GET a", "ACL DRYRUN alice NOSUCH", "ACL DRYRUN alice GET",
	"ACL DRYRUN bob PUBLISH news x", "ACL DRYRUN bob PUBLISH b x", "ACL DRYRUN dave GET shared:1", "ACL DRYRUN alice",
	// Alice: her keys, and her channel.
	"AUTH alice a", "AUTH alice a2", "ACL WHOAMI", "SET cache:1 x", "GET cache:1", "GET other", "GET read:1", "SET read:1 x", "SET write:1 x", "GET write:1", "GETDEL write:1",
	"EXISTS write:1", "STRLEN read:1", "TTL write:1",
	"MSET cache:1 1 cache:2 2 cache:3 3", "MSET cache:1 1 read:1 2", "MGET cache:1 read:1 cache:3", "MGET cache:1 other", "DEL cache:1 cache:2 cache:3", "DEL cache:1 other", "UNLINK cache:9",
	"COPY cache:1 cache:1", "COPY read:{x} cache:{x}", "COPY cache:{x} read:{x}", "RENAME read:{x} cache:{x}", "KEYS *", "FLUSHALL", "CONFIG GET maxmemory", "INFO server x",
	"ACL WHOAMI", "ACL LIST", "CLIENT LIST", "CLIENT KILL ID 1", "CLIENT NO-EVICT on",
	"PUBLISH news x", "PUBLISH other x", "SORT cache:l BY x_* GET y_*", "SORT cache:l BY nosort GET #", "SORT cache:l BY nosort", "SORT cache:l STORE other",
	"EVAL \"return 1\" 1 cache:1", "EVAL \"return 1\" 1 other", "EVAL \"return 1\" 0", "XREAD COUNT 1 STREAMS cache:s 0", "XREAD COUNT 1 STREAMS other 0",
	"GEORADIUS cache:g 0 0 1 m STORE other", "ZUNIONSTORE cache:z 1 other", "LMPOP 1 other LEFT", "OBJECT ENCODING other", "BITFIELD read:1 GET u8 0", "BITFIELD read:1 SET u8 0 1", "SET read:1 x GET",
	"MULTI", "SET cache:1 x", "SET other x", "EXEC", "MULTI", "SET cache:1 x", "EXEC", "WATCH read:1", "UNWATCH", "WATCH other", "RESET",
	// Bob: a few commands.
	"GET cache:1", "AUTH bob b", "GET cache:1", "SET cache:1 x", "PUBLISH b x", "PUBLISH c x", "PING", "ACL USERS", "SELECT 0", "DISCARD",
}

// daveCalls are what another client says. HELLO logs it in.
var daveCalls = []string{
	"HELLO 2", "HELLO 3", "HELLO 9", "HELLO 2 AUTH dave", "HELLO 2 AUTH carol c", "HELLO 2 AUTH nobody x SETNAME y",
	"SET dave:1 x", "AUTH dave anything", "ACL WHOAMI", "SET dave:1 x", "GET dave:1", "GET shared:1", "INCR count:1", "INCR dave:1", "SET shared:1 x",
}

// strangerCalls are what a client says before it logs in.
var strangerCalls = []string{
	"GET", "GET a b", "GET a", "PING a b c", "MULTI x", "EXEC x", "EXEC", "WATCH", "CLIENT", "CLIENT FOO", "CLIENT ID x", "ACL FOO", "ACL WHOAMI x", "CONFIG FOO", "CONFIG GET", "OBJECT FOO",
	"XGROUP FOO", "SUBSCRIBE", "EVAL x", "EVAL x 1", "COMMAND COUNT x", "SHUTDOWN", "MULTI",
}

// TestUsersLikeRedis: a client that is a user gets what redis-server with the same file of
// users answers, byte for byte.
func TestUsersLikeRedis(t *testing.T) {
	t.Parallel()
	path := writeUsers(t, userFile)
	for _, version := range protocols {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprintf("RESP%s, %d servers", version, n), func(t *testing.T) {
				alone := testkit.StartRedis(t, "--aclfile", path)
				var servers []*testkit.Server
				for range n {
					servers = append(servers, testkit.StartRedis(t))
				}
				s := newStage(t, testkit.Redis, servers, []string{"allow_flush: true", "acl_file: " + path, "keyless_scripts: any", `hash_tag: "{}"`})
				server, proxy := alone.Dial(), s.proxy.Dial(testkit.Redis)
				for _, line := range userCalls {
					compareAnswers(t, server, proxy, line)
					if version == "3" && line == "AUTH open" {
						server.Do("HELLO", "3")
						proxy.Do("HELLO", "3")
					}
				}
				server, proxy = alone.Dial(), s.proxy.Dial(testkit.Redis)
				for _, line := range slices.Concat(strangerCalls, daveCalls) {
					compareAnswers(t, server, proxy, line)
				}
				greet := []string{"HELLO", version, "AUTH", "default", "open", "SETNAME", "x"}
				if want, got := server.Do(greet...), proxy.Do(greet...); strings.HasPrefix(got, "-") || strings.HasPrefix(want, "-") {
					t.Errorf("HELLO: %q, and of redis-server %q", got, want)
				}
				compareAnswers(t, server, proxy, "ACL WHOAMI")
				compareLogs(t, server, proxy)
			})
		}
	}
}

// anyUserReply are calls whose answers differ by what is in the proxy and the server.
var anyUserReply = regexp.MustCompile(`^(HELLO [23]|INFO|CONFIG GET|ACL CAT$)`)

func compareAnswers(t *testing.T, server, proxy *testkit.Client, line string) {
	t.Helper()
	call := testkit.Command(line)
	want, got := server.Do(call...), proxy.Do(call...)
	if anyUserReply.MatchString(line) && !strings.HasPrefix(got, "-") && !strings.HasPrefix(want, "-") {
		return
	}
	want = strings.Replace(want, "the HELLO AUTH <user>", "the HELLO <proto> AUTH <user>", 1) // as newer releases say
	if strings.HasPrefix(line, "ACL LIST") || strings.HasPrefix(line, "ACL GETUSER") {        // the commands have no order
		want, got = sortedWords(want), sortedWords(got)
	}
	if got != want {
		t.Errorf("%s:\n\tnuthatch %q\n\tredis    %q", line, got, want)
	}
}

func sortedWords(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// compareLogs compares what ACL LOG says, but for the order, the times and the clients.
func compareLogs(t *testing.T, server, proxy *testkit.Client) {
	t.Helper()
	entries := func(c *testkit.Client) []string {
		text := c.Do("ACL", "LOG", "1000")
		fields := regexp.MustCompile(`reason\r\n\$\d+\r\n(.*)\r\n\$7\r\ncontext\r\n\$\d+\r\n(.*)\r\n\$6\r\nobject\r\n\$\d+\r\n(.*)\r\n\$8\r\nusername\r\n\$\d+\r\n(.*)\r\n`)
		var all []string
		for _, m := range fields.FindAllStringSubmatch(text, -1) {
			all = append(all, strings.Join(m[1:], " "))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	want, got := entries(server), entries(proxy)
	if len(want) == 0 || !slices.Equal(want, got) {
		t.Errorf("ACL LOG:\n\tnuthatch %q\n\tredis    %q", got, want)
	}
}

// TestUsersReload: the file of users is read again when it changes. A client whose user is
// gone is closed, and a file with a fault changes nothing.
func TestUsersReload(t *testing.T) {
	t.Parallel()
	path := writeUsers(t, "user default off\nuser alice on >a ~* &* +@all\nuser bob on >b ~* &* +@all\n")
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(testkit.StartRedis(t)), Lines: []string{"acl_file: " + path}}
	p := testkit.StartNuthatch(t, pool.String()+"nuthatch:\n  watch: true\n")
	alice, bob := p.Dial(testkit.Redis), p.Dial(testkit.Redis)
	for name, c := range map[string]*testkit.Client{"alice": alice, "bob": bob} {
		if got := c.Do("AUTH", name, name[:1]); got != "+OK\r\n" {
			t.Fatalf("AUTH: %q", got)
		}
	}
	put := func(text string) { // at once: half a file would be a file, too
		t.Helper()
		next := path + ".next"
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, path)); err != nil {
			t.Fatal(err)
		}
	}
	refused := logged(t, p, notReloaded)
	put("user alice on >a ~* +@all\nuser alice on\nuser bob +nosuch >secret-word\n")
	awaitLogged(t, p, refused+2, notReloaded)
	for _, want := range []string{path + ":2", path + ":3", "nosuch"} {
		if logged(t, p, want) == 0 {
			t.Errorf("the log does not tell %q", want)
		}
	}
	if logged(t, p, "secret-word") > 0 {
		t.Error("the log shows a password")
	}
	// A file that somebody is about to write does not let everybody in.
	put("")
	awaitLogged(t, p, refused+3, notReloaded)
	if logged(t, p, "the file has no users") == 0 {
		t.Error("the log does not tell that the file is empty")
	}
	if got := p.Dial(testkit.Redis).Do("GET", "x"); !strings.HasPrefix(got, "-NOAUTH") {
		t.Errorf("without a login, after the file was emptied: %q", got)
	}
	if got := bob.Do("SET", "x", "1"); got != "+OK\r\n" {
		t.Errorf("after a file with a fault: %q", got)
	}
	put("user default off\nuser alice on >a %R~* &* +@all\nuser carol on >c ~* &* +@all\n")
	awaitLogged(t, p, 1, `users changed`)
	bob.ExpectEnd()
	if got := alice.Do("SET", "x", "2"); !strings.HasPrefix(got, "-NOPERM") {
		t.Errorf("a write after a reload: %q", got)
	}
	if got := alice.Do("GET", "x"); got != "$1\r\n1\r\n" {
		t.Errorf("a read after a reload: %q", got)
	}
	if got := p.Dial(testkit.Redis).Do("AUTH", "bob", "b"); !strings.HasPrefix(got, "-WRONGPASS") {
		t.Errorf("a login of a user that is gone: %q", got)
	}
}

// TestUsersByCertificate: a client's certificate logs it in as the user that it names.
func TestUsersByCertificate(t *testing.T) {
	t.Parallel()
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	path := writeUsers(t, "user default off\nuser alice on >a ~* &* +@all\nuser bob off >b ~* &* +@all\n")
	server := testkit.StartRedis(t)
	for _, from := range []string{"cn", "san"} {
		s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{
			"acl_file: " + path, "tls: {cert: " + cert + ", key: " + key + ", client_ca: " + a.CA + ", client_cert: optional, user_from: " + from + "}",
		})
		for name, want := range map[string]string{"alice": "alice", "bob": "NOAUTH", "carol": "NOAUTH", "": "NOAUTH", "dave-alice": "NOAUTH", "alice-dave": "NOAUTH"} {
			conf := &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}
			if name != "" {
				issue := a.Pair
				if first, second, two := strings.Cut(name, "-"); two {
					issue = func(string) (cert, key string) { return a.PairOfTwo(first, second) }
				}
				pair, err := tls.LoadX509KeyPair(issue(name))
				if err != nil {
					t.Fatal(err)
				}
				conf.Certificates = []tls.Certificate{pair}
			}
			client := redis.NewClient(&redis.Options{Addr: s.proxy.Addr(), TLSConfig: conf, PoolSize: 1, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
			t.Cleanup(func() { _ = client.Close() })
			got, err := client.Do(t.Context(), "ACL", "WHOAMI").Text()
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("user_from: %s, %q: %q, want %s", from, name, got, want)
			}
		}
	}
}
