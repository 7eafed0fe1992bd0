package topology_test

import (
	"fmt"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

func poolOf(t *testing.T, lines string) *config.Pool {
	t.Helper()
	conf, err := config.Parse("pool.yml", fmt.Appendf(nil, "p:\n  listen: 127.0.0.1:1\n%s  servers:\n  - 127.0.0.1:1:1 a\n  - 127.0.0.1:2:1 b\n", lines))
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Pools[0]
}

const (
	ejecting = "  auto_eject_hosts: true\n  server_retry_timeout: 1000\n"
	checking = "  health_check: {interval: 1s, rise: 2, fall: 2}\n"
)

// fall has the first server fail its checks, and be ejected for it, at time 2.
func fall(t *testing.T) *topology.Topology {
	t.Helper()
	topo := topology.New(poolOf(t, ejecting+checking))
	for i, want := range []topology.Verdict{topology.SameAsBefore, topology.Fallen, topology.SameAsBefore} {
		if got := topo.Checked(topo.Servers()[0], msg.Loading, int64(i+1)); got != want {
			t.Fatalf("check %d: %v, want %v", i, got, want)
		}
	}
	if s := topo.Servers()[0].State(); s.State != topology.Ejected || s.Since != 2 || s.Reason != msg.Loading || s.RetryAt != 0 {
		t.Fatalf("the server is %v: %+v", s.State, s)
	}
	if s := topo.Servers()[1].State(); s.State != topology.Up {
		t.Fatalf("the other server is %v: %+v", s.State, s)
	}
	return topo
}

// One success between two failures, and one failure between two successes, and
// it is counted anew.
func TestChecksInARow(t *testing.T) {
	topo := fall(t)
	for i, step := range []struct {
		why  msg.Reason
		want topology.Verdict
	}{
		{msg.OK, topology.SameAsBefore},
		{msg.Timedout, topology.SameAsBefore},
		{msg.OK, topology.SameAsBefore},
		{msg.OK, topology.Risen},
		{msg.OK, topology.SameAsBefore},
		{msg.Timedout, topology.SameAsBefore},
		{msg.OK, topology.SameAsBefore},
		{msg.Timedout, topology.SameAsBefore},
		{msg.Timedout, topology.Fallen},
	} {
		if got := topo.Checked(topo.Servers()[0], step.why, 10); got != step.want {
			t.Errorf("step %d, %v: %v, want %v", i, step.why, got, step.want)
		}
	}
}

// A reload keeps an ejection by checks; without checks time ends it, and without
// ejection there is none.
func TestChecksAndReload(t *testing.T) {
	const now = int64(time.Hour)
	for _, tt := range []struct {
		lines string
		want  topology.State
		retry int64
	}{
		{ejecting + checking + "  timeout: 5\n", topology.Ejected, 0},
		{ejecting, topology.Ejected, now + int64(time.Second)},
		{checking, topology.Up, 0},
		{"", topology.Up, 0},
	} {
		fallen := fall(t)
		next := fallen.Next(poolOf(t, tt.lines), now)
		if s := fallen.Servers()[0].State(); s.State != topology.Ejected || s.RetryAt != 0 {
			t.Errorf("before the reload is settled the server is %v: %+v", s.State, s)
		}
		next.Settle(now)
		if s := next.Servers()[0].State(); s.State != tt.want || s.RetryAt != tt.retry {
			t.Errorf("with\n%sthe server is %v: %+v", tt.lines, s.State, s)
		}
	}
}

// Without ejection checks tell how a server is, and nothing else.
func TestChecksWithoutEjection(t *testing.T) {
	topo := topology.New(poolOf(t, checking))
	topo.Checked(topo.Servers()[0], msg.Timedout, 1)
	if got := topo.Checked(topo.Servers()[0], msg.Timedout, 2); got != topology.Fallen {
		t.Errorf("two failures: %v", got)
	}
	if s := topo.Servers()[0].State(); s.State != topology.Failing || s.Since != 2 || s.Reason != msg.Timedout {
		t.Errorf("the server is %v: %+v", s.State, s)
	}
	topo.Checked(topo.Servers()[0], msg.OK, 3)
	if got := topo.Checked(topo.Servers()[0], msg.OK, 4); got != topology.Risen {
		t.Errorf("two successes: %v", got)
	}
	if s := topo.Servers()[0].State(); s.State != topology.Up || s.Since != 4 || s.Reason != msg.OK {
		t.Errorf("the server is %v: %+v", s.State, s)
	}
}

// The reason is why the server is not up now: the latest one, by checks of an
// ejected server too, and none of one that is up.
func TestReasonIsThePresentOne(t *testing.T) {
	topo := fall(t)
	topo.Checked(topo.Servers()[0], msg.ConnRefused, 9)
	if s := topo.Servers()[0].State(); s.State != topology.Ejected || s.Since != 2 || s.Reason != msg.ConnRefused {
		t.Errorf("the ejected server is %v: %+v", s.State, s)
	}
	topo.Checked(topo.Servers()[0], msg.OK, 10)
	topo.Checked(topo.Servers()[0], msg.OK, 11)
	if s := topo.Servers()[0].State(); s.State != topology.Up || s.Since != 11 || s.Reason != msg.OK {
		t.Errorf("the server is %v: %+v", s.State, s)
	}
}
