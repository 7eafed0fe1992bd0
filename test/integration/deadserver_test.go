package integration

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nuthatch/internal/testkit"
)

// soloStage is a stage whose proxy has one event loop, and so one connection to
// each server.
func soloStage(t *testing.T, protocol testkit.Protocol, lines ...string) stage {
	t.Helper()
	start := testkit.StartMemcached
	if protocol == testkit.Redis {
		start = testkit.StartRedis
	}
	servers := []*testkit.Server{start(t), start(t), start(t)}
	pool := testkit.Pool{Protocol: protocol, Servers: testkit.Names(servers...), Lines: lines}
	return stage{proxy: testkit.StartNuthatch(t, pool.String(), testkit.Threads(1)), servers: servers}
}

// A tongue is how a protocol gets a key, and what it answers when the value is
// the key itself, or there is none.
type tongue struct {
	protocol testkit.Protocol
	set, get func(key string) []byte
	stored   string
	found    func(key string) string
	none     string
	errorOf  func(text string) string
}

var (
	inRedis = tongue{
		protocol: testkit.Redis,
		set:      func(key string) []byte { return testkit.RESP("SET", key, key) },
		get:      func(key string) []byte { return testkit.RESP("GET", key) },
		stored:   "+OK\r\n", found: testkit.Bulk, none: "$-1\r\n",
		errorOf: func(text string) string { return "-ERR " + text + "\r\n" },
	}
	inMemcache = tongue{
		protocol: testkit.Memcache,
		set:      func(key string) []byte { return []byte(store(fmt.Sprintf("set %s 0 0 %d", key, len(key)), key)) },
		get:      func(key string) []byte { return []byte("get " + key + "\r\n") },
		stored:   "STORED\r\n", found: value, none: "END\r\n",
		errorOf: func(text string) string { return "SERVER_ERROR " + text + "\r\n" },
	}
)

// ask gets a key.
func (g *tongue) ask(c *testkit.Client, key string) string {
	c.Send(g.get(key))
	return c.Reply()
}

// twoKeys stores a key of the stage's first server, and one of another.
func (g *tongue) twoKeys(t *testing.T, s stage) (first, other string) {
	t.Helper()
	c, direct := s.proxy.Dial(g.protocol), s.servers[0].Dial()
	for _, key := range spread(100) {
		c.Send(g.set(key))
		c.Expect(g.stored)
		if g.ask(direct, key) == g.found(key) {
			first = key
		} else {
			other = key
		}
		if first != "" && other != "" {
			return first, other
		}
	}
	t.Fatal("a server owns none of the keys, or all")
	return "", ""
}

// With eject: fail the keys of a server that has been killed stay its own: their
// requests fail, and those of the others do not. It is back when it is started
// again.
func TestBreakerOfADeadServer(t *testing.T) {
	t.Parallel()
	for _, g := range []*tongue{&inRedis, &inMemcache} {
		t.Run(g.protocol.String(), func(t *testing.T) {
			t.Parallel()
			s := soloStage(t, g.protocol, "auto_eject_hosts: true", "eject: fail", "server_failure_limit: 2", "server_retry_timeout: 200")
			first, other := g.twoKeys(t, s)
			c := s.proxy.Dial(g.protocol)
			s.servers[0].Kill()
			open := g.errorOf("the server of this key is ejected; requests for it fail until it answers again")
			testkit.Await(t, "requests to fail at once", func() error {
				if got := g.ask(c, other); got != g.found(other) {
					t.Errorf("a key of a server that is well: %q", got)
				}
				if got := g.ask(c, first); got != open {
					return fmt.Errorf("the reply is %q", got)
				}
				return nil
			})
			for range 50 {
				// One in a while is let through, and finds that the server refuses.
				if got := g.ask(c, first); got != open && got != g.errorOf("Connection refused") {
					t.Errorf("a key of the dead server: %q", got)
				}
				if got := g.ask(c, other); got != g.found(other) {
					t.Errorf("a key of a server that is well: %q", got)
				}
			}
			if n := s.proxy.Stats().Value("alpha", "server_ejects"); n != 1 {
				t.Errorf("%d ejections, want 1", n)
			}
			s.servers[0].Restart()
			testkit.Await(t, "the server to be used again", func() error {
				if got := g.ask(c, first); got != g.none {
					return fmt.Errorf("the reply is %q", got)
				}
				return nil
			})
			c.Send(g.set(first))
			c.Expect(g.stored)
			if got := g.ask(s.servers[0].Dial(), first); got != g.found(first) {
				t.Errorf("the server that is back has %q", got)
			}
		})
	}
}

// A stopped server takes as many requests as it may. More fail at once, those for
// other servers do not, and none that it has taken is lost.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	for _, g := range []*tongue{&inRedis, &inMemcache} {
		t.Run(g.protocol.String(), func(t *testing.T) {
			t.Parallel()
			s := soloStage(t, g.protocol, "server_max_queued: 5")
			first, other := g.twoKeys(t, s)
			waits, c := s.proxy.Dial(g.protocol), s.proxy.Dial(g.protocol)
			s.servers[0].Pause()
			for range 5 {
				waits.Send(g.get(first))
			}
			s.proxy.AwaitStat(5, "alpha", "s1", "out_queue")
			for range 20 {
				if got, want := g.ask(c, first), g.errorOf("server busy"); got != want {
					t.Errorf("a request too many: %q, want %q", got, want)
				}
				if got := g.ask(c, other); got != g.found(other) {
					t.Errorf("a key of a server that is well: %q", got)
				}
			}
			s.servers[0].Resume()
			for range 5 {
				waits.Expect(g.found(first))
			}
			if got := g.ask(c, first); got != g.found(first) {
				t.Errorf("when the server has gone on: %q", got)
			}
		})
	}
}

// A server that refuses connections is tried now and then, not with each request,
// and is used again when it is back.
func TestReconnectBackoffOfADeadServer(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	p := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: testkit.Names(server),
		Lines: []string{"reconnect_backoff: 500ms", "reconnect_backoff_max: 500ms"},
	}.String())
	client := p.Dial(testkit.Redis)
	if got := client.Do("GET", "k"); got != "$-1\r\n" {
		t.Fatalf("before: %q", got)
	}
	server.Kill()
	p.AwaitStat(0, "alpha", "s1", "server_connections")
	const requests = 300
	for range requests {
		if got := client.Do("GET", "k"); got != "-ERR Connection refused\r\n" {
			t.Fatalf("a server that refuses: %q", got)
		}
	}
	// On a machine so busy that they take a minute there would be 240.
	if n := p.Stats().Value("alpha", "s1", "server_err"); n < 1 || n >= requests {
		t.Errorf("%d requests made %d attempts to connect", requests, n)
	}
	server.Restart()
	testkit.Await(t, "the server to be used again", func() error {
		if got := client.Do("GET", "k"); got != "$-1\r\n" {
			return fmt.Errorf("the reply is %q", got)
		}
		return nil
	})
}

// A memcached that hangs costs its requests an error each, and nothing else.
func TestMemcachedRequestTimeout(t *testing.T) {
	t.Parallel()
	g := &inMemcache
	s := memcacheStage(t, "request_timeout: 1s")
	first, other := g.twoKeys(t, s)
	c := s.proxy.Dial(g.protocol)
	s.servers[0].Pause()
	c.Send([]byte("get " + first + "\r\nget " + first + " " + other + "\r\nset " + first + " 0 0 1\r\nx\r\nget " + other + "\r\n"))
	late := g.errorOf("request timed out")
	c.Expect(late, late, late, g.found(other))
	s.servers[0].Resume()
	testkit.Await(t, "an answer", func() error {
		// The set that was late was carried out.
		if got := g.ask(c, first); got != textValue(first, "x")+"END\r\n" {
			return fmt.Errorf("the reply is %q", got)
		}
		return nil
	})
	for _, end := range []string{"server_eof", "server_err", "server_timedout"} {
		if n := s.proxy.Stats().Value("alpha", "s1", end); n != 0 {
			t.Errorf("%s is %d, want 0: a connection was lost", end, n)
		}
	}
}

// A cutter stands before a memcached, and closes a connection in place of handing
// a request on when it is told to.
type cutter struct {
	cut atomic.Bool
	mu  sync.Mutex
	// lost are the requests that were not handed on.
	lost []string
}

func (x *cutter) stand(t *testing.T, server *testkit.Server) func(*testkit.Talk) {
	return func(k *testkit.Talk) {
		direct, err := testkit.TryDial(t, testkit.Memcache, server.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		defer direct.Close()
		for line, ok := k.Line(); ok; line, ok = k.Line() {
			request := line + "\r\n"
			if strings.HasPrefix(line, "set ") {
				body, _ := k.Line()
				request += body + "\r\n"
			}
			if x.cut.Swap(false) {
				x.mu.Lock()
				x.lost = append(x.lost, line)
				x.mu.Unlock()
				return
			}
			if err := direct.TrySend([]byte(request)); err != nil {
				t.Error(err)
				return
			}
			reply, err := direct.TryReply()
			if err != nil {
				t.Error(err)
				return
			}
			k.Reply(string(reply))
		}
	}
}

// Of what is lost with its connection to a memcached, gets are sent again, and
// what may have changed something is not.
func TestMemcachedRetry(t *testing.T) {
	t.Parallel()
	server := testkit.StartMemcached(t)
	var x cutter
	proxy, front := scriptedStage(t, testkit.Memcache, x.stand(t, server), "retry: idempotent")
	c := proxy.Dial(testkit.Memcache)
	c.Send([]byte(store("set a 0 0 1", "a")))
	c.Expect("STORED\r\n")
	for range 100 { // a tenth of these may be sent again
		c.Send([]byte("get a\r\n"))
		c.Expect(value("a"))
	}
	const unknown = "SERVER_ERROR unknown\r\n" // what nutcracker calls an end
	var want []string
	for _, r := range []struct{ request, reply string }{
		{"get a\r\n", value("a")},
		{"get a b\r\n", value("a")},
		{"mg a v\r\n", unknown},
		{"gat 0 a\r\n", unknown},
		{store("set a 0 0 1", "b"), unknown},
		{"incr a 1\r\n", unknown},
	} {
		x.cut.Store(true)
		c.Send([]byte(r.request))
		c.Expect(r.reply)
		line, _, _ := strings.Cut(r.request, "\r\n")
		want = append(want, line)
		c.Send([]byte("get a\r\n"))
		c.Expect(value("a"))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if got := strings.Join(x.lost, ", "); got != strings.Join(want, ", ") {
		t.Errorf("lost were %s", got)
	}
	if n := front.Accepted(); n != 1+len(want) {
		t.Errorf("%d connections, want %d", n, 1+len(want))
	}
}

// A server may be named by a name that has several addresses.
func TestServerCalledLocalhost(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	_, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	p := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{testkit.Entry(net.JoinHostPort("localhost", port), 1, "s1")},
	}.String())
	if got := p.Dial(testkit.Redis).Do("SET", "k", "v"); got != "+OK\r\n" {
		t.Errorf("SET: %q", got)
	}
}
