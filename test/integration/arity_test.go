package integration

import (
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// Whoever queues a command learns of words too few or too many when Redis says so: at once,
// and not by an EXEC that one server carries out and another one does not.
func TestQueuedArity(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{server}, []string{"allow_flush: true", "allow_admin: true"})
	direct, c := server.Dial(), s.proxy.Dial(testkit.Redis)
	// Not queued; and two that take a word more since Redis 7.2.
	apart := []string{"exec", "discard", "multi", "quit", "reset", "watch", "zrank", "zrevrank"}
	names := strings.Split(direct.Do("COMMAND", "LIST"), "\r\n")
	tried := 0
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "$*|") || slices.Contains(apart, name) {
			continue
		}
		for _, n := range []int{0, 1, 2, 9} {
			words := append([]string{name}, slices.Repeat([]string{"1"}, n)...)
			want, got := queues(direct, words), queues(c, words)
			switch {
			case strings.Contains(got, "wrong number of arguments") == strings.Contains(want, "wrong number of arguments"):
				tried++
			case got != "+QUEUED\r\n" && !strings.Contains(got, "wrong number of arguments"): // it is refused for another reason
			default:
				t.Errorf("%q: %q, and Redis says %q", words, got, want)
			}
		}
	}
	if tried < 800 {
		t.Errorf("%d requests were compared", tried)
	}
}

// queues is what a command gets in a transaction.
func queues(c *testkit.Client, words []string) string {
	c.Send(slices.Concat(testkit.RESP("MULTI"), testkit.RESP(words...), testkit.RESP("DISCARD")))
	c.Reply()
	got := c.Reply()
	c.Reply()
	return got
}
