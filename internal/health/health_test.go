package health

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/testkit"
	"nuthatch/internal/tlsstage"
	"nuthatch/internal/topology"
)

const patience = 10 * time.Second

// pool is a pool of one server with checks as often as may be.
func pool(t *testing.T, addr, more string) (*config.Config, *topology.Topology) {
	t.Helper()
	conf, err := config.Parse("pool.yml", fmt.Appendf(nil, "p:\n  listen: 127.0.0.1:1\n  auto_eject_hosts: true\n"+
		"  health_check: {interval: 10ms, timeout: 5s, rise: 2, fall: 3}\n%s  servers:\n  - %s:1 one\n", more, addr))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	topo.Servers()[0].SetAddrs(addrsOf(t, addr))
	return conf, topo
}

// addrsOf are the addresses of a listener.
func addrsOf(t *testing.T, addr string) []unix.Sockaddr {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}
	sa, err := socket.Resolve(t.Context(), host, n)
	if err != nil {
		t.Fatal(err)
	}
	return sa
}

// A finding is one call of Told.
type finding struct {
	why     msg.Reason
	changed topology.Verdict
}

// start runs the checks and tells what they find.
func start(t *testing.T, conf *config.Config, topo *topology.Topology) <-chan finding {
	t.Helper()
	found := make(chan finding)
	var clock atomic.Int64
	ended := make(chan struct{})
	checks := Start(conf, []*topology.Topology{topo}, make([]*tlsstage.End, 1), func() int64 { return clock.Add(1) },
		func(_ *topology.Topology, _ *topology.Health, why msg.Reason, changed topology.Verdict) {
			select {
			case found <- finding{why, changed}:
			case <-ended:
			}
		})
	t.Cleanup(func() {
		close(ended)
		checks.Stop()
	})
	return found
}

func next(t *testing.T, found <-chan finding) finding {
	t.Helper()
	select {
	case f := <-found:
		return f
	case <-time.After(patience):
		t.Fatal("no check")
		return finding{}
	}
}

// until awaits a finding with a change and returns the one that brought it, and how
// many with the same reason there were in a row up to it.
func until(t *testing.T, found <-chan finding, want topology.Verdict) (f finding, run int) {
	t.Helper()
	var last msg.Reason
	for end := time.Now().Add(patience); time.Now().Before(end); {
		f = next(t, found)
		if run == 0 || f.why != last {
			run = 0
		}
		last = f.why
		run++
		if f.changed == want {
			return f, run
		}
	}
	t.Fatalf("no check changed the server to %v", want)
	return f, run
}

// A server that answers checks wrongly falls after three, and rises after two.
func TestFallAndRise(t *testing.T) {
	for answer, want := range map[string]msg.Reason{
		"-LOADING Redis is loading the dataset in memory\r\n":                                   msg.Loading,
		"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n": msg.MasterDown,
		"-READONLY You can't write against a read only replica.\r\n":                            msg.ReadOnly,
		"-BUSY Redis is busy running a script.\r\n":                                             msg.ScriptBusy,
		"-NOAUTH Authentication required.\r\n":                                                  msg.LoginRefused,
		"nonsense\r\n":                                                                          msg.BadReply,
		strings.Repeat("x", 1000) + "\r\n":                                                      msg.BadReply,
		"+PONG\r\n+PONG\r\n":                                                                    msg.BadReply,
		"":                                                                                      msg.ServerEOF,
		"-ERR max number of clients reached\r\n":                                                msg.NoDescriptors,
	} {
		t.Run(want.Name(), func(t *testing.T) {
			t.Parallel()
			var sick atomic.Bool
			s := testkit.StartScripted(t, func(k *testkit.Talk) {
				for {
					args, ok := k.Command()
					if !ok {
						return
					}
					if len(args) != 1 || args[0] != "PING" {
						t.Errorf("a check asks %q", args)
					}
					if !sick.Load() {
						k.Reply("+PONG\r\n")
						continue
					}
					if answer == "" {
						return
					}
					k.Reply(answer)
				}
			})
			conf, topo := pool(t, s.Addr(), "  redis: true\n")
			found := start(t, conf, topo)
			if f := next(t, found); f.why != msg.OK || f.changed != topology.SameAsBefore {
				t.Fatalf("a server that is well: %v, %v", f.why, f.changed)
			}
			sick.Store(true)
			if f, run := until(t, found, topology.Fallen); f.why != want || run != 3 {
				t.Errorf("it fell by %d checks for %v, want 3 for %v", run, f.why, want)
			}
			if s := topo.Servers()[0].State(); s.State != topology.Ejected || s.Reason != want || s.RetryAt != 0 {
				t.Errorf("it is %v: %+v", s.State, s)
			}
			sick.Store(false)
			if f, run := until(t, found, topology.Risen); f.why != msg.OK || run != 2 {
				t.Errorf("it rose by %d checks, want 2", run)
			}
			if s := topo.Servers()[0].State(); s.State != topology.Up {
				t.Errorf("it is %v: %+v", s.State, s)
			}
		})
	}
}

// A server that refuses the pool's user is not well, though it answers PING, and it is well when the
// login succeeds. A connection that is logged in since before shows nothing of that.
func TestRefusedUserIsUnwell(t *testing.T) {
	var sick atomic.Bool
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			switch {
			case args[0] == "PING":
				k.Reply("+PONG\r\n")
			case sick.Load():
				k.Reply("-WRONGPASS invalid username-password pair or user is disabled.\r\n")
			default:
				k.Reply("+OK\r\n")
			}
		}
	})
	conf, topo := pool(t, s.Addr(), "  redis: true\n  server_user: svc\n  server_password: sesame\n")
	k := newChecker(&conf.Pools[0], topo, topo.Servers()[0])
	defer k.close()
	for _, c := range []struct {
		sick, known bool
		want        msg.Reason
	}{{false, false, msg.OK}, {true, false, msg.OK}, {true, true, msg.LoginRefused}, {true, true, msg.LoginRefused}, {false, true, msg.OK}} {
		sick.Store(c.sick)
		if c.known {
			topo.Servers()[0].Refuses(msg.LoginRefused, 1)
		}
		if why := k.check(t.Context()); why != c.want {
			t.Errorf("%+v: %v", c, why)
		}
	}
}

// One connection serves all checks, and logs in once. One that is closed between
// two checks is made anew, and the server is well.
func TestKeptConnection(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		k.Expect("*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n")
		k.Reply("+OK\r\n")
		for range 3 {
			if _, ok := k.Command(); !ok {
				return
			}
			k.Reply("+PONG\r\n")
		}
	})
	conf, topo := pool(t, s.Addr(), "  redis: true\n  redis_auth: sesame\n")
	found := start(t, conf, topo)
	for i := range 9 {
		if f := next(t, found); f.why != msg.OK {
			t.Fatalf("check %d: %v", i, f.why)
		}
	}
	if n := s.Accepted(); n != 3 {
		t.Errorf("9 checks took %d connections, want 3", n)
	}
}

func TestMemcached(t *testing.T) {
	var sick atomic.Bool
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			line, ok := k.Line()
			if !ok {
				return
			}
			if strings.TrimSpace(line) != "version" {
				t.Errorf("a check asks %q", line)
			}
			if sick.Load() {
				k.Reply("SERVER_ERROR out of memory\r\n")
				return
			}
			k.Reply("VERSION 1.6.18\r\n")
		}
	})
	conf, topo := pool(t, s.Addr(), "")
	found := start(t, conf, topo)
	if f := next(t, found); f.why != msg.OK {
		t.Errorf("a server that is well: %v", f.why)
	}
	sick.Store(true)
	if f, _ := until(t, found, topology.Fallen); f.why != msg.BadReply {
		t.Errorf("it fell for %v", f.why)
	}
	sick.Store(false)
	until(t, found, topology.Risen)
}

// A server without an address, or that refuses, is at fault; checks of one that
// says nothing end when they are to.
func TestUnreachable(t *testing.T) {
	conf, topo := pool(t, testkit.FreeAddr(t), "  redis: true\n")
	found := start(t, conf, topo)
	if f, _ := until(t, found, topology.Fallen); f.why != msg.ConnRefused {
		t.Errorf("it fell for %v", f.why)
	}
	topo.Servers()[0].SetAddrs(nil)
	why := msg.OK
	for why != msg.Unresolved {
		why = next(t, found).why
	}
	s := testkit.StartScripted(t, func(k *testkit.Talk) { k.Drain() })
	// The address that refuses comes first: the next one is tried.
	topo.Servers()[0].SetAddrs(append([]unix.Sockaddr{&unix.SockaddrUnix{Name: "/nowhere"}}, addrsOf(t, s.Addr())...))
	for s.Accepted() == 0 {
		select {
		case <-found:
		case <-time.After(time.Millisecond):
		}
	}
}

func TestTimeout(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) { k.Drain() })
	conf, topo := pool(t, s.Addr(), "  redis: true\n")
	k := newChecker(&conf.Pools[0], topo, topo.Servers()[0])
	k.conf.Timeout = 20 * time.Millisecond
	if why := k.check(context.Background()); why != msg.Timedout {
		t.Errorf("a silent server: %v", why)
	}
	if k.conn != nil {
		t.Error("the connection that owes an answer is kept")
	}
}

// A connection that is kept is one to an address that the server still has.
func TestAddressChanges(t *testing.T) {
	answer := func(k *testkit.Talk) {
		for _, ok := k.Command(); ok; _, ok = k.Command() {
			k.Reply("+PONG\r\n")
		}
	}
	old, fresh := testkit.StartScripted(t, answer), testkit.StartScripted(t, answer)
	conf, topo := pool(t, old.Addr(), "  redis: true\n")
	found := start(t, conf, topo)
	next(t, found)
	topo.Servers()[0].SetAddrs(addrsOf(t, fresh.Addr()))
	next(t, found) // which may have been under way
	next(t, found)
	if old.Accepted() != 1 || fresh.Accepted() != 1 {
		t.Errorf("%d and %d connections, want 1 each", old.Accepted(), fresh.Accepted())
	}
}
