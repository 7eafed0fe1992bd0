package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// clusterPool is a pool of a cluster with two primaries and a replica. Slots above 16000
// have no primary.
func clusterPool(t *testing.T) (*config.Config, *topology.Topology) {
	t.Helper()
	conf, err := config.Parse("test.yml", []byte("alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  cluster: true\n  servers:\n  - 10.0.0.1:7000:1\n"))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	return conf, topo
}

func publishNodes(topo *topology.Topology) {
	owners := new([route.NumSlots]uint16)
	for slot := range owners {
		switch {
		case slot < 8192:
			owners[slot] = 0
		case slot < 16000:
			owners[slot] = 1
		default:
			owners[slot] = route.NoServer
		}
	}
	var members []topology.Member
	for port := 7000; port < 7003; port++ {
		members = append(members, topology.Member{Server: topology.NodeServer("10.0.0.1", port)})
	}
	topo.PublishSlots(members, []topology.Node{{ID: "a", Zone: "z1"}, {ID: "b"}, {ID: "c", Role: topology.Replica, Of: "a"}}, owners, 1, 1)
}

// A cluster is ready when its nodes have said which slots they have, and enough of its
// primaries are up: replicas do not count.
func TestClusterIsReady(t *testing.T) {
	conf, topo := clusterPool(t)
	if got := unready(&conf.Pools[0], topo.Snapshot(), 100); !strings.Contains(got, "no node of the cluster has said") {
		t.Errorf("before the first map: %q", got)
	}
	publishNodes(topo)
	if got := unready(&conf.Pools[0], topo.Snapshot(), 100); got != "" {
		t.Errorf("with a map: %q", got)
	}
	topo.SetService(topo.Servers()[2], topology.Refused, 2)
	if got := unready(&conf.Pools[0], topo.Snapshot(), 100); got != "" {
		t.Errorf("with a replica that is not up: %q", got)
	}
	topo.SetService(topo.Servers()[1], topology.Refused, 2)
	if got := unready(&conf.Pools[0], topo.Snapshot(), 100); got != `pool "alpha": 1 of 2 primaries are up, less than 100%` {
		t.Errorf("with a primary that is not up: %q", got)
	}
}

// API and metrics show what the cluster is, where its keys are, and what its nodes are.
func TestClusterIsShown(t *testing.T) {
	conf, topo := clusterPool(t)
	publishNodes(topo)
	at := time.Unix(1000, 0)
	in := &instance{conf: conf, topo: []*topology.Topology{topo}, cluster: &api.Cluster{
		Primaries: 2, Replicas: 1, Covered: 16000, Slots: 16384, Epoch: 7, Why: "moved", Answered: &at,
		AskedFor: map[string]int64{"moved": 3}, Problem: "384 of 16384 slots have no primary", Seeds: []api.ClusterSeed{},
	}}
	nodes := nodesOf(topo.Snapshot())
	text, err := json.Marshal(nodes)
	if want := `[{"role":"primary","slots":8192,"id":"a","zone":"z1"},{"role":"primary","slots":7808,"id":"b"},{"role":"replica","slots":0,"id":"c","of":"10.0.0.1:7000"}]`; err != nil || string(text) != want {
		t.Errorf("the nodes are %s, want %s", text, want)
	}
	for key, want := range map[string]string{
		"foo":     `crc16("foo") modulo 16384 is slot 12182, which is 10.0.0.1:7001's`,
		"a{bar}b": `crc16("bar") modulo 16384 is slot 5061, which is 10.0.0.1:7000's`,
	} {
		got := placeInCluster(&conf.Pools[0], topo.Snapshot(), key)
		if got.Why != want || got.Distribution != "slots" || got.Function != "crc16" {
			t.Errorf("%s: %+v", key, got)
		}
	}
	hole := placeInCluster(&conf.Pools[0], topo.Snapshot(), keyOfSlot(topo.Snapshot(), 16001))
	if hole.Server != "" || !strings.Contains(hole.Why, "is slot 16001, which no node has") {
		t.Errorf("a key of no node: %+v", hole)
	}
	shown := written(t, newClusterCollector(in))
	for _, want := range []string{
		`nuthatch_cluster_nodes{pool="alpha",role="primary"} 2`, `nuthatch_cluster_slots_covered{pool="alpha"} 16000`,
		`nuthatch_cluster_whole{pool="alpha"} 0`, `nuthatch_cluster_epoch{pool="alpha"} 7`, `nuthatch_cluster_asked_total{pool="alpha",why="moved"} 3`,
		`nuthatch_server_slots{pool="alpha",server="10.0.0.1:7001"} 7808`, `nuthatch_server_role{pool="alpha",role="replica",server="10.0.0.1:7002"} 1`,
		`nuthatch_cluster_last_answer_timestamp_seconds{pool="alpha"} 1000`,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the metrics lack %s:\n%s", want, shown)
		}
	}
}

// TestEmulatedIsShown: the metrics show the cluster that a pool looks like, and its peers.
func TestEmulatedIsShown(t *testing.T) {
	conf, topo := clusterPool(t)
	in := &instance{conf: conf, topo: []*topology.Topology{topo}, emulated: &api.Emulated{
		Cluster: true, Sentinel: &api.EmulatedSentinel{Clients: 7, Refused: 2, LoginsFailed: 4, Switches: 3},
		Nodes: []api.EmulatedNode{{Address: "10.0.0.1:6379", First: 0, Last: 8191}, {Address: "10.0.0.2:6379", First: 8192, Last: 16383, Self: true}},
		Peers: []api.Peer{{State: "lives"}, {State: "silent"}, {State: "silent"}, {State: "self"}},
	}}
	shown := written(t, newEmulatedCollector(in))
	for _, want := range []string{
		`nuthatch_emulated_nodes{pool="alpha"} 2`, `nuthatch_emulated_slots{pool="alpha"} 8192`,
		`nuthatch_peers{pool="alpha",state="silent"} 2`, `nuthatch_peers{pool="alpha",state="lives"} 1`,
		`nuthatch_sentinel_clients{pool="alpha"} 7`, `nuthatch_sentinel_clients_refused_total{pool="alpha"} 2`, `nuthatch_sentinel_switches_total{pool="alpha"} 3`, `nuthatch_sentinel_logins_failed_total{pool="alpha"} 4`,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the metrics lack %s:\n%s", want, shown)
		}
	}
	if shown := written(t, newEmulatedCollector(&instance{conf: conf, topo: in.topo})); strings.Contains(shown, "nuthatch_") {
		t.Errorf("a pool that looks like one server has\n%s", shown)
	}
}

// keyOfSlot is a key that has that slot.
func keyOfSlot(snap *topology.Snapshot, slot int) string {
	for i := 0; ; i++ {
		if key := "key:" + string(rune('a'+i%26)) + time.Duration(i).String(); snap.Table.Slot([]byte(key)) == slot {
			return key
		}
	}
}

// written is what a collector writes.
func written(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	return answer.Body.String()
}
