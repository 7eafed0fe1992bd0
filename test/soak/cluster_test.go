package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// fallen is after how long of silence a node of the cluster is taken to be down.
const fallen = 3 * time.Second

// A clusterScene is a cluster under a load that checks its replies, and what is done to it.
type clusterScene struct {
	t       *testing.T
	rng     *rand.Rand
	cluster *testkit.Cluster
	load    *testkit.Load
	done    map[string]int
}

// Slots move to and fro, primaries fail over in all forms, are killed and stopped, nodes come
// and are forgotten: a hundred clients get no wrong reply and none out of order, none is lost,
// and nothing that a replica has confirmed is.
func TestCluster(t *testing.T) {
	beside(t)
	_, rng := seeded(t)
	cluster := testkit.StartCluster(t, 3, 1, fallen)
	pool := cluster.Pool(cluster.Nodes[:3]...)
	pool.Lines = []string{"timeout: 2000", "pubsub: {on_loss: resubscribe}", "read_policy: prefer_replica", "read_own_writes: 10s"}
	proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(loops))
	pool.Lines[3] = "read_own_writes: 1s"
	reading := testkit.StartNuthatch(t, pool.String(), testkit.Threads(loops))
	s := &clusterScene{t: t, rng: rng, cluster: cluster, done: map[string]int{}}
	awaitServed(t, proxy, cluster)
	awaitServed(t, reading, cluster)
	s.load = testkit.StartLoad(t, proxy, 92, time.Duration(times(5, 40))*time.Millisecond, true)
	s.load.ReadBeside(reading, 20, time.Second)
	s.settle() // some nodes do not know yet which of the others are replicas
	events := []event[*testkit.Cluster]{
		{"moves", s.moveSlots},
		{"failovers", func(*testkit.Cluster) { s.failOver() }},
		{"forced", func(*testkit.Cluster) { s.failOver("FORCE") }},
		{"taken over", func(*testkit.Cluster) { s.failOver("TAKEOVER") }},
		{"killed", s.kill},
		{"stopped", s.pause},
		{"nodes come and gone", s.addAndForget},
	}
	for end, first := time.Now().Add(share(12, time.Minute, 0)), true; (first || time.Now().Before(end)) && !t.Failed(); first = false {
		for _, i := range rng.Perm(len(events)) {
			began := time.Now()
			events[i].do(cluster)
			s.done[events[i].name]++
			s.settle()
			t.Logf("%s: %v", events[i].name, time.Since(began).Round(time.Millisecond))
		}
	}
	cluster.AwaitReadAtReplicas()
	r := &row{piece: "cluster", what: told(events, s.done)}
	r.endLoad(t, s.load)
	if r.notes += fmt.Sprintf(", %d reads beside, %d of own writes", s.load.Reads.Load(), s.load.OwnReads.Load()); s.load.Reads.Load() == 0 || s.load.OwnReads.Load() == 0 {
		t.Errorf("nobody has read: %s", r.notes)
	}
	awaitServed(t, proxy, cluster)
}

// awaitServed waits until keys of all nodes are written.
func awaitServed(t *testing.T, proxy *testkit.Proxy, cluster *testkit.Cluster) {
	t.Helper()
	c := proxy.Dial(testkit.Redis)
	defer c.Close()
	testkit.Await(t, "keys of all nodes", func() error {
		for i := range 50 {
			if got := c.Do("SET", fmt.Sprintf("probe:%d", i), "x"); got != "+OK\r\n" {
				return fmt.Errorf("%d: %q of a cluster of %d nodes", i, got, len(cluster.Nodes))
			}
		}
		return nil
	})
}

// goOn waits until the clients have been served some more.
func (s *clusterScene) goOn() { s.load.Crowd.AwaitMore(&s.load.Crowd.Served, int64(times(2000, 300))) }

// settle waits until the cluster is whole, and every replica has what its primary has: what is
// done next may end a primary.
func (s *clusterScene) settle() {
	s.t.Helper()
	s.cluster.AwaitWhole()
	s.cluster.AwaitAgreed()
	s.cluster.AwaitReplicated()
	s.goOn()
}

// pair is a primary with slots and its replica, by chance.
func (s *clusterScene) pair() (primary, replica *testkit.Server) {
	s.t.Helper()
	testkit.Await(s.t, "a primary with a replica", func() error {
		for _, i := range s.rng.Perm(len(s.cluster.Nodes)) {
			from := s.cluster.Nodes[i]
			if all := s.cluster.Replicas(from, from); len(all) > 0 && all[0] != nil {
				primary, replica = from, all[0]
				return nil
			}
		}
		return errors.New("none has one")
	})
	return primary, replica
}

// failOver makes a replica a primary by hand.
func (s *clusterScene) failOver(how ...string) {
	s.t.Helper()
	primary, replica := s.pair()
	s.cluster.FailOver(primary, replica, how...)
}

// other is a living node that is neither of these.
func (s *clusterScene) other(not ...*testkit.Server) *testkit.Server {
	i := slices.IndexFunc(s.cluster.Nodes, func(n *testkit.Server) bool { return !slices.Contains(not, n) })
	return s.cluster.Nodes[i]
}

// kill kills a primary, which comes back as a replica.
func (s *clusterScene) kill(*testkit.Cluster) {
	s.t.Helper()
	primary, replica := s.pair()
	primary.Kill()
	s.cluster.AwaitPrimary(s.other(primary, replica), replica)
	s.goOn()
	primary.Restart()
}

// pause stops a primary for longer than the others wait for it.
func (s *clusterScene) pause(*testkit.Cluster) {
	s.t.Helper()
	primary, replica := s.pair()
	primary.Pause()
	s.cluster.AwaitPrimary(s.other(primary, replica), replica)
	s.goOn()
	primary.Resume()
}

// moveSlots moves the slots of keys in use to another primary, and back.
func (s *clusterScene) moveSlots(*testkit.Cluster) {
	s.t.Helper()
	for _, key := range []string{"{tx0}", "queue", fmt.Sprintf("shared:%d", s.rng.IntN(200))} {
		slot := s.cluster.Slot(key)
		from := s.cluster.Owner(s.cluster.Nodes[0], slot)
		to := s.primaryBut(from)
		s.cluster.Move(slot, from, to)
		s.cluster.AwaitAgreed()
		s.cluster.Move(slot, to, from)
		s.cluster.AwaitAgreed()
	}
}

// primaryBut is a primary with slots that is not this one.
func (s *clusterScene) primaryBut(not *testkit.Server) *testkit.Server {
	s.t.Helper()
	view := s.cluster.View(not)
	for _, i := range s.rng.Perm(len(s.cluster.Nodes)) {
		n := s.cluster.Nodes[i]
		if line := view[s.cluster.ID(n)]; n != not && line.Has("master") && len(line.Slots) > 0 {
			return n
		}
	}
	s.t.Fatal("there is no other primary")
	return nil
}

// addAndForget adds a node, has it some slots, takes them back, and has all forget it.
func (s *clusterScene) addAndForget(*testkit.Cluster) {
	s.t.Helper()
	n := s.cluster.AddNode()
	s.cluster.AwaitWhole() // a node that has just come refuses keys
	s.cluster.AwaitAgreed()
	var slots []int
	for _, key := range []string{"{tx1}", "news", "shared:7"} {
		if slot := s.cluster.Slot(key); !slices.Contains(slots, slot) {
			slots = append(slots, slot)
		}
	}
	var from []*testkit.Server
	for _, slot := range slots {
		owner := s.cluster.Owner(n, slot)
		from = append(from, owner)
		s.cluster.Move(slot, owner, n)
	}
	s.cluster.AwaitAgreed()
	s.goOn()
	for i, slot := range slots {
		s.cluster.Move(slot, n, from[i])
	}
	s.cluster.AwaitAgreed()
	s.cluster.Forget(n)
	n.Stop()
}
