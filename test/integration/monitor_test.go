package integration

import (
	"testing"

	"nuthatch/internal/testkit"
)

// What a client sees through the proxy of one server is, byte for byte, what another one sees
// that MONITORs the server itself: at the same time, in RESP2 and RESP3.
func TestMonitorLikeRedis(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{"allow_monitor: true"})
	for _, version := range []string{"2", "3"} {
		t.Run("RESP"+version, func(t *testing.T) {
			direct, through, said := server.Dial(), s.proxy.Dial(testkit.Redis), server.Dial()
			both := []*testkit.Client{direct, through}
			for _, c := range both {
				c.Do("HELLO", version)
			}
			for _, words := range [][]string{{"MONITOR", "x"}, {"monitor", "x", "y"}} {
				if a, b := direct.Do(words...), through.Do(words...); a != b {
					t.Errorf("%q: redis-server says %q, nuthatch %q", words, a, b)
				}
			}
			for _, c := range both {
				if got := c.Do("MONITOR"); got != "+OK\r\n" {
					t.Fatalf("MONITOR: %q", got)
				}
			}
			said.Do("ECHO", "from here on")
			for _, c := range both { // who came first sees the other's MONITOR and its handshake
				for !isLineOf(c.Reply(), "from here on") {
					continue
				}
			}
			calls := [][]string{
				{"SET", "k", "v"},
				{"GET", "\x00\x01\r\n\t\"quoted\" \\ back \xff\xfe"},
				{"SET", "", ""},
				{"NOSUCH", "word"},
				{"GET"},
				{"AUTH", "secret"},
				{"HELLO", "2", "AUTH", "u", "p"},
				{"EVAL", "redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])", "1", "of a script", "x"},
				{"MULTI"},
				{"INCR", "n"},
				{"SELECT", "3"},
				{"EXEC"},
				{"SUBSCRIBE", "channel"},
				{"PING"},
				{"UNSUBSCRIBE"},
				{"CONFIG", "GET", "maxmemory"},
				{"MSET", "a", string(make([]byte, 3000)), "b", "c"},
				{"SELECT", "0"},
				{"ECHO", "the end"},
			}
			for _, words := range calls {
				said.Do(words...)
			}
			for n := 0; ; n++ {
				a, b := direct.Reply(), through.Reply()
				if a != b {
					t.Fatalf("line %d: redis-server says %q, nuthatch %q", n, a, b)
				}
				if isLineOf(a, "the end") {
					break
				}
			}
			for _, words := range [][]string{{"MONITOR"}, {"RESET"}, {"PING"}} { // and no more
				for _, c := range both {
					c.Send(testkit.RESP(words...))
				}
				if words[0] == "MONITOR" {
					continue // is not answered a second time
				}
				if a, b := replyTo(direct), replyTo(through); a != b {
					t.Errorf("%q: redis-server says %q, nuthatch %q", words, a, b)
				}
			}
		})
	}
}

// isLineOf tells whether a line of MONITOR is about a command that ends with the word.
func isLineOf(line, word string) bool {
	end := " \"" + word + "\"\r\n"
	return len(line) > len(end) && line[len(line)-len(end):] == end
}

// replyTo is what a client that monitors hears next that is no line: those begin with a time.
func replyTo(c *testkit.Client) string {
	for {
		if got := c.Reply(); len(got) < 2 || got[0] != '+' || got[1] < '0' || got[1] > '9' {
			return got
		}
	}
}
