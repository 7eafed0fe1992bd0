package proxy_test

import (
	"strings"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
)

// Servers that want a login end connections on which a client without one says a long word, or
// many. No such request reaches them, however its bytes come, and they take it from a client
// that has logged in.
func TestPassthroughBoundsStrangers(t *testing.T) {
	s := testkit.StartRedis(t, "--user", "default", "off", "--user", "alice", "on", ">a", "~*", "&*", "+@all")
	r := startRig(t, oneServer(s.Addr(), "  auth_mode: passthrough\n"))
	long := strings.Repeat("x", 17<<10)
	length := "-ERR Protocol error: unauthenticated bulk length\r\n"
	many := command("MGET", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
	for _, request := range []struct{ says, hears string }{
		{command("SET", "k", long), length},
		{command("AUTH", "alice", long), length},
		{"SET k " + long + "\r\n", length},
		{many, "-ERR Protocol error: unauthenticated multibulk length\r\n"},
	} {
		for _, at := range []int{0, 1, 3, 14, 20, len(request.says) - 1, len(request.says)} {
			u := r.dial()
			u.send(command("GET", "k") + request.says[:at])
			r.on(0, func(*proxy.Context) {}) // a turn between the pieces
			u.send(request.says[at:])
			u.expect("-NOAUTH Authentication required.\r\n" + request.hears)
			u.Close()
		}
	}
	u := r.dial()
	u.send(command("AUTH", "alice", "a") + command("SET", "k", long) + many + command("AUTH", "alice", long) + command("PING"))
	u.expect("+OK\r\n+OK\r\n*10\r\n" + strings.Repeat("$-1\r\n", 10) + "-ERR a name and a password to log in with have 16 KB each at most\r\n+PONG\r\n")
	u.Close()
	r.awaitIdle()
}

// Where the user default needs no password, clients without a login have the bounds of others
// from the first request on, also if it may not send what is asked.
func TestPassthroughOpen(t *testing.T) {
	for _, may := range []string{"+ping", "-ping"} {
		s := testkit.StartRedis(t)
		s.Dial().Do("ACL", "SETUSER", "default", may)
		long := command("SET", "k", strings.Repeat("x", 17<<10))
		for at := range 12 {
			r := startRig(t, oneServer(s.Addr(), "  auth_mode: passthrough\n"))
			u := r.dial()
			u.send(long[:at*2])
			r.on(0, func(*proxy.Context) {}) // a turn between the pieces
			u.send(long[at*2:] + long)
			u.expect("+OK\r\n+OK\r\n")
		}
	}
}
