package daemon

import (
	"context"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/cluster"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/topology"
)

// TestRolesAreToldOnce: some nodes call an old primary one for a moment, without slots, when others
// know already that it is a replica. That is told once, and a primary when it has slots.
func TestRolesAreToldOnce(t *testing.T) {
	const file = "p:\n  listen: 127.0.0.1:1\n  redis: true\n  cluster: true\n  servers:\n  - 127.0.0.1:7001:1\n  - 127.0.0.1:7002:1\n"
	conf, err := config.Parse("nodes.yml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	var told []string
	r := &resolver{
		started: true, log: logging.Discard(), now: func() int64 { return 1 }, wakeLoops: func() {}, lookup: func(context.Context, string, int) ([]unix.Sockaddr, error) { return nil, nil },
		tell: func(e events.Event) { told = append(told, e.Text) },
	}
	c := newClustered(r, topo, &conf.Pools[0], poolEnds{})
	// publish publishes a map in which b is a replica or not, and has the slots or not.
	publish := func(replica, owner bool, want ...string) {
		t.Helper()
		told = nil
		m := &cluster.Map{Nodes: []cluster.Node{{ID: "a", Host: "127.0.0.1", Port: 7001}, {ID: "b", Host: "127.0.0.1", Port: 7002, Replica: replica}}}
		for slot := range m.Owners {
			if owner {
				m.Owners[slot] = 1
			}
		}
		c.publish(m)
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	}
	publish(false, true)
	publish(true, false, "node 127.0.0.1:7002 is a replica now, and was a primary")
	publish(false, false)
	publish(false, false)
	publish(true, false)
	publish(false, false)
	publish(false, true, "node 127.0.0.1:7002 is a primary now, and was a replica")
	publish(true, false, "node 127.0.0.1:7002 is a replica now, and was a primary")
}
