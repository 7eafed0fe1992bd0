package proxy_test

import (
	"testing"

	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// A server that refuses connections is left alone between attempts; its requests
// fail at once, with the reason of the last one. Without the setting every
// request tries.
func TestReconnectBackoff(t *testing.T) {
	const requests = 300
	for _, tt := range []struct {
		name, line string
		least      int64
		most       int64
	}{
		{"none", "", requests, requests},
		// A pause of a minute at the most is over too soon once in a thousand times.
		{"a minute", "  reconnect_backoff: 1m\n  reconnect_backoff_max: 1h\n", 1, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startRig(t, oneServer(testkit.FreeAddr(t), tt.line))
			u := r.dial()
			for range requests {
				u.send(command("GET", "a"))
				u.expect("-ERR Connection refused\r\n")
			}
			if n := r.stat().Servers[0].Values[stats.Dials]; n < tt.least || n > tt.most {
				t.Errorf("%d requests made %d attempts to connect, want %d to %d", requests, n, tt.least, tt.most)
			}
			r.awaitIdle()
		})
	}
}

// A server that comes back is used again when the pause is over, and one that
// only closed a connection that worked is connected to at once.
func TestReconnectBackoffEnds(t *testing.T) {
	addr := testkit.FreeAddr(t)
	r := startRig(t, oneServer(addr, "  reconnect_backoff: 20ms\n  reconnect_backoff_max: 40ms\n"))
	u := r.dial()
	for range 10 {
		u.send(command("GET", "a"))
		u.expect("-ERR Connection refused\r\n")
	}
	testkit.StartScriptedAt(t, addr, func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok || args[1] == "end" {
				return
			}
			k.Reply(bulk(args[1]))
		}
	})
	await(t, "the server to be used again", func() bool { return u.line(command("GET", "a")) == bulk("a") })
	for range 20 {
		if got := u.line(command("GET", "end")); got != "-ERR unknown\r\n" {
			t.Fatalf("a request that ends the connection: %q", got)
		}
		u.send(command("GET", "b"))
		u.expect(bulk("b"))
	}
}
