package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/stats"
)

// step lets time go by in steps, as loops that have timers do.
func (c *conversation) step(d, by time.Duration) {
	for ; d > 0; d -= by {
		c.now += by
		c.calm()
	}
}

// numbered are n requests that the proxy answers itself, and their replies in order.
func numbered(n int) (requests, replies string) {
	for i := range n {
		text := fmt.Sprintf("%05d", i)
		requests += command("ECHO", text)
		replies += bulk(text)
	}
	return requests, replies
}

// Over the rate a pipeline waits, keeps its order, and is served at the rate.
func TestRequestRate(t *testing.T) {
	c := converse(t, "  redis: true\n  limits: {requests_per_second: 100, request_burst: 5, max_wait: 1m}\n", resp{}, 1)
	defer c.stop()
	p := c.joinFrom("10.0.0.1:1")
	requests, replies := numbered(205)
	p.says(requests)
	got, _ := reads(p)
	if n := strings.Count(got, "$5"); n != 5 {
		t.Errorf("%d at once, the burst is 5", n)
	}
	c.step(time.Second, time.Millisecond)
	more, _ := reads(p)
	if n := strings.Count(more, "$5"); n < 99 || n > 101 {
		t.Errorf("%d in a second", n)
	}
	if n := c.value(stats.LimitWaiting); n != 1 {
		t.Errorf("%d clients wait", n)
	}
	c.step(2*time.Second, 10*time.Millisecond)
	rest, _ := reads(p)
	if got+more+rest != replies {
		t.Errorf("the replies are others, or in another order: %q", got+more+rest)
	}
	if n := c.value(stats.LimitWaiting); n != 0 {
		t.Errorf("%d clients wait", n)
	}
	c.now += time.Hour
	c.calm()
	requests, _ = numbered(205)
	p.says(requests)
	if got, _ := reads(p); strings.Count(got, "$5") != 5 {
		t.Errorf("%d at once after an hour, the burst is 5", strings.Count(got, "$5"))
	}
}

// Those that wait take turns: a pipeline does not keep others out.
func TestRequestRateIsFair(t *testing.T) {
	c := converse(t, "  redis: true\n  limits: {requests_per_second: 1000, request_burst: 1, max_wait: 1m}\n", resp{}, 1)
	defer c.stop()
	flood := c.joinFrom("10.0.0.1:1")
	requests, _ := numbered(2000)
	flood.says(requests)
	var all []*party
	for i := range 50 {
		p := c.joinFrom(fmt.Sprintf("10.0.0.2:%d", i+1))
		p.says("ECHO hi\r\n")
		all = append(all, p)
	}
	c.step(200*time.Millisecond, time.Millisecond)
	for i, p := range all {
		if got, _ := reads(p); got != bulk("hi") {
			t.Errorf("client %d: %q after 200 ms, beside a flood", i, got)
		}
	}
	if got, _ := reads(flood); strings.Count(got, "$5") < 100 {
		t.Errorf("the flood got %d", strings.Count(got, "$5"))
	}
}

// A request that has waited for max_wait gets an error that names the limit, in its turn, whoever
// would answer it.
func TestRequestRateRefuses(t *testing.T) {
	const refused = "-ERR the limit on requests a second is reached (limits.requests_per_second)\r\n"
	c := converse(t, "  redis: true\n  limits: {requests_per_second: 1, max_wait: 100ms}\n", resp{}, 1)
	defer c.stop()
	p := c.joinFrom("10.0.0.1:1")
	p.says("ECHO a\r\n")
	p.wants("the first", bulk("a"), false)
	p.says("GET k\r\nPING\r\nSET k v\r\nMULTI\r\nGET k\r\nEXEC\r\nECHO b\r\n")
	c.step(99*time.Millisecond, time.Millisecond)
	p.wants("before the time is over", "", false)
	c.step(20*time.Millisecond, time.Millisecond)
	p.wants("behind it", strings.Repeat(refused, 4)+"-ERR 'GET' is not carried out: MULTI was refused, and with it all that follows up to EXEC or DISCARD\r\n"+
		"-EXECABORT Transaction discarded because of: the limit on requests a second is reached (limits.requests_per_second)\r\n"+refused, false)
	c.step(time.Second, time.Millisecond)
	p.says("ECHO c\r\n")
	p.wants("a second later", bulk("c"), false)
	if n := c.value(stats.LimitWaits); n == 0 {
		t.Error("no waits are counted")
	}
	kinds := ""
	found, _, _ := c.identity.Events().After(0, 100, "")
	for _, e := range found {
		kinds += e.Kind.String() + " " + e.Reason + "\n"
	}
	if kinds != "limit_reached request_rate\n" {
		t.Errorf("the events are %q", kinds)
	}
}

// Loops share the rate.
func TestRequestRateOfLoops(t *testing.T) {
	c := converse(t, "  redis: true\n  limits: {requests_per_second: 1000, request_burst: 20, max_wait: 1m}\n", resp{}, 3)
	defer c.stop()
	var all []*party
	for i := range 9 {
		p := c.joinFrom(fmt.Sprintf("10.0.0.2:%d", i+1))
		requests, _ := numbered(500)
		p.says(requests)
		all = append(all, p)
	}
	c.step(time.Second, time.Millisecond)
	n := 0
	for i, p := range all {
		got, _ := reads(p)
		k := strings.Count(got, "$5")
		if n += k; k < 50 {
			t.Errorf("client %d got %d", i, k)
		}
	}
	if n < 950 || n > 1030 {
		t.Errorf("%d in a second, of 1000 and a burst of 20", n)
	}
}

// Bytes are counted of requests and replies. One that is larger than the limit is served, and the
// next wait longer.
func TestByteRate(t *testing.T) {
	c := converse(t, "  redis: true\n  limits: {bytes_per_second: 10kb, byte_burst: 1kb, max_wait: 100ms}\n", resp{}, 1)
	defer c.stop()
	p := c.joinFrom("10.0.0.1:1")
	large := strings.Repeat("x", 20<<10)
	p.says(command("ECHO", large))
	p.wants("a large one", bulk(large), false)
	p.says("GET k\r\n")
	c.step(120*time.Millisecond, time.Millisecond)
	p.wants("the next", "-ERR the limit on bytes a second is reached (limits.bytes_per_second)\r\n", false)
	c.step(4*time.Second, 5*time.Millisecond)
	p.says("ECHO b\r\n")
	p.wants("when it is paid for", bulk("b"), false)
}

// asked is how many requests the servers have.
func (c *conversation) asked() (n int) {
	for _, s := range c.stubs {
		s.read()
		for _, conn := range s.conns {
			n += len(conn.todo)
		}
	}
	return n
}

// answerSome has servers answer so many requests of each connection, and returns how many it was.
func (c *conversation) answerSome(most int) (n int) {
	c.asked()
	for _, s := range c.stubs {
		for _, conn := range s.conns {
			for range min(most, len(conn.todo)) {
				conn.todo = conn.todo[1:]
				if _, err := conn.end.Write([]byte("$-1\r\n")); err != nil {
					c.t.Fatal(err)
				}
				n++
			}
		}
	}
	return n
}

// Requests wait while as many as may be are in flight, of all clients on all loops, and go on as
// replies come.
func TestInFlightLimit(t *testing.T) {
	c := converse(t, "  redis: true\n  limits: {in_flight: 4, max_wait: 10s}\n", resp{}, 2)
	defer c.stop()
	var all []*party
	for i := range 3 {
		p := c.joinFrom(fmt.Sprintf("10.0.0.2:%d", i+1))
		p.says(strings.Repeat(command("GET", "k"), 3))
		all = append(all, p)
	}
	c.calm()
	if n := c.asked(); n != 4 {
		t.Errorf("servers have %d requests, 4 may be in flight", n)
	}
	answered := 0
	for range 9 {
		answered += c.answerSome(1)
		c.step(20*time.Millisecond, time.Millisecond)
		if n := c.asked(); n > 4 {
			t.Errorf("servers have %d requests, 4 may be in flight", n)
		}
	}
	if answered != 9 {
		t.Errorf("%d requests were answered", answered)
	}
	for i, p := range all {
		if got, _ := reads(p); got != strings.Repeat("$-1\r\n", 3) {
			t.Errorf("client %d: %q", i, got)
		}
	}
	for _, p := range all {
		p.says(command("GET", "k") + command("GET", "k"))
	}
	c.step(11*time.Second, 100*time.Millisecond)
	n := 0
	for _, p := range all {
		got, _ := reads(p)
		n += strings.Count(got, "-ERR the limit on requests in flight is reached (limits.in_flight)\r\n")
	}
	if n == 0 {
		t.Error("nobody who has waited for too long is told")
	}
	for range 6 {
		c.answerSome(100)
		c.step(20*time.Millisecond, time.Millisecond)
	}
	q := c.joinFrom("10.0.0.3:1")
	q.says("PING\r\n")
	q.wants("when all is answered", "+PONG\r\n", false)
	if n := c.value(stats.LimitWaiting); n != 0 {
		t.Errorf("%d clients wait, and all is answered", n)
	}
}

// A reload that lowers, raises and lifts limits holds for those that wait.
func TestReloadOfLimits(t *testing.T) {
	c := converse(t, "  redis: true\n", resp{}, 2)
	defer c.stop()
	p, q := c.joinFrom("10.0.0.1:1"), c.joinFrom("10.0.0.1:2")
	set := func(limits string) {
		c.lines = "  redis: true\n" + limits
		c.reload(false)
		c.calm()
	}
	p.says("ECHO a\r\n")
	p.wants("without a limit", bulk("a"), false)
	set("  limits: {requests_per_second: 10, request_burst: 1, in_flight: 100, max_wait: 1m}\n")
	requests, replies := numbered(100)
	p.says(requests)
	q.says(requests)
	c.step(time.Second, time.Millisecond)
	got, _ := reads(p)
	other, _ := reads(q)
	if n := strings.Count(got+other, "$5"); n > 12 {
		t.Errorf("%d in a second at 10", n)
	}
	set("  limits: {requests_per_second: 100, request_burst: 1, max_wait: 1m}\n")
	c.step(time.Second, time.Millisecond)
	more, _ := reads(p)
	others, _ := reads(q)
	if n := strings.Count(more+others, "$5"); n < 90 || n > 112 {
		t.Errorf("%d in a second at 100", n)
	}
	set("")
	rest, _ := reads(p)
	otherRest, _ := reads(q)
	if got+more+rest != replies || other+others+otherRest != replies {
		t.Errorf("replies are missing, or in another order:\n%q\n%q", got+more+rest, other+others+otherRest)
	}
	set("  limits: {in_flight: 1, max_wait: 1s}\n")
	p.says("ECHO b\r\n")
	p.wants("with a limit again", bulk("b"), false)
}

// Clients without a login use up nothing of what the others may do.
func TestRatesOfStrangers(t *testing.T) {
	c := converse(t, "  redis: true\n  redis_auth: sesame\n  limits: {requests_per_second: 10, request_burst: 2, max_wait: 1s}\n", resp{}, 1)
	defer c.stop()
	for i := range 5 {
		stranger := c.joinFrom(fmt.Sprintf("10.0.0.2:%d", i+1))
		stranger.says(strings.Repeat(command("PING"), 100))
		if got, _ := reads(stranger); strings.Count(got, "-NOAUTH") != 100 {
			t.Fatalf("a client without a login hears %.100q", got)
		}
	}
	p := c.joinFrom("10.0.0.1:1")
	p.says(command("AUTH", "sesame") + command("ECHO", "a") + command("ECHO", "b"))
	if got, _ := reads(p); got != "+OK\r\n"+bulk("a")+bulk("b") {
		t.Errorf("a client with a login hears %q", got)
	}
}
