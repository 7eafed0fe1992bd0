package admin

import "github.com/prometheus/client_golang/prometheus"

// An emulatedCollector makes the metrics of pools that look like Redis Clusters, or answer as
// Sentinels.
type emulatedCollector struct {
	in Instance

	nodes, slots, peers                                                *prometheus.Desc
	sentinelClients, sentinelRefused, sentinelLogins, sentinelSwitches *prometheus.Desc
}

func newEmulatedCollector(in Instance) *emulatedCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &emulatedCollector{
		in:               in,
		nodes:            desc("nuthatch_emulated_nodes", "how many proxies clients are told of", "pool"),
		slots:            desc("nuthatch_emulated_slots", "how many slots this proxy has of them", "pool"),
		peers:            desc("nuthatch_peers", "how many addresses of other proxies are in a state", "pool", "state"),
		sentinelClients:  desc("nuthatch_sentinel_clients", "how many clients are connected where the pool answers as a Sentinel", "pool"),
		sentinelRefused:  desc("nuthatch_sentinel_clients_refused_total", "how many clients were refused there, for their address or their number", "pool"),
		sentinelLogins:   desc("nuthatch_sentinel_logins_failed_total", "how often a client said a wrong name or password there", "pool"),
		sentinelSwitches: desc("nuthatch_sentinel_switches_total", "how often a client was told there to use another proxy", "pool"),
	}
}

// Describe implements prometheus.Collector.
func (c *emulatedCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.nodes, c.slots, c.peers, c.sentinelClients, c.sentinelRefused, c.sentinelLogins, c.sentinelSwitches} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *emulatedCollector) Collect(out chan<- prometheus.Metric) {
	conf, _ := c.in.InForce()
	s := &scrape{out: out}
	for i := range conf.Pools {
		name := conf.Pools[i].Name
		about := c.in.Emulated(name)
		if about == nil {
			continue
		}
		slots, states := 0, make(map[string]int)
		for _, n := range about.Nodes {
			if n.Self {
				slots = n.Last - n.First + 1
			}
		}
		for j := range about.Peers {
			states[about.Peers[j].State]++
		}
		s.gauge(c.nodes, float64(len(about.Nodes)), name)
		if about.Cluster {
			s.gauge(c.slots, float64(slots), name)
		}
		if t := about.Sentinel; t != nil {
			s.gauge(c.sentinelClients, float64(t.Clients), name)
			s.counter(c.sentinelRefused, float64(t.Refused), name)
			s.counter(c.sentinelLogins, float64(t.LoginsFailed), name)
			s.counter(c.sentinelSwitches, float64(t.Switches), name)
		}
		for state, n := range states {
			s.gauge(c.peers, float64(n), name, state)
		}
	}
}
