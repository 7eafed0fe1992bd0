package integration

import (
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// A redis-server that closes all connections again and again costs nobody who
// reads an error, while the budget lasts; whoever writes may get one.
func TestReadsSurviveLostConnections(t *testing.T) {
	t.Parallel()
	stage := redisStage(t, "timeout: 20000", "retry: idempotent")
	c := stage.proxy.Dial(testkit.Redis)
	keys := spread(30)
	for _, key := range keys {
		c.Send(testkit.RESP("SET", key, key))
		c.Expect("+OK\r\n")
	}
	admins := make([]*testkit.Client, len(stage.servers))
	for i, s := range stage.servers {
		admins[i] = s.Dial()
	}
	var many []string
	const warm = 2000 // a tenth of these may be sent again
	c.Send([]byte(strings.Repeat(string(testkit.RESP("GET", keys[0])), warm)))
	for range warm {
		c.Expect(testkit.Bulk(keys[0]))
	}
	for round := range 36 {
		var send []byte
		many = many[:0]
		for _, key := range keys {
			send = append(send, testkit.RESP("GET", key)...)
			many = append(many, testkit.Bulk(key))
		}
		send = append(send, testkit.RESP(append([]string{"MGET"}, keys...)...)...)
		c.Send(send)
		if round%3 == 0 {
			if got := admins[round/3%len(admins)].Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); !strings.HasPrefix(got, ":") {
				t.Fatalf("CLIENT KILL: %q", got)
			}
		}
		for _, want := range many {
			c.Expect(want)
		}
		c.Expect("*30\r\n" + strings.Join(many, ""))
	}
	if err := checkQueues(stage.proxy); err != nil {
		t.Error(err)
	}
}
