package health

import (
	"fmt"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/route"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// wellServer answers every check.
func wellServer(t *testing.T) *testkit.Scripted {
	t.Helper()
	return testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			if _, ok := k.Command(); !ok {
				return
			}
			k.Reply("+PONG\r\n")
		}
	})
}

// Nodes of a cluster are checked from when they come until they leave, and again when they
// come back.
func TestNodesAreFollowed(t *testing.T) {
	first, second := wellServer(t), wellServer(t)
	conf, err := config.Parse("pool.yml", fmt.Appendf(nil, "p:\n  listen: 127.0.0.1:1\n  redis: true\n  cluster: true\n"+
		"  health_check: {interval: 10ms, timeout: 5s}\n  servers:\n  - %s:1\n", first.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	publish := func(now int64, secondRole topology.Role) {
		owners := new([route.NumSlots]uint16)
		var members []topology.Member
		for _, s := range []*testkit.Scripted{first, second} {
			addrs := addrsOf(t, s.Addr())
			var host string
			var port int
			if _, err := fmt.Sscanf(s.Addr(), "127.0.0.1:%d", &port); err != nil {
				t.Fatal(err)
			}
			host = "127.0.0.1"
			members = append(members, topology.Member{Server: topology.NodeServer(host, port), Addrs: addrs})
		}
		topo.PublishSlots(members, []topology.Node{{ID: "a"}, {ID: "b", Role: secondRole}}, owners, now, now)
	}
	topo.Servers()[0].SetAddrs(addrsOf(t, first.Addr()))
	found := start(t, conf, topo)
	await := func(what string, cond func() bool) {
		t.Helper()
		for !cond() {
			if f := next(t, found); f.why.String() == "" {
				t.Fatal(what)
			}
		}
	}
	seed := topo.Servers()[0]
	checks := func(h *topology.Health) int64 { n, _, _ := h.Checks(); return n }
	await("the seed", func() bool { return checks(seed) > 2 })
	publish(1, topology.Replica)
	other := topo.Servers()[1]
	await("the second node", func() bool { return checks(other) > 2 })
	publish(2, topology.Gone)
	n := int64(-1)
	await("no more checks of the node that is gone", func() bool {
		was := n
		n = checks(other)
		start := checks(seed)
		await("more checks of the first", func() bool { return checks(seed) > start+20 })
		return was == n
	})
	publish(3, topology.Replica)
	await("checks of the node that is back", func() bool { return checks(other) > n+2 })
}
