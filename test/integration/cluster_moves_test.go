package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// Slots move to and fro, key by key, under clients that know each reply: none is wrong, none
// out of order, and no client is lost. Nothing but a request that a later one has overtaken
// gets an error.
func TestClusterReshardsUnderLoad(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 0, 10*time.Second)
	proxy := testkit.StartNuthatch(t, cluster.Pool().String(), testkit.Threads(2))
	awaitWritten(t, proxy)
	load := testkit.StartLoad(t, proxy, 20, 5*time.Millisecond, false)
	load.Crowd.AwaitMore(&load.Crowd.Served, 500)
	slots := map[int]bool{}
	keys := []string{"{tx0}", "{tx1}", "queue", "news"}
	for i := range 6 {
		keys = append(keys, fmt.Sprintf("own:%d:%d", i, i), fmt.Sprintf("shared:%d", i))
	}
	for _, key := range keys {
		slots[cluster.Slot(key)] = true
	}
	for range 2 {
		for slot := range slots {
			cluster.AwaitAgreed()
			from, to := cluster.Owner(cluster.Nodes[0], slot), cluster.Nodes[0]
			if to == from {
				to = cluster.Nodes[1]
			}
			cluster.BeginMove(slot, from, to)
			for cluster.MoveKeys(slot, 1, from, to) > 0 {
				load.Crowd.AwaitMore(&load.Crowd.Served, 10)
			}
			cluster.EndMove(slot, from, to)
			load.Crowd.AwaitMore(&load.Crowd.Served, 10)
		}
	}
	seen := load.End()
	for text := range seen.Errors {
		if !strings.HasPrefix(text, "-TRYAGAIN") {
			t.Errorf("a client got %q", text)
		}
	}
	if load.Transactions.Load() == 0 || load.Elements.Load() == 0 || load.Messages.Load() == 0 {
		t.Error("some clients were not served")
	}
}

// Primaries fail over by hand, in all three forms, and one is killed: clients may get errors
// for a while, and no wrong replies; none is lost. Nothing is lost that a replica has
// confirmed.
func TestClusterFailsOverUnderLoad(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	proxy := testkit.StartNuthatch(t, cluster.Pool().String(), testkit.Threads(2))
	awaitWritten(t, proxy)
	load := testkit.StartLoad(t, proxy, 20, 5*time.Millisecond, true)
	load.Crowd.AwaitMore(&load.Crowd.Served, 500)
	for i, how := range [][]string{nil, {"FORCE"}, {"TAKEOVER"}} {
		cluster.FailOver(cluster.Nodes[(i+1)%3], cluster.Nodes[3+i], how...)
		cluster.AwaitWhole()
		load.Crowd.AwaitMore(&load.Crowd.Served, 500)
	}
	cluster.Nodes[3].Kill()
	cluster.AwaitPrimary(cluster.Nodes[4], cluster.Nodes[0])
	load.Crowd.AwaitMore(&load.Crowd.Served, 500)
	load.End()
	if load.Crowd.Confirmed.Load() == 0 || load.Confirmed.Load() == 0 {
		t.Error("no replica has confirmed anything, so nothing was checked")
	}
	awaitWritten(t, proxy)
}
