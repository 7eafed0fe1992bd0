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

// A primary becomes a replica by hand, and keeps its connections: it would tell again of what its
// new primary tells. Who listens to events of keys, monitors or tracks keys hears all once.
func TestClusterReplicaTellsNothing(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	for _, s := range cluster.Nodes {
		s.Dial().Do("CONFIG", "SET", "notify-keyspace-events", "KEA")
	}
	pool := cluster.Pool()
	pool.Lines = append(pool.Lines, "allow_monitor: true")
	proxy := testkit.StartNuthatch(t, pool.String())
	pool.Lines = append(pool.Lines, "pubsub: {connections: shared}")
	sharing := testkit.StartNuthatch(t, pool.String())
	awaitWritten(t, proxy)
	old, next := cluster.Nodes[0], cluster.Nodes[3]
	tag := tagAt(cluster, old)
	listens, monitors, tracks := proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis)
	listens.Do("PSUBSCRIBE", "__keyspace@0__:"+tag+"*")
	shares := sharing.Dial(testkit.Redis)
	shares.Do("PSUBSCRIBE", "__keyspace@0__:"+tag+"*")
	monitors.Do("MONITOR")
	tracks.Do("HELLO", "3")
	tracks.Do("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", tag)
	cluster.FailOver(cluster.Nodes[1], next)
	awaitWritten(t, proxy) // that finds the new primary
	awaitWritten(t, sharing)
	for _, at := range []struct {
		node *testkit.Server
		want string
	}{{next, "1 monitor, 2 listen, 1 tracks"}, {old, "0 monitor, 0 listen, 0 tracks"}} {
		direct := at.node.Dial()
		testkit.Await(t, "the private connections to "+at.node.Name(), func() error {
			list := direct.Do("CLIENT", "LIST")
			got := fmt.Sprintf("%d monitor, %d listen, %d tracks", strings.Count(list, " cmd=monitor "),
				strings.Count(list, " psub=1 "), strings.Count(list, " flags=tB "))
			if got != at.want {
				return fmt.Errorf("%s, want %s", got, at.want)
			}
			return nil
		})
	}
	c := proxy.Dial(testkit.Redis)
	for _, key := range []string{"once", "end"} {
		if got := c.Do("SET", tag+key, "1"); got != "+OK\r\n" {
			t.Fatal(got)
		}
	}
	for _, x := range []struct {
		who    string
		client *testkit.Client
	}{{"listens", listens}, {"shares", shares}, {"monitors", monitors}, {"tracks", tracks}} {
		times := 0
		for said := ""; !strings.Contains(said, tag+"end"); said = x.client.Reply() {
			times += strings.Count(said, tag+"once")
		}
		if times != 1 {
			t.Errorf("who %s has heard %d times of a key that was set once", x.who, times)
		}
	}
}
