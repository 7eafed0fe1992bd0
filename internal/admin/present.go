package admin

import (
	"fmt"
	"slices"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
	"nuthatch/internal/units"
)

// A present is the present state of the process, its pools and servers, in the API's types:
// for the endpoints and for the lookout.
type present struct {
	in        Instance
	recorder  *Recorder
	snapshots snapshots
	latencies latencies
}

func presentOf(in Instance, r *Recorder) present {
	return present{in: in, recorder: r, snapshots: snapshots{take: in.Snapshot}, latencies: latencies{take: in.Latency, recorder: r}}
}

// look finds what needs a look.
func (n *present) look(pool string, of time.Duration) (found api.Findings, err error) {
	pools, err := n.poolsNow(pool, of)
	if err != nil {
		return found, err
	}
	info, err := n.infoNow()
	if err != nil {
		return found, err
	}
	n.failedSince(pools, of)
	found = findings.Of(info, pools)
	found.Window = pools.Window
	return found, nil
}

// failedSince has the rates of pools include what has happened since the end of the window, if
// requests have failed since: the first failure needs a look at once, and not a second later.
func (n *present) failedSince(pools *api.Pools, of time.Duration) {
	snap, _ := n.snapshots.get()
	if snap == nil {
		return
	}
	at := n.recorder.clock()
	since, until := n.recorder.between(of)
	fails := func(p *api.Pool) bool {
		i := slices.IndexFunc(snap.Pools, func(s stats.PoolSnapshot) bool { return s.Name == p.Name })
		return i >= 0 && sumOf(&snap.Pools[i].Vectors[stats.FailedRequests]) > until.counts[serverKey{pool: p.Name}].failed
	}
	if !slices.ContainsFunc(pools.Pools, func(p api.Pool) bool { return fails(&p) }) {
		return
	}
	w := &window{since, &record{at: at, second: at, counts: countsOf(snap)}, snap.ErrorNames}
	for i := range pools.Pools {
		p := &pools.Pools[i]
		if !fails(p) {
			continue
		}
		p.Recent = w.rates(serverKey{pool: p.Name})
		for j := range p.Servers {
			s := &p.Servers[j]
			s.Recent = w.rates(serverKey{p.Name, s.Name})
		}
	}
}

// infoNow is what is known of the program and its process.
func (n *present) infoNow() (*api.Info, error) {
	process, loops, err := n.in.Usage()
	if err != nil {
		return nil, err
	}
	snap, _ := n.snapshots.get()
	if snap == nil {
		return nil, ErrEnding
	}
	info := n.in.Facts()
	info.NotReady = notReady(n.in)
	info.Ready = len(info.NotReady) == 0
	process.Connections, process.TotalConnections = snap.CurrConnections, snap.TotalConnections
	n.recorder.busy(loops)
	process.HistoryMemory, process.MaxHistoryMemory = n.recorder.Memory()
	info.Process, info.Loops, info.LastReload = process, loops, lastReload(n.in.Events())
	for i := range min(len(loops), len(snap.Loops)) {
		loops[i].Counters = countersOf(stats.LoopFields[:], snap.Loops[i][:])
	}
	return &info, nil
}

// poolsNow is the pool of that name, or all if the name is empty. What is recent is of a window.
func (n *present) poolsNow(name string, of time.Duration) (*api.Pools, error) {
	snap, at := n.snapshots.get()
	if snap == nil {
		return nil, ErrEnding
	}
	times, err := n.latencies.get(of)
	if err != nil {
		return nil, err
	}
	window, slow, falls := n.recorder.windowOf(snap, at, of), n.recorder.slowNow(), n.recorder.falls.count(n.in.Events(), at)
	conf, topo := n.in.InForce()
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
		shown := n.pool(p, topo[i], &counted, snap.ErrorNames)
		shown.Latency, shown.Recent = times.of(p.Name, ""), window.rates(serverKey{pool: p.Name})
		for j := range shown.Servers {
			s := &shown.Servers[j]
			key := serverKey{p.Name, s.Name}
			s.Latency, s.Recent, s.Slow = times.of(p.Name, s.Name), window.rates(key), slow[key]
			s.Falls, s.LastFall = falls[key].count, falls[key].last
		}
		pools = append(pools, shown)
	}
	if len(pools) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoPool, name)
	}
	return &api.Pools{Time: at, Window: window.shown(), Pools: pools}, nil
}

func (n *present) pool(p *config.Pool, t *topology.Topology, counted *stats.PoolSnapshot, errorNames []string) api.Pool {
	shown := api.Pool{
		Name: p.Name, Protocol: p.Protocol.String(), Listen: p.Listen.String(),
		Hash: p.Hash.String(), HashTag: p.HashTag,
		Clients: t.Clients(), MaxClients: p.ClientConnections,
		Counters: countersOf(stats.PoolFields[:], counted.Values[:]),
		Reasons:  reasonsOf(stats.PoolVectors[:], counted.Vectors[:]),
		Servers:  make([]api.Server, 0, len(counted.Servers)),
	}
	if until := n.in.PausedUntil(p.Name); !until.IsZero() {
		since := n.in.PausedSince(p.Name)
		shown.Paused, shown.PausedUntil, shown.PausedSince, shown.PausedBy = true, &until, &since, n.in.PausedBy(p.Name)
	}
	if p.ReadsReplicas() {
		shown.ReadPolicy = p.Reads.Policy.String()
	}
	servers := make(map[string]*stats.ServerSnapshot, len(counted.Servers))
	for i := range counted.Servers {
		servers[counted.Servers[i].Name] = &counted.Servers[i]
	}
	snap := t.Snapshot()
	shown.Distribution, shown.Cluster = snap.Table.Ring().Continuum.Distribution().String(), n.in.Cluster(p.Name)
	shown.Emulated, shown.Sentinels = n.in.Emulated(p.Name), n.in.Sentinels(p.Name)
	shares, nodes := snap.Shares(), nodesOf(snap)
	for i := range snap.Servers {
		counted := servers[snap.Names[i]]
		s := n.server(p, snap, i, counted)
		s.Share, s.Node, s.Replication = shares[i], nodes[i], n.replication(p, snap, i)
		if counted != nil {
			s.ErrorReplies = counted.ErrorReplies(errorNames)
		}
		shown.Servers = append(shown.Servers, s)
	}
	return shown
}

// server is the i-th server of a pool's snapshot; counted is nil if nothing was.
func (n *present) server(p *config.Pool, snap *topology.Snapshot, i int, counted *stats.ServerSnapshot) api.Server {
	if counted == nil {
		counted = new(stats.ServerSnapshot)
	}
	s, state := snap.Server(i), snap.Servers[i].State()
	shown := api.Server{
		Pool: p.Name, Name: s.StatsName(), Address: s.Address.String(), Weight: s.Weight,
		State: state.State.String(), Failures: state.Failures, Service: state.Service.String(), MaxPrivate: p.PrivateConnections,
		LoginKey: p.LoginKey(), KeepsKeys: p.Eject == config.EjectFail,
		Counters: countersOf(stats.ServerFields[:], counted.Values[:]),
		Reasons:  reasonsOf(stats.ServerVectors[:], counted.Vectors[:]),
	}
	if state.Reason != msg.OK {
		mute := state.Failures > 1 || counted.Values[stats.Responses] == 0
		n := snap.Servers[i].Unanswered()
		shown.Reason, shown.Cause = state.Reason.Name(), topology.Cause(p, state.Reason, mute, n)
		if state.Reason == msg.Timedout && n > 0 {
			shown.Cause += " " + units.Count(n, "request") + units.Plural(n, " has", " have") + " waited in vain"
		}
	}
	if state.Since != 0 {
		since := n.in.Wall(state.Since)
		shown.Since = &since
	}
	if state.RetryAt != 0 {
		until := n.in.Wall(state.RetryAt)
		shown.Until = &until
	}
	return shown
}
