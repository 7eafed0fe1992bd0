package proxy_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A mood is how a scripted server is: it answers, or takes requests and closes.
type mood struct {
	sick atomic.Bool
	// asked counts the requests that came while it was sick.
	asked atomic.Int64
}

func (m *mood) serve(k *testkit.Talk) {
	for {
		args, ok := k.Command()
		if !ok {
			return
		}
		if m.sick.Load() {
			m.asked.Add(1)
			return
		}
		k.Reply(bulk(args[1]))
	}
}

// line sends a request and returns the first line of the reply.
func (u *user) line(request string) string {
	u.t.Helper()
	u.send(request)
	line, err := u.in.ReadString('\n')
	if err != nil {
		u.t.Fatal(err)
	}
	if strings.HasPrefix(line, "$") && line != "$-1\r\n" {
		body, err := u.in.ReadString('\n')
		if err != nil {
			u.t.Fatal(err)
		}
		line += body
	}
	return line
}

// With eject: fail a server that fails keeps its keys; their requests fail at
// once, one at a time is let through, and the first that is answered ends it.
func TestBreaker(t *testing.T) {
	var sick mood
	s := testkit.StartScripted(t, sick.serve)
	well := testkit.StartScripted(t, echo)
	r := startRig(t, twoServers(s.Addr(), well.Addr(),
		"  auto_eject_hosts: true\n  eject: fail\n  server_failure_limit: 2\n  server_retry_timeout: 100\n"))
	u := r.dial()
	key := ""
	for _, k := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		u.send(command("GET", k))
		u.expect(bulk(k))
		if serverStat(r, "one").Values[stats.Requests] == 1 {
			key = k
			break
		}
	}
	if key == "" {
		t.Fatal("the first server owns none of the keys")
	}
	get := command("GET", key)

	sick.sick.Store(true)
	for range 2 {
		if got := u.line(get); !strings.HasPrefix(got, "-ERR ") {
			t.Fatalf("a server that closes: %q", got)
		}
	}
	open := "-ERR " + msg.CircuitOpen.String() + "\r\n"
	// On a busy machine the time may be over before the next request comes.
	await(t, "a request to fail at once", func() bool { return u.line(get) == open })
	state := r.topo.Servers()[serverOne(t, r)].State()
	if state.State != topology.Ejected || state.Reason != msg.ServerEOF || state.Since == 0 || state.RetryAt == 0 {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
	await(t, "requests to be let through one at a time", func() bool {
		u.line(get)
		return serverStat(r, "one").Values[stats.Probes] >= 2
	})
	if n, probes := sick.asked.Load(), serverStat(r, "one").Values[stats.Probes]; n != 2+probes {
		t.Errorf("%d requests reached the server, want two failures and %d probes", n, probes)
	}

	sick.sick.Store(false)
	await(t, "the server to be up", func() bool { return u.line(get) == bulk(key) })
	if state := r.topo.Servers()[serverOne(t, r)].State(); state.State != topology.Up || state.Failures != 0 {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
	got := serverStat(r, "one").Values
	if got[stats.Ejections] != 1 || got[stats.Returns] != 1 {
		t.Errorf("%d ejections, %d returns, %d probes", got[stats.Ejections], got[stats.Returns], got[stats.Probes])
	}
	if n := serverStat(r, "two").Values[stats.Ejections]; n != 0 {
		t.Errorf("the other server was ejected %d times", n)
	}
	r.awaitIdle()
}

// serverOne is the index of the server of that name.
func serverOne(t *testing.T, r *rig) int {
	t.Helper()
	for i := range r.conf.Pools[0].Servers {
		if r.conf.Pools[0].Servers[i].StatsName() == "one" {
			return i
		}
	}
	t.Fatal("no server one")
	return -1
}

// A pool without ejection tells all the same that a server fails.
func TestFailingIsTold(t *testing.T) {
	var sick mood
	sick.sick.Store(true)
	s := testkit.StartScripted(t, sick.serve)
	r := startRig(t, oneServer(s.Addr(), ""))
	u := r.dial()
	for range 3 {
		if got := u.line(command("GET", "a")); !strings.HasPrefix(got, "-ERR ") {
			t.Fatalf("a server that closes: %q", got)
		}
	}
	if state := r.topo.Servers()[0].State(); state.State != topology.Failing || state.Failures != 3 || state.Reason != msg.ServerEOF {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
	sick.sick.Store(false)
	u.send(command("GET", "a"))
	u.expect(bulk("a"))
	if state := r.topo.Servers()[0].State(); state.State != topology.Up || state.Failures != 0 {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
	r.topo.SetService(r.topo.Servers()[0], topology.Refused, 7)
	if state := r.topo.Servers()[0].State(); state.State != topology.Disabled || state.Since != 7 || state.Service != topology.Refused {
		t.Errorf("the server is %v: %+v", state.State, state)
	}
}

// A probe that fails when the time for the next one has come is no new ejection.
func TestLateProbe(t *testing.T) {
	c := converse(t, "  redis: true\n  timeout: 400\n  eject: fail\n  auto_eject_hosts: true\n"+
		"  server_failure_limit: 1\n  server_retry_timeout: 100\n", resp{}, 1)
	p := c.join()
	ask := func() {
		for range 20 { // enough for every server to get one
			c.lang.ask(p, 0, 0)
		}
		p.say(len(p.out))
		c.calm()
	}
	for range 4 { // nobody answers: first the servers are ejected, then probes are late
		ask()
		c.pass(401 * time.Millisecond)
		c.calm()
	}
	s := stats.NewShard(c.layout())
	c.loops[0].CopyStats(s)
	for i := range c.stubs {
		got := s.Pools[0].Servers[i]
		if got[stats.Ejections] != 1 || got[stats.Probes] < 2 {
			t.Errorf("server %d: %d ejections, %d probes", i, got[stats.Ejections], got[stats.Probes])
		}
	}
	c.end(true)
}
