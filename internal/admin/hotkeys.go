package admin

import (
	"fmt"
	"net/http"
	"strconv"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/topology"
)

// The slow log, hot keys and latencies.

const (
	// defaultSlow and maxSlow are how many entries of the slow log are shown.
	defaultSlow, maxSlow = 100, 1000
	// defaultHot and maxHot are how many keys of each pool are shown.
	defaultHot, maxHot = 20, 100
)

// limit reads the parameter limit. If it is wrong, limit writes the error and
// returns false.
func limit(w http.ResponseWriter, r *http.Request, byDefault, most int) (int, bool) {
	text := r.FormValue("limit")
	if text == "" {
		return byDefault, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		fail(w, http.StatusBadRequest, fmt.Sprintf("limit must be a number from 1 to %d", most))
		return 0, false
	}
	return n, true
}

// known reports whether there is a pool of that name, or name is empty. If not,
// it writes the error.
func (h *handler) known(w http.ResponseWriter, name string) bool {
	conf, _ := h.Instance.InForce()
	for i := range conf.Pools {
		if conf.Pools[i].Name == name {
			return true
		}
	}
	if name != "" {
		refuse(w, fmt.Errorf("%w: %q", ErrNoPool, name))
	}
	return name == ""
}

// slowlog shows the latest slow requests of one pool, or of all.
func (h *handler) slowlog(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("pool")
	n, ok := limit(w, r, defaultSlow, maxSlow)
	if !ok || !h.known(w, name) {
		return
	}
	ask := n
	if name != "" {
		ask = -1 // the others' do not count
	}
	list := api.SlowLog{Entries: []api.SlowEntry{}}
	for _, e := range h.Instance.SlowLog(ask) {
		if (name == "" || e.Pool == name) && len(list.Entries) < n {
			list.Entries = append(list.Entries, slowEntry(e))
		}
	}
	answer(w, list)
}

func slowEntry(e *slowlog.Entry) api.SlowEntry {
	return api.SlowEntry{
		ID: e.ID, Time: e.Time, Pool: e.Pool, Server: e.ServerName, Command: e.Command,
		Duration: e.Duration.Seconds(), Connect: e.Connect.Seconds(), Queue: e.Queue.Seconds(),
		ServerTime: e.Server.Seconds(), Turn: e.Turn.Seconds(),
		Key: e.Key, KeyLength: e.KeyLen, Keys: e.Keys, RequestBytes: e.RequestBytes,
		ClientID: e.ClientID, Client: e.Client, ClientName: e.ClientName, Error: e.Error,
	}
}

// hotkeys shows the hottest and the largest keys of one pool, or of all.
func (h *handler) hotkeys(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("pool")
	n, ok := limit(w, r, defaultHot, maxHot)
	if !ok || !h.known(w, name) {
		return
	}
	pools, err := h.Instance.HotKeys(n)
	if err != nil {
		refuse(w, err)
		return
	}
	times, err := h.latencies.get(Windows[0])
	if err != nil {
		refuse(w, err)
		return
	}
	list := api.HotKeys{Pools: []api.PoolKeys{}}
	conf, topo := h.Instance.InForce()
	for i := range pools {
		if name == "" || pools[i].Name == name {
			list.Pools = append(list.Pools, poolKeys(&pools[i], times.rate(pools[i].Name), ownerOf(conf, topo, pools[i].Name)))
		}
	}
	answer(w, list)
}

// ownerOf tells which server of a pool owns a key, of which the beginning is given and the
// length of the whole; empty if it cannot be told.
func ownerOf(conf *config.Config, topo []*topology.Topology, pool string) func(key string, whole int) string {
	for i := range conf.Pools {
		if p := &conf.Pools[i]; p.Name == pool && (p.Distribution != hashkit.Random || len(p.Servers) == 1) {
			snap := topo[i].Snapshot()
			return func(key string, whole int) string {
				if len(key) != whole {
					return ""
				}
				if at := snap.Owner([]byte(key)); at >= 0 {
					return snap.Names[at]
				}
				return ""
			}
		}
	}
	return func(string, int) string { return "" }
}

// poolKeys are the keys of a pool. rate is the pool's requests a second, 0 if
// not known. owner tells which server owns a key.
func poolKeys(p *PoolKeys, rate float64, owner func(key string, whole int) string) api.PoolKeys {
	shown := api.PoolKeys{
		Pool: p.Name, Keys: []api.HotKey{}, BigRequests: largeKeys(p.Requests, owner), BigReplies: largeKeys(p.Replies, owner),
	}
	for _, k := range p.Hot {
		hot := api.HotKey{Key: k.Key, KeyLength: k.Len, Server: owner(k.Key, k.Len), Rate: k.Rate, Error: k.Error}
		if rate > 0 {
			hot.Share = min(k.Rate/rate, 1)
		}
		shown.Keys = append(shown.Keys, hot)
	}
	return shown
}

func largeKeys(list []Large, owner func(key string, whole int) string) []api.LargeKey {
	shown := make([]api.LargeKey, len(list))
	for i, l := range list {
		shown[i] = api.LargeKey{Key: l.Key, KeyLength: l.KeyLen, Server: owner(l.Key, l.KeyLen), Size: l.Size, Command: l.Command, Time: l.At}
	}
	return shown
}

// latency shows how long requests took, by command and by server.
func (h *handler) latency(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("pool")
	if !h.known(w, name) {
		return
	}
	times, err := h.latencies.get(Windows[0])
	if err != nil {
		refuse(w, err)
		return
	}
	list := api.Latencies{Pools: []api.PoolLatency{}}
	for i := range times.pools {
		if name == "" || times.pools[i].Name == name {
			list.Pools = append(list.Pools, poolLatency(&times.pools[i]))
		}
	}
	answer(w, list)
}

func poolLatency(p *PoolLatency) api.PoolLatency {
	shown := api.PoolLatency{Pool: p.Name, Commands: []api.CommandLatency{}, Servers: []api.ServerLatency{}}
	for i := range p.Commands {
		c := &p.Commands[i]
		if c.Count() == 0 {
			continue
		}
		shown.Commands = append(shown.Commands, api.CommandLatency{
			Command: c.Name, Family: c.Family.String(), Latency: *latencyOf(&c.Histogram),
		})
	}
	for i := range p.Servers {
		s := api.ServerLatency{Server: p.Servers[i].Name, Families: make(map[string]api.Latency)}
		for f := range p.Servers[i].Families {
			if times := &p.Servers[i].Families[f]; times.Count() > 0 {
				s.Families[msg.Family(f).String()] = *latencyOf(times)
			}
		}
		shown.Servers = append(shown.Servers, s)
	}
	return shown
}
