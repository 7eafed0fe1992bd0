package daemon

import (
	"slices"
	"testing"

	"nuthatch/internal/cluster"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/topology"
)

// toldOf is a resolver, and the texts of the events that it tells.
func toldOf() (r *resolver, texts *[]string) {
	texts = new([]string)
	return &resolver{log: logging.Discard(), tell: func(e events.Event) { *texts = append(*texts, e.Text) }}, texts
}

// TestReplicaIsReadFromAgain: a replica that is unfit when it is first looked at is told of, and is
// not said to be read from again.
func TestReplicaIsReadFromAgain(t *testing.T) {
	conf := &config.Pool{
		Name: "alpha", Protocol: config.Redis, Reads: config.Reads{Policy: config.ReadReplica},
		Servers:  []config.Server{{Name: "one", Address: config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 1}, Weight: 1}},
		Replicas: []config.ReplicaList{{Of: "one", Addresses: "127.0.0.1:2"}},
	}
	resolver, texts := toldOf()
	r := &replicated{resolver: resolver, topo: topology.New(conf), conf: conf}
	snap := r.topo.Snapshot()
	replica := slices.IndexFunc(snap.Servers, func(h *topology.Health) bool { return snap.PrimaryOf(snap.Place(h)) >= 0 })
	for _, why := range []topology.Unfit{topology.Loads, topology.Fit, topology.Loads, topology.NoLink, topology.Fit} {
		r.set(snap, replica, topology.Standing{Replica: true, Why: why})
	}
	name := "replica " + snap.Names[replica]
	loads := name + " is not read from: it loads its data"
	want := []string{loads, name + " is read from", loads, name + " is read from again"}
	if !slices.Equal(*texts, want) {
		t.Errorf("told %q, want %q", *texts, want)
	}
}

// TestClusterRefusesIsTold: its beginning and its end are events.
func TestClusterRefusesIsTold(t *testing.T) {
	resolver, texts := toldOf()
	c := &clustered{resolver: resolver, conf: &config.Pool{Name: "alpha"}}
	c.tell(cluster.Change{Problem: "it is down", Refuses: true})
	c.tell(cluster.Change{Refuses: true})
	if want := []string{"the cluster refuses requests: it is down", "the cluster does not refuse requests any more"}; !slices.Equal(*texts, want) {
		t.Errorf("told %q, want %q", *texts, want)
	}
}
