package proxy_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// silent is a server that reads and says nothing.
func silent(k *testkit.Talk) { k.Drain() }

// twoLoops is a pool of a silent server, on two event loops.
func twoLoops(addr string) string {
	return fmt.Sprintf("p:\n  listen: %%s\n  redis: true\n  servers:\n  - %s:1\nnuthatch:\n  threads: 2\n", addr)
}

// hold keeps a loop busy until the returned function is called.
func (r *rig) hold(i int) (release func()) {
	held, free := make(chan struct{}), make(chan struct{})
	r.contexts[i].Loop().Post(func() {
		close(held)
		<-free
	})
	<-held
	release = sync.OnceFunc(func() { close(free) })
	r.t.Cleanup(release)
	return release
}

// loopOf is the loop that the only client is on.
func (r *rig) loopOf() int {
	for i, ctx := range r.contexts {
		if ctx.Clients() > 0 {
			return i
		}
	}
	r.t.Fatal("no loop has a client")
	return 0
}

// TestGatherInTurn: what all loops answer together keeps its turn, however long
// one of them takes.
func TestGatherInTurn(t *testing.T) {
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	u := r.dial()
	u.send(command("PING"))
	u.expect("+PONG\r\n")
	release := r.hold(1 - r.loopOf())
	u.send(command("CLIENT", "KILL", "ID", "99") + command("PING") + command("CLIENT", "KILL", "1.1.1.1:1") + command("ECHO", "x"))
	await(t, "the requests to be taken", func() bool {
		msgs := 0
		r.on(r.loopOf(), func(ctx *proxy.Context) { msgs, _ = ctx.Live() })
		return msgs == 4
	})
	release()
	u.expect(":0\r\n+PONG\r\n-ERR No such client\r\n" + bulk("x"))
	r.awaitIdle()
}

// TestGatherOfClientGone: nobody waits for the answer, and nothing of it is kept.
func TestGatherOfClientGone(t *testing.T) {
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	u := r.dial()
	u.send(command("PING"))
	u.expect("+PONG\r\n")
	own := r.loopOf()
	release := r.hold(1 - own)
	u.send(command("CLIENT", "LIST") + command("CLIENT", "LIST", "ID", "1"))
	await(t, "the requests to be taken", func() bool {
		msgs := 0
		r.on(own, func(ctx *proxy.Context) { msgs, _ = ctx.Live() })
		return msgs == 2
	})
	if err := u.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	u.Close()
	await(t, "the client to be gone", func() bool {
		n := int64(0)
		r.on(own, func(ctx *proxy.Context) { n = int64(ctx.Clients()) })
		return n == 0
	})
	release()
	r.awaitIdle()
}

// TestKillWithRequestsInFlight: a client that is killed leaves nothing behind,
// and its server connection in step.
func TestKillWithRequestsInFlight(t *testing.T) {
	release := make(chan struct{})
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			<-release
			k.Reply(bulk(args[1]))
		}
	})
	r := startRig(t, twoServers(s.Addr(), s.Addr(), ""))
	victim, killer := r.dial(), r.dial()
	victim.send(command("GET", "a") + command("GET", "b"))
	await(t, "the requests to be sent", func() bool {
		st := r.stat().Servers
		return st[0].Values[stats.OutQueue]+st[1].Values[stats.OutQueue] == 2
	})
	killer.send(command("CLIENT", "KILL", "TYPE", "normal") + command("CLIENT", "KILL", "TYPE", "normal"))
	killer.expect(":1\r\n:0\r\n")
	victim.expectEOF()
	close(release)
	r.awaitIdle()
	killer.send(command("GET", "z"))
	killer.expect(bulk("z"))
}

// TestGatherWithoutALoop: a loop that has ended has no clients, and keeps nobody
// waiting.
func TestGatherWithoutALoop(t *testing.T) {
	r := startRig(t, twoLoops(testkit.StartScripted(t, silent).Addr()))
	u := r.dial()
	u.send(command("PING"))
	u.expect("+PONG\r\n")
	other := r.contexts[1-r.loopOf()].Loop()
	other.Stop()
	await(t, "the loop to end", func() bool { return !other.Post(func() {}) })
	u.send(command("CLIENT", "KILL", "ID", "99"))
	u.expect(":0\r\n")
}

// TestScanOverScriptedServers: a server's cursor comes back to it, and one that
// fails is an error in its turn.
func TestScanOverScriptedServers(t *testing.T) {
	server := func(cursor string) string {
		return testkit.StartScripted(t, func(k *testkit.Talk) {
			for args, ok := k.Command(); ok; args, ok = k.Command() {
				next := "0"
				if args[1] == "0" {
					next = cursor
				}
				k.Reply("*2\r\n" + bulk(next) + "*1\r\n" + bulk(strings.Join(args, " ")))
			}
		}).Addr()
	}
	gone := testkit.StartScripted(t, silent)
	gone.Stop()
	r := startRig(t, fmt.Sprintf("p:\n  listen: %%s\n  redis: true\n  servers:\n  - %s:1 a\n  - %s:1 b\n  - %s:1 c\n",
		server("5"), server("7"), gone.Addr()))
	u := r.dial()
	for _, x := range []struct{ cursor, next, said string }{
		{"0", "15", "SCAN 0 COUNT 3"},
		{"15", "1", "SCAN 5 COUNT 3"},
		{"1", "22", "SCAN 0 COUNT 3"},
		{"22", "2", "SCAN 7 COUNT 3"},
	} {
		u.send(command("SCAN", x.cursor, "COUNT", "3") + command("PING"))
		u.expect("*2\r\n" + bulk(x.next) + "*1\r\n" + bulk(x.said) + "+PONG\r\n")
	}
	u.send(command("SCAN", "2") + command("PING") + command("SCAN", "x") + command("PING"))
	u.expect("-ERR Connection refused\r\n+PONG\r\n-ERR invalid cursor\r\n+PONG\r\n")
	r.awaitIdle()
}

// What a turn has done without a job leaves its jobs their part: a turn ends.
func TestClientListBehindMuchElse(t *testing.T) {
	c := converse(t, "  redis: true\n", resp{}, 1)
	c.loops[0].SetBudget(proxy.Amount{Keys: 8, Clients: 8, Bytes: 1 << 10})
	p := c.join()
	for range 20 {
		p.request(command("MGET", p.key(0, false), p.key(0, false)), func(string) bool { return true })
		p.request(command("CLIENT", "LIST"), func(r string) bool { return strings.Contains(r, "id=") })
	}
	p.say(len(p.out))
	c.calm()
	c.end(true)
}
