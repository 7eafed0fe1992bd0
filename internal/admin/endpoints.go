package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// The read endpoints.

const (
	// aliveTimeout is how long a loop may take to have a turn.
	aliveTimeout = 5 * time.Second
	// defaultClients and maxClients are how many clients are shown.
	defaultClients, maxClients = 100, 1000
)

// healthz says whether the process works at all: every event loop turns.
func (h *handler) healthz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), aliveTimeout)
	defer cancel()
	if err := h.Instance.Alive(ctx); err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, api.Health{Done: "alive"})
}

// readyz says whether clients should be sent here.
func (h *handler) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := notReady(h.Instance); len(why) > 0 {
		write(w, http.StatusServiceUnavailable, api.Fault{Error: "not ready", Reasons: why})
		return
	}
	answer(w, api.Health{Done: "ready"})
}

// notReady is why no clients should be sent here; empty if they should.
func notReady(in Instance) []string {
	if !in.Ready() {
		return []string{"draining"}
	}
	conf, topo := in.InForce()
	var why []string
	for i := range conf.Pools {
		servers := topo[i].Servers()
		up, n := 0, len(servers)
		for _, s := range servers {
			if s.State().State == topology.Up {
				up++
			}
		}
		if up*100 < conf.Process.ReadyServers*n {
			why = append(why, fmt.Sprintf("pool %q: %d of %d servers are up, less than %d%%",
				conf.Pools[i].Name, up, n, conf.Process.ReadyServers))
		}
	}
	return why
}

func (h *handler) info(w http.ResponseWriter, _ *http.Request) {
	process, loops, err := h.Instance.Usage()
	if err != nil {
		refuse(w, err)
		return
	}
	snap, _ := h.snapshots.get()
	if snap == nil {
		refuse(w, ErrEnding)
		return
	}
	info := h.Instance.Facts()
	info.NotReady = notReady(h.Instance)
	info.Ready = len(info.NotReady) == 0
	process.Connections, process.TotalConnections = snap.CurrConnections, snap.TotalConnections
	h.Recorder.busy(loops)
	process.HistoryMemory, process.MaxHistoryMemory = h.Recorder.Memory()
	info.Process, info.Loops, info.LastReload = process, loops, lastReload(h.Instance.Events())
	for i := range min(len(loops), len(snap.Loops)) {
		loops[i].Counters = countersOf(stats.LoopFields[:], snap.Loops[i][:])
	}
	answer(w, info)
}

func (h *handler) fields(w http.ResponseWriter, _ *http.Request) {
	answer(w, api.Fields{
		Pool: fieldsOf(stats.PoolFields[:]), Server: fieldsOf(stats.ServerFields[:]), Loop: fieldsOf(stats.LoopFields[:]),
		PoolReasons: fieldsOf(stats.PoolVectors[:]), ServerReasons: fieldsOf(stats.ServerVectors[:]),
		ServerErrors: fieldsOf([]stats.Field{stats.ServerErrors}),
		Events:       eventKinds(),
	})
}

func fieldsOf(rows []stats.Field) []api.Field {
	shown := make([]api.Field, len(rows))
	for i, row := range rows {
		shown[i] = api.Field{
			Name: row.Name, Kind: row.Kind.String(), Unit: row.Unit.String(), Metric: row.Prom, Help: row.Help,
		}
	}
	return shown
}

// countersOf names the values of a table's rows.
func countersOf(rows []stats.Field, values []int64) map[string]int64 {
	named := make(map[string]int64, len(rows))
	for i, row := range rows {
		named[row.Name] = values[i]
	}
	return named
}

// reasonsOf names the values of a table's rows that are counted by reason.
func reasonsOf(rows []stats.Field, values []stats.Reasons) map[string]map[string]int64 {
	named := make(map[string]map[string]int64, len(rows))
	for i, row := range rows {
		byReason := make(map[string]int64)
		for r := range msg.NumReasons {
			if n := values[i][r]; n != 0 {
				byReason[msg.Reason(r).Name()] = n
			}
		}
		named[row.Name] = byReason
	}
	return named
}

func (h *handler) pools(w http.ResponseWriter, r *http.Request) {
	of, ok := windowAsked(w, r)
	if !ok {
		return
	}
	pools, at, err := h.poolsNow(r.FormValue("pool"), of)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, api.Pools{Time: at, Pools: pools})
}

func (h *handler) servers(w http.ResponseWriter, r *http.Request) {
	of, ok := windowAsked(w, r)
	if !ok {
		return
	}
	pools, at, err := h.poolsNow(r.FormValue("pool"), of)
	if err != nil {
		refuse(w, err)
		return
	}
	list := api.Servers{Time: at, Servers: []api.Server{}}
	for i := range pools {
		list.Servers = append(list.Servers, pools[i].Servers...)
	}
	answer(w, list)
}

// poolsNow is the pool of that name, or all if the name is empty, and the time
// of the snapshot. What is recent is of a window.
func (h *handler) poolsNow(name string, of time.Duration) ([]api.Pool, time.Time, error) {
	snap, at := h.snapshots.get()
	if snap == nil {
		return nil, at, ErrEnding
	}
	times, err := h.latencies.get(of)
	if err != nil {
		return nil, at, err
	}
	window := h.Recorder.windowOf(snap, at, of)
	conf, topo := h.Instance.InForce()
	pools := []api.Pool{}
	for i := range conf.Pools {
		p := &conf.Pools[i]
		if name != "" && p.Name != name {
			continue
		}
		// A reload may have come between the snapshot and the configuration.
		j := slices.IndexFunc(snap.Pools, func(s stats.PoolSnapshot) bool { return s.Name == p.Name })
		var counted stats.PoolSnapshot
		if j >= 0 {
			counted = snap.Pools[j]
		}
		shown := h.pool(p, topo[i], &counted, snap.ErrorNames)
		shown.Latency, shown.Recent = times.of(p.Name, ""), window.rates(serverKey{pool: p.Name})
		for j := range shown.Servers {
			s := &shown.Servers[j]
			s.Latency, s.Recent = times.of(p.Name, s.Name), window.rates(serverKey{p.Name, s.Name})
		}
		pools = append(pools, shown)
	}
	if len(pools) == 0 {
		return nil, at, fmt.Errorf("%w: %q", ErrNoPool, name)
	}
	return pools, at, nil
}

func (h *handler) pool(p *config.Pool, t *topology.Topology, counted *stats.PoolSnapshot, errorNames []string) api.Pool {
	shown := api.Pool{
		Name: p.Name, Protocol: p.Protocol.String(), Listen: p.Listen.String(),
		Hash: p.Hash.String(), HashTag: p.HashTag, Distribution: p.Distribution.String(),
		Clients: t.Clients(), MaxClients: p.ClientConnections,
		Counters: countersOf(stats.PoolFields[:], counted.Values[:]),
		Reasons:  reasonsOf(stats.PoolVectors[:], counted.Vectors[:]),
		Servers:  make([]api.Server, 0, len(counted.Servers)),
	}
	if until := h.Instance.PausedUntil(p.Name); !until.IsZero() {
		since := h.Instance.PausedSince(p.Name)
		shown.Paused, shown.PausedUntil, shown.PausedSince, shown.PausedBy = true, &until, &since, h.Instance.PausedBy(p.Name)
	}
	servers := make(map[string]*stats.ServerSnapshot, len(counted.Servers))
	for i := range counted.Servers {
		servers[counted.Servers[i].Name] = &counted.Servers[i]
	}
	snap := t.Snapshot()
	shares := snap.Shares()
	for i := range snap.Servers {
		counted := servers[snap.Names[i]]
		s := h.server(p, snap, i, counted)
		s.Share = shares[i]
		if counted != nil {
			s.ErrorReplies = counted.ErrorReplies(errorNames)
		}
		shown.Servers = append(shown.Servers, s)
	}
	return shown
}

// server is the i-th server of a pool's snapshot; counted is nil if nothing was.
func (h *handler) server(p *config.Pool, snap *topology.Snapshot, i int, counted *stats.ServerSnapshot) api.Server {
	if counted == nil {
		counted = new(stats.ServerSnapshot)
	}
	s, state := snap.Server(i), snap.Servers[i].State()
	shown := api.Server{
		Pool: p.Name, Name: s.StatsName(), Address: s.Address.String(), Weight: s.Weight,
		State: state.State.String(), Failures: state.Failures, Service: state.Service.String(), MaxPrivate: p.PrivateConnections,
		Counters: countersOf(stats.ServerFields[:], counted.Values[:]),
		Reasons:  reasonsOf(stats.ServerVectors[:], counted.Vectors[:]),
	}
	if state.Reason != msg.OK {
		shown.Reason = state.Reason.Name()
	}
	if state.Since != 0 {
		since := h.Instance.Wall(state.Since)
		shown.Since = &since
	}
	if state.RetryAt != 0 {
		until := h.Instance.Wall(state.RetryAt)
		shown.Until = &until
	}
	return shown
}

// clients shows the newest clients of one pool, or of all.
func (h *handler) clients(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("pool")
	most, ok := limit(w, r, defaultClients, maxClients)
	if !ok || !h.known(w, name) {
		return
	}
	conf, topo := h.Instance.InForce()
	list := api.Clients{Time: time.Now(), Clients: []api.Client{}}
	for i := range conf.Pools {
		if name != "" && conf.Pools[i].Name != name {
			continue
		}
		list.Total += topo[i].Clients()
		found, err := h.Instance.Clients(conf.Pools[i].Name, most)
		if err != nil {
			refuse(w, err)
			return
		}
		list.Clients = append(list.Clients, found...)
	}
	slices.SortFunc(list.Clients, func(a, b api.Client) int { return int(b.ID) - int(a.ID) })
	list.Clients = list.Clients[:min(most, len(list.Clients))]
	answer(w, list)
}
