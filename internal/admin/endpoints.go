package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
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
		if conf.Pools[i].Cluster.On {
			if text := unready(&conf.Pools[i], topo[i].Snapshot(), conf.Process.ReadyServers); text != "" {
				why = append(why, text)
			}
			continue
		}
		snap := topo[i].Snapshot()
		servers := snap.Servers[:snap.Owners()]
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
	info, err := h.infoNow()
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, info)
}

func (h *handler) fields(w http.ResponseWriter, _ *http.Request) {
	answer(w, api.Fields{
		Pool: fieldsOf(stats.PoolFields[:]), Server: fieldsOf(stats.ServerFields[:]), Loop: fieldsOf(stats.LoopFields[:]),
		PoolReasons: fieldsOf(stats.PoolVectors[:]), ServerReasons: fieldsOf(stats.ServerVectors[:]),
		ServerErrors: fieldsOf([]stats.Field{stats.ServerErrors}),
		Events:       eventKinds(),
		Findings:     findings.Kinds, Reasons: reasons(), Errors: errorMeanings(),
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
	pools, err := h.poolsNow(r.FormValue("pool"), of)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, pools)
}

func (h *handler) servers(w http.ResponseWriter, r *http.Request) {
	of, ok := windowAsked(w, r)
	if !ok {
		return
	}
	pools, err := h.poolsNow(r.FormValue("pool"), of)
	if err != nil {
		refuse(w, err)
		return
	}
	list := api.Servers{Time: pools.Time, Window: pools.Window, Servers: []api.Server{}}
	for i := range pools.Pools {
		list.Servers = append(list.Servers, pools.Pools[i].Servers...)
	}
	answer(w, list)
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
