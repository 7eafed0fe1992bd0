package integration

import (
	"fmt"
	"strings"
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
	t.Parallel()
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

// tagAt is a hash tag whose slot the node has.
func tagAt(cluster *testkit.Cluster, s *testkit.Server) string {
	for i := 0; ; i++ {
		if tag := fmt.Sprintf("{%d}", i); cluster.Owner(cluster.Nodes[1], cluster.Slot(tag)) == s {
			return tag
		}
	}
}

// An arrival is a client whose request comes while its node is away, and what it is to hear.
type arrival struct {
	*testkit.Client
	request, want string
}

// arrive has clients come whose requests need connections of their own.
func arrive(t *testing.T, proxy *testkit.Proxy, tag string) (all []arrival) {
	t.Helper()
	channel := fmt.Sprintf("$%d\r\n%sn\r\n:1\r\n", len(tag)+1, tag)
	for _, a := range []arrival{
		{request: "WATCH %sw", want: "+OK\r\n"},
		{request: "XREAD BLOCK 1 STREAMS %ss $", want: "*-1\r\n"},
		{request: "SSUBSCRIBE %sn", want: "*3\r\n$10\r\nssubscribe\r\n" + channel},
		{request: "SUBSCRIBE %sn", want: "*3\r\n$9\r\nsubscribe\r\n" + channel},
	} {
		a.Client = proxy.Dial(testkit.Redis)
		t.Cleanup(a.Close)
		a.Send(testkit.RESP(strings.Fields(fmt.Sprintf(a.request, tag))...))
		all = append(all, a)
	}
	return all
}

// A primary is killed, and its replica takes over: requests go there without a redirect, at
// the first connection that is lost. So do clients that watch, wait and listen, and those that want
// to meanwhile.
func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	pool := cluster.Pool(cluster.Nodes[:3]...)
	pool.Lines = append(pool.Lines, "pubsub: {on_loss: resubscribe}", "request_timeout: 1m")
	proxy := testkit.StartNuthatch(t, pool.String())
	awaitWritten(t, proxy)
	old, replica := cluster.Nodes[0], cluster.Nodes[3]
	tag := tagAt(cluster, old)
	h := hold(t, proxy, tag, "SSUBSCRIBE", "SPUBLISH")
	old.Kill()
	arrived := arrive(t, proxy, tag)
	cluster.AwaitPrimary(cluster.Nodes[1], replica)
	for _, a := range arrived {
		if got := a.Reply(); got != a.want {
			t.Errorf("%s, sent when the node was away, gets %q", a.request, got)
		}
	}
	awaitWritten(t, proxy)
	h.goesOn(t)
	old.Restart()
	cluster.AwaitWhole()
	// All seeds but those that were killed are gone, and the cluster is alive at other nodes.
	awaitWritten(t, proxy)
}

// TestClusterRefusesIsSeen: most primaries are killed. The others know the same map as before, and
// the proxy says before any request fails that the cluster refuses them, and when that is over.
func TestClusterRefusesIsSeen(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 0, clusterDown)
	pool := cluster.Pool()
	pool.Lines = append(pool.Lines, "cluster_refresh: 200ms")
	proxy := testkit.StartNuthatch(t, pool.String())
	for _, s := range cluster.Nodes[1:] {
		s.Kill()
	}
	awaitLogged(t, proxy, 1, "the cluster refuses requests")
	for _, s := range cluster.Nodes[1:] {
		s.Restart()
	}
	awaitLogged(t, proxy, 1, "the cluster does not refuse requests any more")
}

// Until a node has said which slots it has, requests wait within their time, and then get
// an error that says so. What waits is answered when the first node comes.
func TestClusterIsAwaited(t *testing.T) {
	t.Parallel()
	seed := testkit.FreeAddr(t)
	pool := testkit.Pool{Protocol: testkit.Redis, Cluster: true, Servers: []string{testkit.Entry(seed, 1, "")}, Lines: []string{"request_timeout: 1s"}}
	proxy := testkit.StartNuthatch(t, pool.String())
	c := proxy.Dial(testkit.Redis)
	if got := c.Do("GET", "key"); got != "-ERR no node of the cluster has said yet which slots it has\r\n" {
		t.Errorf("without a node: %q", got)
	}
	if got := c.Do("PING"); got != "+PONG\r\n" {
		t.Errorf("PING gets %q", got)
	}
	_, bus, _ := strings.Cut(testkit.FreeAddr(t), ":")
	node := testkit.StartRedisAt(t, seed, "--cluster-enabled", "yes", "--cluster-port", bus)
	n := node.Dial()
	if got := n.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	awaitWritten(t, proxy)
	c.Send(testkit.RESP("SET", "a", "1"))
	c.Expect("+OK\r\n")
}
