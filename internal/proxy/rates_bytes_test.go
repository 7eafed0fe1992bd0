package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A load is clients that send the same request again and again, each when it has the reply to its
// last, whatever that is.
type load struct {
	c       *conversation
	clients []*party
	request []string
	ok, err int
	// unsaid are the pieces of its request that a client has yet to say.
	unsaid [][]string
}

// run has the clients do so for that time.
func (l *load) run(d time.Duration) {
	const by = 5 * time.Millisecond
	if l.unsaid == nil {
		l.unsaid = make([][]string, len(l.clients))
		for i := range l.clients {
			l.unsaid[i] = l.request
		}
	}
	for ; d > 0; d -= by {
		for i, p := range l.clients {
			if more := l.unsaid[i]; len(more) > 0 {
				p.says(more[0])
				l.unsaid[i] = more[1:]
			}
		}
		l.c.now += by
		l.c.calm()
		for l.c.answerSome(100) > 0 {
			l.c.calm()
		}
		for i, p := range l.clients {
			got, ended := reads(p)
			switch {
			case ended:
				l.c.t.Fatalf("client %d is closed, after %q", i, got)
			case strings.HasPrefix(got, "-ERR the "):
				l.err++
			case got != "":
				l.ok++
			default:
				continue
			}
			l.unsaid[i] = l.request
		}
	}
}

// Over the limit on bytes as many requests are served as it has room for, however many are refused
// and tried again, and soon after that others are served as before.
func TestByteRateOverload(t *testing.T) {
	set := func(size int) string { return command("SET", "k", strings.Repeat("v", size)) }
	large := set(50 << 10)
	for _, o := range []struct {
		name, limits string
		user         bool
		clients      int
		request      []string
		d            time.Duration
		least, most  int
	}{
		{name: "a pool", limits: "bytes_per_second: 100kb", clients: 40, request: []string{set(10_000)}, d: 8 * time.Second, least: 70, most: 90},
		{name: "a user", limits: "bytes_per_second: 100kb", user: true, clients: 40, request: []string{set(10_000)}, d: 8 * time.Second, least: 70, most: 90},
		{name: "a client", limits: "bytes_per_second: 1000, max_wait: 300ms", clients: 1, request: []string{set(600)}, d: 8 * time.Second, least: 10, most: 14},
		{name: "a user's client", limits: "bytes_per_second: 1000, max_wait: 300ms", user: true, clients: 1, request: []string{set(600)}, d: 8 * time.Second, least: 10, most: 14},
		{name: "what the proxy answers", limits: "bytes_per_second: 100kb", clients: 40, request: []string{command("ECHO", strings.Repeat("v", 5000))}, d: 8 * time.Second, least: 70, most: 90},
		{name: "small requests", limits: "bytes_per_second: 1000, max_wait: 20ms", clients: 20, request: []string{"GET k\r\n"}, d: 4 * time.Second, least: 150, most: 180},
		{name: "large requests in pieces", limits: "bytes_per_second: 100kb, max_wait: 300ms", clients: 20, request: []string{large[:20_000], large[20_000:40_000], large[40_000:]}, d: 8 * time.Second, least: 14, most: 18},
	} {
		t.Run(o.name, func(t *testing.T) {
			lines, join := "  redis: true\n  limits: {"+o.limits+"}\n", (*conversation).anybody
			if o.user {
				lines, join = limitedUsers(o.limits), (*conversation).alice
			}
			c := converse(t, lines, resp{}, 1)
			defer c.stop()
			l := &load{c: c, request: o.request}
			for i := range o.clients {
				l.clients = append(l.clients, join(c, i+1))
			}
			last := join(c, 1000)
			l.run(o.d)
			if l.ok < o.least || l.ok > o.most || l.err == 0 {
				t.Errorf("%d are served and %d refused, wanted %d to %d served", l.ok, l.err, o.least, o.most)
			}
			l.clients, l.unsaid = []*party{last}, nil
			l.request, l.ok = []string{"GET k\r\n"}, 0
			l.run(1500 * time.Millisecond)
			if l.ok == 0 {
				t.Error("nobody is served a second and a half later")
			}
		})
	}
}

// anybody and alice are clients of a pool with limits, and of a user who has some.
func (c *conversation) anybody(from int) *party { return c.joinFrom(fmt.Sprintf("10.0.0.1:%d", from)) }
func (c *conversation) alice(from int) *party   { return c.as(from, "alice") }
