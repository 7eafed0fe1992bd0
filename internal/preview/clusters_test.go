package preview

import (
	"strings"
	"testing"
)

// Between servers and a cluster all keys move, and none is copied. Other seeds of a cluster
// move none.
func TestClusters(t *testing.T) {
	ring := parse(t, three, "redis: true", "hash: fnv1a_64", "distribution: ketama")
	cluster := parse(t, bare, "redis: true", "cluster: true")
	for name, c := range map[string]struct {
		got  *Report
		what string
	}{
		"to a cluster":   {Compare(ring, cluster), "becomes a Redis Cluster"},
		"from a cluster": {Compare(cluster, ring), "is a Redis Cluster no more"},
	} {
		if len(c.got.Pools) != 1 || len(c.got.Pools[0].Keys) != 1 || len(c.got.Pools[0].Warnings) != 1 {
			t.Fatalf("%s: %+v", name, c.got)
		}
		p := c.got.Pools[0]
		if p.Keys[0].Moved != 1 || !strings.Contains(p.Warnings[0].What, c.what) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	r := Compare(cluster, parse(t, bare[1:], "redis: true", "cluster: true"))
	if len(r.Pools) != 1 || len(r.Pools[0].Servers) == 0 || len(r.Pools[0].Keys) != 0 || r.Warned() {
		t.Errorf("other seeds: %+v", r)
	}
}
