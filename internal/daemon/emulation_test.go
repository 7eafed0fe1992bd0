package daemon

import (
	"fmt"
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
