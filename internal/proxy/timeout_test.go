package proxy_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

const requestTimedout = "-ERR request timed out\r\n"

// gated answers a request whose key begins with "slow" when it is told to, and
// all others at once.
func gated(gate <-chan struct{}) func(*testkit.Talk) {
	return func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			if strings.HasPrefix(args[1], "slow") {
				<-gate
			}
			if args[0] == "mget" || args[0] == "MGET" {
				k.Reply("*1\r\n" + bulk(args[1]))
			} else {
				k.Reply(bulk(args[1]))
			}
		}
	}
}

// A request that takes too long gets an error in its turn. The connection goes
// on: the late reply goes to nobody, and each later request gets its own.
func TestRequestTimeout(t *testing.T) {
	gate := make(chan struct{})
	s := testkit.StartScripted(t, gated(gate))
	r := startRig(t, oneServer(s.Addr(), "  request_timeout: 50ms\n"))
	u, other := r.dial(), r.dial()
	u.send(command("GET", "slow1") + command("PING") + command("GET", "slow2") + command("PING"))
	u.expect(requestTimedout + "+PONG\r\n" + requestTimedout + "+PONG\r\n")
	close(gate)
	for _, key := range []string{"a", "b"} {
		u.send(command("GET", key))
		other.send(command("GET", "of "+key))
		u.expect(bulk(key))
		other.expect(bulk("of " + key))
	}
	if n := s.Accepted(); n != 1 {
		t.Errorf("%d connections to the server, want 1", n)
	}
	if n := r.stat().Vectors[stats.FailedRequests][msg.RequestTimedout]; n != 2 {
		t.Errorf("%d requests are counted as timed out, want 2", n)
	}
	r.awaitIdle()
}

// One server that says nothing holds up a request for two; what the other one
// says is dropped.
func TestRequestTimeoutOfSiblings(t *testing.T) {
	gate := make(chan struct{})
	one := testkit.StartScripted(t, func(k *testkit.Talk) {
		k.Command()
		<-gate
	})
	two := testkit.StartScripted(t, gated(gate))
	r := startRig(t, twoServers(one.Addr(), two.Addr(), "  request_timeout: 50ms\n"))
	u := r.dial()
	var parts [2]string
	for key := range strings.FieldsSeq("a b c d e f g h") {
		u.send(command("GET", key))
		line, err := u.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == requestTimedout {
			parts[0] = key
			continue
		}
		u.expect(key + "\r\n")
		parts[1] = key
	}
	u.send(command("MGET", parts[0], parts[1]) + command("GET", parts[1]))
	u.expect(requestTimedout + bulk(parts[1]))
	close(gate)
	r.awaitIdle()
}

// A request that waits for the end of a pause has no longer than any other. It
// never reaches the server. What the proxy answers itself is never too late.
func TestRequestTimeoutInPause(t *testing.T) {
	s := testkit.StartScripted(t, echo)
	r := startRig(t, oneServer(s.Addr(), "  request_timeout: 50ms\n"))
	u := r.dial()
	u.send(command("GET", "a"))
	u.expect(bulk("a"))
	r.on(0, func(ctx *proxy.Context) { ctx.Pause(r.topo) })
	u.send(command("GET", "b") + command("PING") + command("MGET", "b", "c"))
	u.expect(requestTimedout + "+PONG\r\n" + requestTimedout)
	u.send(command("GET", "d"))
	u.expect(requestTimedout)
	r.on(0, func(ctx *proxy.Context) { ctx.Resume(r.topo) })
	u.send(command("GET", "e"))
	u.expect(bulk("e"))
	if n := serverStat(r, r.conf.Pools[0].Servers[0].StatsName()).Values[stats.Requests]; n != 2 {
		t.Errorf("the server got %d requests, want 2", n)
	}
	r.awaitIdle()
}

// silentBacklog is an address that takes no connection and refuses none, as of a
// machine that has hung.
func silentBacklog(t *testing.T) string {
	t.Helper()
	listening, err := eventloop.OpenSocket(t.Context(), socket.ListenSpec{Host: "127.0.0.1", Backlog: 0})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listening.Close)
	addr := listening.Name()
	for {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

// A server that cannot be connected to in time fails its requests; meanwhile
// another's have their replies.
func TestConnectTimeout(t *testing.T) {
	two := testkit.StartScripted(t, echo)
	r := startRig(t, twoServers(silentBacklog(t), two.Addr(), "  connect_timeout: 100ms\n  auto_eject_hosts: true\n"+
		"  server_failure_limit: 2\n  eject: fail\n"))
	u, other := r.dial(), r.dial()
	one := serverOne(t, r)
	hung, well := keysOf(r, one)
	for range 2 {
		u.send(command("GET", hung))
		other.send(command("GET", well))
		other.expect(bulk(well))
		u.expect("-ERR Connection timed out\r\n")
	}
	if state := r.topo.Servers()[one].State(); state.State != topology.Ejected || state.Reason != msg.Timedout {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
	r.awaitIdle()
}

// keysOf returns a key of the server with that index, and one of another.
func keysOf(r *rig, server int) (its, other string) {
	r.t.Helper()
	ring := r.topo.Ring()
	for key := range strings.FieldsSeq("a b c d e f g h i j k l m n") {
		if ring.Server([]byte(key), 0) == server {
			its = key
		} else {
			other = key
		}
	}
	if its == "" || other == "" {
		r.t.Fatal("one server owns all of the keys")
	}
	return its, other
}

// A connection that is not used is closed, never before its time, and the next
// request opens another.
func TestServerIdleTimeout(t *testing.T) {
	const limit = 80 * time.Millisecond
	s := testkit.StartScripted(t, echo)
	r := startRig(t, oneServer(s.Addr(), "  server_idle_timeout: 80ms\n"))
	u := r.dial()
	for i := range 3 {
		before := time.Now()
		u.send(command("GET", "a"))
		u.expect(bulk("a"))
		await(t, "the connection to be closed", func() bool {
			return r.stat().Servers[0].Values[stats.ServerConnections] == 0
		})
		if d := time.Since(before); d < limit {
			t.Errorf("closed %v after the request, want %v or more", d, limit)
		}
		if n := s.Accepted(); n != i+1 {
			t.Errorf("%d connections, want %d", n, i+1)
		}
	}
}

// Few clients have their errors when they are due, however shortly one comes after the
// other.
func TestRequestTimeoutIsPrecise(t *testing.T) {
	c := converse(t, "  redis: true\n  request_timeout: 100ms\n", resp{}, 1)
	first, second := c.join(), c.join()
	c.ask(first, command("GET", c.keyAt(0, 0)))
	c.wait(time.Millisecond)
	c.ask(second, command("GET", c.keyAt(0, 0)))
	c.wait(99 * time.Millisecond)
	first.hears(requestTimedout)
	second.hears("")
	c.wait(time.Millisecond)
	second.hears(requestTimedout)
	c.answerAll(0)
	c.end(true)
}
