package top

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
)

// A row is what is shown of a server; of a pool, what its servers have in sum.
// Rates are per second, times in seconds; unknown where they cannot be told.
type row struct {
	pool, name, address    string
	state, reason, service string
	since                  time.Duration // how long it is in its state; 0 is not known

	requests, failed, bytes float64
	p50, p99                float64
	queued                  float64 // requests to be sent, and sent without a reply
	connections             float64
	share                   float64

	// of a pool
	clients     float64
	up, servers int
	// since the sample before, for the view over time
	nowRequests, nowFailed float64
	paused                 bool
	pausedFor              time.Duration // until it ends by itself
	// of a server: how many error replies it gave, by prefix
	errors []string
	// of a node of a cluster: what it is, how many slots it has, and how many redirects it
	// gave, by kind
	role      string
	slots     float64
	redirects []string
	inCluster bool
	// of a server of a pool that reads from replicas: how many bytes it is behind, and what
	// else it said of itself
	lag     float64
	replica string
	// of a primary that Sentinel knows: its name and address there, the epoch of that, when it
	// was found there (0: it has not moved), and why it cannot be found
	primary  string
	epoch    float64
	switched time.Duration
	lost     string
}

// A sample is the proxy at one moment.
type sample struct {
	info     api.Info
	at       time.Time
	window   *api.Window   // that rates and times are of; nil: the answer has none
	elapsed  time.Duration // since the sample before; 0 if there is none
	pools    []row
	servers  []row
	failures []failure
	// sentinels are the lines of what sentinels know, and of these.
	sentinels []entry
	// Of another question than that for pools there are only the lines of its view,
	// and how many there would be.
	entries []entry
	total   int
}

// counters are kept of a sample to make the next one's rates.
type counters map[string]int64

// A meter makes rates of counters. It is used by one goroutine.
type meter struct {
	before, after counters
	at            time.Time
	elapsed       float64 // seconds since the sample before; 0 if there is none
}

// of is the rate of a counter. Of one that was not there before it is unknown, and
// so it is of one that went back: that is another process.
func (m *meter) of(name string, v int64) float64 {
	m.after[name] = v
	before, ok := m.before[name]
	if !ok || v < before || m.elapsed <= 0 {
		return unknown
	}
	return float64(v-before) / m.elapsed
}

// makeSample makes a sample of the API's answers.
func (m *meter) makeSample(info *api.Info, pools *api.Pools) *sample {
	m.before, m.after = m.after, counters{}
	m.elapsed = 0
	if !m.at.IsZero() {
		m.elapsed = pools.Time.Sub(m.at).Seconds()
	}
	m.at = pools.Time
	s := &sample{info: *info, at: pools.Time, window: pools.Window, elapsed: time.Duration(m.elapsed * float64(time.Second))}
	s.sentinels = sentinelEntries(pools.Pools, pools.Time)
	for i := range pools.Pools {
		p := &pools.Pools[i]
		total := m.pool(p)
		s.failures = append(s.failures, m.failures(p.Name, "", p.Reasons["failed_requests"])...)
		for j := range p.Servers {
			v := &p.Servers[j]
			one := m.server(p.Name, v, pools.Time)
			one.isKnown(p.Sentinels, v.Address, pools.Time)
			s.failures = append(s.failures, m.failures(p.Name, v.Name, v.Reasons["failed_requests"])...)
			s.failures = append(s.failures, m.failures(p.Name, v.Name, replies(v.ErrorReplies))...)
			total.queued += one.queued
			total.connections += one.connections
			total.bytes += one.bytes
			if one.state == up {
				total.up++
			}
			s.servers = append(s.servers, one)
		}
		s.pools = append(s.pools, total)
	}
	return s
}

func (m *meter) pool(p *api.Pool) row {
	r := row{
		name: plain(p.Name), address: plain(p.Listen), clients: float64(p.Clients), servers: len(p.Servers), paused: p.Paused,
		requests: m.of(p.Name+"\nrequests", p.Counters["client_requests"]),
		failed:   m.of(p.Name+"\nfailed", total(p.Reasons["failed_requests"])),
	}
	r.nowRequests, r.nowFailed = r.requests, r.failed
	r.p50, r.p99 = percentiles(p.Latency)
	if p.PausedUntil != nil {
		r.pausedFor = p.PausedUntil.Sub(m.at)
	}
	r.ofWindow(p.Recent)
	return r
}

// ofWindow takes the rates that the proxy tells of the window, whoever asks, in place of
// those since the sample before.
func (r *row) ofWindow(recent *api.Rates) {
	if recent != nil {
		r.requests, r.failed, r.bytes = recent.Requests, recent.Failed, recent.RequestBytes+recent.ResponseBytes
	}
}

func (m *meter) server(pool string, s *api.Server, now time.Time) row {
	key := pool + "\n" + s.Name + "\n"
	r := row{
		pool: plain(pool), name: plain(s.Name), address: plain(s.Address),
		state: plain(s.State), reason: plain(s.Reason), service: plain(s.Service),
		requests:    m.of(key+"requests", s.Counters["requests"]),
		failed:      m.of(key+"failed", total(s.Reasons["failed_requests"])),
		bytes:       m.of(key+"bytes", s.Counters["request_bytes"]+s.Counters["response_bytes"]),
		queued:      float64(s.Counters["in_queue"] + s.Counters["out_queue"]),
		connections: float64(s.Counters["server_connections"]),
		share:       s.Share,
	}
	if s.Since != nil {
		r.since = now.Sub(*s.Since)
	}
	r.p50, r.p99 = percentiles(s.Latency)
	r.ofWindow(s.Recent)
	r.slots = unknown
	if n := s.Node; n != nil {
		r.role, r.slots, r.inCluster = n.Role, float64(n.Slots), true
		for _, kind := range redirectKinds {
			if n := s.Counters[kind.counter]; n > 0 {
				r.redirects = append(r.redirects, fmt.Sprintf("%s %s", count(float64(n)), kind.said))
			}
		}
	}
	r.replicates(s.Replication)
	for _, prefix := range slices.Sorted(maps.Keys(s.ErrorReplies)) {
		r.errors = append(r.errors, fmt.Sprintf("%s %s", count(float64(s.ErrorReplies[prefix])), plain(prefix)))
	}
	return r
}

// replicates notes what a server said of itself; nil: nothing.
func (r *row) replicates(s *api.Replication) {
	r.lag = unknown
	if s == nil {
		return
	}
	r.role = s.Role
	words := []string{s.Role}
	if s.Of != "" {
		words = append(words, "of "+plain(s.Of))
	}
	if s.State != "" && s.State != "fit" {
		words = append(words, "not read from: "+strings.ReplaceAll(s.State, "_", " "))
	}
	if s.Zone != "" {
		words = append(words, "in zone "+plain(s.Zone))
	}
	if s.Lag != nil {
		r.lag = float64(*s.Lag)
	}
	r.replica = strings.Join(words, " ")
}

// isKnown notes what sentinels say of a server that is written as sentinel://name.
func (r *row) isKnown(s *api.Sentinels, address string, now time.Time) {
	r.epoch = unknown
	name, is := strings.CutPrefix(address, "sentinel://")
	if s == nil || !is {
		return
	}
	for i := range s.Primaries {
		p := &s.Primaries[i]
		if p.Name != name {
			continue
		}
		r.role, r.primary, r.lost = "primary", plain(p.Name), plain(p.Problem)
		if p.Address != "" {
			r.epoch = float64(p.Epoch)
			r.primary += " at " + plain(p.Address)
		}
		if p.Switched != nil {
			r.switched = now.Sub(*p.Switched)
		}
	}
}

// redirectKinds are the counters of redirects, and what a node said.
var redirectKinds = []struct{ counter, said string }{
	{"redirects_moved", "MOVED"}, {"redirects_ask", "ASK"}, {"redirects_tryagain", "TRYAGAIN"}, {"redirects_unready", "not ready"},
}

// failures are those of a pool, or of a server, by reason. A reason that was not
// there before has begun from nothing.
func (m *meter) failures(pool, server string, reasons map[string]int64) []failure {
	list := make([]failure, 0, len(reasons))
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		name := pool + "\n" + server + "\nreason\n" + reason
		if _, ok := m.before[name]; !ok && m.before[watched(pool, server)] == 1 {
			m.before[name] = 0
		}
		n := reasons[reason]
		list = append(list, failure{plain(pool), plain(server), plain(reason), m.of(name, n), float64(n)})
	}
	m.after[watched(pool, server)] = 1
	return list
}

// replies are error replies, named as reasons.
func replies(errors map[string]int64) map[string]int64 {
	named := make(map[string]int64, len(errors))
	for prefix, n := range errors {
		named["reply "+prefix] = n
	}
	return named
}

// watched is the mark, among the counters, of a pool or server that has been seen.
func watched(pool, server string) string { return pool + "\n" + server + "\nwatched" }

// total is the sum over all reasons.
func total(reasons map[string]int64) int64 {
	var n int64
	for _, v := range reasons {
		n += v
	}
	return n
}

// percentiles are those of the last seconds, or since the start if the proxy does
// not tell.
func percentiles(l *api.Latency) (p50, p99 float64) {
	switch {
	case l == nil:
		return unknown, unknown
	case l.Recent == nil:
		return float64(l.P50), float64(l.P99)
	case l.Recent.Count == 0:
		return unknown, unknown
	}
	return float64(l.Recent.P50), float64(l.Recent.P99)
}

// sum adds what is known of the rows; it is unknown if nothing is.
func sum(rows []row, of func(*row) float64) float64 {
	sum, known := 0.0, false
	for i := range rows {
		if v := of(&rows[i]); !math.IsNaN(v) {
			sum, known = sum+v, true
		}
	}
	if !known {
		return unknown
	}
	return sum
}

// most is the greatest of what is known of the rows.
func most(rows []row, of func(*row) float64) float64 {
	most := unknown
	for i := range rows {
		if v := of(&rows[i]); math.IsNaN(most) || v > most {
			most = v
		}
	}
	return most
}
