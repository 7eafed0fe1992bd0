package topology_test

import (
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// TestFailedBefore: a server that failed in the program before fails since then, whether this one
// found it first or was told first. If it answers, it is up again after all that time, even if it
// never failed here, and what comes later begins anew.
func TestFailedBefore(t *testing.T) {
	const before, told, fails, answers, later = -90, 5, 10, 20, 30
	for name, tt := range map[string]struct {
		lines     string
		why       msg.Reason
		failsAt   int64 // 0: it does not
		outcome   topology.Outcome
		state     topology.State
		answersAt int64
	}{
		"it fails":                 {"", msg.ConnRefused, fails, topology.BeginsToFail, topology.Failing, answers},
		"it failed before told":    {"", msg.ConnRefused, told - 1, topology.BeginsToFail, topology.Failing, answers},
		"it is ejected":            {ejecting + "  server_failure_limit: 1\n", msg.ConnRefused, fails, topology.IsEjected, topology.Ejected, 0},
		"it answers at once":       {"", msg.OK, 0, topology.NothingNew, topology.Up, answers},
		"it does not answer again": {"", msg.Timedout, fails, topology.NothingNew, topology.Up, 0},
	} {
		topo := topology.New(poolOf(t, tt.lines))
		h := topo.Servers()[0]
		fail := func() {
			if got := topo.Failed(h, tt.why, tt.failsAt, tt.failsAt); got != tt.outcome {
				t.Errorf("%s: %v, want %v", name, got, tt.outcome)
			}
		}
		if tt.failsAt > 0 && tt.failsAt < told {
			fail()
		}
		topology.FailedFrom(h, before)
		if tt.failsAt > told {
			fail()
		}
		s := h.State()
		if s.State != tt.state || s.State != topology.Up && (s.Since != before || s.Found != tt.failsAt) || s.State == topology.Up && s.Since != 0 {
			t.Errorf("%s: %v since %d, found at %d", name, s.State, s.Since, s.Found)
		}
		if tt.answersAt == 0 {
			continue
		}
		if !h.HasFailed() {
			t.Errorf("%s: its answer would not be noted", name)
		}
		if got := topo.Answered(h, tt.answersAt); got != topology.Answers || h.Trouble() != time.Duration(tt.answersAt-before) || h.HasFailed() {
			t.Errorf("%s: an answer changes %v, after %v", name, got, h.Trouble())
		}
		if got := topo.Failed(h, msg.ConnRefused, later, later); got != topology.BeginsToFail && tt.lines == "" || h.State().Since != later {
			t.Errorf("%s: later it fails: %v, %+v", name, got, h.State())
		}
	}
}

// TestFailedBeforeAndWell: what was up again when it was told is so since then.
func TestFailedBeforeAndWell(t *testing.T) {
	topo := topology.New(poolOf(t, ""))
	h := topo.Servers()[0]
	topo.Failed(h, msg.ConnRefused, 1, 1)
	topo.Answered(h, 2)
	topology.FailedFrom(h, -90)
	if s := h.State(); s.State != topology.Up || s.Since != 2 || h.HasFailed() {
		t.Errorf("%+v", s)
	}
	topo.Failed(h, msg.ConnRefused, 3, 3)
	if s := h.State(); s.Since != 3 {
		t.Errorf("it fails again since %d", s.Since)
	}
}
