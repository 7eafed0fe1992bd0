package integration

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"nuthatch/internal/testkit"
)

// passUsers are users of servers, of whom alice may do all.
const passUsers = "user default off\nuser alice on >pw ~* &* +@all\nuser carol on >c ~c* +@read +@connection -client\n"

// answeredHere are calls that the proxy answers itself, after a stand-in.
var answeredHere = []string{
	"PING", "PING hello", "ECHO x", "TIME", "INFO", "INFO server", "LASTSAVE", "ROLE", "LOLWUT", "SELECT 0", "HELLO 2", "HELLO 3", "HELLO 2",
	"COMMAND", "COMMAND COUNT", "COMMAND DOCS get", "COMMAND INFO get", "COMMAND LIST", "COMMAND GETKEYS get a", "CONFIG GET maxmemory",
	"CLIENT ID", "CLIENT INFO", "CLIENT LIST", "CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT NO-EVICT on", "CLIENT REPLY ON", "CLIENT GETREDIR", "CLIENT TRACKINGINFO",
	"CLIENT KILL ID 99999999", "CLIENT UNBLOCK 99999999", "CLIENT UNPAUSE", "CLIENT CACHING yes",
	"SLOWLOG GET", "SLOWLOG LEN", "SLOWLOG RESET", "LATENCY DOCTOR", "LATENCY HISTOGRAM get", "LATENCY HISTORY command", "LATENCY LATEST", "LATENCY RESET",
	"ACL WHOAMI", "ACL LIST", "ACL USERS", "ACL CAT", "ACL CAT read", "ACL GENPASS", "ACL GETUSER alice", "ACL LOG",
	"READONLY", "READWRITE", "ASKING", "UNWATCH", "CLIENT HELP",
}

// TestPassthroughAllows: a stand-in refuses nothing that its user may send: the client gets what
// it gets from a pool that does not ask.
func TestPassthroughAllows(t *testing.T) {
	t.Parallel()
	plain := newStage(t, testkit.Redis, []*testkit.Server{testkit.StartRedis(t)}, []string{"allow_admin: true"}).proxy.Dial(testkit.Redis)
	passed := newStage(t, testkit.Redis, passServers(t, 1, passUsers), passLines()).proxy.Dial(testkit.Redis)
	says(t, passed, "AUTH alice pw", "+OK")
	for _, line := range answeredHere {
		call := testkit.Command(line)
		want, got := plain.Do(call...), passed.Do(call...)
		if strings.HasPrefix(want, "-") != strings.HasPrefix(got, "-") || strings.HasPrefix(want, "-") && want != got {
			t.Errorf("%s:\n\tpassthrough %.200q\n\tplain       %.200q", line, got, want)
		}
	}
}

// TestPassthroughSetUser: what changes users is refused in words that say where to do it, whoever
// asks, and changes nothing at the servers.
func TestPassthroughSetUser(t *testing.T) {
	t.Parallel()
	servers := passServers(t, 3, passUsers)
	c := newStage(t, testkit.Redis, servers, passLines("allow_admin: true")).proxy.Dial(testkit.Redis)
	says(t, c, "AUTH alice pw", "+OK")
	for _, call := range []string{"ACL SETUSER mallory on nopass ~* +@all", "ACL DELUSER carol", "ACL SAVE", "ACL LOAD"} {
		name := strings.Join(strings.Fields(call)[:2], " ")
		says(t, c, call, "-ERR '"+name+"' is not supported by nuthatch: users are the servers' own; change them at each server")
	}
	says(t, c, "ACL USERS", "*3\r\n$5\r\nalice\r\n$5\r\ncarol\r\n$7\r\ndefault")
}

// TestPassthroughClients: redis-cli and redis-py log in as users of the servers.
func TestPassthroughClients(t *testing.T) {
	t.Parallel()
	s := newStage(t, testkit.Redis, passServers(t, 3, passUsers), passLines("allow_flush: true"))
	cli, p := testkit.Program(t, "redis-cli"), port(t, s.proxy)
	for _, c := range []struct{ line, want string }{
		{"--user alice --pass pw --no-auth-warning set cli v", "OK\n"},
		{"--user alice --pass pw --no-auth-warning -3 hset h f v", "1\n"},
		{"--user alice --pass pw --no-auth-warning -3 hgetall h", "f v\n"},
		{"--user carol --pass c --no-auth-warning get cli", "v\n"},
		{"--user carol --pass c --no-auth-warning set cli w", "NOPERM this user has no permissions to run the 'set' command\n\n"},
		{"get cli", "NOAUTH Authentication required.\n\n"},
	} {
		if got := command(t, "", cli, append([]string{"-p", p}, strings.Fields(c.line)...)...); got != c.want {
			t.Errorf("redis-cli %s: got %q, want %q", c.line, got, c.want)
		}
	}
	if got := command(t, "", cli, "-p", p, "--user", "alice", "--pass", "no", "get", "cli"); !strings.Contains(got, "WRONGPASS") || strings.Contains(got, "\nv\n") {
		t.Errorf("redis-cli with another password: %q", got)
	}
	var load strings.Builder
	for i := range 10_000 {
		load.Write(testkit.RESP("SET", fmt.Sprint("load", i), "v"))
	}
	if got := command(t, load.String(), cli, "-p", p, "--user", "alice", "--pass", "pw", "--no-auth-warning", "--pipe"); !strings.Contains(got, "errors: 0, replies: 10000") {
		t.Errorf("redis-cli --pipe: %s", got)
	}
	if got := command(t, "", "/usr/bin/python3", "-c", passRedisPy, p); got != "ok\n" {
		t.Errorf("redis-py: %s", got)
	}
}

// passRedisPy drives the proxy through redis-py as two users, over pools of connections.
const passRedisPy = `
import sys, threading, redis
port = int(sys.argv[1])
alice = redis.Redis(port=port, username="alice", password="pw", socket_timeout=30)
carol = redis.Redis(port=port, username="carol", password="c", socket_timeout=30)
assert alice.set("c1", "x") and carol.get("c1") == b"x"
for call in (lambda: carol.set("c1", "y"), lambda: carol.get("d1"), lambda: carol.info()):
    try:
        call()
    except redis.exceptions.NoPermissionError:
        continue
    raise AssertionError("carol may")
for wrong in ("no", ""):
    try:
        redis.Redis(port=port, username="alice", password=wrong).get("c1")
    except redis.exceptions.ResponseError:
        continue
    except redis.exceptions.AuthenticationError:
        continue
    raise AssertionError("a wrong password logs in")
with alice.pipeline() as pipe:
    pipe.set("{t}a", 1).incr("{t}a").get("{t}a")
    assert pipe.execute() == [True, 2, b"2"]
with alice.pipeline(transaction=False) as pipe:
    for i in range(500):
        pipe.set("p%d" % i, i)
    assert all(pipe.execute())
assert alice.mget(["p%d" % i for i in range(500)]) == [b"%d" % i for i in range(500)]
listener = alice.pubsub()
listener.subscribe("news")
assert listener.get_message(timeout=30)["type"] == "subscribe"
assert alice.publish("news", "hello") == 1
assert listener.get_message(timeout=30)["data"] == b"hello"
listener.close()
assert alice.blpop("empty", timeout=1) is None
assert {row["user"] for row in alice.client_list()} >= {"alice", "carol"}
faults = []
def many(client, key):
    try:
        for i in range(300):
            client.get(key)
    except Exception as e:
        faults.append(e)
threads = [threading.Thread(target=many, args=(c, "c1")) for c in (alice, carol) for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not faults, faults
print("ok")
`

// TestPassthroughDrains: a drain under load answers every request that was accepted, of users and
// of clients without a login, and logins among them.
func TestPassthroughDrains(t *testing.T) {
	t.Parallel()
	s := newStage(t, testkit.Redis, passServers(t, 2, passUsers), passLines())
	var served atomic.Int64
	var running sync.WaitGroup
	auth, get, info := testkit.RESP("AUTH", "alice", "pw"), testkit.RESP("GET", "k"), testkit.RESP("CLIENT", "GETNAME")
	for i := range 40 {
		c := s.proxy.Dial(testkit.Redis)
		group, wants := [][]byte{auth, get, info, get}, []string{"+OK\r\n", "$-1\r\n", "$-1\r\n", "$-1\r\n"}
		if i%4 == 0 {
			group, wants = [][]byte{get, get}, []string{"-NOAUTH Authentication required.\r\n", "-NOAUTH Authentication required.\r\n"}
		}
		var request []byte
		for _, r := range group {
			request = append(request, r...)
		}
		running.Go(func() {
			for {
				if c.TrySend(request) != nil {
					return // it came too late
				}
				for n, want := range wants {
					got, err := c.TryReply()
					switch {
					case err == nil && string(got) == want:
						served.Add(1)
					case err == nil:
						t.Errorf("client %d: %q, want %q", i, got, want)
						return
					case n == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
						return
					default:
						t.Errorf("client %d: %d of %d requests were answered: %v", i, n, len(group), err)
						return
					}
				}
			}
		})
	}
	awaitMore(t, &served, 5_000)
	drains(t, s.proxy)
	running.Wait()
}
