package integration

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// passServers are redis-servers with the same file of users.
func passServers(t *testing.T, n int, users string) []*testkit.Server {
	t.Helper()
	path := writeUsers(t, users)
	var servers []*testkit.Server
	for range n {
		servers = append(servers, testkit.StartRedis(t, "--aclfile", path))
	}
	return servers
}

// passLines are the lines of a pool whose servers decide who may log in.
func passLines(lines ...string) []string { return append([]string{"auth_mode: passthrough"}, lines...) }

// proxyAnswers are calls that the proxy answers in its own words, once the server allows them.
var proxyAnswers = regexp.MustCompile(`^(MULTI|EXEC|ACL (LIST|LOG|GETUSER|GENPASS|CAT|USERS)|CONFIG GET|INFO|CLIENT|EVAL|SELECT|HELLO|NOSUCH|AUTH open x y|SORT|FLUSHALL|KEYS|WATCH|UNWATCH|RESET|SET other|SET cache:1 x|GEORADIUS|ZUNIONSTORE)`)

// ofSeveral are the answers to calls that a pool of several servers does not carry out.
var ofSeveral = regexp.MustCompile(`^(-CROSSSLOT|.*in a pool of several servers)`)

// TestPassthroughLikeRedis: where the servers decide, a client gets what a redis-server with
// the same users answers.
func TestPassthroughLikeRedis(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			alone := passServers(t, 1, userFile)[0]
			s := newStage(t, testkit.Redis, passServers(t, n, userFile), passLines("allow_flush: true", "keyless_scripts: any", `hash_tag: "{}"`))
			server, proxy := alone.Dial(), s.proxy.Dial(testkit.Redis)
			multi := false
			for _, line := range userCalls {
				if line == "MULTI" || line == "DISCARD" || multi { // which transactions are refused, and when, is told by other tests
					multi = line != "EXEC" && line != "RESET"
					continue
				}
				if proxyAnswers.MatchString(line) {
					want, got := server.Do(testkit.Command(line)...), proxy.Do(testkit.Command(line)...)
					if ofSeveral.MatchString(got) {
						continue
					}
					if strings.HasPrefix(want, "-NO") != strings.HasPrefix(got, "-NO") {
						t.Errorf("%s:\n\tnuthatch %q\n\tredis    %q", line, got, want)
					}
					continue
				}
				compareAnswers(t, server, proxy, line)
			}
			server, proxy = alone.Dial(), s.proxy.Dial(testkit.Redis)
			for _, line := range daveCalls {
				if line == "HELLO 2" || line == "HELLO 3" { // which releases refuse in different words
					says(t, proxy, line, "-NOAUTH HELLO must be called*")
					continue
				}
				compareAnswers(t, server, proxy, line)
			}
		})
	}
}

// says fails unless the proxy answers the calls so. An answer that ends in * begins so.
func says(t *testing.T, c *testkit.Client, calls ...string) {
	t.Helper()
	for i := 0; i < len(calls); i += 2 {
		got, want := c.Do(testkit.Command(calls[i])...), calls[i+1]
		if begins, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(got, begins) {
			continue
		}
		if strings.TrimSuffix(got, "\r\n") != want {
			t.Errorf("%s: %q, want %q", calls[i], got, want)
		}
	}
}

const wrongPass = "-WRONGPASS invalid username-password pair or user is disabled."

// TestPassthroughDecides: what the proxy answers itself is asked for as well, and what others
// have on their connections is of no use.
func TestPassthroughDecides(t *testing.T) {
	t.Parallel()
	servers := passServers(t, 3, `user default off
user alice on >a ~* &* +@all
user bob on >b ~* &* +@read +@connection +acl|whoami -client|list -client|kill
`)
	s := newStage(t, testkit.Redis, servers, passLines())
	nobody := s.proxy.Dial(testkit.Redis)
	for _, line := range []string{
		"PING", "ECHO x", "TIME", "INFO", "COMMAND", "CONFIG GET maxmemory", "CLIENT LIST", "CLIENT KILL ID 1", "CLIENT ID", "CLIENT PAUSE 1000", "SLOWLOG GET", "SLOWLOG RESET",
		"LATENCY LATEST", "LASTSAVE", "ROLE", "LOLWUT", "SELECT 0", "HELLO", "HELLO 3", "ACL WHOAMI", "ACL LIST", "GET x", "MGET x y z", "DBSIZE", "SCAN 0", "SUBSCRIBE x", "WATCH x",
		"BLPOP x 1", "EVAL return 1 x", "CLIENT TRACKING on", "PUBLISH x y", "SCRIPT KILL",
	} {
		says(t, nobody, line, "-NOAUTH*")
	}
	alice, bob := s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis)
	says(t, alice, "AUTH alice b", wrongPass, "AUTH alice a", "+OK", "ACL WHOAMI", "$5\r\nalice", "SET x 1", "+OK", "MSET a 1 b 2 c 3 d 4", "+OK")
	says(t, bob, "AUTH bob b", "+OK", "GET x", "$1\r\n1", "PING", "+PONG", "ECHO hi", "$2\r\nhi", "MGET a b c d", "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4", "SET x 2", "-NOPERM*", "MSET a 1 b 2 c 3", "-NOPERM*",
		"CLIENT LIST", "-NOPERM*", "CLIENT KILL USER alice", "-NOPERM*", "CLIENT ID", ":*", "INFO server", "-NOPERM*", "CONFIG GET maxmemory", "-NOPERM*", "TIME", "-NOPERM*", "SLOWLOG GET", "-NOPERM*",
		"HELLO 3", "%*", "GET x", "$1\r\n1", "AUTH alice b", wrongPass, "ACL WHOAMI", "$3\r\nbob", "HELLO 2 AUTH alice x", wrongPass, "HELLO 2 SETNAME me", "*1*", "RESET", "+RESET", "GET x", "-NOAUTH*")
	list := alice.Do("CLIENT", "LIST")
	for _, want := range []string{"user=alice", "user=default"} {
		if !strings.Contains(list, want) {
			t.Errorf("CLIENT LIST has no %s: %q", want, list)
		}
	}
	says(t, bob, "AUTH bob b", "+OK")
	says(t, alice, "CLIENT KILL USER bob", ":1")
	bob.ExpectEnd()
}

// TestPassthroughPasswords: the same name with another password is another login, and a
// password that changes at the servers holds for what is new.
func TestPassthroughPasswords(t *testing.T) {
	t.Parallel()
	servers := passServers(t, 3, "user default off\nuser alice on >old >older ~* &* +@all\n")
	s := newStage(t, testkit.Redis, servers, passLines())
	first := s.proxy.Dial(testkit.Redis)
	says(t, first, "AUTH alice old", "+OK", "SET x 1", "+OK")
	for _, server := range servers {
		c := server.Dial()
		c.Do("AUTH", "alice", "older")
		if got := c.Do("ACL", "SETUSER", "alice", "<old", ">new"); got != "+OK\r\n" {
			t.Fatal(got)
		}
	}
	second := s.proxy.Dial(testkit.Redis)
	says(t, second, "AUTH alice old", wrongPass, "GET x", "-NOAUTH*", "AUTH alice new", "+OK", "GET x", "$1\r\n1")
	says(t, first, "GET x", "$1\r\n1") // as with a connection of its own
	if got := s.proxy.Dial(testkit.Redis).Do("AUTH", "alice", ""); !strings.HasPrefix(got, wrongPass) {
		t.Errorf("an empty password: %q", got)
	}
	for _, server := range servers {
		c := server.Dial()
		c.Do("AUTH", "alice", "older")
		c.Do("CLIENT", "KILL", "USER", "alice")
	}
	awaitAnswer(t, first, "GET x", wrongPass)
	awaitAnswer(t, second, "GET x", "$1\r\n1")
	says(t, first, "AUTH alice new", "+OK", "GET x", "$1\r\n1")
}

// awaitAnswer asks until the answer is that: a connection may have to be lost first.
func awaitAnswer(t *testing.T, c *testkit.Client, call, want string) {
	t.Helper()
	testkit.Await(t, call+" to be answered", func() error {
		if got := c.Do(testkit.Command(call)...); !strings.HasPrefix(got, want) {
			return fmt.Errorf("%q, want %q", got, want)
		}
		return nil
	})
}

// TestPassthroughSessions: what needs a connection of its own is carried out as the user.
func TestPassthroughSessions(t *testing.T) {
	t.Parallel()
	for _, connections := range []string{"own", "shared"} {
		t.Run(connections, func(t *testing.T) {
			t.Parallel()
			servers := passServers(t, 3, `user default off
user alice on >a ~* &* +@all
user bob on >b ~b* resetchannels &b* +@all
`)
			s := newStage(t, testkit.Redis, servers, passLines("allow_monitor: true", "pubsub: {connections: "+connections+"}", "databases: 4"))
			alice, bob, other := s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis)
			says(t, alice, "AUTH alice a", "+OK")
			says(t, bob, "AUTH bob b", "+OK")
			says(t, other, "AUTH alice a", "+OK")
			says(t, bob, "MULTI", "+OK", "SET b 1", "+QUEUED", "SET a 1", "+QUEUED", "EXEC", "-EXECABORT*", "MULTI", "+OK", "SET b 2", "+QUEUED", "EXEC", "*1\r\n+OK",
				"WATCH b", "+OK", "WATCH a", "-NOPERM*", "AUTH alice a", "-ERR this connection watches keys*", "MULTI", "+OK", "GET b", "+QUEUED", "EXEC", "*1\r\n$1\r\n2",
				"BLPOP a 1", "-NOPERM*", "SELECT 2", "+OK", "SET b 7", "+OK", "GET b", "$1\r\n7", "SELECT 0", "+OK", "GET b", "$1\r\n2")
			says(t, alice, "RPUSH l 1", ":1", "BLPOP l 1", "*2\r\n$1\r\nl\r\n$1\r\n1")
			says(t, bob, "SUBSCRIBE a", "-NOPERM*", "SUBSCRIBE b", "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1")
			says(t, other, "SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1", "SUBSCRIBE b", "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2")
			says(t, alice, "PUBLISH b hello", ":*")
			for _, c := range []*testkit.Client{bob, other} {
				c.Expect("*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$5\r\nhello\r\n")
			}
			monitor := s.proxy.Dial(testkit.Redis)
			says(t, monitor, "MONITOR", "-NOAUTH*", "AUTH bob b", "+OK", "MONITOR", "+OK")
			tracker := s.proxy.Dial(testkit.Redis)
			says(t, tracker, "HELLO 3 AUTH bob b", "%*", "CLIENT TRACKING on", "+OK", "GET b", "$1\r\n2", "GET a", "-NOPERM*")
			says(t, alice, "SET b 3", "+OK")
			tracker.Expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nb\r\n")
			says(t, tracker, "AUTH alice a", "-ERR this connection*", "RESET", "+RESET", "GET b", "-NOAUTH*")
		})
	}
}

// TestPassthroughBounds: there are at most so many users, and one that is gone makes room.
func TestPassthroughBounds(t *testing.T) {
	t.Parallel()
	servers := passServers(t, 3, "user default off\nuser alice on nopass ~* &* +@all\n")
	s := newStage(t, testkit.Redis, servers, passLines("max_server_users: 2"))
	one, two, three := s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis), s.proxy.Dial(testkit.Redis)
	says(t, one, "AUTH alice 1", "+OK", "GET x", "$-1")
	says(t, two, "AUTH alice 2", "+OK", "GET x", "$-1")
	says(t, three, "AUTH alice 3", "-ERR as many users have connections to the servers as max_server_users allows", "GET x", "-NOAUTH*", "AUTH alice 1", "+OK", "GET x", "$-1")
	says(t, two, "RESET", "+RESET")
	four := s.proxy.Dial(testkit.Redis)
	awaitAnswer(t, four, "AUTH alice 4", "+OK")
	for i := range 300 { // logins that fail take no place
		says(t, four, fmt.Sprintf("AUTH bob %d", i), wrongPass)
	}
	says(t, four, "GET x", "$-1")
}

// TestPassthroughSecrets: no password is in the log, in CLIENT LIST, or in what the admin
// listener shows; the slow log has no words of AUTH.
func TestPassthroughSecrets(t *testing.T) {
	t.Parallel()
	servers := passServers(t, 1, "user default off\nuser alice on >correct-horse ~* &* +@all\n")
	s := newStage(t, testkit.Redis, servers, passLines())
	c := s.proxy.Dial(testkit.Redis)
	says(t, c, "AUTH alice wrong-battery", wrongPass, "AUTH alice correct-horse", "+OK", "GET x", "$-1")
	servers[0].Stop()
	c.Do("GET", "x")
	c.Do("AUTH", "alice", "correct-horse")
	for _, secret := range []string{"correct-horse", "wrong-battery"} {
		if n := logged(t, s.proxy, secret); n > 0 {
			t.Errorf("the log has %q", secret)
		}
		for _, call := range []string{"CLIENT LIST", "SLOWLOG GET", "INFO"} {
			if text := c.Do(testkit.Command(call)...); strings.Contains(text, secret) {
				t.Errorf("%s shows %q", call, secret)
			}
		}
	}
}

// TestPassthroughOneServerDown: servers that do not answer decide later.
func TestPassthroughOneServerDown(t *testing.T) {
	t.Parallel()
	servers := passServers(t, 3, "user default off\nuser alice on >a ~* &* +@all\n")
	s := newStage(t, testkit.Redis, servers, passLines())
	servers[1].Stop()
	c := s.proxy.Dial(testkit.Redis)
	says(t, c, "AUTH alice b", wrongPass, "AUTH alice a", "+OK")
	refused := 0
	for _, key := range spread(60) {
		switch got := c.Do("GET", key); got {
		case "$-1\r\n":
		case "-ERR Connection refused\r\n":
			refused++
		default:
			t.Fatalf("GET: %q", got)
		}
	}
	if refused == 0 || refused == 60 {
		t.Errorf("%d of 60 keys have no server", refused)
	}
}
