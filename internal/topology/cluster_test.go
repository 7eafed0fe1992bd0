package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/route"
)

// clusterOf reads a pool with seeds at these ports.
func clusterOf(t testing.TB, ports ...int) *config.Pool {
	t.Helper()
	var b strings.Builder
	b.WriteString("alpha:\n  listen: 127.0.0.1:22121\n  redis: true\n  cluster: true\n  servers:\n")
	for _, port := range ports {
		fmt.Fprintf(&b, "  - 10.0.0.1:%d:1\n", port)
	}
	conf, err := config.Parse("test.yml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Pools[0]
}

// A state is a cluster that a test publishes.
type state struct {
	members []Member
	nodes   []Node
	owners  *[route.NumSlots]uint16
}

// add adds a node at a port of 10.0.0.1.
func (s *state) add(port int, n Node) {
	s.members = append(s.members, Member{Server: NodeServer("10.0.0.1", port), Addrs: []unix.Sockaddr{&unix.SockaddrInet4{Port: port}}})
	s.nodes = append(s.nodes, n)
}

// own gives slots to places, from runs of their last slots.
func (s *state) own(runs ...[2]int) {
	s.owners = noSlots()
	at := 0
	for _, run := range runs {
		for ; at <= run[0]; at++ {
			s.owners[at] = uint16(run[1])
		}
	}
}

func (s *state) publish(topo *Topology, now int64) bool {
	return topo.PublishSlots(s.members, slices.Clone(s.nodes), s.owners, now, now+1000)
}

// threeNodes are two primaries and a replica of the first.
func threeNodes() *state {
	s := new(state)
	s.add(7000, Node{ID: "a"})
	s.add(7001, Node{ID: "b"})
	s.add(7002, Node{ID: "c", Role: Replica, Of: "a"})
	s.own([2]int{8191, 0}, [2]int{16383, 1})
	return s
}

// A cluster begins with its seeds, which have no slots. A node that is a seed keeps its
// Health. Seeds that are none go.
func TestSeedsBecomeNodes(t *testing.T) {
	topo := New(clusterOf(t, 7001, 7009))
	begin := topo.Snapshot()
	if begin.Table.NumShards() != 0 || len(begin.Table.All()) != 2 || begin.Owner([]byte("foo")) != -1 || len(begin.Nodes) != 2 {
		t.Fatalf("at the start there are %d shards, and %d servers to ask", begin.Table.NumShards(), len(begin.Table.All()))
	}
	if !threeNodes().publish(topo, 1) {
		t.Error("nothing has changed")
	}
	now := topo.Snapshot()
	if want := []string{"10.0.0.1:7000", "10.0.0.1:7001", "10.0.0.1:7002"}; !slices.Equal(now.Names, want) {
		t.Errorf("the servers are %v", now.Names)
	}
	if now.Servers[1] != begin.Servers[0] || now.SameServers(begin) || now.FinishBy != 1001 || len(now.Servers[0].Addrs()) != 1 {
		t.Error("the seed is another server, or those that go may not finish")
	}
	if now.Owner([]byte("foo")) != 1 || now.Owner([]byte("bar")) != 0 || len(now.Table.All()) != 2 {
		t.Errorf("foo is at %d, bar at %d, all are %v", now.Owner([]byte("foo")), now.Owner([]byte("bar")), now.Table.All())
	}
	if now.PlaceOf([]byte("10.0.0.1:7002")) != 2 || now.PlaceOf([]byte("10.0.0.1:7009")) != -1 {
		t.Error("a node is not found by its address")
	}
	if now.HomeOwner([]byte("foo")) != 1 || !now.PlacesLike(now) || now.PlacesLike(begin) {
		t.Error("its home is elsewhere")
	}
	if shares := now.Shares(); shares[0] != 0.5 || shares[1] != 0.5 || shares[2] != 0 {
		t.Errorf("the shares are %v", shares)
	}
}

// If only slots move, or roles change, the servers stay, and loops get another table. If
// nothing changes, nothing is published.
func TestFailoverKeepsServers(t *testing.T) {
	topo, s := New(clusterOf(t, 7000)), threeNodes()
	s.publish(topo, 1)
	before := topo.Snapshot()
	if s.publish(topo, 2) || topo.Snapshot() != before {
		t.Error("the same map is published again")
	}
	s.nodes[0], s.nodes[2] = Node{ID: "a", Role: Replica, Of: "c"}, Node{ID: "c"}
	s.own([2]int{8191, 2}, [2]int{16383, 1})
	if !s.publish(topo, 3) {
		t.Error("a failover is no change")
	}
	after := topo.Snapshot()
	if !after.SameServers(before) || after.Epoch <= before.Epoch || after.Owner([]byte("bar")) != 2 || after.Nodes[2].Role != Primary {
		t.Errorf("bar is at %d after a failover to 2", after.Owner([]byte("bar")))
	}
	s.nodes[1].Failing = true
	if s.publish(topo, 4); !topo.Snapshot().Nodes[1].Failing || topo.Snapshot().Table != after.Table {
		t.Error("a node that fails is not noted, or makes another table")
	}
	topo.SetService(after.Servers[1], OffTheRing, 5)
	if got := after.Servers[1].Service(); got != Refused || topo.Snapshot().Owner([]byte("foo")) != 1 {
		t.Errorf("a node that is out of service is %v, and its keys are at %d", got, topo.Snapshot().Owner([]byte("foo")))
	}
}

// A server that says MOVED is believed at once, for that slot; the bound on that is
// renewed when a map is asked for.
func TestMoveSlot(t *testing.T) {
	topo, s := New(clusterOf(t, 7000)), threeNodes()
	s.publish(topo, 1)
	before := topo.Snapshot()
	const foo = 12182
	if !topo.MoveSlot(foo, before.Servers[2], 2) || topo.Snapshot().Owner([]byte("foo")) != 2 {
		t.Error("the slot has not moved")
	}
	if got := topo.Snapshot().Table.All(); !slices.Equal(got, []uint16{0, 1, 2}) {
		t.Errorf("all are %v", got)
	}
	epoch := topo.Snapshot().Epoch
	if !topo.MoveSlot(foo, before.Servers[2], 2) || topo.Snapshot().Epoch != epoch {
		t.Error("a slot that has moved moves again")
	}
	if topo.MoveSlot(foo, new(Health), 2) || topo.MoveSlot(-1, before.Servers[0], 2) || topo.MoveSlot(16384, before.Servers[0], 2) {
		t.Error("a slot moves to nowhere, or there is no such slot")
	}
	moved := 0
	for slot := range 1000 {
		if topo.MoveSlot(slot, before.Servers[1], 3) {
			moved++
		}
	}
	if moved != maxMoved-1 {
		t.Errorf("%d slots have moved one by one, want %d", moved, maxMoved-1)
	}
	topo.Wanted()
	if !topo.MoveSlot(2000, before.Servers[1], 4) {
		t.Error("after a map was asked for no slot moves")
	}
	ring := New(poolOf(t, 2, ""))
	if ring.MoveSlot(1, ring.Servers()[0], 1) {
		t.Error("a slot of a ring moves")
	}
}

// Loops ask for a map without a wait; who publishes is woken once for each reason, and told
// who knows more.
func TestWantMap(t *testing.T) {
	topo := New(clusterOf(t, 7000))
	woken := 0
	topo.WantMap(WantDown, nil)
	topo.OnWanted(func() { woken++ })
	h := topo.Servers()[0]
	for range 3 {
		topo.WantMap(WantMoved, h)
		topo.WantMap(WantLost, nil)
	}
	why, from := topo.Wanted()
	if woken != 2 || !slices.Equal(why, []Want{WantMoved, WantLost, WantDown}) || from != h {
		t.Errorf("woken %d times, for %v", woken, why)
	}
	if why, from := topo.Wanted(); len(why) != 0 || from != nil {
		t.Errorf("it is wanted again, for %v", why)
	}
	if n := testing.AllocsPerRun(100, func() { topo.WantMap(WantMoved, h) }); n != 0 {
		t.Errorf("to want a map takes %v allocations", n)
	}
}

// A reload keeps a cluster's nodes and slots; a pool that becomes a cluster begins with its
// seeds, and one that is none any more with its servers.
func TestClusterIsReloaded(t *testing.T) {
	topo := New(clusterOf(t, 7000))
	threeNodes().publish(topo, 1)
	before := topo.Snapshot()
	next := topo.Next(clusterOf(t, 7001, 7002), 2)
	next.Settle(2)
	if s := next.Snapshot(); !slices.Equal(s.Servers, before.Servers) || s.Table != before.Table || len(s.Nodes) != 3 || s.PlaceOf([]byte("10.0.0.1:7002")) != 2 {
		t.Errorf("after a reload the servers are %v", s.Names)
	}
	ring := next.Next(poolOf(t, 2, ""), 3)
	if s := ring.Snapshot(); s.Nodes != nil || s.Table.IsSlots() || len(s.Servers) != 2 {
		t.Errorf("after a reload to a ring the servers are %v", s.Names)
	}
	again := ring.Next(clusterOf(t, 7001), 4)
	if s := again.Snapshot(); !s.Table.IsSlots() || s.Table.NumShards() != 0 || !slices.Equal(s.Names, []string{"10.0.0.1:7001"}) {
		t.Errorf("after a reload to a cluster the servers are %v", s.Names)
	}
}

// The other addresses of a node are known to redirects.
func TestNodesByTheirAddresses(t *testing.T) {
	topo, s := New(clusterOf(t, 7000)), new(state)
	s.add(7000, Node{ID: "a", Others: []string{"one.example:7000"}})
	s.members = append(s.members, Member{Server: NodeServer("2001:db8::1", 7001)})
	s.nodes = append(s.nodes, Node{ID: "b"})
	s.own([2]int{16383, 0})
	s.publish(topo, 1)
	before := topo.Snapshot()
	for name, want := range map[string]int{"one.example:7000": 0, "10.0.0.1:7000": 0, "2001:db8::1:7001": 1, "2001:db8::1:7002": -1} {
		if got := before.PlaceOf([]byte(name)); got != want {
			t.Errorf("%s is at %d, want %d", name, got, want)
		}
	}
	if before.Names[1] != "[2001:db8::1]:7001" {
		t.Errorf("its name is %s", before.Names[1])
	}
	s.nodes[0].Others = []string{"other.example:7000"}
	if s.publish(topo, 2); topo.Snapshot().PlaceOf([]byte("other.example:7000")) != 0 {
		t.Error("another address of a node is not known")
	}
	if topo.Snapshot().Servers[0] != before.Servers[0] {
		t.Error("it is another server then")
	}
}

// A primary is deposed if its replica has its slots, and not if it has given them away itself.
func TestDeposed(t *testing.T) {
	for name, change := range map[string]struct {
		nodes []Node // the first and the third
		by    int
		want  int64
	}{
		"its replica is promoted":       {[]Node{{ID: "a", Role: Replica, Of: "c"}, {ID: "c"}}, 2, 7},
		"it still says it is a primary": {[]Node{{ID: "a"}, {ID: "c"}}, 2, 7},
		"its slots have moved":          {[]Node{{ID: "a", Role: Replica, Of: "b"}, {ID: "c", Role: Replica, Of: "b"}}, 1, 0},
		"it has its slots":              {[]Node{{ID: "a"}, {ID: "c", Role: Replica, Of: "b"}}, 0, 0},
	} {
		topo, s := New(clusterOf(t, 7000)), threeNodes()
		s.publish(topo, 1)
		s.nodes[0], s.nodes[2] = change.nodes[0], change.nodes[1]
		s.own([2]int{8191, change.by}, [2]int{16383, 1})
		s.publish(topo, 7)
		if got := topo.Snapshot().Servers[0].DeposedAt(); got != change.want {
			t.Errorf("%s: deposed at %d, want %d", name, got, change.want)
		}
	}
}
