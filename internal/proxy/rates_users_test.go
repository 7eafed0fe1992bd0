package proxy_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/stats"
)

// limitedUsers are a pool with users, of whom alice has limits.
func limitedUsers(limits string) string {
	return "  redis: true\n  users:\n    default: {rules: \"off\"}\n    alice: {rules: \"on >a ~* &* +@all\"}\n    bob: {rules: \"on >b ~* &* +@all\"}\n" +
		"  user_limits:\n    alice: {" + limits + "}\n"
}

// as is a client that has logged in.
func (c *conversation) as(from int, name string) *party {
	p := c.joinFrom(fmt.Sprintf("10.0.0.1:%d", from))
	p.says(command("AUTH", name, name[:1]))
	if got, _ := reads(p); got != "+OK\r\n" {
		c.t.Fatalf("AUTH: %q", got)
	}
	return p
}

// The clients of a user have its rate together, on all event loops; others have none.
func TestUserRequestRate(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 100, request_burst: 5, max_wait: 1m"), resp{}, 2)
	defer c.stop()
	one, two, bob := c.as(1, "alice"), c.as(2, "alice"), c.as(3, "bob")
	c.step(time.Second, 10*time.Millisecond)
	requests, replies := numbered(205)
	bob.says(requests)
	if got, _ := reads(bob); got != replies {
		t.Errorf("bob, who has no limit, hears %q", got)
	}
	one.says(requests)
	two.says(requests)
	gotOne, _ := reads(one)
	gotTwo, _ := reads(two)
	if n := strings.Count(gotOne+gotTwo, "$5"); n < 4 || n > 6 {
		t.Errorf("%d at once, the burst is 5", n)
	}
	if n := c.value(stats.LimitWaiting); n != 2 {
		t.Errorf("%d clients wait", n)
	}
	c.step(time.Second, time.Millisecond)
	moreOne, _ := reads(one)
	moreTwo, _ := reads(two)
	if n := strings.Count(moreOne+moreTwo, "$5"); n < 95 || n > 105 {
		t.Errorf("%d in a second", n)
	}
	c.step(4*time.Second, 10*time.Millisecond)
	restOne, _ := reads(one)
	restTwo, _ := reads(two)
	if gotOne+moreOne+restOne != replies || gotTwo+moreTwo+restTwo != replies {
		t.Error("the replies are others, or in another order")
	}
}

// A request that has waited too long gets an error that says whose limit it is.
func TestUserRateRefuses(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 100ms"), resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	p.says(command("PING") + command("DBSIZE"))
	c.step(300*time.Millisecond, 10*time.Millisecond)
	if got, _ := reads(p); got != "+PONG\r\n-ERR the user's limit on requests a second is reached (user_limits)\r\n" {
		t.Errorf("heard %q", got)
	}
}

// What the proxy answers itself is refused as well, if it has waited too long, even if it changes
// what the client's next requests mean. These are judged by that.
func TestUserRateRefusesOwnAnswers(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 100ms")+"  databases: 4\n", resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	over := "-ERR the user's limit on requests a second is reached (user_limits)\r\n"
	p.says(command("PING") + command("PING") + command("ECHO", "x") + command("ACL", "WHOAMI") + command("AUTH", "bob", "b") + command("SELECT", "1") + command("CLIENT", "GETNAME") + command("TIME"))
	c.step(300*time.Millisecond, 10*time.Millisecond)
	if got, _ := reads(p); got != "+PONG\r\n"+strings.Repeat(over, 7) {
		t.Errorf("heard %q", got)
	}
	c.step(time.Second, 10*time.Millisecond)
	p.says(command("GET", "k"))
	if got, _ := reads(p); !strings.HasPrefix(got, "-ERR 'GET' is not carried out: this connection asked for database '1'") {
		t.Errorf("behind a SELECT that was refused: %q", got)
	}
	c.step(time.Second, 10*time.Millisecond)
	p.says(command("ACL", "WHOAMI"))
	if got, _ := reads(p); got != bulk("alice") {
		t.Errorf("behind an AUTH that was refused: %q", got)
	}
}

// A transaction whose MULTI was refused does not begin, and one whose DISCARD was refused is not
// carried out.
func TestUserRateRefusesInTransactions(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 100ms"), resp{}, 1)
	defer c.stop()
	over := "-ERR the user's limit on requests a second is reached (user_limits)\r\n"
	p := c.as(1, "alice")
	p.says(command("PING") + command("MULTI"))
	c.step(300*time.Millisecond, 10*time.Millisecond)
	c.step(time.Second, 10*time.Millisecond)
	p.says(command("SET", "k", "v"))
	c.step(2*time.Second, 10*time.Millisecond)
	p.says(command("EXEC"))
	got, _ := reads(p)
	if !strings.HasPrefix(got, "+PONG\r\n"+over+"-ERR 'SET' is not carried out: MULTI was refused") || !strings.HasSuffix(got, "-EXECABORT Transaction discarded because of previous errors.\r\n") {
		t.Errorf("behind a MULTI that was refused: %q", got)
	}
	c.step(2*time.Second, 10*time.Millisecond)
	p.says(command("MULTI") + command("DISCARD"))
	c.step(300*time.Millisecond, 10*time.Millisecond)
	c.step(time.Second, 10*time.Millisecond)
	p.says(command("EXEC"))
	if got, _ := reads(p); got != "+OK\r\n"+over+"-EXECABORT Transaction discarded because of previous errors.\r\n" {
		t.Errorf("behind a DISCARD that was refused: %q", got)
	}
	// The transaction is over when its EXEC is refused, and the answer says so.
	const aborted = "-EXECABORT Transaction discarded because of: the user's limit on requests a second is reached (user_limits)\r\n"
	for _, commands := range []string{command("SET", "k", "v"), command("SET", "k")} {
		c.step(3*time.Second, 10*time.Millisecond)
		p.says(command("MULTI") + commands + command("EXEC"))
		c.step(300*time.Millisecond, 10*time.Millisecond)
		c.step(2*time.Second, 10*time.Millisecond)
		p.says(command("DISCARD"))
		if got, _ := reads(p); !strings.HasSuffix(got, aborted+"-ERR DISCARD without MULTI\r\n") {
			t.Errorf("behind an EXEC that was refused: %q", got)
		}
	}
	if n := c.asked(); n != 0 {
		t.Errorf("servers have got %d requests", n)
	}
}

// Whatever a flood consists of, and however it is timed out, no more of it is carried out than the
// user's rate allows, or the pool's.
func TestFloodsTakeTokens(t *testing.T) {
	floods := map[string]string{
		"AUTH":           command("AUTH", "alice", "a"),
		"HELLO":          command("HELLO", "2", "AUTH", "alice", "a"),
		"CLIENT SETNAME": command("CLIENT", "SETNAME", "x"),
		"SELECT":         command("SELECT", "0"),
		"MULTI DISCARD":  command("MULTI") + command("DISCARD"),
		"MULTI RESET":    command("MULTI") + command("CLIENT", "ID") + command("DISCARD"),
		"UNWATCH":        command("UNWATCH"),
		"PING":           command("PING"),
		"ACL WHOAMI":     command("ACL", "WHOAMI"),
		"ACL CAT":        command("ACL", "CAT", "scripting"),
	}
	limits := map[string]string{
		"the user's":      limitedUsers("requests_per_second: 100, request_burst: 5, max_wait: 50ms"),
		"the pool's":      strings.Split(limitedUsers(""), "  user_limits")[0] + "  limits: {requests_per_second: 100, request_burst: 5, max_wait: 50ms}\n",
		"request_timeout": limitedUsers("requests_per_second: 100, request_burst: 5, max_wait: 1m") + "  request_timeout: 50ms\n",
	}
	for of, conf := range limits {
		for name, flood := range floods {
			t.Run(of+" "+name, func(t *testing.T) {
				c := converse(t, conf, resp{}, 1)
				defer c.stop()
				p := c.as(1, "alice")
				done, refused := 0, 0
				for range 10 {
					p.says(strings.Repeat(flood, 100))
					c.step(100*time.Millisecond, 5*time.Millisecond)
					got, _ := reads(p)
					errors := strings.Count(got, "-ERR") + strings.Count(got, "-EXECABORT")
					refused += errors
					done += replies(got) - errors
				}
				if done > 115 || done < 50 || refused == 0 {
					t.Errorf("%d requests were carried out in a second, %d refused; the rate is 100", done, refused)
				}
			})
		}
	}
}

// replies counts those in text, which has bulk strings, arrays of these, and lines.
func replies(text string) (n int) {
	in := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		switch {
		case line == "":
		case line[0] == '*' && in == 0:
			in, _ = strconv.Atoi(line[1:])
			n++
		case line[0] == '*', line[0] == '$', line[0] == '+', line[0] == '-', line[0] == ':':
			if in > 0 {
				in--
			} else {
				n++
			}
		}
	}
	return n
}

// A request that makes its client another user takes a token of the present one. Those behind it
// need tokens of the next one.
func TestUserRateOfLogin(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 1m"), resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	p.says(command("PING") + command("AUTH", "bob", "b") + strings.Repeat(command("PING"), 3) + command("AUTH", "alice", "a") + command("PING") + command("PING"))
	if got, _ := reads(p); got != "+PONG\r\n" {
		t.Errorf("at first: %q", got)
	}
	c.step(1100*time.Millisecond, 10*time.Millisecond)
	if got, _ := reads(p); got != "+OK\r\n"+strings.Repeat("+PONG\r\n", 3)+"+OK\r\n" {
		t.Errorf("a second later: %q", got)
	}
	c.step(3*time.Second, 10*time.Millisecond)
	if got, _ := reads(p); got != strings.Repeat("+PONG\r\n", 2) {
		t.Errorf("as alice again: %q", got)
	}
}

// A client that becomes another user leaves to the earlier one what is still to be sent: it is
// charged once, and the next user has not asked for it.
func TestUnsentBytesStayTheEarlierUsers(t *testing.T) {
	c := converse(t, limitedUsers("bytes_per_second: 10mb, max_wait: 1m")+"    bob: {bytes_per_second: 10kb, byte_burst: 10kb, max_wait: 1m}\n", resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	want := ""
	for range 20 {
		large := strings.Repeat("v", 60<<10)
		p.says(command("ECHO", large))
		c.step(10*time.Millisecond, time.Millisecond)
		want += bulk(large)
	}
	p.says(command("AUTH", "bob", "b"))
	want += "+OK\r\n"
	got := ""
	for range 100 {
		more, _ := reads(p)
		got += more
		c.calm()
	}
	if got != want {
		t.Fatalf("heard %d bytes of %d", len(got), len(want))
	}
	p.says(command("PING"))
	if got, _ := reads(p); got != "+PONG\r\n" {
		t.Errorf("bob, who has had no reply but this, waits: %q", got)
	}
}

// A user has only so many clients. To one more its login is answered with the error, and it is
// closed; with one that leaves there is room again.
func TestUserClients(t *testing.T) {
	c := converse(t, limitedUsers("clients: 2"), resp{}, 2)
	defer c.stop()
	one, two := c.as(1, "alice"), c.as(2, "alice")
	const refused = "-ERR max number of clients of this user reached (user_limits)\r\n"
	for i, login := range []string{command("AUTH", "alice", "a"), command("HELLO", "2", "AUTH", "alice", "a"), "PING\r\n" + command("AUTH", "alice", "a")} {
		more := c.joinFrom(fmt.Sprint("10.0.0.1:3", i))
		more.says(login + command("PING"))
		if got, ended := reads(more); strings.TrimPrefix(got, "-NOAUTH Authentication required.\r\n") != refused || !ended {
			t.Errorf("one that says %q hears %q, ended %t", login, got, ended)
		}
	}
	two.says(command("AUTH", "bob", "b"))
	if got, _ := reads(two); got != "+OK\r\n" {
		t.Errorf("the second hears %q", got)
	}
	four := c.as(4, "alice")
	one.says("PING\r\n")
	four.says("PING\r\n")
	for _, p := range []*party{one, two, four} {
		p.says("PING\r\n")
		if got, ended := reads(p); !strings.HasSuffix(got, "+PONG\r\n") || ended {
			t.Errorf("heard %q", got)
		}
	}
}

// A reload changes the limits of living clients, and ends them.
func TestUserLimitsReload(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 1m"), resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	requests, replies := numbered(20)
	p.says(requests)
	c.step(100*time.Millisecond, 10*time.Millisecond)
	got, _ := reads(p)
	if n := strings.Count(got, "$5"); n > 2 {
		t.Errorf("%d at once", n)
	}
	c.lines = strings.Split(limitedUsers(""), "  user_limits")[0]
	c.reload(false)
	c.calm()
	if more, _ := reads(p); got+more != replies {
		t.Errorf("after the reload: %q", more)
	}
	c.lines = limitedUsers("in_flight: 1")
	c.reload(false)
	p.says("PING\r\n")
	if got, _ := reads(p); got != "+PONG\r\n" {
		t.Errorf("after the second reload: %q", got)
	}
}
