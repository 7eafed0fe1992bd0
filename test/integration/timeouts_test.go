package integration

import (
	"fmt"
	"testing"

	"nuthatch/internal/testkit"
)

// A server that hangs for a while costs the requests of that while an error each,
// within request_timeout, and nothing else: not the connection, not the order of
// replies, not a client of another server.
func TestRequestTimeoutOfAHangingServer(t *testing.T) {
	t.Parallel()
	stage := redisStage(t, "request_timeout: 1s")
	c := stage.proxy.Dial(testkit.Redis)
	keys := spread(60)
	for _, key := range keys {
		c.Send(testkit.RESP("SET", key, key))
		c.Expect("+OK\r\n")
	}
	const timedout = "-ERR request timed out\r\n"
	hung := stage.servers[0]
	its := map[string]bool{}
	for _, key := range keys {
		its[key] = hung.Dial().Do("EXISTS", key) == ":1\r\n"
	}
	hung.Pause()
	var asked [2]int
	for _, key := range keys {
		which := 0
		if its[key] {
			which = 1
		}
		if asked[which]++; asked[which] > 2 {
			continue
		}
		c.Send(testkit.RESP("GET", key))
		got := c.Reply()
		if want := testkit.Bulk(key); !its[key] && got != want {
			t.Errorf("a key of a server that is well: %q, want %q", got, want)
		}
		if its[key] && got != timedout {
			t.Errorf("a key of the server that hangs: %q, want %q", got, timedout)
		}
	}
	hung.Resume()
	for i := range 5 {
		for _, key := range keys {
			c.Send(testkit.RESP("GET", key))
		}
		for _, key := range keys {
			// The first ones may come while the server still works off what is late.
			if got := c.Reply(); got != testkit.Bulk(key) && (i > 0 || got != timedout) {
				t.Errorf("round %d: %s is %q", i, key, got)
			}
		}
	}
	for _, end := range []string{"server_eof", "server_err", "server_timedout"} {
		if n := stage.proxy.Stats().Value("alpha", "s1", end); n != 0 {
			t.Errorf("%s is %d, want 0: a connection was lost", end, n)
		}
	}
	if err := checkQueues(stage.proxy); err != nil {
		t.Error(err)
	}
}

// checkQueues finds requests that are left in the queues of servers.
func checkQueues(proxy *testkit.Proxy) error {
	s := proxy.Stats()
	for _, server := range []string{"s1", "s2", "s3"} {
		if in, out := s.Value("alpha", server, "in_queue"), s.Value("alpha", server, "out_queue"); in+out != 0 {
			return fmt.Errorf("%s still has %d requests to be sent and %d to be answered", server, in, out)
		}
	}
	return nil
}
