package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/route"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// TestFailedNodesComeBack: a node that has failed, and has no slots, is up again when it answers
// about its cluster. One with slots is left to requests.
func TestFailedNodesComeBack(t *testing.T) {
	addrs := []string{testkit.FreeAddr(t), testkit.FreeAddr(t)}
	conf, err := config.Parse("nodes.yml", fmt.Appendf(nil, "p:\n  listen: 127.0.0.1:1\n  redis: true\n  cluster: true\n  servers:\n  - %s:1\n  - %s:1\n", addrs[0], addrs[1]))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	at, told := int64(1), []string(nil)
	u := &unasked{of: make(map[*topology.Health]failedNode)}
	r := &resolver{
		log: logging.Discard(), now: func() int64 { return at },
		tell: func(e events.Event) { told = append(told, e.Kind.String()+" "+e.Server) },
	}
	r.clusters = []*clustered{nil, newClustered(r, topo, &conf.Pools[0], poolEnds{})}
	members, nodes := make([]topology.Member, 2), []topology.Node{{ID: "a"}, {ID: "b", Role: topology.Replica, Of: "a"}}
	for i := range members {
		members[i].Server = topology.NodeServer(conf.Pools[0].Servers[i].Address.Host, conf.Pools[0].Servers[i].Address.Port)
	}
	topo.PublishSlots(members, nodes, new([route.NumSlots]uint16), at, at)
	servers := topo.Snapshot().Servers
	for _, h := range servers {
		topo.Failed(h, msg.ConnRefused, at, at)
	}
	look := func(later time.Duration, want ...string) {
		t.Helper()
		at, told = at+int64(later), nil
		u.look(context.Background(), r)
		if !slices.Equal(told, want) {
			t.Errorf("after %v: told %q, want %q", later, told, want)
		}
	}
	look(0)
	for _, addr := range addrs {
		testkit.StartScriptedAt(t, addr, func(k *testkit.Talk) {
			for {
				args, ok := k.Command()
				if !ok {
					return
				}
				reply := "-ERR unknown command\r\n"
				if strings.EqualFold(strings.Join(args, " "), "CLUSTER NODES") {
					reply = testkit.Bulk("a " + addr + "@1 myself,master - 0 0 1 connected 0-16383\n")
				}
				k.Reply(reply)
			}
		})
	}
	look(time.Second)
	look(forsakenAgain, "server_answers "+topo.Snapshot().Names[1])
	if servers[0].IsUp() || !servers[1].IsUp() {
		t.Errorf("%+v and %+v", servers[0].State(), servers[1].State())
	}
	look(forsakenAgain)

	// It fails again shortly after it was asked, and again before a look has found it up.
	topo.Failed(servers[1], msg.ConnRefused, at, at)
	look(time.Second, "server_answers "+topo.Snapshot().Names[1])
	topo.Failed(servers[1], msg.ConnRefused, at, at)
	look(time.Second, "server_answers "+topo.Snapshot().Names[1])
	look(forsakenAgain)
}
