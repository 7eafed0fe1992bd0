package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// replication is what the server at that place has said of itself; nil: the pool does not
// read from replicas, or it is neither a replica nor the primary of one.
func (n *present) replication(p *config.Pool, snap *topology.Snapshot, place int) *api.Replication {
	if !p.ReadsReplicas() {
		return nil
	}
	s, of := snap.Servers[place].Standing(), snap.PrimaryOf(place)
	if s == nil && of < 0 {
		return nil
	}
	if s == nil {
		s = &topology.Standing{Replica: true, Why: topology.NotAsked, Lag: -1}
	}
	shown := &api.Replication{Role: topology.Primary.String(), Zone: s.Zone, Silence: s.Silence.Seconds()}
	if s.Replica {
		shown.Role = topology.Replica.String()
	}
	if of >= 0 {
		shown.Of, shown.State = snap.Names[of], s.Why.String()
		if s.Why != topology.Fit {
			shown.Why = s.Reason()
		}
	}
	if s.Lag >= 0 {
		shown.Lag = &s.Lag
	}
	if s.At != 0 {
		at := n.in.Wall(s.At)
		shown.Asked = &at
	}
	return shown
}

// A replicaCollector makes the metrics of replicas.
type replicaCollector struct {
	in Instance

	fit, lag, silence, zone *prometheus.Desc
}

func newReplicaCollector(in Instance) *replicaCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &replicaCollector{
		in:      in,
		fit:     desc("nuthatch_replica_fit", "1 if the replica is read from, and 0 if it is not; state says why", "pool", "server", "state"),
		lag:     desc("nuthatch_replica_lag_bytes", "how many bytes the replica was behind its primary when it was asked last", "pool", "server"),
		silence: desc("nuthatch_replica_silence_seconds", "how long the replica had heard nothing of its primary when it was asked last", "pool", "server"),
		zone:    desc("nuthatch_server_zone", "1 for the zone that the server is in, in a pool that reads from replicas", "pool", "server", "zone"),
	}
}

// Describe implements prometheus.Collector.
func (c *replicaCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.fit, c.lag, c.silence, c.zone} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *replicaCollector) Collect(out chan<- prometheus.Metric) {
	conf, topo := c.in.InForce()
	s := &scrape{out: out}
	for i := range conf.Pools {
		p := &conf.Pools[i]
		if !p.ReadsReplicas() {
			continue
		}
		snap := topo[i].Snapshot()
		for j, h := range snap.Servers {
			st, name := h.Standing(), snap.Names[j]
			if st == nil {
				continue
			}
			if st.Zone != "" {
				s.gauge(c.zone, 1, p.Name, name, st.Zone)
			}
			if snap.PrimaryOf(j) < 0 {
				continue
			}
			s.gauge(c.fit, flag(st.Why == topology.Fit), p.Name, name, st.Why.String())
			s.gauge(c.silence, st.Silence.Seconds(), p.Name, name)
			if st.Lag >= 0 {
				s.gauge(c.lag, float64(st.Lag), p.Name, name)
			}
		}
	}
}
