package examples

import (
	"fmt"
	"path/filepath"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// The configurations that people begin with spread numbered keys over all servers, which
// nutcracker's default hash does not.
func TestNumberedKeysAreSpread(t *testing.T) {
	files, err := filepath.Glob("../conf/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	pools := 0
	for _, file := range append(files, "systemd/nuthatch.yml", "docker/nuthatch.yml") {
		conf, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range conf.Pools {
			p := &conf.Pools[i]
			if len(p.Servers) < 2 {
				continue
			}
			pools++
			for _, keys := range []string{"user:%d", "session:%d"} {
				if least, fair := leastOf(p, keys); least < fair/2 {
					t.Errorf("%s: pool %s: with hash %s a server has %.1f%% of 300 keys %s, and its share is %.1f%%",
						file, p.Name, p.Hash, 100*least, keys, 100*fair)
				}
			}
		}
	}
	if pools < 5 {
		t.Errorf("%d pools were looked at", pools)
	}
}

// leastOf is the share of 300 numbered keys that the server has that has the fewest for its
// weight, and its share by weight.
func leastOf(p *config.Pool, keys string) (least, fair float64) {
	nodes, weights := make([]hashkit.Node, len(p.Servers)), 0.0
	for i := range p.Servers {
		nodes[i] = hashkit.Node{Name: p.Servers[i].NodeName(), Weight: p.Servers[i].Weight}
		weights += float64(p.Servers[i].Weight)
	}
	ring, found := hashkit.NewContinuum(p.Distribution, nodes), make([]float64, len(nodes))
	const n = 300
	for i := range n {
		found[ring.Index(p.Hash.Sum(fmt.Appendf(nil, keys, i+1)))] += 1. / n
	}
	least, fair = 1, 1
	for i := range found {
		if by := float64(p.Servers[i].Weight) / weights; found[i]/by < least/fair {
			least, fair = found[i], by
		}
	}
	return least, fair
}
