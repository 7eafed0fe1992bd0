package ctl

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
)

// clustered makes the first pool a cluster.
func clustered(p *api.Pools) {
	pool := &p.Pools[0]
	pool.Cluster = &api.Cluster{
		Primaries: 2, Replicas: 1, Covered: 16284, Slots: 16384, Epoch: 7, Why: "moved",
		Asked: before(3 * time.Second), Answered: before(3 * time.Second), Problem: "100 of 16384 slots have no primary", Since: before(time.Minute),
		AskedFor: map[string]int64{"refresh": 12, "moved": 3},
		Seeds:    []api.ClusterSeed{{Address: "one:6379"}, {Address: "old:6379", Problem: "connection refused", Asked: before(time.Minute)}},
	}
	pool.Counters = map[string]int64{"server_waiting": 2}
	pool.Servers[0].Node = &api.ClusterNode{Role: "primary", Slots: 8192, ID: "aaaa", Zone: "z1"}
	pool.Servers[1].Node = &api.ClusterNode{Role: "replica", Of: "one", ID: "bbbb", Failing: true}
}

func TestCluster(t *testing.T) {
	inUTC(t)
	p := answers(t, func(_ *api.Info, p *api.Pools, _ *api.Events) { clustered(p) })
	out, err := run(t, p, Options{}, "cluster")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "cluster", out)
	p = answers(t, func(*api.Info, *api.Pools, *api.Events) {})
	if out, err := run(t, p, Options{}, "cluster"); err != nil || out != "no pool has a Redis Cluster, sentinels or replicas behind it, or looks like a cluster\n" {
		t.Errorf("without a cluster: %v, %q", err, out)
	}
}

// TestReplicas: a pool that reads from replicas is shown with what they have said, and with why
// they are not read from.
func TestReplicas(t *testing.T) {
	inUTC(t)
	p := answers(t, func(_ *api.Info, p *api.Pools, _ *api.Events) {
		lag, far := int64(17), int64(3<<20)
		pool := &p.Pools[0]
		pool.Servers[0].Replication = &api.Replication{Role: "primary", Asked: before(time.Second)}
		pool.Servers[1].Replication = &api.Replication{Role: "replica", Of: "one", State: "fit", Lag: &lag, Zone: "z1", Asked: before(time.Second)}
		for state, behind := range map[string]*int64{"lags": &far, "no_answer": nil} {
			more := pool.Servers[1]
			more.Name, more.Replication = state+":6379", &api.Replication{Role: "replica", Of: "one", State: state, Lag: behind, Asked: before(time.Second)}
			pool.Servers = append(pool.Servers, more)
		}
		slices.SortFunc(pool.Servers[2:], func(a, b api.Server) int { return strings.Compare(a.Name, b.Name) })
	})
	out, err := run(t, p, Options{}, "cluster")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "replicas", out)
}

// TestEmulated: a pool that looks like a cluster is shown with its nodes and peers.
func TestEmulated(t *testing.T) {
	inUTC(t)
	p := answers(t, func(_ *api.Info, p *api.Pools, _ *api.Events) {
		p.Pools[0].Emulated = &api.Emulated{
			Cluster: true, Since: *before(time.Minute), Leaving: true,
			Sentinel: &api.EmulatedSentinel{Listens: "10.0.0.2:26379", Name: "main", Others: []string{"10.0.0.1:26379"}, Clients: 7, Subscribers: 3, Refused: 1, LoginsFailed: 2, Switches: 12},
			Nodes:    []api.EmulatedNode{{Address: "10.0.0.1:6379", ID: "aaaa", Last: 8191}, {Address: "10.0.0.2:6379", ID: "bbbb", First: 8192, Last: 16383, Self: true}},
			Peers: []api.Peer{
				{Address: "10.0.0.1:6379", State: "lives", Announced: "10.0.0.1:6379", Sentinel: "10.0.0.1:26379", Since: *before(time.Minute)},
				{Address: "10.0.0.3:6379", State: "silent", Since: *before(time.Hour), Problem: "it does not answer in time"},
			},
		}
	})
	out, err := run(t, p, Options{}, "cluster")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "emulated", out)
}

// TestSentinels: a pool with sentinels is shown with what each of them says.
func TestSentinels(t *testing.T) {
	inUTC(t)
	p := answers(t, func(_ *api.Info, p *api.Pools, _ *api.Events) {
		p.Pools[0].Sentinels = &api.Sentinels{
			Asked: before(3 * time.Second), Why: "told",
			Primaries: []api.SentinelPrimary{{Name: "main", Address: "10.0.0.1:6379", Epoch: 7, Switched: before(2 * time.Minute)}, {Name: "other", Problem: "no sentinel says where it is"}},
			Sentinels: []api.SentinelState{
				{Address: "10.0.0.5:26379", Subscribed: true, Asked: before(3 * time.Second), Said: map[string]api.SentinelSaid{"main": {Address: "10.0.0.1:6379", Epoch: 7}}},
				{Address: "10.0.0.6:26379", Problem: "it does not answer in time", Since: before(time.Minute)},
				{Address: "10.0.0.7:26379", Asked: before(3 * time.Second), Said: map[string]api.SentinelSaid{"main": {Address: "10.0.9.9:6379", Epoch: 99}}, Doubted: map[string]string{
					"main": "it alone says that main is at 10.0.9.9:6379, by the config epoch 99; others say 10.0.0.1:6379, which is still a primary",
				}},
			},
		}
	})
	out, err := run(t, p, Options{}, "cluster")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "sentinels", out)
}
