package proxy_test

import (
	"errors"
	"testing"
	"time"

	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// A server that takes requests and says nothing is silent, until it answers. One that lets a
// command wait as long as its client likes is not.
func TestSilentServer(t *testing.T) {
	gate := make(chan struct{})
	s := testkit.StartScripted(t, gated(gate))
	r := startRig(t, oneServer(s.Addr(), ""))
	name := r.conf.Pools[0].Servers[0].StatsName()
	silent := func() time.Duration { return time.Duration(serverStat(r, name).Values[stats.Silent]) }
	await := func(what string, is func() bool) {
		t.Helper()
		testkit.Await(t, what, func() error {
			if !is() {
				return errors.New("not yet")
			}
			return nil
		})
	}
	blocked, u := r.dial(), r.dial()
	blocked.send(command("BLPOP", "slow", "0"))
	await("a command that blocks", func() bool { return serverStat(r, name).Values[stats.PrivateWaiting] == 1 })
	if got := silent(); got != 0 {
		t.Errorf("silent for %v with a command that blocks", got)
	}
	u.send(command("GET", "slow"))
	await("a silent server", func() bool { return silent() > 20*time.Millisecond })
	close(gate)
	u.expect(bulk("slow"))
	blocked.expect(bulk("slow"))
	if got := silent(); got != 0 {
		t.Errorf("silent for %v after it has answered", got)
	}
	r.awaitIdle()
}
