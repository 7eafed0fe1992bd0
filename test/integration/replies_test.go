package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// mutes are conversations with CLIENT REPLY in them. What follows is answered:
// it ends with CLIENT REPLY ON.
var mutes = []string{
	"CLIENT REPLY ON|GET a",
	"CLIENT REPLY OFF|SET a 1|INCR a|GET a|CLIENT REPLY ON|GET a",
	"CLIENT REPLY OFF|MSET a 1 b 2 c 3 d 4|MGET a b c d|DEL a b|EXISTS a b c d|CLIENT REPLY ON|MGET a b c d",
	"CLIENT REPLY OFF|DBSIZE|KEYS *|SCAN 0|PUBLISH a b|SCRIPT EXISTS x|WAIT 0 1|CLIENT REPLY ON|ECHO on",
	"CLIENT REPLY OFF|CLIENT LIST|CLIENT ID|COMMAND COUNT|PING|ECHO x|NOSUCH a|NOSUCH.AT.ALL b|GET|CLIENT REPLY x|CLIENT REPLY ON|ECHO on",
	"CLIENT REPLY OFF|CLIENT REPLY OFF|CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY ON|GET a",
	"CLIENT REPLY OFF|RESET|ECHO on",
	"CLIENT REPLY SKIP|RESET|ECHO on",
	"CLIENT REPLY SKIP|CLIENT REPLY ON|ECHO on",
	"CLIENT REPLY SKIP|CLIENT REPLY OFF|ECHO on",
	"CLIENT REPLY SKIP|CLIENT REPLY SKIP|GET a|GET a",
	"CLIENT REPLY SKIP|SET a 1|GET a",
	"CLIENT REPLY SKIP|MSET a 1 b 2 c 3 d 4|MGET a b c d|CLIENT REPLY SKIP|MGET a b c d|DEL a b c d",
	"CLIENT REPLY SKIP|DBSIZE|DBSIZE",
	"CLIENT REPLY SKIP|SCAN 0|CLIENT REPLY SKIP|CLIENT LIST|CLIENT REPLY SKIP|PING|ECHO x",
	"CLIENT REPLY SKIP|NOSUCH.SKIPPED a|NOSUCH.HEARD a",
	"CLIENT REPLY SKIP|GET|GET",
	"CLIENT REPLY SKIP|CLIENT REPLY x|GET a",
	"CLIENT REPLY|CLIENT REPLY x|CLIENT REPLY ON x|GET a",
	"HELLO 3|CLIENT REPLY SKIP|HGETALL h|HGETALL h|CLIENT REPLY OFF|MGET a b c|GET a|CLIENT REPLY ON|MGET a b c",
}

// A client that wants no replies, or not the next one, gets those that
// redis-server would send, whatever becomes of its requests: in one write, and
// one by one.
func TestClientReply(t *testing.T) {
	t.Parallel()
	s, alone := redisStage(t), testkit.StartRedis(t)
	for _, atOnce := range []bool{true, false} {
		for _, talk := range mutes {
			got, want := muted(t, s.proxy.Dial(testkit.Redis), talk, atOnce), muted(t, alone.Dial(), talk, atOnce)
			if got != want {
				t.Errorf("%s (at once: %t):\n\tnuthatch %q\n\tredis    %q", talk, atOnce, got, want)
			}
		}
		for _, server := range append(s.servers, alone) {
			server.Dial().Do("FLUSHALL")
		}
	}
}

// muted is what a client gets for a conversation, up to its mark.
func muted(t *testing.T, c *testkit.Client, talk string, atOnce bool) string {
	t.Helper()
	const mark = "*mark*"
	var all []byte
	for line := range strings.SplitSeq(talk+"|CLIENT REPLY ON|ECHO "+mark, "|") {
		request := testkit.RESP(strings.Fields(line)...)
		if atOnce {
			all = append(all, request...)
		} else {
			c.Send(request)
		}
	}
	c.Send(all)
	if strings.HasPrefix(talk, "HELLO") {
		c.Reply() // it tells the client's number
	}
	var replies strings.Builder
	for !strings.HasSuffix(replies.String(), testkit.Bulk(mark)) {
		replies.WriteString(c.Reply())
	}
	c.Close()
	return replies.String()
}

// A client that hears nothing does not hear of failures either, and loses its
// connection for nonsense without a word.
func TestClientReplyAndFailures(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	c := s.proxy.Dial(testkit.Redis)
	for _, server := range s.servers {
		server.Kill()
	}
	for _, off := range []string{"OFF", "SKIP"} {
		for _, request := range []string{"GET a", "MGET a b c d e f", "DBSIZE", "SCAN 0"} {
			c.Send(testkit.RESP("CLIENT", "REPLY", off))
			c.Send(testkit.RESP(strings.Fields(request)...))
			c.Send(testkit.RESP("CLIENT", "REPLY", "ON"))
			c.Send(testkit.RESP("ECHO", request))
			c.Expect("+OK\r\n", testkit.Bulk(request))
		}
	}
	c.Send(testkit.RESP("CLIENT", "REPLY", "OFF"))
	c.Send([]byte(fmt.Sprintf("*%d\r\n", 1<<40)))
	if got := c.ExpectEnd(); got != "" {
		t.Errorf("before the end comes %q", got)
	}
}
