package integration

import (
	"errors"
	"strconv"
	"testing"

	"nuthatch/internal/testkit"
)

// A node that has just come to the cluster, and has got a slot that no request was redirected
// from, is not missed by what goes to all nodes.
func TestClusterAllNodesAreReached(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 0, clusterDown)
	pool := cluster.Pool()
	pool.Lines = append(pool.Lines, "allow_flush: true", "cluster_refresh: 1h")
	proxy := testkit.StartNuthatch(t, pool.String())
	awaitWritten(t, proxy)
	c := proxy.Dial(testkit.Redis)
	defer c.Close()
	if got := c.Do("FLUSHALL"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	const key = "new"
	slot := cluster.Slot(key)
	old := cluster.Owner(cluster.Nodes[0], slot)
	added := cluster.AddNode()
	moveSlot := func(words ...string) {
		t.Helper()
		for _, s := range []*testkit.Server{added, old} {
			n := s.Dial()
			if got := n.Do(append([]string{"CLUSTER"}, words...)...); got != "+OK\r\n" {
				t.Fatalf("%s: %q gets %q", s.Name(), words, got)
			}
			n.Close()
		}
	}
	at := added.Dial()
	defer at.Close()
	keys := func(want string) {
		t.Helper()
		if got := at.Do("DBSIZE"); got != want {
			t.Errorf("the new node has %q keys, want %q", got, want)
		}
	}
	// It is on its way: the node has keys, and no slot.
	cluster.BeginMove(slot, old, added)
	testkit.Await(t, "the new node takes part", func() error {
		at.Do("ASKING")
		if got := at.Do("SET", key, "1"); got != "+OK\r\n" {
			return errors.New(got)
		}
		return nil
	})
	if got := c.Do("FLUSHALL"); got != "+OK\r\n" {
		t.Error(got)
	}
	keys(":0\r\n")
	// It has the slot.
	moveSlot("SETSLOT", strconv.Itoa(slot), "NODE", cluster.ID(added))
	if got := at.Do("SET", key, "1"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	if got := c.Do("FLUSHALL"); got != "+OK\r\n" {
		t.Error(got)
	}
	keys(":0\r\n")
}
