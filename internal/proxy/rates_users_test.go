package proxy_test

import (
	"fmt"
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

// What the proxy answers itself is refused as well, if it has waited too long, unless it changes
// what the client's next requests mean.
func TestUserRateRefusesOwnAnswers(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 100ms")+"  databases: 4\n", resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	over := "-ERR the user's limit on requests a second is reached (user_limits)\r\n"
	p.says(command("PING") + command("PING") + command("ECHO", "x") + command("ACL", "WHOAMI") + command("SELECT", "1") + command("CLIENT", "GETNAME") + command("TIME"))
	c.step(300*time.Millisecond, 10*time.Millisecond)
	if got, _ := reads(p); got != "+PONG\r\n"+over+over+over+"+OK\r\n$-1\r\n"+over {
		t.Errorf("heard %q", got)
	}
}

// A client that becomes another user has not waited for that one's limits.
func TestUserRateIsLeftBehind(t *testing.T) {
	c := converse(t, limitedUsers("requests_per_second: 1, request_burst: 1, max_wait: 100ms"), resp{}, 1)
	defer c.stop()
	p := c.as(1, "alice")
	p.says(command("PING") + command("PING") + command("AUTH", "bob", "b") + command("PING") + command("ACL", "WHOAMI") + command("AUTH", "alice", "a") + command("PING"))
	c.step(90*time.Millisecond, 10*time.Millisecond)
	if got, _ := reads(p); got != "+PONG\r\n" {
		t.Errorf("at first: %q", got)
	}
	c.step(100*time.Millisecond, 10*time.Millisecond)
	got, _ := reads(p)
	c.step(3*time.Second, 10*time.Millisecond)
	rest, _ := reads(p)
	over := "-ERR the user's limit on requests a second is reached (user_limits)\r\n"
	if want := over + "+OK\r\n+PONG\r\n" + bulk("bob") + "+OK\r\n"; !strings.HasPrefix(got+rest, want) {
		t.Errorf("heard %q, want %q first", got+rest, want)
	}
	if end := strings.TrimPrefix(got+rest, over+"+OK\r\n+PONG\r\n"+bulk("bob")+"+OK\r\n"); end != over && end != "+PONG\r\n" {
		t.Errorf("as alice again: %q", end)
	}
}

// A user has only so many clients. One more is closed when it logs in; with one that leaves
// there is room again.
func TestUserClients(t *testing.T) {
	c := converse(t, limitedUsers("clients: 2"), resp{}, 2)
	defer c.stop()
	one, two := c.as(1, "alice"), c.as(2, "alice")
	three := c.joinFrom("10.0.0.1:3")
	three.says(command("AUTH", "alice", "a") + command("PING"))
	if got, ended := reads(three); got != "+OK\r\n-ERR max number of clients of this user reached (user_limits)\r\n" || !ended {
		t.Errorf("the third hears %q, ended %t", got, ended)
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
