package daemon

import (
	"log/slog"
	"slices"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

const (
	// troubleLook is how often the teller looks for servers that are not up.
	// troublePeriod is how often it writes a line about each, and
	// maxCauses is how many other causes of the same trouble it tells at once.
	troubleLook   = time.Second
	troublePeriod = time.Minute
	maxCauses     = 4
)

// A troubleTeller writes a line a minute about each server that goes on failing, with what failed
// meanwhile, and one as soon as the cause is another than was told. The event loops write the lines
// when a server begins to fail and when it answers again.
type troubleTeller struct {
	journal
	snap func() *stats.Snapshot
	// of are the servers that are not up.
	of map[serverID]*trouble
}

type serverID struct{ pool, server string }

// A trouble is a server that is not up: since when, when its next line is due, and
// its counters at the last line.
type trouble struct {
	since, due int64
	at         int64
	counts     stats.ServerSnapshot
	// causes are those that were told: by the loop that found the trouble, and then here. other is
	// the latest that was not, and failures how many there were when it was found.
	causes   []string
	other    string
	failures int64
}

// tellTrouble looks for servers that fail until the instance ends.
func (in *Instance) tellTrouble() {
	t := &troubleTeller{journal: in.journal, snap: in.snapshot, of: make(map[serverID]*trouble)}
	tick := time.NewTicker(troubleLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g := in.current.Load()
			t.look(g.conf, g.topo, in.Now())
		case <-in.life.stopping:
			return
		}
	}
}

// look writes the lines that are due. It asks the loops for counters only if a
// line is due or a server is new.
func (t *troubleTeller) look(conf *config.Config, topo []*topology.Topology, now int64) {
	var counted *stats.Snapshot
	there := make(map[serverID]*trouble)
	for i := range conf.Pools {
		p := &conf.Pools[i]
		snap := topo[i].Snapshot()
		for j, server := range snap.Servers {
			state := server.State()
			if state.State == topology.Up || state.State == topology.Disabled {
				continue
			}
			id := serverID{p.Name, snap.Names[j]}
			known := t.of[id]
			if known != nil && known.since != state.Since {
				known = nil // it was up meanwhile
			}
			if known != nil {
				t.tellCause(p, snap.Server(j), server, known)
			}
			if known != nil && now < known.due {
				there[id] = known
				continue
			}
			if counted == nil {
				if counted = t.snap(); counted == nil {
					return // the proxy ends
				}
			}
			counts := countsOf(counted, id)
			due := max(state.Since, now-int64(troubleLook)) + int64(troublePeriod)
			if known != nil {
				t.logTrouble(p, snap.Server(j), server, known, &counts, now)
				due = max(known.due, now-int64(troubleLook)) + int64(troublePeriod)
			}
			next := &trouble{since: state.Since, due: due, at: now, counts: counts}
			if known != nil {
				next.causes, next.other, next.failures = known.causes, known.other, known.failures
			}
			there[id] = next
		}
	}
	t.of = there
}

// tellCause writes a line if a server that fails does so for a cause that was not told: one that
// was shut down refuses connections first, and then may want TLS. It must be so at two looks, and
// connections that are closed once more: those that were open when a server ends say little.
func (t *troubleTeller) tellCause(p *config.Pool, s *config.Server, h *topology.Health, known *trouble) {
	state := h.State()
	if known.causes == nil { // the loop that found it has written its line by now
		known.causes = []string{h.ToldCause()}
	}
	cause := topology.Cause(p, state.Reason, state.Failures > 1, h.Unanswered())
	if state.Reason == msg.OK || cause == "" || slices.Contains(known.causes, cause) || len(known.causes) > maxCauses {
		return
	}
	if known.other != cause {
		known.other, known.failures = cause, state.Failures
		return
	}
	switch state.Reason {
	case msg.ServerEOF, msg.ConnReset, msg.BrokenPipe:
		if state.Failures <= known.failures {
			return
		}
	default:
	}
	known.causes = append(known.causes, cause)
	text := topology.Subject(s) + " fails otherwise now: " + cause
	t.log.Warn(text, slog.String("pool", p.Name), slog.String("server", s.Text), slog.String("name", s.StatsName()),
		slog.String("reason", state.Reason.Name()), slog.String("cause", cause))
	t.addEvent(events.Event{Kind: events.ServerCause, Pool: p.Name, Server: s.StatsName(), Reason: state.Reason.Name(), Text: text})
}

// countsOf are the counters of a server.
func countsOf(snap *stats.Snapshot, id serverID) stats.ServerSnapshot {
	for i := range snap.Pools {
		if snap.Pools[i].Name != id.pool {
			continue
		}
		servers := snap.Pools[i].Servers
		if j := slices.IndexFunc(servers, func(s stats.ServerSnapshot) bool { return s.Name == id.server }); j >= 0 {
			return servers[j]
		}
	}
	return stats.ServerSnapshot{}
}

// logTrouble writes the line about one server, with what it has counted since the last one.
func (t *troubleTeller) logTrouble(p *config.Pool, s *config.Server, h *topology.Health, before *trouble, counts *stats.ServerSnapshot, now int64) {
	state := h.State()
	attrs := []slog.Attr{
		slog.String("pool", p.Name), slog.String("server", s.Text), slog.String("name", s.StatsName()), slog.String("reason", state.Reason.Name()),
		slog.Duration("after", time.Duration(now-state.Since).Round(time.Second)),
		slog.Duration("in", time.Duration(now-before.at).Round(time.Second)),
	}
	since := func(v stats.ServerVector) (n int64) {
		for r := range msg.NumReasons {
			n += counts.Vectors[v][r] - before.counts.Vectors[v][r]
		}
		return n
	}
	attrs = append(attrs,
		slog.Int64("requests_failed", since(stats.ServerFailedRequests)),
		slog.Int64("connections_failed", since(stats.ClosedConnections)),
		slog.Int64("tried", counts.Values[stats.Dials]-before.counts.Values[stats.Dials]),
		slog.Int64("failed_checks", counts.Values[stats.FailedChecks]-before.counts.Values[stats.FailedChecks]))
	cause := topology.Cause(p, state.Reason, state.Failures > 1, h.Unanswered())
	t.log.Warn(topology.Subject(s)+" still fails: "+cause, append(attrs, slog.String("cause", cause))...)
}
