package daemon

import (
	"log/slog"
	"math"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// Descriptors is how the process's file descriptors are shared out. Every
// connection takes one.
type Descriptors struct {
	// Limit is how many the process may have.
	Limit int
	// Servers are for connections to servers, Own for listeners, event loops, log and
	// the like.
	Servers, Own int
	// Private is how many connections clients may have to themselves: see lacksPrivate.
	Private int
	// Clients is what is left for clients: above it new ones are turned away.
	Clients int
	// Scarce: too few would be left for clients, so clients get some of those for
	// servers.
	Scarce bool
}

const (
	// ownDescriptors, beside the admin listener's clients, are for standard input and output, log, pid file, statistics
	// and their readers, the resolver, a watched file, the Go runtime, and an
	// upgrade's pipe.
	ownDescriptors = 64
	// loopDescriptors are an event loop's epoll and eventfd.
	loopDescriptors = 2
	// listenerDescriptors are a pool's listener, and its copy or its successor
	// during an upgrade or a reload.
	listenerDescriptors = 2
	// maxLanes bounds the lanes that descriptors are reserved for.
	maxLanes = 16
	// leastClients is the least part of all descriptors for clients.
	leastClients = 1.0 / 4
)

// descriptorsOf shares limit descriptors out, as nutcracker does (max_nfd,
// max_nsconn, max_ncconn), for every loop opens its own connections to servers. found is what
// is known of the servers of each pool; nil: nothing.
func descriptorsOf(conf *config.Config, found []foundServers, limit int) Descriptors {
	d := Descriptors{Limit: limit, Own: ownDescriptors + admin.MaxHTTPConns + loopDescriptors*conf.Process.Threads}
	for i := range conf.Pools {
		p := &conf.Pools[i]
		d.Own += listenerDescriptors
		if p.Emulate.SentinelListen != (config.Address{}) {
			d.Own += listenerDescriptors + sentinelRoom(limit)
		}
		servers, replicas := len(p.Servers), 0
		if p.ReadsReplicas() {
			replicas = p.NumServers() - servers
		}
		if i < len(found) && found[i].nodes > 0 {
			servers = found[i].nodes
		}
		if i < len(found) {
			replicas = max(replicas, found[i].replicas)
		}
		d.Servers += (servers + replicas) * p.ServerConnections * conf.Process.Threads * lanesOf(p)
		if p.Protocol == config.Redis {
			d.Private += servers * p.PrivateConnections
		}
	}
	d.Clients = limit - d.Servers - d.Own
	if least := int(float64(limit) * leastClients); d.Clients < least {
		d.Clients, d.Scarce = least, true
	}
	return d
}

// foundServers is what is known of the servers of a pool beside its configuration: how many
// nodes its cluster has, and how many replicas it reads from that are no nodes; 0: none, or
// nobody has said so yet.
type foundServers struct{ nodes, replicas int }

// found is what is known of the servers of each pool. Nodes that have left are not counted.
func (g *generation) found() []foundServers {
	all := make([]foundServers, len(g.topo))
	for i, t := range g.topo {
		snap := t.Snapshot()
		if !g.conf.Pools[i].Cluster.On {
			all[i].replicas = len(snap.Servers) - snap.Owners()
			continue
		}
		for _, n := range snap.Nodes {
			if n.ID != "" && n.Role != topology.Gone {
				all[i].nodes++
			}
		}
	}
	return all
}

// lanesOf is how many lanes a pool can have: two versions of RESP, times the
// databases.
func lanesOf(p *config.Pool) int {
	if p.Protocol != config.Redis {
		return 1
	}
	return min(2*p.Databases, maxLanes)
}

// descriptorLimit is how many descriptors the process may have. The Go runtime
// has raised the soft limit to the hard one when the program started; programs
// that this one starts get back what it was.
func descriptorLimit() (int, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	return int(min(r.Cur, math.MaxInt32)), nil
}

// shareDescriptors bounds the clients by what g leaves of the descriptors.
func (r *resources) shareDescriptors(g *generation) {
	limit, err := descriptorLimit()
	if err != nil {
		r.log.Warn("cannot read the limit of descriptors: it does not bound the number of clients", errAttr(err))
		return
	}
	d := descriptorsOf(g.conf, g.found(), limit)
	if was := r.descriptors.Swap(&d); was != nil && *was == d {
		return
	}
	r.limits.SetMaxClients(d.Clients)
	r.log.Notice("descriptors", slog.Int("limit", d.Limit), slog.Int("servers", d.Servers),
		slog.Int("own", d.Own), slog.Int("clients", d.Clients))
	if d.Scarce {
		r.log.Warn("too few descriptors for all connections to servers: raise the limit (ulimit -n, LimitNOFILE=)")
	}
	if d.lacksPrivate() {
		r.log.Warn(fewForPrivate, slog.Int("private", d.Private), slog.Int("limit", d.Limit))
	}
	for i := range g.conf.Pools {
		if p := &g.conf.Pools[i]; p.ClientConnections > d.Clients {
			r.log.Warn("there are fewer descriptors than client_connections asks for", slog.String("pool", p.Name),
				slog.Int("client_connections", p.ClientConnections), slog.Int("clients", d.Clients))
		}
	}
}

// descriptorLimit is how many descriptors there are; 0 is not known.
func (r *resources) descriptorLimit() int {
	if d := r.descriptors.Load(); d != nil {
		return d.Limit
	}
	return 0
}

// Descriptors is how the descriptors are shared out; nil if their limit is not
// known.
func (r *resources) Descriptors() *Descriptors { return r.descriptors.Load() }

// maxClients is how many clients the pool can have: as many as it may, or as there
// are descriptors for; 0 is not known.
func (r *resources) maxClients(p *config.Pool) int {
	n := r.limits.MaxClients()
	if p.ClientConnections > 0 && (n == 0 || p.ClientConnections < n) {
		return p.ClientConnections
	}
	return n
}
