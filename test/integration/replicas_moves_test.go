package integration

import (
	"fmt"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// Slots of a cluster whose replicas are read from move to and fro, and a primary fails over:
// clients read what they have just written, and never what was not written.
func TestReplicasOfClusterMove(t *testing.T) {
	const own = 200 * time.Millisecond
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	pool := cluster.Pool(cluster.Nodes[:3]...)
	pool.Lines = append(pool.Lines, "read_policy: prefer_replica", fmt.Sprintf("read_own_writes: %v", own))
	proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(2))
	awaitWritten(t, proxy)
	load := testkit.StartLoad(t, proxy, 4, 5*time.Millisecond, true)
	load.ReadBeside(proxy, 16, own)
	goOn := func(n int64) {
		t.Helper()
		reads := load.OwnReads.Load() + n
		testkit.Await(t, "reads of own writes", func() error {
			if now := load.OwnReads.Load(); now < reads && !t.Failed() {
				return fmt.Errorf("%d of %d", now, reads)
			}
			return nil
		})
	}
	cluster.AwaitReadAtReplicas()
	goOn(20)
	for _, key := range []string{"{tx0}", "{queue}", "{tx0}"} {
		cluster.AwaitAgreed()
		slot := cluster.Slot(key)
		from, to := cluster.Owner(cluster.Nodes[0], slot), cluster.Nodes[0]
		if to == from {
			to = cluster.Nodes[1]
		}
		cluster.BeginMove(slot, from, to)
		for cluster.MoveKeys(slot, 5, from, to) > 0 {
			goOn(5)
		}
		cluster.EndMove(slot, from, to)
		goOn(20)
	}
	cluster.AwaitReplicated()
	cluster.FailOver(cluster.Nodes[1], cluster.Nodes[3])
	cluster.AwaitWhole()
	goOn(20)
	cluster.AwaitReadAtReplicas()
	load.End()
}
