package admin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// TestServersHaveSeriesFromTheStart: whatever a server can be to blame for has a series of 0
// before it happens, or the first time would be missed.
func TestServersHaveSeriesFromTheStart(t *testing.T) {
	_, c := testCollector(t)
	got := series(t, c)
	has := func(name string) {
		t.Helper()
		if v, ok := got[name]; !ok || v != 0 {
			t.Errorf("%s is %v, %v; want 0", name, v, ok)
		}
	}
	for _, why := range requestReasons {
		has("nuthatch_server_failed_requests_total beta " + why.Name() + " two")
		has("nuthatch_client_failed_requests_total beta " + why.Name())
	}
	has("nuthatch_server_failed_requests_total beta server_closed two")
	has("nuthatch_client_failed_requests_total beta server_closed")
	for _, why := range connectionReasons {
		has("nuthatch_server_connection_closes_total beta " + why.Name() + " one")
	}
	for _, word := range stats.ServerFaults {
		has("nuthatch_server_error_replies_total " + word + " beta two")
	}
	for name := range got {
		if strings.HasPrefix(name, "nuthatch_server_failed_requests_total beta "+msg.CrossServer.Name()) {
			t.Errorf("%s: no server is to blame for it", name)
		}
	}
}

// TestTimesHaveSeriesFromTheStart: of each server and family, and for clients by outcome; not of
// scripts in a Memcached pool, and not if times are not measured.
func TestTimesHaveSeriesFromTheStart(t *testing.T) {
	in, c := testCollector(t)
	of := func() map[string]uint64 {
		r := prometheus.NewPedanticRegistry()
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]uint64)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if h := m.GetHistogram(); h != nil {
					name := f.GetName()
					for _, l := range m.GetLabel() {
						name += " " + l.GetValue()
					}
					found[name] = h.GetSampleCount()
				}
			}
		}
		return found
	}
	for i, protocol := range map[int]config.Protocol{0: config.Redis, 1: config.Memcached} {
		in.conf.Pools[i].Protocol = protocol
	}
	got := of()
	for f := range msg.NumFamilies {
		for i := range in.conf.Pools {
			pool := in.conf.Pools[i].Name
			for _, name := range []string{
				"nuthatch_client_request_duration_seconds " + msg.Family(f).String() + " failed " + pool,
				"nuthatch_client_request_duration_seconds " + msg.Family(f).String() + " ok " + pool,
				"nuthatch_server_request_duration_seconds " + msg.Family(f).String() + " " + pool + " one",
			} {
				n, has := got[name]
				if want := f != int(msg.Scripts) || i == 0; has != want || n != 0 && !strings.Contains(name, "read ok beta") {
					t.Errorf("%s: %d, %t; want it: %t", name, n, has, want)
				}
			}
		}
	}
	in.conf.Process.Latency = false
	for name := range of() {
		if strings.Contains(name, "request_duration_seconds") && !strings.Contains(name, "read") {
			t.Errorf("%s is there, and times are not measured", name)
		}
	}
}

// TestReloadMetrics: whether the last reload was refused, and since when the configuration
// is in force.
func TestReloadMetrics(t *testing.T) {
	in, c := testCollector(t)
	check := func(when string, ok, at float64) {
		t.Helper()
		got := series(t, c)
		if got["nuthatch_config_last_reload_successful"] != ok || got["nuthatch_config_last_reload_success_timestamp_seconds"] != at {
			t.Errorf("%s: %v, %v", when, got["nuthatch_config_last_reload_successful"], got["nuthatch_config_last_reload_success_timestamp_seconds"])
		}
	}
	in.started = time.Unix(100, 0)
	check("at the start", 1, 100)
	in.log.Add(events.Event{Kind: events.ReloadRefused, Time: time.Unix(200, 0)})
	check("refused", 0, 100)
	in.log.Add(events.Event{Kind: events.Reloaded, Time: time.Unix(300, 0)})
	check("reloaded", 1, 300)
	in.log.Add(events.Event{Kind: events.ReloadRefused, Time: time.Unix(400, 0)})
	check("refused again", 0, 300)
}

// TestCommandMetrics: calls by command, whether or not their times are measured; commands of
// one name are one series.
func TestCommandMetrics(t *testing.T) {
	in := newInstance(t)
	get, other := CommandLatency{Command: msg.Command{Name: "get"}, Calls: 3}, CommandLatency{Command: msg.Command{Name: "get"}, Calls: 4}
	c := newCollector(in, &snapshots{take: in.Snapshot}, &latencies{recorder: NewRecorder(in), take: func() ([]PoolLatency, error) {
		return []PoolLatency{{Name: "beta", Commands: []CommandLatency{get, other}}}, nil
	}})
	if got := series(t, c)["nuthatch_client_commands_total get beta"]; got != 7 {
		t.Errorf("%v calls, want 7", got)
	}
}

// TestCheckDurations: of pools with health checks, from the start.
func TestCheckDurations(t *testing.T) {
	in, c := testCollector(t)
	times := func() map[string][2]float64 {
		r := prometheus.NewPedanticRegistry()
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string][2]float64)
		for _, f := range families {
			if f.GetName() != "nuthatch_server_health_check_duration_seconds" {
				continue
			}
			for _, m := range f.GetMetric() {
				found[m.GetLabel()[1].GetValue()] = [2]float64{float64(m.GetSummary().GetSampleCount()), m.GetSummary().GetSampleSum()}
			}
		}
		return found
	}
	if got := times(); len(got) != 0 {
		t.Errorf("without checks: %v", got)
	}
	in.conf.Pools[0].HealthCheck.Interval = time.Second
	if got := times(); len(got) != 2 || got["two"] != [2]float64{} {
		t.Errorf("before the first check: %v", got)
	}
	one := in.topo[0].Servers()[1]
	one.NoteCheck(topology.Check{At: 1, Took: time.Second})
	one.NoteCheck(topology.Check{At: 2, Took: 2 * time.Second, Why: msg.Timedout})
	if got := times(); got["two"] != [2]float64{2, 3} {
		t.Errorf("after two: %v", got)
	}
	if _, _, last := one.Checks(); last.At != 2 || last.Why != msg.Timedout {
		t.Errorf("the last one is %+v", last)
	}
}

// TestHistoryMemoryIsAMetric, and so is its bound.
func TestHistoryMemoryIsAMetric(t *testing.T) {
	in, c := testCollector(t)
	c.latencies.recorder.SetMemory(1 << 20)
	c.latencies.recorder.write(time.Now())
	got := series(t, c)
	if got["nuthatch_history_memory_max_bytes"] != 1<<20 || got["nuthatch_history_memory_bytes"] <= 0 {
		t.Errorf("%v of %v", got["nuthatch_history_memory_bytes"], got["nuthatch_history_memory_max_bytes"])
	}
	in.refuse = errors.New("ending")
	c.latencies.recorder.write(time.Now()) // does nothing
}

// TestFirstSeriesAreBounded: with many servers no series are there from the start.
func TestFirstSeriesAreBounded(t *testing.T) {
	conf := &config.Config{Pools: []config.Pool{{Servers: make([]config.Server, maxFirst-1)}, {Servers: make([]config.Server, 1)}}}
	if !hasFirst(conf) || metricsCost(conf, nil) != (maxFirst+2)*(metricsPerServer+firstPerServer) {
		t.Errorf("%d servers: from the start %t, cost %d", maxFirst, hasFirst(conf), metricsCost(conf, nil))
	}
	conf.Pools[1].Servers = make([]config.Server, 2)
	if hasFirst(conf) || metricsCost(conf, nil) != (maxFirst+3)*metricsPerServer {
		t.Errorf("%d servers: from the start %t, cost %d", maxFirst+1, hasFirst(conf), metricsCost(conf, nil))
	}
}
