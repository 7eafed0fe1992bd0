package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// answerGets serves a connection as a memcached would that has, under every key,
// the key's own name.
func answerGets(k *testkit.Talk) {
	for line, ok := k.Line(); ok; line, ok = k.Line() {
		k.Reply(getsReply(line))
	}
}

func getsReply(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "get" {
		return "ERROR\r\n"
	}
	var reply strings.Builder
	for _, key := range words[1:] {
		reply.WriteString(strings.TrimSuffix(value(key), "END\r\n"))
	}
	return reply.String() + "END\r\n"
}

func textGets(keys ...string) []byte {
	var b []byte
	for _, key := range keys {
		b = fmt.Appendf(b, "get %s\r\n", key)
	}
	return b
}

// textNonsense is what no memcached may answer to a get.
var textNonsense = []string{
	"garbage\r\n", "\r\n", "VALUE b 0\r\n", "VALUE b 0 x\r\n", "VALUE b 0 1\r\nbb\r\nEND\r\n", "VALUE b 0 99999999999999999999\r\n",
	"+OK\r\n", "VALUE\r\n", "\x00\x01\xff\r\n", "VALUE b 0 -1\r\n",
}

// A memcached that answers nonsense: errors for what still waits, in its turn; a
// new connection for what comes then; nothing mixed up.
func TestMemcacheNonsense(t *testing.T) {
	t.Parallel()
	for _, bad := range textNonsense {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			t.Parallel()
			proxy, server := scriptedStage(t, testkit.Memcache, func(k *testkit.Talk) {
				if k.N() > 1 {
					answerGets(k)
					return
				}
				first, _ := k.Line()
				k.Line()
				k.Line()
				k.Reply(getsReply(first) + bad)
				k.Drain()
			})
			c := proxy.Dial(testkit.Memcache)
			c.Send(textGets("a", "b", "c"))
			c.Expect(value("a"))
			for range 2 {
				if got := c.Reply(); !strings.HasPrefix(got, "SERVER_ERROR ") {
					t.Errorf("a waiting get gets %q", got)
				}
			}
			c.Send(textGets("d", "e f"))
			c.Expect(value("d"), getsReply("get e f"))
			if n := server.Accepted(); n != 2 {
				t.Errorf("the server saw %d connections, want 2", n)
			}
		})
	}
}

// memcached may refuse a value before it has read it all. The words are that
// request's answer, and the rest of the value no new request.
func TestMemcacheEarlyRefusal(t *testing.T) {
	t.Parallel()
	proxy, _ := scriptedStage(t, testkit.Memcache, func(k *testkit.Talk) {
		if k.N() > 1 {
			answerGets(k)
			return
		}
		k.Line()
		k.Reply("SERVER_ERROR object too large for cache\r\n")
		k.Drain()
	}, "timeout: 300")
	c := proxy.Dial(testkit.Memcache)
	data := strings.Repeat("get a\r\n", 400_000)
	c.Send([]byte(store(fmt.Sprintf("set big 0 0 %d", len(data)), data) + "get x\r\n"))
	if got := c.Reply(); !strings.HasPrefix(got, "SERVER_ERROR ") {
		t.Errorf("set gets %q", got)
	}
	if got := c.Reply(); got != value("x") && !strings.HasPrefix(got, "SERVER_ERROR ") {
		t.Errorf("get x gets %q", got)
	}
	c.Send(textGets("y"))
	c.Expect(value("y"))
}

// A stray reply answers no later request.
func TestMemcacheStrayReply(t *testing.T) {
	t.Parallel()
	proxy, server := scriptedStage(t, testkit.Memcache, func(k *testkit.Talk) {
		if k.N() > 1 {
			answerGets(k)
			return
		}
		first, _ := k.Line()
		k.Reply(getsReply(first))
		k.Late(20 * time.Millisecond)
		k.Reply("STORED\r\n")
		k.Drain()
	})
	c := proxy.Dial(testkit.Memcache)
	c.Send(textGets("a"))
	c.Expect(value("a"))
	proxy.AwaitStat(0, "alpha", "scripted", "server_connections")
	c.Send(textGets("b", "c"))
	c.Expect(value("b"), value("c"))
	if n := server.Accepted(); n != 2 {
		t.Errorf("the server saw %d connections, want 2", n)
	}
}
