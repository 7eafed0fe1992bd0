package integration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nuthatch/internal/testkit"
)

// listens has a client listen, and returns it with the answers.
func listens(t *testing.T, at *testkit.Proxy, words ...string) *testkit.Client {
	t.Helper()
	c := at.Dial(testkit.Redis)
	c.Send(testkit.RESP(words...))
	for i := range words[1:] {
		if got := c.Reply(); !strings.HasSuffix(got, fmt.Sprintf(":%d\r\n", i+1)) {
			t.Fatalf("%s: %q", words[0], got)
		}
	}
	return c
}

// awaitNoListener waits until nobody listens, neither to the proxy nor to the servers.
func awaitNoListener(t *testing.T, s stage) {
	t.Helper()
	testkit.Await(t, "nobody to listen", func() error {
		c := s.proxy.Dial(testkit.Redis)
		defer c.Close()
		if got := c.Do("INFO", "clients"); !strings.Contains(got, "\r\npubsub_clients:0\r\n") {
			return fmt.Errorf("%w: %s", errStillThere, got)
		}
		for _, server := range s.servers {
			direct := server.Dial()
			got := direct.Do("CLIENT", "LIST", "TYPE", "pubsub")
			direct.Close()
			if got != "$0\r\n\r\n" {
				return fmt.Errorf("%w: %s", errStillThere, got)
			}
		}
		return nil
	})
}

var errStillThere = errors.New("somebody listens")

// message is what a client hears in RESP2.
func message(words ...string) string { return string(testkit.RESP(words...)) }

// Over several servers each message is heard once, events of keys wherever the key is, and
// numbers and names are those of all servers, whichever servers messages go to.
func TestChannelsOverServers(t *testing.T) {
	t.Parallel()
	for _, how := range [][2]string{{"all", "own"}, {"owner", "own"}, {"all", "shared"}, {"owner", "shared"}} {
		t.Run(how[0]+" "+how[1], func(t *testing.T) {
			s := redisStage(t, "databases: 4", "pubsub: {publish: "+how[0]+", connections: "+how[1]+"}")
			counts := how[1] == "own" // else what they count depends on the loops
			for _, server := range s.servers {
				server.Dial().Do("CONFIG", "SET", "notify-keyspace-events", "KEA")
			}
			keys := spread(30)
			plain := listens(t, s.proxy, append([]string{"SUBSCRIBE"}, keys...)...)
			pattern := listens(t, s.proxy, "PSUBSCRIBE", "????????")
			both := listens(t, s.proxy, "SUBSCRIBE", keys[0])
			both.Send(testkit.RESP("PSUBSCRIBE", keys[0][:4]+"*"))
			both.Reply()
			p := s.proxy.Dial(testkit.Redis)
			for _, key := range keys {
				want := ":2\r\n"
				if key == keys[0] {
					want = ":4\r\n"
				}
				if got := p.Do("PUBLISH", key, "to "+key); counts && got != want {
					t.Errorf("PUBLISH: %q, want %q", got, want)
				}
				plain.Expect(message("message", key, "to "+key))
			}
			heard := map[string]int{}
			for range keys {
				heard[pattern.Reply()]++
			}
			for _, key := range keys {
				if n := heard[message("pmessage", "????????", key, "to "+key)]; n != 1 {
					t.Errorf("the message on %s was heard %d times by the pattern", key, n)
				}
			}
			both.Expect(message("message", keys[0], "to "+keys[0]), message("pmessage", keys[0][:4]+"*", keys[0], "to "+keys[0]))
			channels := testkit.Command(p.Do("PUBSUB", "CHANNELS"))
			if got := strings.Count(strings.Join(channels, " "), "$8"); got != len(keys) {
				t.Errorf("PUBSUB CHANNELS names %d, want %d", got, len(keys))
			}
			if got, want := p.Do("PUBSUB", "NUMSUB", keys[0], keys[1], "nobody"), "*6\r\n$8\r\n"+keys[0]+"\r\n:2\r\n$8\r\n"+keys[1]+"\r\n:1\r\n$6\r\nnobody\r\n:0\r\n"; counts && got != want {
				t.Errorf("PUBSUB NUMSUB: %q", got)
			}
			for _, c := range []*testkit.Client{plain, pattern, both} {
				c.Close()
			}
			eventsOverServers(t, s, p, keys)
			awaitNoListener(t, s)
		})
	}
}

// eventsOverServers has events of keys of all servers be heard, in two databases.
func eventsOverServers(t *testing.T, s stage, p *testkit.Client, keys []string) {
	t.Helper()
	for _, db := range []string{"0", "2"} {
		p.Do("SELECT", db)
		space, event, pattern := "__keyspace@"+db+"__:", "__keyevent@"+db+"__:set", "__keyspace@"+db+"__:*"
		names := []string{"SUBSCRIBE"}
		for _, key := range keys {
			names = append(names, space+key)
		}
		of, events, all := listens(t, s.proxy, names...), listens(t, s.proxy, "SUBSCRIBE", event), listens(t, s.proxy, "PSUBSCRIBE", pattern)
		for _, key := range keys {
			p.Do("SET", key, "x")
			of.Expect(message("message", space+key, "set"))
			events.Expect(message("message", event, key))
			all.Expect(message("pmessage", pattern, space+key, "set"))
		}
		for _, c := range []*testkit.Client{of, events, all} {
			c.Close()
		}
	}
	p.Do("SELECT", "0")
}

// An upgrade has clients that listen part at once; they come back to the new program.
func TestListenersPartAtUpgrade(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "pubsub: {publish: all, connections: shared}")
	c := listens(t, s.proxy, "SUBSCRIBE", "news")
	p := s.proxy.Dial(testkit.Redis)
	p.Do("PUBLISH", "news", "one")
	upgrade(t, s.proxy, s.proxy.Pid())
	c.Expect(message("message", "news", "one"))
	c.ExpectEnd()
	again := listens(t, s.proxy, "SUBSCRIBE", "news")
	if got := s.proxy.Dial(testkit.Redis).Do("PUBLISH", "news", "two"); got != ":1\r\n" {
		t.Errorf("PUBLISH: %q", got)
	}
	again.Expect(message("message", "news", "two"))
}

// Upgrades run under clients that say one number after the other, and clients that listen:
// between two numbers that one of them hears on a connection none is missing that was said
// for certain, none comes twice, and none out of order.
func TestListenersUnderUpgrades(t *testing.T) {
	t.Parallel()
	for _, connections := range []string{"own", "shared"} {
		t.Run(connections, func(t *testing.T) {
			talksUnderUpgrades(t, redisStage(t, "pubsub: {publish: all, connections: "+connections+"}").proxy)
		})
	}
}

func talksUnderUpgrades(t *testing.T, at *testkit.Proxy) {
	t.Helper()
	u := talks{t: t, at: at}
	for i := range 3 {
		name := fmt.Sprintf("channel:%d", i)
		u.saying.Go(func() { u.say(name) })
		for range 3 {
			u.hearing.Go(func() {
				for !u.over.Load() {
					u.hear(name)
					u.parted.Add(1)
				}
			})
		}
	}
	u.awaitMore()
	pid := u.at.Pid()
	for range 3 {
		pid = upgrade(t, u.at, pid)
		u.awaitMore()
	}
	u.over.Store(true)
	u.hearing.Wait()
	u.enough.Store(true)
	u.saying.Wait()
	if n := u.parted.Load(); n < 9*3 {
		t.Errorf("listeners parted %d times in three upgrades", n)
	}
	u.missed.Range(func(text, _ any) bool {
		if _, said := u.said.Load(text); said {
			t.Errorf("somebody did not hear %v, and heard what came before and behind it", text)
		}
		return true
	})
}

// talks are clients that say something, and clients that listen.
type talks struct {
	t               *testing.T
	at              *testkit.Proxy
	saying, hearing sync.WaitGroup
	heard, parted   atomic.Int64
	// over: who listens is to end, enough: who says something, too.
	over, enough atomic.Bool
	// said are the channels and numbers that were said for certain, missed those that
	// somebody did not hear between two others.
	said, missed sync.Map
}

func (u *talks) awaitMore() {
	u.t.Helper()
	want := u.heard.Load() + 100
	testkit.Await(u.t, "more to be heard", func() error {
		if u.heard.Load() < want {
			return errStillThere
		}
		return nil
	})
}

// say says one number after the other on a channel.
func (u *talks) say(name string) {
	var c *testkit.Client
	for n := 1; !u.enough.Load(); n++ {
		var err error
		if c == nil {
			if c, err = testkit.TryDial(u.t, testkit.Redis, u.at.Addr()); err != nil {
				u.t.Error(err)
				return
			}
		}
		err = c.TrySend(testkit.RESP("PUBLISH", name, strconv.Itoa(n)))
		var got []byte
		if err == nil {
			got, err = c.TryReply()
		}
		if err != nil {
			c.Close()
			c = nil
			continue
		}
		if got[0] != ':' {
			u.t.Errorf("PUBLISH: %q", got)
		}
		u.said.Store(fmt.Sprintf("%s %d", name, n), true)
	}
	if c != nil {
		c.Close()
	}
}

// hear hears what is said on a channel until it is parted.
func (u *talks) hear(name string) {
	c, err := testkit.TryDial(u.t, testkit.Redis, u.at.Addr())
	if err != nil {
		u.t.Error(err)
		return
	}
	defer c.Close()
	if c.TrySend(testkit.RESP("SUBSCRIBE", name)) != nil {
		return
	}
	if _, err := c.TryReply(); err != nil {
		return
	}
	for last := 0; !u.over.Load(); {
		got, err := c.TryReply()
		if err != nil {
			return
		}
		words := strings.Split(string(got), "\r\n")
		n, err := strconv.Atoi(words[len(words)-2])
		if err != nil || n <= last {
			u.t.Errorf("on %s %q was heard behind %d", name, got, last)
		}
		for k := last + 1; last != 0 && k < n; k++ {
			u.missed.Store(fmt.Sprintf("%s %d", name, k), true)
		}
		last = n
		u.heard.Add(1)
	}
}

// Clients that listen too much, or vanish in the middle of it, leave nothing behind, and
// others are served.
func TestListenersOutOfBounds(t *testing.T) {
	t.Parallel()
	for _, connections := range []string{"own", "shared"} {
		t.Run(connections, func(t *testing.T) {
			listenOutOfBounds(t, redisStage(t, "max_request_size: 64mb", "pubsub: {connections: "+connections+"}"))
		})
	}
}

func listenOutOfBounds(t *testing.T, s stage) {
	t.Helper()
	s.proxy.AwaitStat(0, "alpha", "client_connections") // that it was ready was seen by a client
	many := []string{"SUBSCRIBE"}
	for i := range 200_000 {
		many = append(many, fmt.Sprint(i))
	}
	c := s.proxy.Dial(testkit.Redis)
	if got := c.Do(many...); !strings.HasPrefix(got, "-ERR the client would listen to more channels") {
		t.Errorf("SUBSCRIBE of very many: %q", got)
	}
	many[0] = "UNSUBSCRIBE"
	if got := c.Do(many...); got != "-ERR too many keys in one request\r\n" {
		t.Errorf("UNSUBSCRIBE of very many: %q", got)
	}
	// Most are no patterns: redis-server 7.0 compares each new one with all that the client has.
	const most, patterns = 16384, 100
	for _, some := range [][]string{
		append([]string{"SUBSCRIBE"}, many[1:most-patterns+1]...), append([]string{"PSUBSCRIBE"}, many[1:patterns+1]...),
	} {
		c.Send(testkit.RESP(some...))
		for range some[1:] {
			c.Reply()
		}
	}
	if got := c.Do("SUBSCRIBE", "one more"); !strings.HasPrefix(got, "-ERR the client would listen to more channels") {
		t.Errorf("one more: %q", got)
	}
	for i := range 50 { // who vanishes at each step
		d := s.proxy.Dial(testkit.Redis)
		d.Send(testkit.RESP("SUBSCRIBE", "a", "b", "c"))
		if i%2 == 0 {
			d.Reply()
		}
		d.Close()
	}
	c.Close()
	awaitNoListener(t, s)
	s.proxy.AwaitStat(0, "alpha", "client_connections")
	again := listens(t, s.proxy, "SUBSCRIBE", "a")
	if got := s.proxy.Dial(testkit.Redis).Do("PUBLISH", "a", "x"); got != ":1\r\n" {
		t.Errorf("PUBLISH: %q", got)
	}
	again.Expect(message("message", "a", "x"))
}
