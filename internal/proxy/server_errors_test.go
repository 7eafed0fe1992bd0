package proxy_test

import (
	"strings"
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// errorReplies are the rig's error replies by prefix.
func (r *rig) errorReplies() map[string]int64 {
	pool := r.stat()
	return pool.ErrorReplies(r.identity.Errors().Names())
}

// Every error reply of a server is counted by its prefix, whether it came in one
// piece or byte by byte, whether or not the client hears it, and no server can make
// up more prefixes than there is room for. The server is up all the same.
func TestErrorRepliesAreCounted(t *testing.T) {
	replies := map[string]string{
		"oom": "-OOM command not allowed\r\n", "err": "-ERR no\r\n", "odd": "-Odd answer\r\n", "value": bulk("-OOM"), "status": "+OK\r\n",
		"long": "-" + strings.Repeat("X", 100) + " y\r\n", "none": "-\r\n",
	}
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			switch reply, slowly := replies[args[1]], len(args) > 2; {
			case reply == "":
				k.Reply("-MADEUP_" + strings.ToUpper(args[1]) + " x\r\n")
			case slowly:
				k.ReplyPieces(reply, 1, 0)
			default:
				k.Reply(reply)
			}
		}
	})
	r := startRig(t, oneServer(s.Addr(), ""))
	u := r.dial()
	for key, reply := range replies {
		u.send(command("GET", key) + command("SET", key, "slowly"))
		u.expect(reply + reply)
	}
	u.send(command("CLIENT", "REPLY", "OFF") + command("GET", "oom") + command("CLIENT", "REPLY", "ON"))
	u.expect("+OK\r\n")
	got := r.errorReplies()
	want := map[string]int64{"OOM": 3, "ERR": 2, stats.OtherError: 6}
	for prefix, n := range want {
		if got[prefix] != n {
			t.Errorf("%s: %d, want %d", prefix, got[prefix], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("error replies: %v", got)
	}
	for i := range 200 {
		u.line(command("GET", "n"+strings.Repeat("1", i%30)+strings.Repeat("2", i/30)))
	}
	if names := r.identity.Errors().Names(); len(names) > stats.MaxErrorNames+1 {
		t.Errorf("%d prefixes", len(names))
	}
	if state := r.topo.Servers()[0].State(); state.State != topology.Up {
		t.Errorf("the server is %v", state.State)
	}
	r.awaitIdle()
}

// A memcached server's errors are counted too, those to noreply included, and what
// only begins like one is not.
func TestMemcachedErrorsAreCounted(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for line, ok := k.Line(); ok; line, ok = k.Line() {
			switch strings.Fields(line)[0] {
			case "set":
				if k.Line(); strings.Contains(line, "large") {
					k.Reply("SERVER_ERROR object too large for cache\r\n")
				} else {
					k.Reply("STORED\r\n")
				}
			case "get":
				k.Reply("END\r\n")
			case "incr":
				k.Reply("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n")
			default:
				k.Reply("ERROR\r\n")
			}
		}
	})
	r := startRig(t, "nuthatch:\n  threads: 1\np:\n  listen: %s\n  servers:\n  - "+s.Addr()+":1\n")
	u := r.dial()
	u.send("set a 0 0 1\r\nx\r\nset large 0 0 1\r\nx\r\nset large 0 0 1 noreply\r\nx\r\nget a\r\nincr a 1\r\ntouch a 1\r\n")
	u.expect("STORED\r\nSERVER_ERROR object too large for cache\r\nEND\r\n" +
		"CLIENT_ERROR cannot increment or decrement non-numeric value\r\nERROR\r\n")
	got := r.errorReplies()
	if len(got) != 3 || got["SERVER_ERROR"] != 2 || got["CLIENT_ERROR"] != 1 || got["ERROR"] != 1 {
		t.Errorf("error replies: %v", got)
	}
	r.awaitIdle()
}

// A server that refuses the pool's password fails, without health checks, though it
// answers every request, with why; when it takes the password it is up.
func TestRefusedLoginIsAFailingServer(t *testing.T) {
	for _, more := range []string{"", "  auto_eject_hosts: true\n", "  auto_eject_hosts: true\n  eject: fail\n"} {
		book := newLogBook(t, logging.Notice)
		var sick mood
		sick.sick.Store(true)
		const wrong, none = "-WRONGPASS invalid username-password pair\r\n", "-NOAUTH Authentication required.\r\n"
		s := testkit.StartScripted(t, func(k *testkit.Talk) {
			known := false
			for args, ok := k.Command(); ok; args, ok = k.Command() {
				switch {
				case args[0] == "AUTH" && sick.sick.Load():
					k.Reply(wrong)
				case args[0] == "AUTH":
					known = true
					k.Reply("+OK\r\n")
				case !known:
					k.Reply(none)
				default:
					k.Reply(bulk(args[1]))
				}
			}
		})
		r := startLoggedRig(t, oneServer(s.Addr(), "  redis_auth: stale\n"+more), book.log)
		u := r.dial()
		u.send(command("AUTH", "stale") + command("GET", "a") + command("GET", "a") + command("GET", "a"))
		u.expect("+OK\r\n" + none + none + none)
		if state := r.topo.Servers()[0].State(); state.State != topology.Failing || state.Reason != msg.LoginRefused || state.Since == 0 || !r.topo.Servers()[0].Passes() {
			t.Errorf("the server is %v: %+v", state.State, state)
		}
		if got := r.errorReplies(); got["NOAUTH"] != 3 || got["WRONGPASS"] != 1 {
			t.Errorf("error replies: %v", got)
		}
		sick.sick.Store(false)
		r.on(0, func(ctx *proxy.Context) { ctx.Reconnect(r.topo, nil, 0, new(topology.Moving)) })
		u.send(command("GET", "a"))
		u.expect(bulk("a"))
		if state := r.topo.Servers()[0].State(); state.State != topology.Up || state.Reason != msg.OK {
			t.Errorf("the server is %v: %+v", state.State, state)
		}
		r.awaitIdle()
		lines := book.lines()
		for _, words := range []string{" fails: it refuses the pool's password (redis_auth); requests are still sent to it", " answers again"} {
			if n := len(with(lines, "server "+s.Addr()+words)); n != 1 {
				t.Errorf("%d lines say %q", n, words)
			}
		}
	}
}
