package preview

import "nuthatch/internal/config"

// howCluster is how it is known that keys move between servers and a cluster.
const howCluster = "a cluster's nodes say where its keys are, and no file does"

// compareClusters fills d in for a pool that is, or will be, a Redis Cluster. If it stays one,
// other seeds move no keys, as long as they are of the same cluster.
func compareClusters(old, changed *config.Pool, d *Pool) {
	if old.Cluster.On == changed.Cluster.On {
		return
	}
	d.Keys = []Keys{{Which: "all keys", How: howCluster, Moved: 1}}
	w := Warning{
		What:    "the pool becomes a Redis Cluster: all keys are looked for at its nodes, and nuthatch copies none there",
		Instead: "copy the keys into the cluster before, or change when keys may be lost",
	}
	if old.Cluster.On {
		w.What = "the pool is a Redis Cluster no more: all keys are looked for at its servers, and nuthatch copies none there"
		w.Instead = "copy the keys to the servers before, or change when keys may be lost"
	}
	d.Warnings = []Warning{w}
}
