package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// maxScrapes is how many scrapes are answered at a time.
const maxScrapes = 4

// metricsHandler answers GET /metrics.
func metricsHandler(in Instance, snapshots *snapshots, latencies *latencies) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(in, snapshots, latencies),
		newClusterCollector(in),
		newEmulatedCollector(in),
		newReplicaCollector(in),
		newUserCollector(in),
		newTracesCollector(in),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true})
}

// A metric is made from a row of a field table.
type metric struct {
	desc *prometheus.Desc
	// old has the name of the release before; nil if that is the same.
	old   *prometheus.Desc
	kind  prometheus.ValueType
	field stats.Field
}

// A collector makes the metrics of one scrape from one snapshot. Each row of the
// field tables of package stats is a metric. The rest are states of pools, servers
// and the program.
//
// There are as many series as the configuration has pools and servers, times the
// rows of the tables. Reasons and error replies that mean a fault have their series from
// the start (metrics_first.go), others from their first occurrence on.
type collector struct {
	in        Instance
	snapshots *snapshots
	latencies *latencies

	pool, server, loop         []metric
	poolReasons, serverReasons []metric
	serverErrors               []metric

	build, engine, ready, poolPaused, loopCPU                 *prometheus.Desc
	serverUp, serverInService, serverState, serverShare       *prometheus.Desc
	maxPrivate                                                *prometheus.Desc
	memoryHeld, memorySoft, memoryHard, memoryMax, maxClients *prometheus.Desc
	clientTime, serverTime, events                            *prometheus.Desc
	reloadOK, reloadAt, commands, checkTime                   *prometheus.Desc
	history, historyMax                                       *prometheus.Desc
	certificateUntil, certificateRefused                      *prometheus.Desc
}

func newCollector(in Instance, s *snapshots, l *latencies) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &collector{
		in: in, snapshots: s, latencies: l,
		pool:          metricsOf(stats.PoolFields[:], "pool"),
		server:        metricsOf(stats.ServerFields[:], "pool", "server"),
		loop:          metricsOf(stats.LoopFields[:], "loop"),
		poolReasons:   metricsOf(stats.PoolVectors[:], "pool", "reason"),
		serverReasons: metricsOf(stats.ServerVectors[:], "pool", "server", "reason"),
		serverErrors:  metricsOf([]stats.Field{stats.ServerErrors}, "pool", "server", "error"),

		build:      desc("nuthatch_build_info", "always 1; the labels say what runs", "program", "version", "revision", "go"),
		engine:     desc("nuthatch_engine_info", "always 1; the label says what the event loops run on", "engine"),
		ready:      desc("nuthatch_ready", "1 if /readyz says so"),
		poolPaused: desc("nuthatch_pool_paused", "1 if the requests of the pool wait", "pool"),
		serverUp:   desc("nuthatch_server_up", "1 if the server is up: no fault of it is known", "pool", "server"),
		serverInService: desc("nuthatch_server_in_service",
			"1 if the server gets the requests for its keys, whether or not it answers", "pool", "server"),
		serverState: desc("nuthatch_server_state", "1 for the state that the server is in, 0 for all others", "pool", "server", "state"),
		maxPrivate:  desc("nuthatch_server_max_private_connections", "how many private connections clients may have to the server", "pool", "server"),
		serverShare: desc("nuthatch_server_ring_ratio", "the part of the pool's keys that the server owns now", "pool", "server"),
		loopCPU:     desc("nuthatch_loop_cpu_seconds_total", "time that the event loop's thread has run", "loop"),
		memoryHeld:  desc("nuthatch_memory_held_bytes", "what the event loops hold together for clients and what they have in flight"),
		memorySoft:  desc("nuthatch_memory_soft_limit_bytes", "what the event loops may hold before clients wait"),
		memoryHard:  desc("nuthatch_memory_hard_limit_bytes", "what the event loops may hold before they read from hardly any client"),
		memoryMax:   desc("nuthatch_memory_max_bytes", "max_memory, as it is in force"),
		maxClients:  desc("nuthatch_max_clients", "the most clients that there are descriptors for"),
		clientTime: desc("nuthatch_client_request_duration_seconds",
			"time from when a request was taken until its reply went out; outcome: ok, or failed if the proxy answered with an error of its own",
			"pool", "family", "outcome"),
		serverTime: desc("nuthatch_server_request_duration_seconds",
			"time from when a request was sent to the server until its reply came", "pool", "server", "family"),
		events: desc("nuthatch_events_total", "what has happened, by its kind in the API", "kind"),
		reloadOK: desc("nuthatch_config_last_reload_successful",
			"0 if the last reload was refused, and the old configuration stays in force"),
		reloadAt: desc("nuthatch_config_last_reload_success_timestamp_seconds",
			"when the configuration in force was read: at the start, or by a reload"),
		history:    desc("nuthatch_history_memory_bytes", "what the history of the last hour takes"),
		historyMax: desc("nuthatch_history_memory_max_bytes", "history_memory, as it is in force"),
		commands:   desc("nuthatch_client_commands_total", "requests taken from clients, by command, of those in use", "pool", "command"),
		certificateUntil: desc("nuthatch_tls_certificate_expiry_timestamp_seconds",
			"when the first certificate of a block of TLS ends; block: tls, server_tls, sentinel_tls, admin_tls", "pool", "block"),
		certificateRefused: desc("nuthatch_tls_certificate_refused",
			"1 if the files of a block of TLS cannot be used as they are: what was read before stays in use", "pool", "block"),
		checkTime: desc("nuthatch_server_health_check_duration_seconds",
			"how many health checks of the server are over, and how long they took", "pool", "server"),
	}
}

// oldNames are the old names of metrics by their new ones.
var oldNames = func() map[string]string {
	names := make(map[string]string, len(stats.Renamed))
	for _, r := range stats.Renamed {
		names[r.New] = r.Old
	}
	return names
}()

func metricsOf(rows []stats.Field, labels ...string) []metric {
	made := make([]metric, len(rows))
	for i, row := range rows {
		made[i] = metric{
			desc:  prometheus.NewDesc(row.Prom, row.PromHelp(), labels, nil),
			kind:  prometheus.GaugeValue,
			field: row,
		}
		if row.Kind == stats.Counter {
			made[i].kind = prometheus.CounterValue
		}
		if was := oldNames[row.Prom]; was != "" {
			made[i].old = prometheus.NewDesc(was, "old name of "+row.Prom, labels, nil)
		}
	}
	return made
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, rows := range [][]metric{c.pool, c.server, c.loop, c.poolReasons, c.serverReasons, c.serverErrors} {
		for _, m := range rows {
			out <- m.desc
			if m.old != nil {
				out <- m.old
			}
		}
	}
	for _, d := range []*prometheus.Desc{
		c.build, c.engine, c.ready, c.poolPaused, c.serverUp, c.serverInService, c.serverState, c.serverShare, c.maxPrivate, c.loopCPU,
		c.memoryHeld, c.memorySoft, c.memoryHard, c.memoryMax, c.maxClients,
		c.clientTime, c.serverTime, c.events,
		c.reloadOK, c.reloadAt, c.commands, c.checkTime, c.history, c.historyMax, c.certificateUntil, c.certificateRefused,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	conf, topo := c.in.InForce()
	s := &scrape{out: out, oldNames: conf.Process.MetricsOldNames}
	facts := c.in.Facts()
	s.gauge(c.build, 1, facts.Program, facts.Version, facts.Revision, facts.Go)
	s.gauge(c.engine, 1, facts.Engine)
	s.gauge(c.ready, flag(len(notReady(c.in)) == 0))
	for k := range events.NumKinds {
		s.counter(c.events, float64(c.in.Events().Count(k)), k.String())
	}
	at, refused := reloads(&facts, c.in.Events())
	s.gauge(c.reloadOK, flag(!refused))
	s.gauge(c.reloadAt, float64(at.UnixMilli())/1e3)
	snap, _ := c.snapshots.get()
	if snap == nil {
		return // the proxy ends
	}
	c.collectLoops(s, snap)
	first := hasFirst(conf)
	ofServer := firstServer
	if !first {
		ofServer = make([]reasonSet, len(firstServer))
	}
	for i := range snap.Pools {
		p := &snap.Pools[i]
		s.values(c.pool, p.Values[:], p.Name)
		s.reasons(c.poolReasons, firstPool, p.Vectors[:], p.Name)
		for j := range p.Servers {
			s.values(c.server, p.Servers[j].Values[:], p.Name, p.Servers[j].Name)
			s.reasons(c.serverReasons, ofServer, p.Servers[j].Vectors[:], p.Name, p.Servers[j].Name)
			for prefix, n := range errorReplies(&p.Servers[j], snap.ErrorNames, first) {
				s.values(c.serverErrors, []int64{n}, p.Name, p.Servers[j].Name, prefix)
			}
		}
	}
	c.collectTimes(s, conf)
	for i := range conf.Pools {
		c.collectStates(s, &conf.Pools[i], topo[i])
	}
}

func (c *collector) collectLoops(s *scrape, snap *stats.Snapshot) {
	for i := range snap.Loops {
		s.values(c.loop, snap.Loops[i][:], strconv.Itoa(i))
	}
	process, loops, err := c.in.Usage()
	if err != nil {
		return // the proxy ends
	}
	c.collectLimits(s, &process)
	for _, l := range loops {
		s.counter(c.loopCPU, l.CPU, strconv.Itoa(l.ID))
	}
}

// collectLimits writes how near the process is to its bounds. An unknown bound
// is left out, as 0 would mean none.
func (c *collector) collectLimits(s *scrape, p *api.ProcessInfo) {
	s.gauge(c.memoryHeld, float64(p.HeldMemory))
	if p.MaxMemory > 0 {
		s.gauge(c.memorySoft, float64(p.SoftMemory))
		s.gauge(c.memoryHard, float64(p.HardMemory))
		s.gauge(c.memoryMax, float64(p.MaxMemory))
	}
	used, limit := c.latencies.recorder.Memory()
	s.gauge(c.history, float64(used))
	s.gauge(c.historyMax, float64(limit))
	if p.MaxClients > 0 {
		s.gauge(c.maxClients, float64(p.MaxClients))
	}
	for _, of := range p.Certificates {
		if of.Until != nil {
			s.gauge(c.certificateUntil, float64(of.Until.Unix()), of.Pool, of.Block)
		}
		s.gauge(c.certificateRefused, flag(of.Refused != ""), of.Pool, of.Block)
	}
}

// collectStates writes the states of a pool and its servers.
func (c *collector) collectStates(s *scrape, p *config.Pool, t *topology.Topology) {
	s.gauge(c.poolPaused, flag(!c.in.PausedUntil(p.Name).IsZero()), p.Name)
	snap := t.Snapshot()
	shares := snap.Shares()
	for i, server := range snap.Servers {
		name, now := snap.Names[i], server.State().State
		s.gauge(c.serverUp, flag(now == topology.Up), p.Name, name)
		s.gauge(c.serverInService, flag(server.Passes()), p.Name, name)
		s.gauge(c.serverShare, shares[i], p.Name, name)
		s.gauge(c.maxPrivate, float64(p.PrivateConnections), p.Name, name)
		if p.HealthCheck.Interval > 0 {
			n, took, _ := server.Checks()
			s.out <- prometheus.MustNewConstSummary(c.checkTime, uint64(n), took.Seconds(), nil, valid([]string{p.Name, name})...)
		}
		for _, state := range topology.States {
			s.gauge(c.serverState, flag(now == state), p.Name, name, state.String())
		}
	}
}

// A scrape writes the samples of one answer.
type scrape struct {
	out chan<- prometheus.Metric
	// oldNames: renamed metrics have a sample under their old name too.
	oldNames bool
	// firstFamilies are the families whose times have series from the start, of the pool at hand.
	firstFamilies [msg.NumFamilies]bool
}

func (s *scrape) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.sample(d, prometheus.GaugeValue, v, labels)
}

func (s *scrape) counter(d *prometheus.Desc, v float64, labels ...string) {
	s.sample(d, prometheus.CounterValue, v, labels)
}

// sample writes one sample.
func (s *scrape) sample(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	s.out <- prometheus.MustNewConstMetric(d, kind, v, valid(labels)...)
}

// valid makes labels UTF-8, in place: an invalid one would spoil the whole answer.
func valid(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "?")
	}
	return labels
}

// row writes a value of a table's row.
func (s *scrape) row(m *metric, v int64, labels []string) {
	s.sample(m.desc, m.kind, m.field.Unit.Base(v), labels)
	if s.oldNames && m.old != nil {
		s.sample(m.old, m.kind, m.field.Unit.Base(v), labels)
	}
}

// values writes the values of a table's rows.
func (s *scrape) values(rows []metric, values []int64, labels ...string) {
	for i := range rows {
		m := &rows[i]
		s.row(m, values[i], labels)
	}
}

// reasons writes the values of the rows that are counted by reason: those of the reasons
// in first, and those that are not 0.
func (s *scrape) reasons(rows []metric, first []reasonSet, values []stats.Reasons, labels ...string) {
	for i := range rows {
		m := &rows[i]
		for r := range int(msg.NumReasons) {
			if n := values[i][r]; n != 0 || first[i][r] {
				s.row(m, n, append(slices.Clip(labels), msg.Reason(r).Name()))
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

// collectTimes writes how long requests took, by families of commands: those in use and, if
// series are there from the start, those that a pool's protocol has.
func (c *collector) collectTimes(s *scrape, conf *config.Config) {
	times, err := c.latencies.get(Windows[0])
	if err != nil {
		return // the proxy ends
	}
	traced := exemplars(c.in.Traces().Examples, times.pools)
	for i := range times.pools {
		p := &times.pools[i]
		for name, n := range p.Calls() {
			s.counter(c.commands, float64(n), p.Name, name)
		}
		s.firstFamilies = firstFamilies(conf, p.Name)
		ok, failed := p.Families(), p.Failures()
		for f := range ok {
			of := exemplarKey{p.Name, msg.Family(f), false}
			s.ofFamily(of.family, traced[of], c.clientTime, &ok[f], clientSteps, p.Name, of.family.String(), outcomeOK)
			of.failed = true
			s.ofFamily(of.family, traced[of], c.clientTime, &failed[f], clientSteps, p.Name, of.family.String(), outcomeFailed)
		}
		for j := range p.Servers {
			for f := range p.Servers[j].Families {
				s.ofFamily(msg.Family(f), nil, c.serverTime, &p.Servers[j].Families[f], serverSteps, p.Name, p.Servers[j].Name, msg.Family(f).String())
			}
		}
	}
}
