package proxy_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

const serverBusy = "-ERR server busy\r\n"

// A server takes as many requests as it may. Those above fail at once, in their
// turn, and when it has answered it takes some again.
func TestServerMaxQueued(t *testing.T) {
	release := make(chan struct{})
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		first, ok := k.Command()
		if !ok {
			return
		}
		<-release
		k.Reply(bulk(first[1]))
		echo(k)
	})
	r := startRig(t, oneServer(s.Addr(), "  server_max_queued: 3\n"))
	u, other := r.dial(), r.dial()
	u.send(command("GET", "a") + command("GET", "b") + command("GET", "c"))
	await(t, "three requests under way", func() bool {
		v := r.stat().Servers[0].Values
		return v[stats.InQueue]+v[stats.OutQueue] == 3
	})
	other.send(command("GET", "x") + command("PING") + command("MGET", "x", "y"))
	other.expect(serverBusy + "+PONG\r\n" + serverBusy)
	u.send(command("GET", "d"))
	close(release)
	u.expect(bulk("a") + bulk("b") + bulk("c") + serverBusy)
	other.send(command("GET", "x"))
	other.expect(bulk("x"))
	if n := r.stat().Vectors[stats.FailedRequests][msg.ServerBusy]; n != 3 {
		t.Errorf("%d requests are counted as refused, want 3", n)
	}
	r.awaitIdle()
}

// Memcached's clients are told in Memcached's words.
func TestMemcachedBusy(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) { k.Drain() })
	r := startRig(t, fmt.Sprintf("p:\n  listen: %%s\n  server_max_queued: 1\n  request_timeout: 50ms\n  servers:\n  - %s:1\n", s.Addr()))
	u := r.dial()
	u.send("get a\r\nget b\r\nset c 0 0 1\r\nx\r\n")
	u.expect("SERVER_ERROR request timed out\r\nSERVER_ERROR server busy\r\nSERVER_ERROR server busy\r\n")
}

// The same of the bytes that wait to be sent to a server that reads nothing.
func TestServerMaxQueuedBytes(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) { k.Hang() })
	r := startRig(t, oneServer(s.Addr(), "  timeout: 1000\n  server_max_queued_bytes: 64kb\n  client_max_queued: 1gb\n"))
	u := r.dial()
	// The kernel's buffers on loopback take a few megabytes before anything waits.
	value := strings.Repeat("v", 1<<20)
	const requests = 40
	go func() {
		if _, err := io.WriteString(u, strings.Repeat(command("SET", "k", value), requests)); err != nil {
			t.Error(err)
		}
	}()
	var busy, timedout int
	for range requests {
		line, err := u.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		switch line {
		case serverBusy:
			busy++
		case "-ERR Connection timed out\r\n":
			timedout++
		default:
			t.Fatalf("got %q", line)
		}
	}
	if busy == 0 || timedout == 0 {
		t.Errorf("%d refused, %d timed out: want some of both", busy, timedout)
	}
	r.awaitIdle()
}
