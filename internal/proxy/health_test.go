package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
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
func fall(t *testing.T) *proxy.Topology {
	t.Helper()
	topo := proxy.NewTopology(poolOf(t, ejecting+checking))
	for i, want := range []proxy.Verdict{proxy.SameAsBefore, proxy.Fallen, proxy.SameAsBefore} {
		if got := topo.Checked(0, msg.Loading, int64(i+1)); got != want {
			t.Fatalf("check %d: %v, want %v", i, got, want)
		}
	}
	if s := topo.State(0); s.State != proxy.Ejected || s.Since != 2 || s.Reason != msg.Loading || s.RetryAt != 0 {
		t.Fatalf("the server is %v: %+v", s.State, s)
	}
	if s := topo.State(1); s.State != proxy.Up {
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
		want proxy.Verdict
	}{
		{msg.OK, proxy.SameAsBefore},
		{msg.Timedout, proxy.SameAsBefore},
		{msg.OK, proxy.SameAsBefore},
		{msg.OK, proxy.Risen},
		{msg.OK, proxy.SameAsBefore},
		{msg.Timedout, proxy.SameAsBefore},
		{msg.OK, proxy.SameAsBefore},
		{msg.Timedout, proxy.SameAsBefore},
		{msg.Timedout, proxy.Fallen},
	} {
		if got := topo.Checked(0, step.why, 10); got != step.want {
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
		want  proxy.State
		retry int64
	}{
		{ejecting + checking + "  timeout: 5\n", proxy.Ejected, 0},
		{ejecting, proxy.Ejected, now + int64(time.Second)},
		{checking, proxy.Up, 0},
		{"", proxy.Up, 0},
	} {
		fallen := fall(t)
		next := fallen.Next(poolOf(t, tt.lines), now)
		if s := fallen.State(0); s.State != proxy.Ejected || s.RetryAt != 0 {
			t.Errorf("before the reload is settled the server is %v: %+v", s.State, s)
		}
		next.Settle(now)
		if s := next.State(0); s.State != tt.want || s.RetryAt != tt.retry {
			t.Errorf("with\n%sthe server is %v: %+v", tt.lines, s.State, s)
		}
	}
}

// Without ejection checks tell how a server is, and nothing else.
func TestChecksWithoutEjection(t *testing.T) {
	topo := proxy.NewTopology(poolOf(t, checking))
	topo.Checked(0, msg.Timedout, 1)
	if got := topo.Checked(0, msg.Timedout, 2); got != proxy.Fallen {
		t.Errorf("two failures: %v", got)
	}
	if s := topo.State(0); s.State != proxy.Failing || s.Since != 2 || s.Reason != msg.Timedout {
		t.Errorf("the server is %v: %+v", s.State, s)
	}
	topo.Checked(0, msg.OK, 3)
	if got := topo.Checked(0, msg.OK, 4); got != proxy.Risen {
		t.Errorf("two successes: %v", got)
	}
	if s := topo.State(0); s.State != proxy.Up || s.Since != 4 || s.Reason != msg.OK {
		t.Errorf("the server is %v: %+v", s.State, s)
	}
}

// The reason is why the server is not up now: the latest one, by checks of an
// ejected server too, and none of one that is up.
func TestReasonIsThePresentOne(t *testing.T) {
	topo := fall(t)
	topo.Checked(0, msg.ConnRefused, 9)
	if s := topo.State(0); s.State != proxy.Ejected || s.Since != 2 || s.Reason != msg.ConnRefused {
		t.Errorf("the ejected server is %v: %+v", s.State, s)
	}
	topo.Checked(0, msg.OK, 10)
	topo.Checked(0, msg.OK, 11)
	if s := topo.State(0); s.State != proxy.Up || s.Since != 11 || s.Reason != msg.OK {
		t.Errorf("the server is %v: %+v", s.State, s)
	}
}
