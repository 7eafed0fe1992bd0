package proxy_test

import (
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// addrsOf are the addresses of listeners, in that order.
func addrsOf(t *testing.T, addrs ...string) []unix.Sockaddr {
	t.Helper()
	var all []unix.Sockaddr
	for _, addr := range addrs {
		host, text, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := socket.Resolve(t.Context(), host, port)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s...)
	}
	return all
}

// All addresses of a server are tried before its requests fail: one that
// refuses, one without a way to it, one that says nothing. The one that is good
// is used from then on.
func TestEveryAddressIsTried(t *testing.T) {
	good := testkit.StartScripted(t, func(k *testkit.Talk) {
		if args, ok := k.Command(); ok && args[0] == "SELECT" {
			k.Reply("+OK\r\n") // the handshake waits like a request
			echo(k)
		}
	})
	r := startRig(t, oneServer(good.Addr(), "  connect_timeout: 50ms\n  timeout: 5000\n  redis_db: 3\n"))
	refuses, silent := testkit.FreeAddr(t), silentBacklog(t)
	r.topo.Servers()[0].SetAddrs(append([]unix.Sockaddr{&unix.SockaddrUnix{Name: "/nowhere"}},
		addrsOf(t, refuses, silent, silent, good.Addr())...))
	u := r.dial()
	u.send(command("SET", "a", "v") + command("GET", "a"))
	u.expect("+OK\r\n" + bulk("a"))
	v := r.stat().Servers[0].Values
	if v[stats.Dials] != 5 || v[stats.ServerErr] != 0 || v[stats.ServerTimedout] != 0 {
		t.Errorf("%d attempts, %d errors, %d time-outs; want 5 and none", v[stats.Dials], v[stats.ServerErr], v[stats.ServerTimedout])
	}
	if s := r.topo.Servers()[0].State(); s.Failures != 0 {
		t.Errorf("%d failures, want none", s.Failures)
	}
	r.on(0, func(ctx *proxy.Context) { ctx.Reconnect(r.topo, nil, 0, new(topology.Moving)) })
	u.send(command("GET", "b"))
	u.expect(bulk("b"))
	if n := r.stat().Servers[0].Values[stats.Dials]; n != 6 {
		t.Errorf("%d attempts, want 6: the address that is good is tried first", n)
	}
	r.awaitIdle()
}

// When no address is left the requests fail, once, with the last one's reason,
// and whoever looks up names is told.
func TestNoAddressIsGood(t *testing.T) {
	r := startRig(t, oneServer(testkit.FreeAddr(t), "  connect_timeout: 50ms\n"))
	told := make(chan struct{}, 10)
	r.topo.OnUnreachable(func() { told <- struct{}{} })
	silent := silentBacklog(t)
	r.topo.Servers()[0].SetAddrs(addrsOf(t, silent, testkit.FreeAddr(t), silent))
	u := r.dial()
	u.send(command("GET", "a") + command("GET", "b"))
	u.expect("-ERR Connection timed out\r\n-ERR Connection timed out\r\n")
	if s := r.topo.Servers()[0].State(); s.Failures != 1 {
		t.Errorf("%d failures, want 1", s.Failures)
	}
	<-told
	if !r.topo.Servers()[0].WasUnreachable() || r.topo.Servers()[0].WasUnreachable() {
		t.Error("it is not told once which server it is")
	}
	r.topo.Servers()[0].SetAddrs(nil)
	u.send(command("GET", "a"))
	u.expect("-ERR the name of this key's server cannot be resolved\r\n")
	<-told
	r.awaitIdle()
}

// Requests that wait for a connection to an address which the server has no longer go
// to the new one at once; what owes nothing there is closed, and the server is told
// again what it may not know.
func TestAddressChanges(t *testing.T) {
	scripts := make(chan string, 10)
	server := func(name string) *testkit.Scripted {
		return testkit.StartScripted(t, func(k *testkit.Talk) {
			for {
				args, ok := k.Command()
				if !ok {
					return
				}
				if args[0] == "SCRIPT" {
					scripts <- name
				}
				k.Reply(bulk(name))
			}
		})
	}
	one, two := server("one"), server("two")
	r := startRig(t, oneServer(one.Addr(), ""))
	move := func(addrs ...string) {
		r.topo.Servers()[0].SetAddrs(addrsOf(t, addrs...))
		r.on(0, func(ctx *proxy.Context) {
			ctx.FollowAddrs(r.topo, r.topo.Servers()[0], time.Hour.Nanoseconds(), new(topology.Moving))
		})
	}
	silent := silentBacklog(t)
	move(silent)
	u := r.dial()
	u.send(command("GET", "a") + command("GET", "b"))
	await(t, "the attempt to connect", func() bool { return r.stat().Servers[0].Values[stats.Dials] == 1 })
	move(one.Addr())
	u.expect(bulk("one") + bulk("one"))
	u.send(command("GET", "a"))
	u.expect(bulk("one"))
	move(two.Addr(), one.Addr())
	u.send(command("GET", "a"))
	u.expect(bulk("one")) // which is still one of its addresses
	move(two.Addr())
	u.send(command("GET", "a"))
	u.expect(bulk("two"))
	if n, m := one.Accepted(), two.Accepted(); n != 1 || m != 1 {
		t.Errorf("%d and %d connections, want 1 each", n, m)
	}
	if s := r.topo.Servers()[0].State(); s.State != topology.Up || s.Failures != 0 {
		t.Errorf("the server is %+v", s)
	}
	r.awaitIdle()
}
