package proxy_test

import (
	"testing"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A server that refuses the pool's user, and whose user default needs no password, gets no request:
// it would be carried out as default. It is failing until a login succeeds, and what older
// connections bring does not change that.
func TestRefusedUserGetsNoRequest(t *testing.T) {
	const (
		wrong   = "-WRONGPASS invalid username-password pair\r\n"
		refused = "-ERR the server of this key refused the pool's password\r\n"
	)
	for _, refusal := range []string{wrong, "-ERR wrong number of arguments for 'auth' command\r\n"} {
		book := newLogBook(t, logging.Notice)
		var sick mood
		s := testkit.StartScripted(t, func(k *testkit.Talk) {
			user := "default"
			for args, ok := k.Command(); ok; args, ok = k.Command() {
				switch {
				case args[0] == "AUTH" && sick.sick.Load():
					k.Reply(refusal)
				case args[0] == "AUTH":
					user = args[1]
					k.Reply("+OK\r\n")
				default:
					k.Reply(bulk(user))
				}
			}
		})
		r := startLoggedRig(t, oneServer(s.Addr(), "  server_user: svc\n  server_password: secret\n  auto_eject_hosts: true\n  server_failure_limit: 1\n"), book.log)
		isFailing := func(when string) {
			t.Helper()
			if at := r.topo.Servers()[0].State(); at.State != topology.Failing || at.Reason != msg.LoginRefused {
				t.Errorf("%s: the server is %+v", when, at)
			}
		}
		reconnect := func() {
			r.on(0, func(ctx *proxy.Context) { ctx.Reconnect(r.topo, nil, 0, new(topology.Moving)) })
		}
		u := r.dial()
		u.send(command("GET", "a"))
		u.expect(bulk("svc"))

		// Another connection is refused; the first one serves.
		sick.sick.Store(true)
		v := r.dial()
		v.send(command("WATCH", "a"))
		v.expect(refused)
		v.send(command("UNWATCH"))
		v.expect("+OK\r\n")
		u.send(command("GET", "a"))
		u.expect(bulk("svc"))
		isFailing("with an older connection")

		reconnect()
		for range 3 {
			u.send(command("GET", "a"))
			u.expect(refused)
		}
		isFailing("without one")

		sick.sick.Store(false)
		reconnect()
		for {
			got := u.line(command("GET", "a"))
			if got == bulk("svc") {
				break
			}
			if got != refused {
				t.Fatalf("%q", got)
			}
		}
		if at := r.topo.Servers()[0].State(); at.State != topology.Up {
			t.Errorf("with the login the server is %+v", at)
		}
		r.awaitIdle()
		lines := book.lines()
		for _, words := range []string{" fails: it refuses the pool's password (server_user and server_password); no request is sent to it without that login", " answers again"} {
			if n := len(with(lines, "server "+s.Addr()+words)); n != 1 {
				t.Errorf("%d lines say %q", n, words)
			}
		}
	}
}
