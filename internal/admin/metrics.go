package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

// maxScrapes is how many scrapes are answered at a time.
const maxScrapes = 4

// metricsHandler answers GET /metrics.
func metricsHandler(in Instance, snapshots *snapshots) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(in, snapshots),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true})
}

// A metric is what is made of one row of a field table.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	field stats.Field
}

// A collector makes the metrics of one scrape from one snapshot. What is counted
// is in the field tables of package stats, each row of which is a metric; the rest
// is how pools, servers and the program are now.
//
// There are as many series as the configuration has pools and servers, times the
// rows of the tables. Of the statistics that are counted by reason, a series is
// there from the first time on.
type collector struct {
	in        Instance
	snapshots *snapshots

	pool, server, loop         []metric
	poolReasons, serverReasons []metric

	build, ready, poolPaused, serverUp, serverState, serverShare, loopCPU *prometheus.Desc
}

func newCollector(in Instance, s *snapshots) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &collector{
		in: in, snapshots: s,
		pool:          metricsOf(stats.PoolFields[:], "pool"),
		server:        metricsOf(stats.ServerFields[:], "pool", "server"),
		loop:          metricsOf(stats.LoopFields[:], "loop"),
		poolReasons:   metricsOf(stats.PoolVectors[:], "pool", "reason"),
		serverReasons: metricsOf(stats.ServerVectors[:], "pool", "server", "reason"),

		build:       desc("nuthatch_build_info", "what runs: always 1", "program", "version", "go"),
		ready:       desc("nuthatch_ready", "1 if /readyz says so"),
		poolPaused:  desc("nuthatch_pool_paused", "1 if the requests of the pool wait", "pool"),
		serverUp:    desc("nuthatch_server_up", "1 if the server gets its requests", "pool", "server"),
		serverState: desc("nuthatch_server_state", "1 for the state that the server is in, 0 for all others", "pool", "server", "state"),
		serverShare: desc("nuthatch_server_ring_ratio", "the part of the pool's keys that the server owns now", "pool", "server"),
		loopCPU:     desc("nuthatch_loop_cpu_seconds_total", "time that the event loop's thread has run", "loop"),
	}
}

func metricsOf(rows []stats.Field, labels ...string) []metric {
	made := make([]metric, len(rows))
	for i, row := range rows {
		made[i] = metric{
			desc:  prometheus.NewDesc(row.Prom, row.Help, labels, nil),
			kind:  prometheus.GaugeValue,
			field: row,
		}
		if row.Kind == stats.Counter {
			made[i].kind = prometheus.CounterValue
		}
	}
	return made
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, rows := range [][]metric{c.pool, c.server, c.loop, c.poolReasons, c.serverReasons} {
		for _, m := range rows {
			out <- m.desc
		}
	}
	for _, d := range []*prometheus.Desc{
		c.build, c.ready, c.poolPaused, c.serverUp, c.serverState, c.serverShare, c.loopCPU,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := &scrape{out: out}
	facts := c.in.Facts()
	s.gauge(c.build, 1, facts.Program, facts.Version, facts.Go)
	s.gauge(c.ready, flag(len(notReady(c.in)) == 0))
	snap, _ := c.snapshots.get()
	if snap == nil {
		return // the proxy ends
	}
	c.collectLoops(s, snap)
	for i := range snap.Pools {
		p := &snap.Pools[i]
		s.values(c.pool, p.Values[:], p.Name)
		s.reasons(c.poolReasons, p.Vectors[:], p.Name)
		for j := range p.Servers {
			s.values(c.server, p.Servers[j].Values[:], p.Name, p.Servers[j].Name)
			s.reasons(c.serverReasons, p.Servers[j].Vectors[:], p.Name, p.Servers[j].Name)
		}
	}
	conf, topo := c.in.InForce()
	for i := range conf.Pools {
		c.collectStates(s, &conf.Pools[i], topo[i])
	}
}

func (c *collector) collectLoops(s *scrape, snap *stats.Snapshot) {
	for i := range snap.Loops {
		s.values(c.loop, snap.Loops[i][:], strconv.Itoa(i))
	}
	_, loops, err := c.in.Usage()
	if err != nil {
		return // the proxy ends
	}
	for _, l := range loops {
		s.counter(c.loopCPU, l.CPU, strconv.Itoa(l.ID))
	}
}

// collectStates tells how a pool and its servers are.
func (c *collector) collectStates(s *scrape, p *config.Pool, t *proxy.Topology) {
	s.gauge(c.poolPaused, flag(!c.in.PausedUntil(p.Name).IsZero()), p.Name)
	shares := t.Ring().Continuum.Shares(p.Hash)
	for i := range p.Servers {
		name, now := p.Servers[i].StatsName(), t.State(i).State
		s.gauge(c.serverUp, flag(now == proxy.Up || now == proxy.Failing), p.Name, name)
		s.gauge(c.serverShare, shares[i], p.Name, name)
		for _, state := range proxy.States {
			s.gauge(c.serverState, flag(now == state), p.Name, name, state.String())
		}
	}
}

// A scrape writes the samples of one answer.
type scrape struct{ out chan<- prometheus.Metric }

func (s *scrape) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.sample(d, prometheus.GaugeValue, v, labels)
}

func (s *scrape) counter(d *prometheus.Desc, v float64, labels ...string) {
	s.sample(d, prometheus.CounterValue, v, labels)
}

// sample writes one sample. A name that is no UTF-8 would spoil the whole answer.
func (s *scrape) sample(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "?")
	}
	s.out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
}

// values writes the values of a table's rows.
func (s *scrape) values(rows []metric, values []int64, labels ...string) {
	for i := range rows {
		m := &rows[i]
		s.sample(m.desc, m.kind, m.field.Unit.Base(values[i]), labels)
	}
}

// reasons writes the values that are not 0 of the rows that are counted by
// reason.
func (s *scrape) reasons(rows []metric, values []stats.Reasons, labels ...string) {
	for i := range rows {
		m := &rows[i]
		for r := range int(msg.NumReasons) {
			if n := values[i][r]; n != 0 {
				s.sample(m.desc, m.kind, m.field.Unit.Base(n), append(labels[:len(labels):len(labels)], msg.Reason(r).Name()))
			}
		}
	}
}

func flag(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
