package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// TestServerThatDiesWithoutRequests is failing although nobody asks it for anything, and is well
// again when it is back.
func TestServerThatDiesWithoutRequests(t *testing.T) {
	server := testkit.StartScripted(t, named("one"))
	conf, err := config.Parse("forsaken.yml", fmt.Appendf(nil, "p:\n  listen: %s\n  redis: true\n  servers:\n  - %s:1 one\nnuthatch:\n  threads: 1\n",
		testkit.FreeAddr(t), server.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	in, err := Start(Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: t.TempDir() + "/log"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Stop)
	awaitReply(t, testkit.Dial(t, testkit.Redis, in.Addr(0)), testkit.Bulk("one"))
	_, topo := in.InForce()
	h := topo[0].Snapshot().Servers[0]
	server.Stop()
	testkit.Await(t, "the server is failing", func() error {
		if got := h.State(); got.State != topology.Failing || got.Reason != msg.ConnRefused {
			return fmt.Errorf("it is %+v", got)
		}
		return nil
	})
	testkit.StartScriptedAt(t, server.Addr(), named("one"))
	testkit.Await(t, "the server is up", func() error {
		if e := in.Events().LatestOf(events.ServerAnswers); !h.IsUp() || e == nil || e.For <= 0 {
			return fmt.Errorf("it is %+v, %+v", h.State(), e)
		}
		return nil
	})
}

// TestForsakenServers: only one that nothing can be connected to is failing, and one that requests
// have found to fail is left to those.
func TestForsakenServers(t *testing.T) {
	lives := testkit.StartScripted(t, named("one"))
	conf, err := config.Parse("forsaken.yml", []byte("p:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n  - 127.0.0.1:2:1 lives\n  - 127.0.0.1:3:1 gone\n  - 127.0.0.1:4:1 off\n"))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	snap := topo.Snapshot()
	var servers []*topology.Health
	for _, name := range []string{"lives", "gone", "off"} {
		servers = append(servers, snap.Servers[slices.Index(snap.Names, name)])
	}
	for i, addr := range []string{lives.Addr(), testkit.FreeAddr(t), testkit.FreeAddr(t)} {
		d := &directory{t: t}
		d.point(addr)
		servers[i].SetAddrs(*d.addrs.Load())
	}
	topo.SetService(servers[2], topology.Refused, 1)
	var told []string
	at := int64(0)
	w := &mourner{
		log: logging.Discard(), now: func() int64 { return at }, of: make(map[*topology.Health]*forsaken),
		tell: func(e events.Event) { told = append(told, e.Kind.String()+" "+e.Server+" "+e.Reason) },
	}
	look := func(later time.Duration, want ...string) {
		t.Helper()
		at += int64(later)
		told = nil
		w.look(conf, []*topology.Topology{topo})
		if strings.Join(told, ",") != strings.Join(want, ",") {
			t.Errorf("at %v: %q, want %q", time.Duration(at), told, want)
		}
	}
	look(time.Second)
	for _, h := range servers {
		h.Forsakes()
	}
	look(time.Second)
	look(time.Second, "server_fails gone conn_refused")
	if len(w.of) != 1 || !servers[0].IsUp() || servers[1].State().State != topology.Failing {
		t.Fatalf("watched: %v; %+v", w.of, servers[1].State())
	}
	look(time.Second)
	look(forsakenAgain)
	testkit.StartScriptedAt(t, socket.Name(servers[1].Addrs()[0]), named("gone"))
	look(forsakenAgain, "server_answers gone ")
	if len(w.of) != 0 || !servers[1].IsUp() {
		t.Errorf("watched: %v; %+v", w.of, servers[1].State())
	}
	// A request has failed meanwhile: the next answer tells, not a connection.
	servers[0].Forsakes()
	lives.Stop()
	look(time.Second)
	look(time.Second, "server_fails lives conn_refused")
	topo.Failed(servers[0], msg.ConnRefused, at, at)
	testkit.StartScriptedAt(t, lives.Addr(), named("one"))
	look(forsakenAgain)
	if len(w.of) != 0 || servers[0].IsUp() {
		t.Errorf("watched: %v; %+v", w.of, servers[0].State())
	}
	if topo.Answered(servers[0], at) != topology.Answers || !servers[0].IsUp() {
		t.Error("it has answered, and is not up")
	}
}
