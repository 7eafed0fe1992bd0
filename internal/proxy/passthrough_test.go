package proxy_test

import (
	"strings"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
)

// A login, and what is pipelined around it, however its bytes come: a request behind AUTH
// waits for the servers' answer, and one before it is carried out as the user before.
func TestPassthroughAtEverySplit(t *testing.T) {
	s := testkit.StartRedis(t, "--user", "default", "off", "--user", "alice", "on", ">a", "~*", "&*", "+@all", "--user", "bob", "on", ">b", "~b", "+get", "+acl|whoami")
	r := startRig(t, oneServer(s.Addr(), "  auth_mode: passthrough\n"))
	request := command("GET", "x") + command("AUTH", "alice", "a") + command("SET", "b", "1") + command("ACL", "WHOAMI") + command("PING") +
		command("AUTH", "bob", "x") + command("ACL", "WHOAMI") + command("AUTH", "bob", "b") + command("ACL", "WHOAMI") + command("GET", "b") + command("SET", "b", "2") +
		command("PING") + command("HELLO", "3", "AUTH", "alice", "a") + command("GET", "none") + command("RESET") + command("GET", "x") + command("QUIT")
	noPerm := "-NOPERM this user has no permissions to run the "
	want := "-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n" + bulk("alice") + "+PONG\r\n" +
		"-WRONGPASS invalid username-password pair or user is disabled.\r\n" + bulk("alice") + "+OK\r\n" + bulk("bob") + bulk("1") + noPerm + "'set' command\r\n" +
		noPerm + "'ping' command\r\n"
	tail := "_\r\n+RESET\r\n-NOAUTH Authentication required.\r\n+OK\r\n"
	for i := 0; i <= len(request); i++ {
		u := r.dial()
		u.send(request[:i])
		if i%3 == 0 {
			r.on(0, func(*proxy.Context) {}) // a turn between the pieces
		}
		u.send(request[i:])
		if got := u.rest(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, tail) || !strings.Contains(got, "proto\r\n:3\r\n") {
			t.Fatalf("split at %d: got %q, want %q ... %q", i, got, want, tail)
		}
	}
	r.awaitIdle()
}

// What a login needs is forgotten when its last client has gone: the lanes, their
// connections, and the credentials.
func TestPassthroughForgets(t *testing.T) {
	s := testkit.StartRedis(t, "--user", "default", "off", "--user", "alice", "on", "nopass", "~*", "&*", "+@all")
	r := startRig(t, oneServer(s.Addr(), "  auth_mode: passthrough\n  max_server_users: 3\n  databases: 3\n"))
	for range 5 {
		u := r.dial()
		for _, password := range []string{"1", "2", "3", "4", "5", "6"} {
			u.send(command("AUTH", "alice", password) + command("SELECT", "1") + command("GET", "x"))
			u.expect("+OK\r\n+OK\r\n$-1\r\n")
		}
		u.Close()
	}
	r.awaitIdle()
}

// A user whose last client has gone makes room, also if it had a private connection: USERS.md says
// that its connections are closed, and its name and password forgotten, ten seconds after.
func TestPassthroughForgetsPrivate(t *testing.T) {
	s := testkit.StartRedis(t, "--user", "default", "off", "--user", "alice", "on", "nopass", "~*", "&*", "+@all", "--user", "bob", "on", ">b", "~*", "+@all")
	r := startRig(t, oneServer(s.Addr(), "  auth_mode: passthrough\n  max_server_users: 1\n  private_idle_timeout: 1h\n"))
	u := r.dial()
	u.send(command("AUTH", "alice", "1") + command("BLPOP", "x", "0.01") + command("PING"))
	u.expect("+OK\r\n*-1\r\n+PONG\r\n")
	u.Close()
	r.awaitIdle()
	u = r.dial()
	u.send(command("AUTH", "bob", "b"))
	u.expect("+OK\r\n")
}
