package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// ask has p send requests, which are taken at once.
func (c *conversation) ask(p *party, requests ...string) {
	for _, r := range requests {
		p.out = append(p.out, r...)
	}
	p.say(len(p.out))
	c.calm()
}

// answerAll has one server answer all that it was asked.
func (c *conversation) answerAll(server int) {
	c.stubs[server].answerAll()
	c.calm()
}

// answerAll answers all that the server was asked.
func (s *stub) answerAll() {
	s.read()
	for _, k := range s.conns {
		k.answer(len(k.todo))
		k.say(len(k.out))
	}
}

// reconnect has the connections to all servers replaced, and gives those that there are
// that long.
func (c *conversation) reconnect(patience time.Duration) {
	c.renewed = true
	moving := new(topology.Moving)
	for _, ctx := range c.loops {
		ctx.Reconnect(c.topo, nil, int64(c.now+patience), moving)
	}
}

// drain has p read what there is, whatever it is.
func (p *party) drain() {
	buf := make([]byte, 64<<10)
	for {
		if n, err := p.end.Read(buf); err != nil || n == 0 {
			return
		}
	}
}

// later lets time go by.
func (c *conversation) later(d time.Duration) { c.now += d }

// keyAt is the i-th key of those that a server owns, and keyLike one of that
// form.
func (c *conversation) keyAt(server, i int) string { return c.keyLike("key:%d", server, i) }

func (c *conversation) keyLike(form string, server, i int) string {
	var nodes []hashkit.Node
	for j := range c.pool.Servers {
		nodes = append(nodes, hashkit.Node{Name: c.pool.Servers[j].NodeName(), Weight: 1})
	}
	ring := hashkit.Ring{Hash: c.pool.Hash, Continuum: hashkit.NewContinuum(c.pool.Distribution, nodes)}
	for n := 0; ; n++ {
		key := fmt.Sprintf(form, n)
		at := ring.Server([]byte(key), 0)
		if c.pool.Cluster.On {
			at = homeOf(hashkit.Slot([]byte(key)))
		}
		if at != server {
			continue
		}
		if i == 0 {
			return key
		}
		i--
	}
}

// latencies is what the first loop has measured.
func (c *conversation) latencies() *proxy.PoolLatency {
	var copied proxy.PoolLatency
	c.loops[0].CopyLatency(c.topo, c.topo.Snapshot().Members, 0, 2, &copied)
	c.loops[0].CopyLatency(c.topo, c.topo.Snapshot().Members, 2, 99, &copied)
	return &copied
}

// commandNamed is the number of a Redis command.
func commandNamed(name string) int {
	return slices.IndexFunc(redis.Commands(), func(c msg.Command) bool { return c.Name == name })
}

// about reports whether a time is d, as exactly as histograms tell.
func about(got, d time.Duration) bool { return (got - d).Abs() <= d/100+time.Microsecond }

func checkTimes(t *testing.T, what string, h *latency.Histogram, want ...time.Duration) {
	t.Helper()
	if h.Count() != uint64(len(want)) {
		t.Errorf("%s: %d times, want %v", what, h.Count(), want)
		return
	}
	for i, d := range want {
		if q := (float64(i) + 0.5) / float64(len(want)); !about(h.Quantile(q), d) {
			t.Errorf("%s: time %d is %v, want %v", what, i, h.Quantile(q), d)
		}
	}
}

// quick starts a conversation whose connections to the servers are there, and in
// which nothing has been measured.
func quick(t *testing.T, lines string) (*conversation, *party) {
	c := converse(t, "  redis: true\n"+lines, resp{}, 1)
	t.Cleanup(c.stop)
	p := c.join()
	for s := range c.stubs {
		c.ask(p, command("INCR", c.keyAt(s, 0)))
		c.answerAll(s)
	}
	return c, p
}

// stop ends what the conversation holds.
func (c *conversation) stop() {
	for _, p := range c.parties {
		p.close()
	}
	for _, ctx := range c.loops {
		ctx.Loop().Stop()
		if err := ctx.Loop().Run(); err != nil {
			c.t.Error(err)
		}
	}
	for _, s := range c.stubs {
		s.down()
	}
	c.listens.Close()
}

// Times are those that went by: for clients until the reply could go out, at the
// servers until it came, by command and by family.
func TestLatency(t *testing.T) {
	c, p := quick(t, "")
	a, b := c.keyAt(0, 0), c.keyAt(1, 0)
	c.ask(p, command("GET", a), command("SET", b, "x"), command("GET", a))
	c.later(5 * time.Millisecond)
	c.ask(p, command("GET", a))
	c.later(20 * time.Millisecond)
	c.answerAll(0) // its replies to GET; the last two wait for SET's
	c.later(75 * time.Millisecond)
	c.answerAll(1)
	got := c.latencies()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	checkTimes(t, "GET for clients", &got.Commands[commandNamed("get")], ms(25), ms(95), ms(100))
	checkTimes(t, "SET for clients", &got.Commands[commandNamed("set")], ms(100))
	checkTimes(t, "reads at server a", &got.Servers[0][msg.Reads], ms(20), ms(25), ms(25))
	checkTimes(t, "writes at server b", &got.Servers[1][msg.Writes], 0, ms(100))
	checkTimes(t, "writes at server a", &got.Servers[0][msg.Writes], 0)
}

// A request that is split takes as long as the slowest of its servers. It counts
// once for the client, and for each server.
func TestLatencyOfFragments(t *testing.T) {
	c, p := quick(t, "")
	c.ask(p, command("MGET", c.keyAt(0, 0), c.keyAt(1, 0), c.keyAt(0, 1)))
	c.later(3 * time.Millisecond)
	c.answerAll(0)
	c.later(4 * time.Millisecond)
	c.answerAll(1)
	got := c.latencies()
	checkTimes(t, "MGET for clients", &got.Commands[commandNamed("mget")], 7*time.Millisecond)
	checkTimes(t, "at server a", &got.Servers[0][msg.Multis], 3*time.Millisecond)
	checkTimes(t, "at server b", &got.Servers[1][msg.Multis], 7*time.Millisecond)
}

// TestLatencyOfFailures: what the proxy answers with an error of its own is apart from the
// times of what was carried out.
func TestLatencyOfFailures(t *testing.T) {
	c, p := quick(t, "  timeout: 400\n")
	c.ask(p, command("GET", c.keyAt(2, 0)), command("GET", c.keyAt(0, 0)))
	c.later(5 * time.Millisecond)
	c.answerAll(0)
	c.later(396 * time.Millisecond)
	c.calm()
	got := c.latencies()
	checkTimes(t, "GET that was answered", &got.Commands[commandNamed("get")], 401*time.Millisecond)
	checkTimes(t, "GET that failed", &got.Failures[commandNamed("get")], 401*time.Millisecond)
	c.loops[0].SetMeasures(proxy.Measures{})
	c.ask(p, command("GET", c.keyAt(2, 0)))
	c.later(401 * time.Millisecond)
	c.calm()
	if n := c.latencies().Failures[commandNamed("get")].Count(); n != 1 {
		t.Errorf("%d failures are measured, want only that before measuring was off", n)
	}
}

// Nothing is measured that was not asked for.
func TestMeasuresOff(t *testing.T) {
	c, p := quick(t, "")
	c.loops[0].SetMeasures(proxy.Measures{})
	before := c.latencies().Commands[commandNamed("get")].Count()
	slow := len(c.topo.SlowLog().Latest(-1))
	c.ask(p, command("GET", c.keyAt(0, 0)))
	c.later(time.Second)
	c.answerAll(0)
	if after := c.latencies().Commands[commandNamed("get")].Count(); after != before {
		t.Errorf("%d times measured", after-before)
	}
	if n := len(c.topo.SlowLog().Latest(-1)); n != slow {
		t.Errorf("%d slow requests kept", n-slow)
	}
}

// The slow log tells where the time went: here with a first connection that takes
// its time for the handshake, a server that takes its own, and a reply that waits
// for its turn.
func TestSlowLog(t *testing.T) {
	c := converse(t, "  redis: true\n  redis_auth: secret\n", resp{}, 1)
	t.Cleanup(c.stop)
	p := c.join()
	c.ask(p, command("AUTH", "secret"), command("CLIENT", "SETNAME", "slowpoke"))
	c.ask(p, command("GET", c.keyAt(0, 0)), command("SET", c.keyAt(1, 0), "v"))
	c.later(2 * time.Millisecond)
	c.answerAll(0) // AUTH
	c.answerAll(1)
	c.later(10 * time.Millisecond)
	c.answerAll(1)
	c.later(30 * time.Millisecond)
	c.answerAll(0)
	entries := c.topo.SlowLog().Latest(-1)
	if len(entries) != 2 {
		t.Fatalf("%d entries, want 2", len(entries))
	}
	get, set := entries[1], entries[0]
	ms := time.Millisecond
	if get.Command != "get" || get.Duration != 42*ms || get.Connect != 2*ms || get.Queue != 0 || get.Server != 40*ms || get.Turn != 0 {
		t.Errorf("GET: %+v", get)
	}
	if set.Command != "set" || set.Duration != 42*ms || set.Connect != 2*ms || set.Queue != 0 || set.Server != 10*ms || set.Turn != 30*ms {
		t.Errorf("SET: %+v", set)
	}
	if get.ServerName != "a" || set.ServerName != "b" || get.ClientName != "slowpoke" || get.Pool != "pool" || get.Error != "" {
		t.Errorf("names: %+v and %+v", get, set)
	}
	if get.Key != "" || set.Key != "" {
		t.Error("keys that nobody asked for")
	}
	if n := c.stats().Values[stats.SlowRequests]; n != 2 {
		t.Errorf("slow_requests is %d, want 2", n)
	}
}

func (c *conversation) stats() stats.PoolSnapshot {
	s := stats.NewShard(c.layout())
	c.loops[0].CopyStats(s)
	return stats.Sum(c.layout(), []*stats.Shard{s}).Pools[0]
}

// Requests that fail are there with why, and with keys if they are asked for.
func TestSlowLogOfFailures(t *testing.T) {
	c, p := quick(t, "  timeout: 400\n")
	c.measures.SlowKeys = true
	c.loops[0].SetMeasures(c.measures)
	key := c.keyAt(2, 0)
	c.ask(p, command("GET", key))
	c.later(401 * time.Millisecond)
	c.calm()
	entries := c.topo.SlowLog().Latest(1)
	if len(entries) != 1 {
		t.Fatal("no entry")
	}
	if e := entries[0]; e.Error != "timed_out" || e.Key != key || e.KeyLen != len(key) || e.Server != e.Duration || e.ServerName != "c" {
		t.Errorf("%+v", e)
	}
}

// Whatever made a request fail, its entry says so: one that was split, one that was
// split and took longer than its client wanted to wait, one whose keys have several
// owners.
func TestSlowLogOfFailuresOfEveryKind(t *testing.T) {
	c, p := quick(t, "  timeout: 400\n  request_timeout: 300ms\n")
	latest := func(command, want string) {
		t.Helper()
		entries := c.topo.SlowLog().Latest(1)
		if len(entries) != 1 || entries[0].Command != command || entries[0].Error != want {
			t.Errorf("%+v, want %s of %s", entries, want, command)
		}
	}
	keys := []string{c.keyAt(0, 0), c.keyAt(1, 0)}
	for _, failed := range [][]string{{"MGET", keys[0], keys[1]}, {"MSET", keys[0], "v", keys[1], "v"}} {
		name := strings.ToLower(failed[0])
		c.ask(p, command(failed...))
		c.later(320 * time.Millisecond)
		c.calm()
		latest(name, "request_timed_out")
		c.later(100 * time.Millisecond)
		c.calm()
	}

	c, p = quick(t, "  timeout: 400\n")
	for _, failed := range [][]string{{"MGET", keys[0], keys[1]}, {"MSET", keys[0], "v", keys[1], "v"}} {
		c.ask(p, command(failed...))
		c.later(401 * time.Millisecond)
		c.calm()
		latest(strings.ToLower(failed[0]), "timed_out")
	}
	c.ask(p, command("GET", keys[1]), command("RENAME", keys[0], keys[1]))
	c.later(20 * time.Millisecond)
	c.answerAll(1)
	latest("rename", "cross_server")
}

// The entry of a request that was split names the server that made it fail, not the one
// that answered last, and says where the time went there.
func TestSlowLogNamesTheServerThatFailed(t *testing.T) {
	c, p := quick(t, "  timeout: 400\n  request_timeout: 300ms\n")
	keys := []string{c.keyAt(0, 0), c.keyAt(1, 0), c.keyAt(2, 0)}
	ask := [][]string{{"MGET", keys[0], keys[1], keys[2]}, {"MSET", keys[0], "v", keys[1], "v", keys[2], "v"}, {"DBSIZE"}}
	for _, request := range ask {
		c.ask(p, command(request...))
		c.calm()
		c.answerAll(0)
		c.answerAll(2)
		c.later(320 * time.Millisecond)
		c.calm()
		e := c.topo.SlowLog().Latest(1)[0]
		if e.Error != "request_timed_out" || e.ServerName != "b" || e.Server < 300*time.Millisecond {
			t.Errorf("%v: %+v", request, e)
		}
		c.answerAll(1)
		c.calm()
	}

	c, p = quick(t, "  timeout: 400\n")
	c.ask(p, command("GET", keys[1]))
	c.later(200 * time.Millisecond)
	c.ask(p, command(ask[0]...))
	c.later(201 * time.Millisecond) // b fails, and with it what waits there
	c.answerAll(0)
	c.later(50 * time.Millisecond)
	c.answerAll(2)
	c.calm()
	e := c.topo.SlowLog().Latest(1)[0]
	if e.Command != "mget" || e.Error != "timed_out" || e.ServerName != "b" || e.Server >= 210*time.Millisecond || e.Turn < 50*time.Millisecond {
		t.Errorf("%+v", e)
	}
}

// When every request is slow the log takes some of them, and the statistics count
// all.
func TestSlowLogIsBounded(t *testing.T) {
	c, p := quick(t, "")
	before := len(c.topo.SlowLog().Latest(-1))
	requests := make([]string, 60)
	for i := range requests {
		requests[i] = command("GET", c.keyAt(0, 0))
	}
	c.ask(p, requests...)
	c.later(time.Second)
	c.answerAll(0)
	if n := len(c.topo.SlowLog().Latest(-1)) - before; n != 50 {
		t.Errorf("%d entries, want 50", n)
	}
	if n := c.stats().Values[stats.SlowRequests]; n != 60 {
		t.Errorf("slow_requests is %d, want 60", n)
	}
}

// The keys that are asked for most are found, with their rates.
func TestHotKeys(t *testing.T) {
	c, p := quick(t, "")
	hot := c.keyAt(0, 0)
	for i := range 400 {
		c.ask(p, command("GET", hot), command("GET", hot), command("SET", c.keyAt(0, 1+i%40), "x"))
		c.answerAll(0)
		p.drain()
		c.later(5 * time.Millisecond)
	}
	keys := c.loops[0].HotKeys(c.topo, 3)
	if len(keys.Hot) != 3 || keys.Hot[0].Key != hot {
		t.Fatalf("hot: %+v", keys.Hot)
	}
	if r := keys.Hot[0].Rate; r < 360 || r > 440 {
		t.Errorf("the hottest is asked for %.0f times a second, want 400", r)
	}
}

// Large requests and replies are found, with their keys; the reply because its key
// is asked for again.
func TestLargest(t *testing.T) {
	c, p := quick(t, "")
	const size = 50_000
	key := c.keyLike("k9.%d.50000", 0, 0)
	for range 3 {
		c.later(time.Second)
		c.ask(p, command("GET", key), command("GET", key))
		c.answerAll(0)
		p.drain()
	}
	c.ask(p, command("SET", c.keyAt(0, 0), string(make([]byte, 3000))))
	c.answerAll(0)
	keys := c.loops[0].HotKeys(c.topo, 3)
	if len(keys.Replies) != 1 || keys.Replies[0].Key != key || keys.Replies[0].Size < size {
		t.Errorf("replies: %+v, want one of %s", keys.Replies, key)
	}
	if len(keys.Requests) != 1 || keys.Requests[0].Key != c.keyAt(0, 0) || keys.Requests[0].Size < 3000 {
		t.Errorf("requests: %+v, want one of %s", keys.Requests, c.keyAt(0, 0))
	}
}

// A large reply about several keys makes none of them a large key.
func TestLargestOfSeveralKeys(t *testing.T) {
	c, p := quick(t, "")
	words := []string{"MGET"}
	for i := range 200 {
		words = append(words, c.keyAt(0, i))
	}
	for range 3 {
		c.later(time.Second)
		c.ask(p, command(words...), command(words...))
		c.answerAll(0)
		p.drain()
	}
	if keys := c.loops[0].HotKeys(c.topo, 3); len(keys.Replies) != 0 || len(keys.Requests) != 0 {
		t.Errorf("large replies: %+v, large requests: %+v", keys.Replies, keys.Requests)
	}
}

// A value that is large among those that are asked for together is found, with its
// own key and size, whether or not the request was split.
func TestLargestAmongSeveralKeys(t *testing.T) {
	const size = 50_000
	for name, servers := range map[string][]int{"one server": {0, 0, 0, 0}, "several": {0, 1, 0, 1}} {
		t.Run(name, func(t *testing.T) {
			c, p := quick(t, "")
			large := c.keyLike("k9.%d.50000", 0, 0)
			request := command("MGET", c.keyAt(servers[0], 0), c.keyAt(servers[1], 1), large, c.keyAt(servers[3], 2))
			for range 60 {
				c.later(time.Second)
				c.ask(p, request)
				c.answerAll(0)
				c.answerAll(1)
				p.drain()
			}
			keys := c.loops[0].HotKeys(c.topo, 3)
			if len(keys.Replies) != 1 || keys.Replies[0].Key != large || keys.Replies[0].Size < size || keys.Replies[0].Size > size+100 {
				t.Errorf("large replies: %+v, want one of %s", keys.Replies, large)
			}
		})
	}
}
