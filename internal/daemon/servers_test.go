package daemon

import (
	"fmt"
	"slices"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// awaitState waits until the first server of the only pool is in a state.
func (s *stage) awaitState(want topology.State) topology.ServerState {
	s.t.Helper()
	var got topology.ServerState
	testkit.Await(s.t, "the server to be "+want.String(), func() error {
		got = s.current.Load().topo[0].Servers()[0].State()
		if got.State != want {
			return fmt.Errorf("it is %v: %+v", got.State, got)
		}
		return nil
	})
	return got
}

// Health checks that a reload adds are made, and what they have found outlives
// another reload. When one takes them away, time ends what they began.
func TestReloadOfHealthChecks(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), testkit.Names(server)
	ejects := []string{"auto_eject_hosts: true", "server_retry_timeout: 100"}
	checks := slices.Concat(ejects, []string{"health_check: {interval: 20ms, timeout: 5s, rise: 1, fall: 1}"})
	s := startStage(t, pool("alpha", listen, names, ejects...), server)
	server.Stop()
	s.mustReload(pool("alpha", listen, names, checks...))
	if got := s.awaitState(topology.Ejected); got.Reason != msg.ConnRefused || got.RetryAt != 0 {
		t.Errorf("it is ejected: %+v", got)
	}
	s.mustReload(pool("alpha", listen, names, slices.Concat(checks, []string{"timeout: 700"})...))
	if got := s.current.Load().topo[0].Servers()[0].State(); got.State != topology.Ejected || got.RetryAt != 0 {
		t.Errorf("behind a reload it is %v: %+v", got.State, got)
	}
	s.mustReload(pool("alpha", listen, names, ejects...))
	if got := s.current.Load().topo[0].Servers()[0].State(); got.State != topology.Ejected || got.RetryAt == 0 {
		t.Errorf("without checks it is %v: %+v", got.State, got)
	}
	server.Restart()
	client := testkit.Dial(t, testkit.Redis, listen)
	awaitReply(t, client, "$-1\r\n")
	s.awaitState(topology.Up)
}

// What a reload sets for servers holds for connections and requests that there
// are: a request that would wait for ever times out.
func TestReloadOfRequestTimeout(t *testing.T) {
	silent := testkit.StartScripted(t, func(k *testkit.Talk) { k.Drain() })
	listen, names := testkit.FreeAddr(t), []string{testkit.Entry(silent.Addr(), 1, "s1")}
	s := startStage(t, pool("alpha", listen, names))
	client := testkit.Dial(t, testkit.Redis, listen)
	client.Send(testkit.RESP("GET", "a"))
	testkit.Await(t, "the request to be under way", func() error {
		if silent.Accepted() == 0 {
			return errNoSuchHost
		}
		return nil
	})
	s.mustReload(pool("alpha", listen, names, "request_timeout: 50ms"))
	client.Expect("-ERR request timed out\r\n")
	if silent.Accepted() != 1 {
		t.Errorf("%d connections, want 1", silent.Accepted())
	}
}
