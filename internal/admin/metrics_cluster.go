package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"nuthatch/internal/topology"
)

// A clusterCollector makes the metrics of pools that are Redis Clusters.
type clusterCollector struct {
	in Instance

	nodes, covered, epoch, whole, asked, answered *prometheus.Desc
	slots, role                                   *prometheus.Desc
}

func newClusterCollector(in Instance) *clusterCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &clusterCollector{
		in:       in,
		nodes:    desc("nuthatch_cluster_nodes", "how many nodes the pool's cluster has", "pool", "role"),
		covered:  desc("nuthatch_cluster_slots_covered", "how many of the 16384 slots have a primary", "pool"),
		epoch:    desc("nuthatch_cluster_epoch", "the greatest config epoch that the nodes have told", "pool"),
		whole:    desc("nuthatch_cluster_whole", "1 if nothing is wrong with the map of the cluster, and its nodes do not refuse requests", "pool"),
		asked:    desc("nuthatch_cluster_asked_total", "how often nodes were asked which slots they have, by why", "pool", "why"),
		answered: desc("nuthatch_cluster_last_answer_timestamp_seconds", "when nodes last said which slots they have", "pool"),
		slots:    desc("nuthatch_server_slots", "how many slots of the cluster the node has", "pool", "server"),
		role:     desc("nuthatch_server_role", "1 for what the node is in its cluster", "pool", "server", "role"),
	}
}

// Describe implements prometheus.Collector.
func (c *clusterCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.nodes, c.covered, c.epoch, c.whole, c.asked, c.answered, c.slots, c.role} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *clusterCollector) Collect(out chan<- prometheus.Metric) {
	conf, topo := c.in.InForce()
	s := &scrape{out: out}
	for i := range conf.Pools {
		name := conf.Pools[i].Name
		about := c.in.Cluster(name)
		if about == nil {
			continue
		}
		s.gauge(c.nodes, float64(about.Primaries), name, topology.Primary.String())
		s.gauge(c.nodes, float64(about.Replicas), name, topology.Replica.String())
		s.gauge(c.covered, float64(about.Covered), name)
		s.gauge(c.epoch, float64(about.Epoch), name)
		s.gauge(c.whole, flag(about.Problem == "" && about.Answered != nil), name)
		for why, n := range about.AskedFor {
			s.counter(c.asked, float64(n), name, why)
		}
		if about.Answered != nil {
			s.gauge(c.answered, float64(about.Answered.UnixMilli())/1e3, name)
		}
		snap := topo[i].Snapshot()
		slots := snap.Slots()
		for j := range snap.Nodes {
			s.gauge(c.slots, float64(slots[j]), name, snap.Names[j])
			if snap.Nodes[j].ID != "" {
				s.gauge(c.role, 1, name, snap.Names[j], snap.Nodes[j].Role.String())
			}
		}
	}
}
