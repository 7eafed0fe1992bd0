package integration

import (
	"fmt"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// clusterDown is after how long of silence a node of a test's cluster is taken to be down.
const clusterDown = time.Second

// awaitWritten waits until the proxy answers requests for a hundred keys, of all nodes.
func awaitWritten(t *testing.T, proxy *testkit.Proxy) {
	t.Helper()
	c := proxy.Dial(testkit.Redis)
	defer c.Close()
	testkit.Await(t, "keys of all nodes", func() error {
		for i := range 100 {
			key := fmt.Sprintf("key:%d", i)
			if got := c.Do("SET", key, key); got != "+OK\r\n" {
				return fmt.Errorf("%s: %q", key, got)
			}
		}
		return nil
	})
}

// A proxy that knows one node of a cluster finds the others, and each key at the node that
// has its slot.
func TestClusterIsFound(t *testing.T) {
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	proxy := testkit.StartNuthatch(t, cluster.Pool(cluster.Nodes[4]).String())
	awaitWritten(t, proxy)
	for i := range 100 {
		key := fmt.Sprintf("key:%d", i)
		owner := cluster.Owner(cluster.Nodes[0], cluster.Slot(key))
		c := owner.Dial()
		if got := c.Do("GET", key); got != fmt.Sprintf("$%d\r\n%s\r\n", len(key), key) {
			t.Errorf("%s has %q of %s", owner.Name(), got, key)
		}
		c.Close()
	}
}

// A primary is killed, and its replica takes over: requests go there without a redirect, at
// the first connection that is lost.
func TestClusterFailsOver(t *testing.T) {
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	proxy := testkit.StartNuthatch(t, cluster.Pool(cluster.Nodes[:3]...).String())
	awaitWritten(t, proxy)
	old, replica := cluster.Nodes[0], cluster.Nodes[3]
	old.Kill()
	cluster.AwaitPrimary(cluster.Nodes[1], replica)
	awaitWritten(t, proxy)
	old.Restart()
	cluster.AwaitWhole()
	// All seeds but those that were killed are gone, and the cluster is alive at other nodes.
	awaitWritten(t, proxy)
}
