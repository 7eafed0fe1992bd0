package topology_test

import (
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// A server to which nobody can connect is not well, however few have tried. Of a pool
// that ejects it is, as of all other failures, the limit that counts.
func TestUnreachableServerFailsAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		lines string
		why   msg.Reason
		first topology.Outcome
		state topology.State
	}{
		"refused":              {"", msg.ConnRefused, topology.BeginsToFail, topology.Failing},
		"no route":             {"", msg.HostUnreachable, topology.BeginsToFail, topology.Failing},
		"no socket":            {"", msg.SocketMissing, topology.BeginsToFail, topology.Failing},
		"no address":           {"", msg.Unresolved, topology.BeginsToFail, topology.Failing},
		"a limit of its own":   {"  server_failure_limit: 9\n", msg.ConnRefused, topology.BeginsToFail, topology.Failing},
		"too slow":             {"", msg.Timedout, topology.NothingNew, topology.Up},
		"it closed":            {"", msg.ServerEOF, topology.NothingNew, topology.Up},
		"refused, and ejected": {ejecting, msg.ConnRefused, topology.NothingNew, topology.Up},
	} {
		topo := topology.New(poolOf(t, tt.lines))
		h := topo.Servers()[0]
		if got := topo.Failed(h, tt.why, 1, 1); got != tt.first {
			t.Errorf("%s: %v, want %v", name, got, tt.first)
		}
		if s := h.State(); s.State != tt.state || s.State != topology.Up && s.Reason != tt.why {
			t.Errorf("%s: the server is %v for %v, want %v", name, s.State, s.Reason, tt.state)
		}
		if got := topo.Failed(h, tt.why, 3, 3); tt.first == topology.BeginsToFail && got != topology.NothingNew {
			t.Errorf("%s: it is told again: %v", name, got)
		}
		topo.Answered(h, 4)
		if s := h.State(); tt.lines != ejecting && (s.State != topology.Up || h.HasFailed()) {
			t.Errorf("%s: after an answer the server is %v", name, s.State)
		}
	}
}
