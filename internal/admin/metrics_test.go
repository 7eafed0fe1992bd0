package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

func testCollector(t *testing.T) (*instance, *collector) {
	in := newInstance(t)
	return in, newCollector(in, &snapshots{take: in.Snapshot}, &latencies{take: in.Latency, recorder: NewRecorder(in)})
}

// TestMetricsAreWellNamed by the conventions of Prometheus.
func TestMetricsAreWellNamed(t *testing.T) {
	_, c := testCollector(t)
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestHelpIsInBaseUnits: a metric counts in seconds, also where nutcracker's statistic does not.
func TestHelpIsInBaseUnits(t *testing.T) {
	for _, f := range append(stats.PoolFields[:], stats.ServerFields[:]...) {
		if strings.Contains(f.PromHelp(), "microseconds") {
			t.Errorf("%s: %s", f.Prom, f.PromHelp())
		}
	}
}

// series are those that a registry gets of a collector: a metric's name and the values
// of its labels, in the order of the labels' names, and the value if it is a counter or a gauge.
func series(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

// TestEveryRowIsAMetric, and what it is described as.
func TestEveryRowIsAMetric(t *testing.T) {
	_, c := testCollector(t)
	known := make(map[string]bool)
	for s := range series(t, c) {
		name, _, _ := strings.Cut(s, " ")
		known[name] = true
	}
	for _, rows := range [][]stats.Field{stats.PoolFields[:], stats.ServerFields[:], stats.LoopFields[:]} {
		for _, row := range rows {
			if !known[row.Prom] {
				t.Errorf("%s is no metric", row.Prom)
			}
		}
	}
}

// Renamed metrics have the same values under their old names, if that is asked for.
func TestOldNames(t *testing.T) {
	in, c := testCollector(t)
	in.conf.Process.MetricsOldNames = true
	both := series(t, c)
	in.conf.Process.MetricsOldNames = false
	found := 0
	for name, value := range series(t, c) {
		metric, labels, _ := strings.Cut(name, " ")
		for _, r := range stats.Renamed {
			if metric == r.Old {
				t.Errorf("%s is there without being asked for", name)
			}
			if metric != r.New {
				continue
			}
			found++
			if old, ok := both[strings.TrimSpace(r.Old+" "+labels)]; !ok || old != value || both[name] != value {
				t.Errorf("%s is %v (%v) under its old name, want %v", name, old, ok, value)
			}
		}
	}
	if want := len(both) - len(series(t, c)); found == 0 || found != want {
		t.Errorf("%d series have an old name, and %d more are exposed", found, want)
	}
}

// A server that fails is not up, whether or not it gets requests all the same; the
// two are told apart.
func TestServerUpIsItsState(t *testing.T) {
	conf := func(more string) *config.Pool {
		c, err := config.Parse("up.yml", []byte("p:\n  listen: 127.0.0.1:1\n  servers: [127.0.0.1:2:1]\n  health_check: {interval: 1s, fall: 1, rise: 1}\n"+more))
		if err != nil {
			t.Fatal(err)
		}
		return &c.Pools[0]
	}
	in, c := testCollector(t)
	for more, service := range map[string]float64{"": 1, "  auto_eject_hosts: true\n": 0, "  auto_eject_hosts: true\n  eject: fail\n": 0} {
		topo := topology.New(conf(more))
		in.conf.Pools, in.topo = append(in.conf.Pools[:2:2], *conf(more)), append(in.topo[:2:2], topo)
		topo.Checked(topo.Servers()[0], msg.ConnRefused, 1)
		got := series(t, c)
		name := topo.Servers()[0].State().State.String()
		if up := got["nuthatch_server_up p 127.0.0.1:2"]; up != 0 {
			t.Errorf("a server that is %s: up is %v", name, up)
		}
		if in := got["nuthatch_server_in_service p 127.0.0.1:2"]; in != service {
			t.Errorf("a server that is %s: in service is %v, want %v", name, in, service)
		}
		topo.Checked(topo.Servers()[0], msg.OK, 2)
		if up := series(t, c)["nuthatch_server_up p 127.0.0.1:2"]; up != 1 {
			t.Errorf("a server that is %v: up is %v", topo.Servers()[0].State().State, up)
		}
	}
}

// TestEveryReasonIsALabel: whatever a request failed for, or a connection was cut
// or refused for, is a series with the name of the reason.
func TestEveryReasonIsALabel(t *testing.T) {
	in := newInstance(t)
	count := func(vectors []stats.Reasons) {
		for v := range vectors {
			for r := range int(msg.NumReasons) {
				vectors[v][r] = int64(100*v + r + 1)
			}
		}
	}
	c := newCollector(in, &snapshots{take: func() *stats.Snapshot {
		snap := in.Snapshot()
		count(snap.Pools[0].Vectors[:])
		count(snap.Pools[0].Servers[0].Vectors[:])
		return snap
	}}, &latencies{take: in.Latency, recorder: NewRecorder(in)})
	got := series(t, c)
	pool := in.Snapshot().Pools[0]
	expect := func(series string, want int) {
		if got[series] != float64(want) {
			t.Errorf("%s is %v, want %d", series, got[series], want)
		}
	}
	for r := range int(msg.NumReasons) {
		name := msg.Reason(r).Name()
		for v, f := range stats.PoolVectors {
			expect(f.Prom+" "+pool.Name+" "+name, 100*v+r+1)
		}
		for v, f := range stats.ServerVectors {
			expect(f.Prom+" "+pool.Name+" "+name+" "+pool.Servers[0].Name, 100*v+r+1)
		}
	}
}

// fewSeries is a collector that leaves families without requests out.
func fewSeries(t *testing.T) (*instance, *collector) {
	t.Helper()
	in, c := testCollector(t)
	in.conf.Process.Latency = false
	return in, c
}

func TestMetricValues(t *testing.T) {
	in, c := fewSeries(t)
	in.topo[1].SetService(in.topo[1].Servers()[1], topology.OffTheRing, 1)
	want := `
# HELP nuthatch_memory_held_bytes what the event loops hold together for clients and what they have in flight
# TYPE nuthatch_memory_held_bytes gauge
nuthatch_memory_held_bytes 1
# HELP nuthatch_memory_max_bytes max_memory, as it is in force
# TYPE nuthatch_memory_max_bytes gauge
nuthatch_memory_max_bytes 4
# HELP nuthatch_memory_soft_limit_bytes what the event loops may hold before clients wait
# TYPE nuthatch_memory_soft_limit_bytes gauge
nuthatch_memory_soft_limit_bytes 2
# HELP nuthatch_server_in_service 1 if the server gets the requests for its keys, whether or not it answers
# TYPE nuthatch_server_in_service gauge
nuthatch_server_in_service{pool="alpha",server="one"} 1
nuthatch_server_in_service{pool="alpha",server="two"} 0
nuthatch_server_in_service{pool="beta",server="one"} 1
nuthatch_server_in_service{pool="beta",server="two"} 1
# HELP nuthatch_server_request_duration_seconds time from when a request was sent to the server until its reply came
# TYPE nuthatch_server_request_duration_seconds histogram
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.0001"} 0
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.00025"} 0
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.0005"} 0
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.001"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.0025"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.005"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.01"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.05"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="0.25"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="1"} 1
nuthatch_server_request_duration_seconds_bucket{family="read",pool="beta",server="two",le="+Inf"} 1
nuthatch_server_request_duration_seconds_sum{family="read",pool="beta",server="two"} 0.001
nuthatch_server_request_duration_seconds_count{family="read",pool="beta",server="two"} 1
# HELP nuthatch_server_requests_total requests sent to the server
# TYPE nuthatch_server_requests_total counter
nuthatch_server_requests_total{pool="alpha",server="one"} 0
nuthatch_server_requests_total{pool="alpha",server="two"} 0
nuthatch_server_requests_total{pool="beta",server="one"} 0
nuthatch_server_requests_total{pool="beta",server="two"} 42
# HELP nuthatch_server_ring_ratio the part of the pool's keys that the server owns now
# TYPE nuthatch_server_ring_ratio gauge
nuthatch_server_ring_ratio{pool="alpha",server="one"} 1
nuthatch_server_ring_ratio{pool="alpha",server="two"} 0
nuthatch_server_ring_ratio{pool="beta",server="one"} 0.5
nuthatch_server_ring_ratio{pool="beta",server="two"} 0.5
# HELP nuthatch_tls_certificate_expiry_timestamp_seconds when the first certificate of a block of TLS ends; block: tls, server_tls, sentinel_tls, admin_tls
# TYPE nuthatch_tls_certificate_expiry_timestamp_seconds gauge
nuthatch_tls_certificate_expiry_timestamp_seconds{block="admin_tls",pool=""} 1.7e+09
# HELP nuthatch_tls_certificate_refused 1 if the files of a block of TLS cannot be used as they are: what was read before stays in use
# TYPE nuthatch_tls_certificate_refused gauge
nuthatch_tls_certificate_refused{block="admin_tls",pool=""} 1
nuthatch_tls_certificate_refused{block="server_tls",pool="alpha"} 0
# HELP nuthatch_server_up 1 if the server is up: no fault of it is known
# TYPE nuthatch_server_up gauge
nuthatch_server_up{pool="alpha",server="one"} 1
nuthatch_server_up{pool="alpha",server="two"} 0
nuthatch_server_up{pool="beta",server="one"} 1
nuthatch_server_up{pool="beta",server="two"} 1
`
	names := []string{
		"nuthatch_server_requests_total", "nuthatch_server_ring_ratio", "nuthatch_server_up", "nuthatch_server_in_service",
		"nuthatch_server_request_duration_seconds", "nuthatch_memory_held_bytes", "nuthatch_memory_soft_limit_bytes",
		"nuthatch_tls_certificate_expiry_timestamp_seconds", "nuthatch_tls_certificate_refused",
		"nuthatch_memory_max_bytes", "nuthatch_max_clients", // which is not known
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	for name, n := range series(t, c) {
		want := 0.0
		if name == "nuthatch_server_connection_closes_total beta conn_reset two" {
			want = 3
		}
		if strings.HasPrefix(name, "nuthatch_server_connection_closes_total ") && n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
}

func TestMetricsPage(t *testing.T) {
	s := newStage(t)
	status, head, text := s.do(http.MethodGet, "/metrics", "")
	if status != http.StatusOK || !strings.HasPrefix(head.Get("Content-Type"), "text/plain") {
		t.Fatalf("status %d, %s", status, head)
	}
	for _, want := range []string{"nuthatch_build_info{", "process_resident_memory_bytes ", "go_goroutines ", "nuthatch_ready 1"} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	s.refuse = ErrEnding
	if status, _, text := s.do(http.MethodGet, "/metrics", ""); status != http.StatusOK || !strings.Contains(text, "nuthatch_build_info") {
		t.Errorf("while the proxy ends: status %d: %s", status, text)
	}
}
