package daemon

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestEmulatedIsShown: what clients are told of a pool that looks like a cluster is shown, with its
// peers, and a reload that changes them.
func TestEmulatedIsShown(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, gone := testkit.FreeAddr(t), testkit.FreeAddr(t)

	text := func(emulate string) string {
		return pool("alpha", listen, testkit.Names(server), `hash_tag: "{}"`, emulate)
	}
	s := startStage(t, text(fmt.Sprintf("emulate: {cluster: true, peers: [%q, %q]}", listen, gone)), server)
	testkit.Await(t, "the peers to be known", func() error {
		e := s.Emulated("alpha")
		states := make(map[string]string)
		for _, p := range e.Peers {
			states[p.Address] = p.State
		}
		if states[listen] != "self" || states[gone] != "silent" {
			return fmt.Errorf("the peers are %+v", e.Peers)
		}
		return nil
	})
	if e := s.Emulated("alpha"); len(e.Nodes) != 1 || e.Nodes[0].Address != listen || !e.Nodes[0].Self || e.Nodes[0].Last != 16383 || e.Leaving {
		t.Errorf("the nodes are %+v", e)
	}
	s.mustReload(text("emulate: {cluster: true}"))
	if e := s.Emulated("alpha"); len(e.Peers) != 0 || len(e.Nodes) != 1 {
		t.Errorf("without peers: %+v", e)
	}
	s.mustReload(text("# emulate"))
	if e := s.Emulated("alpha"); e != nil {
		t.Errorf("a pool that looks like one server: %+v", e)
	}
}

// TestSentinelPort: a pool answers as a Sentinel, and reloads change its name, its login and its
// address. A reload that fails changes nothing.
func TestSentinelPort(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, at, next, taken := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t), server.Addr()
	text := func(lines ...string) string { return pool("alpha", listen, testkit.Names(server), lines...) }
	s := startStage(t, text("emulate: {sentinel_listen: '"+at+"'}"), server)
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	here := fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
	dial := func(at string) *testkit.Client {
		t.Helper()
		c := testkit.Dial(t, testkit.Redis, at)
		t.Cleanup(c.Close)
		return c
	}
	early := dial(at)
	says := func(c *testkit.Client, name, want string) {
		t.Helper()
		if got := c.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name); got != want {
			t.Errorf("%s is at %q, want %q", name, got, want)
		}
	}
	says(early, "alpha", here)
	about := s.Emulated("alpha")
	if about == nil || about.Cluster || about.Sentinel == nil || about.Sentinel.Listens != at || about.Sentinel.Name != "alpha" || about.Sentinel.Clients != 1 {
		t.Errorf("it is shown as %+v", about)
	}
	if got := dial(listen).Do("CLUSTER", "MYID", "PEER"); !strings.Contains(got, " serves "+listen+" ") || !strings.HasSuffix(got, " "+at+"\r\n") {
		t.Errorf("another proxy is told %q", got)
	}
	if got := dial(listen).Do("CLUSTER", "MYID"); !strings.HasPrefix(got, "-ERR") {
		t.Errorf("the pool looks like a cluster: %q", got)
	}
	s.mustReload(text("redis_auth: sesame", "emulate: {sentinel_listen: '"+at+"', sentinel_name: main}"))
	says(early, "main", here) // it was let in before
	says(early, "alpha", "*-1\r\n")
	late := dial(at)
	says(late, "main", "-NOAUTH Authentication required.\r\n")
	if got := late.Do("AUTH", "sesame"); got != "+OK\r\n" {
		t.Error(got)
	}
	says(late, "main", here)
	s.write(text("emulate: {sentinel_listen: '" + taken + "'}"))
	if _, err := s.Reload("test"); err == nil || !strings.Contains(err.Error(), "pool 'alpha': listen on '"+taken+"'") {
		t.Errorf("a reload with an address that is taken: %v", err)
	}
	says(late, "main", here)
	s.mustReload(text("emulate: {sentinel_listen: '" + next + "'}"))
	says(dial(next), "alpha", here)
	if end := late.ExpectEnd(); end != "" {
		t.Errorf("the old listener says %q", end)
	}
	s.mustReload(text("# emulate"))
	testkit.Await(t, "nobody to listen", func() error {
		c, err := net.Dial("tcp", next)
		if err == nil {
			c.Close()
			return errors.New("somebody listens")
		}
		return nil
	})
	if about := s.Emulated("alpha"); about != nil {
		t.Errorf("a pool that is one server: %+v", about)
	}
}
