package proxy_test

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/msg"
)

// A client that does not log in in time is told so and closed. One that does stays, and so does
// one that a reload frees of the login.
func TestLoginTimeout(t *testing.T) {
	const late = "-ERR no login within client_login_timeout\r\n"
	c := converse(t, "  redis: true\n  redis_auth: secret\n  client_login_timeout: 2s\n", resp{password: "secret"}, 2)
	defer c.stop()
	silent, half, logged, tries := c.joinFrom("10.0.0.1:1"), c.joinFrom("10.0.0.1:2"), c.joinFrom("10.0.0.1:3"), c.joinFrom("10.0.0.1:4")
	logged.says("AUTH secret\r\n")
	logged.wants("AUTH", "+OK\r\n", false)
	half.says("AUTH sec")
	tries.says("AUTH wrong\r\n")
	if got, _ := reads(tries); !strings.HasPrefix(got, "-") {
		t.Errorf("a wrong password: %q", got)
	}
	c.pass(1999 * time.Millisecond)
	c.calm()
	silent.wants("before the time is over", "", false)
	later := c.joinFrom("10.0.0.1:5")
	c.pass(time.Millisecond)
	c.calm()
	silent.wants("nothing said", late, true)
	half.wants("half an AUTH", late, true)
	tries.wants("a wrong password", late, true)
	later.wants("one that came later", "", false)
	c.pass(1990 * time.Millisecond)
	c.calm()
	later.says("AUTH secret\r\n")
	later.wants("in time", "+OK\r\n", false)
	c.pass(time.Hour)
	c.calm()
	later.says("PING\r\n")
	later.wants("an hour later", "+PONG\r\n", false)
	if _, n := c.reasons(msg.LoginTimedout); n != 3 {
		t.Errorf("%d clients are counted as closed, 3 were", n)
	}

	c.lines = "  redis: true\n  redis_auth: secret\n"
	c.reload(false)
	waits := c.joinFrom("10.0.0.1:6")
	c.pass(time.Hour)
	c.calm()
	waits.wants("without a limit", "", false)
	c.lines = "  redis: true\n  redis_auth: secret\n  client_login_timeout: 1s\n"
	c.reload(false)
	c.calm()
	waits.wants("with one, by a reload", late, true)
	frees := c.joinFrom("10.0.0.1:7")
	c.lines = "  redis: true\n  client_login_timeout: 1s\n"
	c.reload(false)
	c.pass(time.Hour)
	c.calm()
	frees.says("PING\r\n")
	frees.wants("without a password, by a reload", "+PONG\r\n", false)
}

// A client that has not logged in may send so many requests in a row. A login begins the count
// anew.
func TestTriesWithoutLogin(t *testing.T) {
	const many, refused = 256, "-ERR too many requests without a login\r\n"
	c := converse(t, "  redis: true\n  redis_auth: secret\n", resp{password: "secret"}, 1)
	defer c.stop()
	for _, request := range []string{"PING\r\n", "AUTH wrong\r\n", "*2\r\n$4\r\nAUTH\r\n$5\r\nwrong\r\n"} {
		p := c.joinFrom("10.0.0.1:1")
		for range many {
			p.says(request)
			if got, ended := reads(p); ended || !strings.HasPrefix(got, "-") {
				t.Fatalf("%q: %q, %v", request, got, ended)
			}
		}
		p.says(request)
		p.wants(request, refused, true)
	}
	// In one piece.
	p := c.joinFrom("10.0.0.1:2")
	p.says(strings.Repeat("PING\r\n", many+50))
	if got, ended := reads(p); !ended || strings.Count(got, "\r\n") != many+1 || !strings.HasSuffix(got, refused) {
		t.Errorf("%d replies, %v", strings.Count(got, "\r\n"), ended)
	}
	p = c.joinFrom("10.0.0.1:3")
	for range 3 * many {
		p.says("AUTH secret\r\nRESET\r\n")
		p.wants("a login that ends", "+OK\r\n+RESET\r\n", false)
	}
	p.says("AUTH secret\r\n" + strings.Repeat("PING\r\n", 2*many))
	p.wants("logged in", "+OK\r\n"+strings.Repeat("+PONG\r\n", 2*many), false)
}
