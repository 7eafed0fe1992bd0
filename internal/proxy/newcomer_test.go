package proxy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// behindBalancer is a pool whose clients come from load balancers in 10.0.0.0/8.
const behindBalancer = "  redis: true\n  proxy_protocol_from: 10.0.0.0/8\n  proxy_protocol_timeout: 2s\n"

const (
	line4 = "PROXY TCP4 203.0.113.7 10.0.0.5 51234 6379\r\n"
	// binary4 is the same in version 2, with something behind the addresses.
	binary4 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x11\xcb\x00\x71\x07\x0a\x00\x00\x05\xc8\x22\x18\xeb\x04\x00\x02ab"
	local   = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// says sends text as it is; it must be taken at once.
func (p *party) says(text string) {
	p.talk.t.Helper()
	if n, err := p.end.Write([]byte(text)); n != len(text) {
		p.talk.t.Fatalf("%d of %d bytes are taken: %v", n, len(text), err)
	}
	p.talk.calm()
}

// wants checks that text has come and, with end, the end behind it.
func (p *party) wants(what, text string, end bool) {
	p.talk.t.Helper()
	if got, ended := reads(p); got != text || ended != end {
		p.talk.t.Errorf("%s: %q, %v; want %q, %v", what, got, ended, text, end)
	}
}

// reasons are how many clients were refused for a reason, and closed for it, on all loops.
func (c *conversation) reasons(why msg.Reason) (refused, closed int64) {
	for _, ctx := range c.loops {
		s := stats.NewShard(c.layout())
		ctx.CopyStats(s)
		refused += s.Pools[0].Vectors[stats.RefusedClients][why]
		closed += s.Pools[0].Vectors[stats.ClosedClients][why]
	}
	return refused, closed
}

// value is a statistic of the pool, on all loops.
func (c *conversation) value(f stats.PoolField) (n int64) {
	for _, ctx := range c.loops {
		s := stats.NewShard(c.layout())
		ctx.CopyStats(s)
		n += s.Pools[0].Values[f]
	}
	return n
}

// A header may come in any pieces. The client is known by the address in it.
func TestHeaderOfBalancer(t *testing.T) {
	c := converse(t, behindBalancer, resp{}, 2)
	defer c.stop()
	n := 0
	for _, header := range []string{line4, binary4} {
		for i := range len(header) + 1 {
			p := c.joinFrom(fmt.Sprintf("10.0.0.9:%d", i+1))
			if p.says(header[:i]); i < len(header) {
				p.wants("half a header", "", false)
			}
			p.says(header[i:] + "PING\r\n")
			p.wants("split at "+fmt.Sprint(i), "+PONG\r\n", false)
			p.says("CLIENT INFO\r\n")
			if got, _ := reads(p); !strings.Contains(got, " addr=203.0.113.7:51234 ") {
				t.Fatalf("split at %d: %q", i, got)
			}
			p.close()
			n++
		}
	}
	c.calm()
	if got := c.value(stats.ProxyHeaders); got != int64(n) {
		t.Errorf("%d headers are counted, %d came", got, n)
	}
	if got := c.value(stats.ProxyHeadersWaiting); got != 0 {
		t.Errorf("%d headers are waited for", got)
	}
	if n := c.identity.Limits().Clients(); n != 0 {
		t.Errorf("%d clients are counted, all have gone", n)
	}
}

// Behind the header stands the stage, whose first bytes may come with it.
func TestHeaderBeforeStage(t *testing.T) {
	for i := range len(binary4) + 1 {
		s := &scrambled{world: network(false)}
		c := converseIn(t, s, behindBalancer, resp{}, 1)
		raw, err := s.world.(fake).net.DialFrom(netip.MustParseAddrPort("10.0.0.9:1"), c.addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{binary4[:i], binary4[i:]} {
			if _, err := raw.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // otherwise all comes in one turn
				c.calm()
			}
		}
		p := &party{talk: c, id: len(c.parties), end: s.end(raw, true)}
		c.parties = append(c.parties, p)
		if _, err := p.end.Write([]byte("PING\r\n")); err != nil {
			t.Fatal(err)
		}
		p.end.(stagedEnd).Flush()
		c.calm()
		p.end.(stagedEnd).Flush()
		c.calm()
		p.wants("behind a stage", "+PONG\r\n", false)
		c.stop()
	}
}

// Lists judge the client, and not its load balancer. One that speaks for itself is judged by
// its own address.
func TestAccessBehindBalancer(t *testing.T) {
	const refused = "-ERR connections from this address are not allowed\r\n"
	c := converse(t, behindBalancer+"  allow_from: [203.0.113.0/24, 10.0.0.1]\n  deny_from: 203.0.113.66\n", resp{}, 2)
	defer c.stop()
	for _, tt := range []struct {
		from, header, want string
	}{
		{"10.0.0.9:1", line4, "+PONG\r\n"},
		{"10.0.0.9:2", strings.Replace(line4, "203.0.113.7", "203.0.113.66", 1), refused},
		{"10.0.0.9:3", strings.Replace(line4, "203.0.113.7", "198.51.100.1", 1), refused},
		{"10.0.0.1:4", strings.Replace(line4, "203.0.113.7", "198.51.100.1", 1), refused},
		{"10.0.0.1:5", local, "+PONG\r\n"},
		{"10.0.0.9:6", local, refused},
		{"10.0.0.1:7", "PROXY UNKNOWN\r\n", "+PONG\r\n"},
		{"10.0.0.9:8", "PROXY UNKNOWN 203.0.113.7 10.0.0.5 1 2\r\n", refused},
		{"203.0.113.9:9", "", "+PONG\r\n"},
		{"198.51.100.1:10", "", refused},
	} {
		p := c.joinFrom(tt.from)
		_, _ = p.end.Write([]byte(tt.header + "PING\r\n"))
		c.calm()
		p.wants(tt.from+" "+tt.header, tt.want, tt.want == refused)
	}
	if n, _ := c.reasons(msg.AddressRefused); n != 6 {
		t.Errorf("%d clients are counted as refused for their address, 6 were", n)
	}
}

// Without a header, with a bad one, or with half of one for too long, a load balancer is
// refused.
func TestNoHeader(t *testing.T) {
	const refused = "-ERR a valid PROXY header is expected first from this address (proxy_protocol_from)\r\n"
	c := converse(t, behindBalancer, resp{}, 2)
	defer c.stop()
	for _, text := range []string{"PING\r\n", "PROXY TCP4 1.2.3.4\r\n", "\x16\x03\x01", strings.Repeat("PROXY ", 100)} {
		p := c.joinFrom("10.0.0.9:1")
		p.says(text)
		p.wants(text, refused, true)
	}
	half, silent := c.joinFrom("10.0.0.9:2"), c.joinFrom("10.0.0.9:3")
	half.says(line4[:20])
	c.pass(1999 * time.Millisecond)
	c.calm()
	half.wants("before the time is over", "", false)
	later := c.joinFrom("10.0.0.9:4")
	c.pass(time.Millisecond)
	c.calm()
	half.wants("half a header", refused, true)
	silent.wants("nothing", refused, true)
	later.wants("one that came later", "", false)
	later.says(line4 + "PING\r\n")
	later.wants("one that came later", "+PONG\r\n", false)

	gone, begun := c.joinFrom("10.0.0.9:5"), c.joinFrom("10.0.0.9:6")
	begun.says("PROXY ")
	begun.end.CloseWrite()
	gone.close() // a check of the port
	c.calm()
	begun.wants("half a header and no more", refused, true)
	if n, _ := c.reasons(msg.BadHeader); n != 7 {
		t.Errorf("%d connections are counted as refused for their header, 7 were", n)
	}
	if n := c.value(stats.ProxyHeadersWaiting); n != 0 {
		t.Errorf("%d headers are waited for", n)
	}
	if n := c.identity.Limits().Clients(); n != 1 {
		t.Errorf("%d clients are counted, there is one", n)
	}
}

// A header from elsewhere is a fault that is named, also behind another header.
func TestStrangeHeader(t *testing.T) {
	const refused = "-ERR a PROXY header from an address that is not in proxy_protocol_from, or a second one\r\n"
	for _, lines := range []string{behindBalancer, "  redis: true\n"} {
		c := converse(t, lines, resp{}, 1)
		for _, header := range []string{line4, binary4, local} {
			p := c.joinFrom("203.0.113.9:1")
			p.says(header + "PING\r\n")
			p.wants(header, refused, true)
		}
		if _, n := c.reasons(msg.StrangeHeader); n != 3 {
			t.Errorf("%d clients are counted as closed for a header, 3 were", n)
		}
		c.stop()
	}
	c := converse(t, behindBalancer, resp{}, 1)
	defer c.stop()
	p := c.joinFrom("10.0.0.9:1")
	p.says(line4 + line4)
	p.wants("two headers", refused, true)
	c2 := converse(t, "", text{}, 1)
	defer c2.stop()
	q := c2.joinFrom("10.0.0.9:1")
	q.says(line4 + "version\r\n")
	q.wants("in a Memcached pool", "SERVER_ERROR a PROXY header from an address that is not in proxy_protocol_from, or a second one\r\n", true)
}

// The bound on clients holds for connections whose header has not come, too.
func TestBoundOnHeaders(t *testing.T) {
	c := converse(t, behindBalancer+"  client_connections: 3\n", resp{}, 1)
	defer c.stop()
	for i := range 3 {
		c.joinFrom(fmt.Sprintf("10.0.0.9:%d", i+1)).says("PROXY ")
	}
	c.joinFrom("10.0.0.9:4").wants("one too many", "-ERR max number of clients reached\r\n", true)
	c.pass(2 * time.Second)
	c.calm()
	p := c.joinFrom("10.0.0.9:5")
	p.says(line4 + "PING\r\n")
	p.wants("when those are gone", "+PONG\r\n", false)
}

// A drain closes connections of which nothing has come. A client whose header is under way is
// served once more.
func TestDrainOfHeaders(t *testing.T) {
	c := converse(t, behindBalancer, resp{}, 1)
	defer c.stop()
	silent, half := c.joinFrom("10.0.0.9:1"), c.joinFrom("10.0.0.9:2")
	half.says(line4[:9])
	for _, ctx := range c.loops {
		ctx.Drain(int64(c.now + time.Second))
	}
	c.calm()
	silent.wants("nothing said", "", true)
	half.wants("half a header", "", false)
	half.says(line4[9:] + "PING\r\n")
	half.wants("the rest", "+PONG\r\n", true)
}

// The path of a unix socket in a header has any bytes. It forges no line and no field where
// clients are listed.
func TestPathOfHeaderIsOneWord(t *testing.T) {
	c := converse(t, behindBalancer, resp{}, 1)
	defer c.stop()
	for path, want := range map[string]string{
		"/run/app.sock":                "/run/app.sock",
		"/run/\u00e4.sock":             "/run/\u00e4.sock",
		"/a\nid=1 addr=1.2.3.4:5 x":    "/a?id=1?addr=1.2.3.4:5?x",
		"/a\r\t\x1b[2J\x7f\xff\u2028b": "/a???[2J???b",
		"\n":                           "?",
		"":                             "unix",
	} {
		p := c.joinFrom("10.0.0.9:1")
		end := func(path string) string { return path + strings.Repeat("\x00", 108-len(path)) }
		p.says("\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + end(path) + end("/to"))
		for _, call := range []string{"CLIENT INFO\r\n", "CLIENT LIST\r\n"} {
			p.says(call)
			got, _ := reads(p)
			if !strings.Contains(got, " addr="+want+" laddr=") || strings.Count(got, "id=") != 1+strings.Count(want, "id=") || strings.Count(got, "\n") > 3 {
				t.Errorf("%q: %q, want the address %q", path, got, want)
			}
		}
		p.close()
		c.calm()
	}
}
