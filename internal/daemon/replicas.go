package daemon

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/redisclient"
	"nuthatch/internal/replication"
	"nuthatch/internal/socket"
	"nuthatch/internal/topology"
)

const (
	// replicaTick is how often replicas and their primaries are asked. Those of many are asked
	// less often, at most askedPerSecond in a second.
	replicaTick    = time.Second
	askedPerSecond = 500
	// replicaTime is how long a server may take to connect, and to answer.
	replicaTime = time.Second
	// askedAtOnce is how many servers are asked at the same time, and firstTime how long all
	// replicas, and then all primaries, may take before the proxy starts without the rest.
	askedAtOnce = 32
	firstTime   = time.Second
)

// A replicated is a pool that reads from replicas. It asks them, and their primaries, how they
// are, and publishes what loops choose by.
type replicated struct {
	resolver *resolver
	topo     *topology.Topology
	conf     *config.Pool
	secure   func(net.Conn, config.Address) net.Conn
	// finder asks sentinels which replicas there are; nil: none knows the pool's servers.
	finder *replicaFinder
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	clients map[*topology.Health]*askedServer
}

// An askedServer is a server and the client that asks it.
type askedServer struct {
	client *replication.Client
	// at is the address that the client connects to.
	at string
}

// newReplicated returns the pool's replicas; nil: it does not read from any. ends are how the
// pool speaks TLS with its servers.
func newReplicated(r *resolver, t *topology.Topology, p *config.Pool, ends poolEnds) *replicated {
	if !p.ReadsReplicas() {
		return nil
	}
	return &replicated{
		resolver: r, topo: t, conf: p, clients: make(map[*topology.Health]*askedServer), done: make(chan struct{}),
		secure: func(conn net.Conn, at config.Address) net.Conn { return ends.servers.Secure(conn, at) },
	}
}

// start asks all servers once, if nothing is known of them, and then regularly.
func (r *replicated) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if r.isNew() {
		r.round(ctx, firstTime)
	}
	go func() {
		defer close(r.done)
		for {
			n := r.round(ctx, time.Hour)
			pause := time.NewTimer(max(replicaTick, time.Duration(n)*time.Second/askedPerSecond))
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
		}
	}()
}

// isNew reports whether no server has been asked yet.
func (r *replicated) isNew() bool {
	for _, h := range r.topo.Servers() {
		if h.Standing() != nil {
			return false
		}
	}
	return true
}

// stop ends the asking.
func (r *replicated) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	<-r.done
	for _, c := range r.clients {
		_ = c.client.Close() // nothing is under way
	}
}

// round asks all replicas and their primaries, for that long each at most, and returns how
// many servers that was.
func (r *replicated) round(ctx context.Context, most time.Duration) (n int) {
	r.finder.find(ctx)
	snap := r.topo.Snapshot()
	replicas, primaries := asked(snap)
	reports := make([]*replication.Report, len(snap.Servers))
	for _, places := range [][]int{replicas, primaries} {
		within, cancel := context.WithTimeout(ctx, most)
		r.ask(within, snap, places, reports)
		cancel()
	}
	if ctx.Err() != nil {
		return 0
	}
	now := r.resolver.now()
	changed := false
	for _, i := range primaries {
		s := topology.Standing{Lag: -1, At: now}
		if reports[i] != nil {
			s.Zone = reports[i].Zone
			s.Replica = !reports[i].Primary
		}
		changed = r.set(snap, i, s) || changed
		if h := snap.Servers[i]; reports[i] != nil && !h.IsUp() && !r.conf.AutoEjectHosts {
			r.resolver.answered(r.topo, r.conf.Name, snap, i) // reads that prefer it go elsewhere
		}
	}
	for _, i := range replicas {
		s := replication.Judge(&r.conf.Reads, reports[i], reports[snap.PrimaryOf(i)])
		s.At = now
		changed = r.set(snap, i, s) || changed
		if h := snap.Servers[i]; reports[i] != nil && !h.IsUp() {
			r.resolver.answered(r.topo, r.conf.Name, snap, i) // no read goes to it that would show it
			changed = true
		}
	}
	if changed {
		r.topo.Refresh(now)
	}
	r.wantMap(snap, reports)
	r.forget(snap)
	return len(replicas) + len(primaries)
}

// asked are the places of the replicas, and of their primaries. Nodes of a cluster without
// slots are among these: they may have become replicas since its map was made.
func asked(snap *topology.Snapshot) (replicas, primaries []int) {
	leads := make([]bool, len(snap.Servers))
	if len(snap.Nodes) > 0 {
		for i := range leads {
			leads[i] = !snap.IsGone(i)
		}
		for _, at := range snap.Table.All() {
			leads[at] = false
		}
	}
	for i := range snap.Servers {
		if of := snap.PrimaryOf(i); of >= 0 {
			replicas = append(replicas, i)
			leads[i], leads[of] = false, true
		}
	}
	for i, is := range leads {
		if is {
			primaries = append(primaries, i)
		}
	}
	return replicas, primaries
}

// wantMap asks for a newer map of a cluster if a node has another role than in its map. Reads
// that go to replicas alone would not find out.
func (r *replicated) wantMap(snap *topology.Snapshot, reports []*replication.Report) {
	if snap.Nodes == nil {
		return
	}
	for i, report := range reports {
		if report != nil && report.Primary == (snap.PrimaryOf(i) >= 0) {
			r.topo.WantMap(topology.WantReadOnly, snap.Servers[i])
			return
		}
	}
}

// ask asks the servers at those places.
func (r *replicated) ask(ctx context.Context, snap *topology.Snapshot, places []int, reports []*replication.Report) {
	var asking sync.WaitGroup
	free := make(chan struct{}, askedAtOnce)
	for _, i := range places {
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			c := r.client(snap, i)
			if c == nil {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, replicaTime)
			defer cancel()
			if report, err := c.Ask(ctx); err == nil {
				reports[i] = report
			}
		})
	}
	asking.Wait()
}

// client is the client of the server at that place; nil: its address is not known.
func (r *replicated) client(snap *topology.Snapshot, place int) *replication.Client {
	h := snap.Servers[place]
	addrs := h.Addrs()
	if len(addrs) == 0 {
		return nil
	}
	at, to := socket.Name(addrs[0]), snap.Server(place).Address
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[h]; c != nil {
		if c.at == at {
			return c.client
		}
		_ = c.client.Close() // it was to another server
	}
	network := "tcp"
	if _, is := addrs[0].(*unix.SockaddrUnix); is {
		network = "unix"
	}
	c := replication.NewClient(redisclient.Options{
		Addr: to, Login: r.conf.ServerLogin(), Time: replicaTime, Connections: 1,
		Dial: func(ctx context.Context) (net.Conn, error) {
			d := net.Dialer{Timeout: replicaTime}
			conn, err := d.DialContext(ctx, network, at)
			if err != nil {
				return nil, err
			}
			return r.secure(conn, to), nil
		},
	})
	r.clients[h] = &askedServer{c, at}
	return c
}

// forget closes the clients of servers that are gone.
func (r *replicated) forget(snap *topology.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for h, c := range r.clients {
		if snap.Place(h) < 0 {
			_ = c.client.Close() // nothing is under way
			delete(r.clients, h)
		}
	}
}

// set notes what a server has said of itself, and tells of what changes. It reports whether
// that changes what loops choose.
func (r *replicated) set(snap *topology.Snapshot, place int, s topology.Standing) (changed bool) {
	h := snap.Servers[place]
	if zone := r.zoneOf(snap, place); zone != "" {
		s.Zone = zone
	}
	before := h.Standing()
	s.WasRead = before != nil && (before.WasRead || before.Replica && before.Why == topology.Fit)
	h.SetStanding(s)
	if before == nil {
		if snap.PrimaryOf(place) >= 0 && s.Why != topology.Fit && s.Why != topology.NotAsked {
			r.tellUnfit(snap.Names[place], s)
		}
		return true
	}
	if before.Why != s.Why && snap.PrimaryOf(place) >= 0 { // of what was a replica its cluster's map tells
		r.tell(snap.Names[place], before.Why, s)
	}
	return before.Why != s.Why || before.Zone != s.Zone
}

// zoneOf is the zone of a server by the configuration or, in a cluster, by its map; empty:
// these do not say.
func (r *replicated) zoneOf(snap *topology.Snapshot, place int) string {
	for _, addr := range snap.Servers[place].Addrs() {
		if zone := r.conf.ZoneOf(socket.IP(addr)); zone != "" {
			return zone
		}
	}
	if snap.Nodes != nil {
		return snap.Nodes[place].Zone
	}
	return ""
}

// tell logs that a replica is read from, or no longer, and adds the event.
func (r *replicated) tell(name string, before topology.Unfit, s topology.Standing) {
	log, attrs := r.resolver.log, []slog.Attr{slog.String("pool", r.conf.Name), slog.String("server", name)}
	e := events.Event{Pool: r.conf.Name, Server: name}
	switch {
	case s.Why == topology.Fit && s.WasRead:
		e.Kind, e.Text = events.ReplicaFit, "replica "+name+" is read from again"
		log.Notice("replica is read from again", attrs...)
	case s.Why == topology.Fit:
		e.Kind, e.Text = events.ReplicaFit, "replica "+name+" is read from"
		log.Notice("replica is read from", attrs...)
	case s.Why == topology.NoReplica && !r.conf.Cluster.On:
		e.Kind, e.Text = events.RoleChanged, "replica "+name+" is a primary now, and no reads go there"
		log.Warn("replica is a primary now, and no reads go there", attrs...)
	case before == topology.Fit:
		r.tellUnfit(name, s)
		return
	default:
		return
	}
	r.resolver.tell(e)
}

// tellUnfit logs that a replica is not read from, no longer or from the first look on, and adds the
// event.
func (r *replicated) tellUnfit(name string, s topology.Standing) {
	r.resolver.log.Warn("replica is not read from",
		slog.String("pool", r.conf.Name), slog.String("server", name), slog.String("reason", s.Reason()))
	r.resolver.tell(events.Event{
		Kind: events.ReplicaUnfit, Pool: r.conf.Name, Server: name, Text: "replica " + name + " is not read from: " + s.Reason(),
	})
}
