package ctl

import (
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
	if out, err := run(t, p, Options{}, "cluster"); err != nil || out != "no pool has a Redis Cluster behind it\n" {
		t.Errorf("without a cluster: %v, %q", err, out)
	}
}
