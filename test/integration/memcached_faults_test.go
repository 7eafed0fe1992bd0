package integration

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A waiter asks for keys, whose values are named, and takes an error for an
// answer.
type waiter struct {
	*speaker
	right, failed *atomic.Int64
}

// round pipelines requests of each kind for n keys, and reads what must come: an
// answer or an error for each but the noreply ones, at most one for the quiet
// ones, in their order.
func (w *waiter) round(n int) error {
	var ask strings.Builder
	keys := spread(200)
	w.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys[:n] {
		fmt.Fprintf(&ask, "set %s 0 0 %d noreply\r\n%s\r\n", key, len(named(key)), named(key))
		fmt.Fprintf(&ask, "get %s\r\nmg %s k q v\r\nmn\r\nget %s %s none\r\nmg %s k v\r\n", key, key, key, keys[0], key)
	}
	if err := w.conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return err
	}
	if _, err := w.conn.Write([]byte(ask.String())); err != nil {
		return err
	}
	for _, key := range keys[:n] {
		for _, read := range []func() error{
			func() error { return w.values(key) },
			func() error { return w.hushed(key) },
			func() error { return w.values(key, keys[0]) },
			func() error { return w.meta(key) },
		} {
			if err := read(); err != nil {
				return fmt.Errorf("for %s: %w", key, err)
			}
		}
	}
	return nil
}

// line reads a line, and tells whether it is an error that a proxy may give.
func (w *waiter) line() (line string, isError bool, err error) {
	line, err = w.in.ReadString('\n')
	return line, strings.HasPrefix(line, "SERVER_ERROR "), err
}

// body reads the value of key.
func (w *waiter) body(key string) error {
	for part := range strings.SplitAfterSeq(named(key)+"\r\n", ".") {
		got := make([]byte, len(part))
		for i := range got {
			b, err := w.in.ReadByte()
			if err != nil {
				return err
			}
			got[i] = b
		}
		if string(got) != part {
			return fmt.Errorf("a value has %q where %q belongs", got, part)
		}
	}
	return nil
}

// values reads a reply to get: some of the values, in any order, or an error.
func (w *waiter) values(keys ...string) error {
	for {
		line, isError, err := w.line()
		switch {
		case err != nil:
			return err
		case isError:
			w.failed.Add(1)
			return nil
		case line == "END\r\n":
			w.right.Add(1)
			return nil
		}
		found := false
		for _, key := range keys {
			if line == fmt.Sprintf("VALUE %s 0 %d\r\n", key, len(named(key))) {
				found = true
				if err := w.body(key); err != nil {
					return err
				}
				break
			}
		}
		if !found {
			return fmt.Errorf("a get of %v brings %q", keys, line)
		}
	}
}

// hushed reads what may come of a quiet get, and the end that is behind it.
func (w *waiter) hushed(key string) error {
	line, isError, err := w.line()
	switch {
	case err != nil:
		return err
	case isError:
		w.failed.Add(1)
	case line == fmt.Sprintf("VA %d k%s\r\n", len(named(key)), key):
		if err := w.body(key); err != nil {
			return err
		}
	case line == "MN\r\n":
		return nil
	default:
		return fmt.Errorf("a quiet mg brings %q", line)
	}
	if line, _, err = w.line(); err != nil || line != "MN\r\n" {
		return fmt.Errorf("behind a quiet mg comes %q (%w)", line, err)
	}
	return nil
}

// meta reads a reply to mg.
func (w *waiter) meta(key string) error {
	line, isError, err := w.line()
	switch {
	case err != nil:
		return err
	case isError:
		w.failed.Add(1)
		return nil
	case line == "EN k"+key+"\r\n":
		w.right.Add(1)
		return nil
	case line == fmt.Sprintf("VA %d k%s\r\n", len(named(key)), key):
		w.right.Add(1)
		return w.body(key)
	}
	return fmt.Errorf("mg brings %q", line)
}

// Thirty clients pipeline while a memcached is killed and restarted, and another
// is stopped and resumed: there are errors, each in its turn, but no reply is
// another's, and no client loses its connection.
func TestMemcacheNoWrongValue(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t, "timeout: 300")
	right, failed := new(atomic.Int64), new(atomic.Int64)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for i := range 30 {
		w := &waiter{newSpeaker(t, s.proxy.Addr(), fmt.Sprintf("w%d", i), uint64(i)), right, failed}
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := w.round(1 + w.rng.IntN(20)); err != nil {
					t.Errorf("%s: %v", w.name, err)
					return
				}
			}
		})
	}
	for range 3 {
		awaitMore(t, right, 3000)
		s.servers[0].Kill()
		awaitMore(t, failed, 10)
		awaitMore(t, right, 1000)
		s.servers[0].Restart()
		awaitMore(t, right, 3000)
		s.servers[1].Pause()
		awaitMore(t, failed, 10)
		s.servers[1].Resume()
	}
	awaitMore(t, right, 3000)
	before := failed.Load()
	awaitMore(t, right, 3000)
	if now := failed.Load(); now != before {
		t.Errorf("%d errors with all servers well", now-before)
	}
	close(stop)
	running.Wait()
	t.Logf("%d right, %d errors", right.Load(), failed.Load())
}

// brokenReplies are replies that a server breaks off, to the request beside them.
var brokenReplies = []struct{ name, request, reply string }{
	{"a value", "get a\r\n", "VALUE a 0 1000\r\n" + strings.Repeat("x", 400)},
	{"a large value", "get a\r\n", "VALUE a 0 1000000\r\n" + strings.Repeat("x", 400_000)},
	{"between two values", "get a b\r\n", "VALUE a 0 1\r\nx\r\n"},
	{"a value's line end", "get a\r\n", "VALUE a 0 1\r\nx\r"},
	{"a line", "get a\r\n", "VALUE a"},
	{"a meta value", "mg a v k\r\n", "VA 1000 ka\r\n" + strings.Repeat("x", 400)},
	{"a large meta value", "mg a v\r\n", "VA 1000000\r\n" + strings.Repeat("x", 400_000)},
	{"a meta line", "ms a 1\r\nx\r\n", "H"},
	{"statistics", "stats items\r\n", "STAT pid 1\r\nSTAT "},
}

// A server that closes in the middle of a reply: every request that waits gets an
// error in its turn, quiet ones too and noreply ones not, and the clients go on.
func TestMemcacheClosesInReply(t *testing.T) {
	t.Parallel()
	for _, tt := range brokenReplies {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := make(chan struct{})
			proxy, server := scriptedStage(t, testkit.Memcache, func(k *testkit.Talk) {
				if k.N() > 1 {
					answerGets(k)
					return
				}
				k.Expect(tt.request)
				<-all
				k.Expect("get b\r\nmg c v\r\nset d 0 0 1\r\nx\r\nmd e\r\nget f\r\nget g h\r\n")
				k.Reply(tt.reply)
			})
			const unknown = "SERVER_ERROR unknown\r\n" // what nutcracker calls an end
			one, two := newSpeaker(t, proxy.Addr(), "one", 1), newSpeaker(t, proxy.Addr(), "two", 2)
			one.say(tt.request, unknown)
			one.send(t)
			proxy.AwaitStat(1, "alpha", "scripted", "out_queue")
			one.say("get b\r\nmg c v q\r\nset d 0 0 1 noreply\r\nx\r\nmd e q\r\nmn\r\n", unknown+unknown+unknown+"MN\r\n")
			one.send(t)
			proxy.AwaitStat(5, "alpha", "scripted", "out_queue")
			two.say("get f\r\nget g h\r\nmn\r\n", unknown+unknown+"MN\r\n")
			two.send(t)
			close(all)
			for _, s := range []*speaker{two, one} {
				if err := s.round(); err != nil {
					t.Error(err)
				}
			}
			for _, s := range []*speaker{one, two} {
				s.say("get x\r\nget y z\r\n", value("x")+getsReply("get y z"))
				if err := s.round(); err != nil {
					t.Error(err)
				}
			}
			if n := server.Accepted(); n != 2 {
				t.Errorf("the server saw %d connections, want 2", n)
			}
		})
	}
}

// A get of many keys of which one server breaks off is an error as a whole, and
// the values of the others are dropped.
func TestMemcacheClosesInPart(t *testing.T) {
	t.Parallel()
	good := testkit.StartMemcached(t)
	bad := testkit.StartScripted(t, func(k *testkit.Talk) {
		for line, ok := k.Line(); ok; line, ok = k.Line() {
			if strings.Contains(line, " break") {
				k.Reply("VALUE break 0 100000\r\n" + strings.Repeat("x", 50_000))
				return
			}
			k.Reply(getsReply(line))
		}
	})
	pool := testkit.Pool{Protocol: testkit.Memcache, Distribution: "modula", Servers: []string{
		testkit.Entry(good.Addr(), 1, "s1"), testkit.Entry(bad.Addr(), 1, "s2"),
	}}
	proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(1))
	s := newSpeaker(t, proxy.Addr(), "one", 1)
	// Two keys of each server, found by asking: bad has every key's own name.
	var goods, bads []string
	for i := 0; len(goods) < 2 || len(bads) < 2; i++ {
		key := fmt.Sprintf("k%d", i)
		s.say("get "+key+"\r\n", "")
		s.send(t)
		if line, err := s.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		} else if line == "END\r\n" {
			goods = append(goods, key)
			continue
		}
		for range 2 {
			if _, err := s.in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		bads = append(bads, key)
	}
	for _, key := range goods[:2] {
		s.say("set "+key+" 0 0 50000\r\n"+strings.Repeat("g", 50_000)+"\r\n", "STORED\r\n")
	}
	whole := textValue(goods[0], strings.Repeat("g", 50_000))
	s.say("get "+goods[0]+" "+bads[0]+"\r\n", whole+strings.TrimSuffix(value(bads[0]), "END\r\n")+"END\r\n")
	if err := s.round(); err != nil {
		t.Fatal(err)
	}
	breaks := ""
	for i := 0; breaks == ""; i++ { // a key of bad's, which its script knows by its name
		key := fmt.Sprintf("break%d", i)
		s.say("get "+key+"\r\n", "")
		s.send(t)
		line, err := s.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "SERVER_ERROR ") {
			breaks = key
		}
	}
	s.say("get "+goods[0]+" "+breaks+" "+goods[1]+"\r\nget "+goods[0]+"\r\n", "SERVER_ERROR unknown\r\n"+whole+"END\r\n")
	if err := s.round(); err != nil {
		t.Error(err)
	}
}

// The binary protocol is closed without a word, and the log says why.
func TestMemcacheBinary(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "mn\r\n"} {
		s := memcacheStage(t)
		c := s.proxy.Dial(testkit.Memcache)
		c.Send([]byte(before + "\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
		if got, want := c.ExpectEnd(), strings.ReplaceAll(before, "mn", "MN"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		testkit.Await(t, "the log to say it", func() error {
			log, err := os.ReadFile(s.proxy.Log)
			if n := strings.Count(string(log), "binary protocol"); n != 1 {
				return fmt.Errorf("%d times (%w)", n, err)
			}
			return nil
		})
	}
}

// stats tells of the proxy, and in its other forms of every server under its
// name, also when one is gone.
func TestMemcacheStats(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t, "timeout: 300")
	ask := func(request string) []string {
		t.Helper()
		p := newSpeaker(t, s.proxy.Addr(), "stats", 1)
		p.say(request+"\r\n", "")
		p.send(t)
		var lines []string
		for {
			line, err := p.in.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v after %q", request, err, lines)
			}
			if line == "END\r\n" {
				return lines
			}
			lines = append(lines, line)
		}
	}
	has := func(request string, prefixes ...string) {
		t.Helper()
		all := strings.Join(ask(request), "")
		for _, prefix := range prefixes {
			if !strings.Contains(all, "STAT "+prefix) {
				t.Errorf("%s: no %q in %.2000q", request, prefix, all)
			}
		}
	}
	has("stats", fmt.Sprintf("pid %d\r\n", s.proxy.Pid()), "uptime ", "time ", "version ", "threads ", "pool alpha\r\n", "servers 3\r\n")
	var pids []string
	for i, server := range s.servers {
		pids = append(pids, fmt.Sprintf("s%d:pid %d\r\n", i+1, server.Pid()))
	}
	has("stats servers", pids...)
	has("stats settings", "s1:maxbytes ", "s2:maxbytes ", "s3:maxbytes ")
	has("stats servers settings", "s1:maxbytes ", "s2:maxbytes ", "s3:maxbytes ")
	s.servers[1].Kill()
	has("stats servers", pids[0], "s2:error SERVER_ERROR ", pids[2])
}

// flush_all empties every server, or none.
func TestMemcacheFlushAll(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{nil, {"allow_flush: true"}} {
		s := memcacheStage(t, lines...)
		c := newSpeaker(t, s.proxy.Addr(), "flush", 1)
		for _, flush := range []string{"flush_all\r\n", "flush_all noreply\r\n"} {
			for _, key := range spread(30) {
				c.say(store(fmt.Sprintf("set %s 0 0 %d", key, len(named(key))), named(key)), "STORED\r\n")
			}
			answer := "CLIENT_ERROR flush_all not allowed: the pool's allow_flush is off\r\n"
			if lines != nil {
				answer = "OK\r\n"
			}
			if strings.Contains(flush, "noreply") {
				answer = ""
			}
			c.say(flush, answer)
			for _, key := range spread(30) {
				if lines == nil {
					c.say("get "+key+"\r\n", textValue(key, named(key))+"END\r\n")
				} else {
					c.say("get "+key+"\r\n", "END\r\n")
				}
			}
			if err := c.round(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A base64 key lives where the key lives that it stands for.
func TestMemcacheBase64(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t)
	c := newSpeaker(t, s.proxy.Addr(), "base64", 1)
	for _, pair := range [][2]string{{"YWJj", "abc"}, {"YQ==", "a"}, {"Zm9vYg==", "foob"}, {"Zm9v", "foo"}, {"a2V5LTE=", "key-1"}, {"a2V5LTI=", "key-2"}} {
		c.say("set "+pair[1]+" 0 0 1\r\nx\r\nmg "+pair[0]+" b v k\r\n", "STORED\r\nVA 1 k"+pair[1]+"\r\nx\r\n")
		c.say("md "+pair[0]+" b\r\nget "+pair[1]+"\r\n", "HD\r\nEND\r\n")
		c.say("ms "+pair[0]+" 1 b q\r\ny\r\nmg "+pair[1]+" v\r\n", "VA 1\r\ny\r\n")
	}
	if err := c.round(); err != nil {
		t.Error(err)
	}
}
