package daemon

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/cluster"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/route"
	"nuthatch/internal/socket"
	"nuthatch/internal/topology"
	"nuthatch/internal/units"
)

const (
	// goneFor is how long a node that has left its cluster is still told of.
	goneFor = time.Hour
	// maxGone is how many of them are, at the most.
	maxGone = 1024
	// toldAtOnce is how many changes of nodes are told one by one; of more, only how many.
	toldAtOnce = 16
	// lookUps is how many host names of nodes are looked up at the same time.
	lookUps = 16
)

// A clustered is a pool whose servers are a Redis Cluster. What its watcher finds is
// published as the pool's servers.
type clustered struct {
	resolver *resolver
	topo     *topology.Topology
	conf     *config.Pool
	watcher  *cluster.Watcher
	// before is the pool's cluster before a reload; nil: there was none.
	before *clustered

	mu sync.Mutex
	// named are the nodes that have host names, by their names in the statistics. lookedUp
	// is when these were looked up last.
	named    map[string]*target
	lookedUp time.Time
	// gone are the nodes that have left, by their names in the statistics.
	gone map[string]leaver
	// untold are the replicas that are primaries by the map, which was not told.
	untold map[string]bool
	// lost: a node was missed since the last map.
	lost bool
	// history is which slots have moved. importing are the nodes that get some, by their ids.
	history   topology.ScanHistory
	importing map[string]bool
}

// A leaver is a node that has left its cluster.
type leaver struct {
	server config.Server
	node   topology.Node
	at     time.Time
}

// newClustered returns the pool's cluster; nil: it is none. ends are how the pool speaks
// TLS with its servers.
func newClustered(r *resolver, t *topology.Topology, p *config.Pool, ends poolEnds) *clustered {
	if !p.Cluster.On {
		return nil
	}
	c := &clustered{resolver: r, topo: t, conf: p, named: make(map[string]*target), gone: make(map[string]leaver), untold: make(map[string]bool)}
	o := cluster.Options{
		Login: p.ServerLogin(), Refresh: p.Cluster.Refresh, Wanted: c.wanted, Urgent: t.MissesNode, Publish: c.publish, Tell: c.tell,
	}
	for i := range p.Servers {
		o.Seeds = append(o.Seeds, p.Servers[i].Address)
	}
	if ends.servers != nil {
		o.Secure = func(a config.Address) *tls.Config { return ends.servers.ConfigFor(a) }
	}
	c.watcher = cluster.New(o)
	return c
}

// lookUp asks the seeds once, before start. If none answers after a reload, what was known
// before it counts.
func (c *clustered) lookUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	c.watcher.Look(ctx)
	if c.before == nil {
		return
	}
	if c.watcher.Status().Map == nil {
		c.watcher.Continue(c.before.watcher)
	}
	c.before.mu.Lock()
	defer c.before.mu.Unlock()
	c.gone = maps.Clone(c.before.gone)
	c.untold = maps.Clone(c.before.untold)
}

// start publishes what was found, watches, and is told of trouble.
func (c *clustered) start() {
	if m := c.watcher.Status().Map; m != nil {
		c.publish(m)
	} else {
		c.resolveSeeds()
	}
	if c.before != nil {
		c.watcher.Hurry(c.before.watcher)
		c.before = nil
	}
	c.topo.OnUnreachable(c.watcher.Wake)
	c.topo.OnWanted(c.watcher.Wake)
	c.topo.OnWantedLook(c.watcher.WakeWhole)
	c.watcher.Start()
}

// resolveSeeds gives the seeds their addresses, while no other nodes are known.
func (c *clustered) resolveSeeds() {
	snap := c.topo.Snapshot()
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	for i, h := range snap.Servers {
		if a := snap.Server(i).Address; isNumeric(a.Host) {
			if addrs, err := c.resolver.lookup(ctx, a.Host, a.Port); err == nil {
				h.SetAddrs(addrs)
			}
		}
	}
}

func isNumeric(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// wanted takes why loops want a map.
func (c *clustered) wanted() (why []string, from string, urgent bool) {
	all, h := c.topo.Wanted()
	for _, w := range all {
		why = append(why, w.String())
		urgent = urgent || w != topology.WantMoved && w != topology.WantScan
	}
	snap := c.topo.Snapshot()
	lost := slices.Contains(all, topology.WantLost)
	for _, s := range snap.Servers {
		if s.WasUnreachable() && !lost {
			lost, urgent = true, true
			why = append(why, topology.WantLost.String())
		}
	}
	if h != nil {
		if at := snap.Place(h); at >= 0 {
			from = snap.Server(at).Address.String()
		}
	}
	c.mu.Lock()
	c.lost = c.lost || lost
	c.mu.Unlock()
	return why, from, urgent
}

// publish has the pool's servers be the nodes of a map. Nothing is in force before start.
func (c *clustered) publish(m *cluster.Map) {
	if !c.resolver.started {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := c.topo.Snapshot()
	c.noteImporting(m)
	members, nodes := c.members(m)
	c.note(snap, nodes, members, m)
	left := c.leavers(time.Now())
	for i := range left {
		members, nodes = append(members, topology.Member{Server: left[i].server}), append(nodes, left[i].node)
	}
	owners := new([route.NumSlots]uint16)
	for slot, at := range m.Owners {
		if owners[slot] = route.NoServer; at >= 0 {
			owners[slot] = uint16(at)
		}
	}
	at := c.resolver.now()
	changed := c.topo.PublishSlots(members, nodes, owners, at, at+c.resolver.finish)
	c.noteMoves(m, members, owners)
	if changed || m.Whole { // somebody may wait for it
		c.resolver.wakeLoops()
	}
	c.lookUpNames()
}

// noteMoves publishes which slots have moved, for scans. owners are those of the map.
func (c *clustered) noteMoves(m *cluster.Map, members []topology.Member, owners *[route.NumSlots]uint16) {
	view := topology.ScanView{Owners: owners}
	for i := range m.Nodes {
		view.Names = append(view.Names, members[i].Server.StatsName())
		view.Epochs = append(view.Epochs, m.Nodes[i].Epoch)
	}
	for _, move := range m.Moves {
		view.Moves = append(view.Moves, topology.SlotMove{Slot: move.Slot, From: int(move.From), To: int(move.To)})
	}
	now := c.resolver.now()
	if m.Whole {
		view.Looked = now - int64(time.Since(m.Began))
	}
	c.topo.PublishScans(c.history.Note(&view, now), now)
}

// noteImporting notes which nodes get slots, if the map tells.
func (c *clustered) noteImporting(m *cluster.Map) {
	if !m.Whole {
		return
	}
	c.importing = make(map[string]bool)
	for _, move := range m.Moves {
		if move.To >= 0 {
			c.importing[m.Nodes[move.To].ID] = true
		}
	}
}

// members are the nodes of a map as servers, with their addresses.
func (c *clustered) members(m *cluster.Map) ([]topology.Member, []topology.Node) {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	members, nodes := make([]topology.Member, len(m.Nodes)), make([]topology.Node, len(m.Nodes))
	var asking sync.WaitGroup
	free := make(chan struct{}, lookUps)
	for i := range m.Nodes {
		n := &m.Nodes[i]
		members[i].Server = topology.NodeServer(n.Host, n.Port)
		nodes[i] = topology.Node{
			ID: n.ID, Of: n.Of, Failing: n.Failing, Zone: n.Zone, Others: n.Others,
			Imports: c.importing[n.ID] && !n.Replica,
		}
		if n.Replica {
			nodes[i].Role = topology.Replica
		}
		if c.named[members[i].Server.Name] != nil {
			continue // it is looked up below
		}
		if isNumeric(n.Host) {
			// An address needs no look-up, and so it does not fail.
			members[i].Addrs, _ = c.resolver.lookup(ctx, n.Host, n.Port)
			continue
		}
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			// If it fails, the name is looked up again below, which tells of it.
			members[i].Addrs, _ = c.resolver.lookup(ctx, n.Host, n.Port)
		})
	}
	asking.Wait()
	return members, nodes
}

// lookUpNames looks the host names of nodes up again, if it is time: loops follow other
// addresses.
func (c *clustered) lookUpNames() {
	snap := c.topo.Snapshot()
	for name, t := range c.named {
		if at := snap.Place(t.server); at < 0 || snap.Nodes[at].Role == topology.Gone {
			delete(c.named, name)
		}
	}
	for i, h := range snap.Servers {
		s := snap.Server(i)
		if c.named[s.Name] != nil || isNumeric(s.Address.Host) || snap.Nodes[i].Role == topology.Gone {
			continue
		}
		t := &target{topo: c.topo, server: h, pool: c.conf.Name, name: s.Name, addr: s.Address}
		for _, addr := range h.Addrs() {
			t.known = append(t.known, socket.Name(addr))
		}
		slices.Sort(t.known)
		c.named[s.Name] = t
	}
	since := time.Since(c.lookedUp)
	if len(c.named) == 0 || since < resolveAgain || since < c.resolver.interval && !c.lost {
		return
	}
	c.lookedUp, c.lost = time.Now(), false
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	free := make(chan struct{}, lookUps)
	var asking sync.WaitGroup
	for _, t := range c.named {
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			c.resolver.resolve(ctx, t)
		})
	}
	asking.Wait()
}

// leavers are the nodes that have left, in the order of their names, without those that
// left long ago.
func (c *clustered) leavers(now time.Time) []leaver {
	all := make([]leaver, 0, len(c.gone))
	for name := range c.gone {
		g := c.gone[name]
		if now.Sub(g.at) >= goneFor {
			delete(c.gone, name)
			continue
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b leaver) int { return b.at.Compare(a.at) })
	for ; len(all) > maxGone; all = all[:len(all)-1] {
		delete(c.gone, all[len(all)-1].server.Name)
	}
	slices.SortFunc(all, func(a, b leaver) int { return strings.Compare(a.server.Name, b.server.Name) })
	return all
}

// note notes which nodes have come, gone, or another role than in the snapshot, and tells
// of it. m is the map that has these nodes.
//
// For a moment after a failover some nodes still call the old primary one, without slots. So a
// replica is told to be a primary when it has slots.
func (c *clustered) note(before *topology.Snapshot, nodes []topology.Node, members []topology.Member, m *cluster.Map) {
	now := time.Now()
	there := make(map[string]int, len(members))
	for i := range members {
		there[members[i].Server.Name] = i
		delete(c.gone, members[i].Server.Name)
	}
	first := true // all nodes are new
	var changes []events.Event
	was := make(map[string]topology.Node, len(before.Servers))
	for i, name := range before.Names {
		n := before.Nodes[i]
		if n.ID == "" || n.Role == topology.Gone {
			continue // a seed, before the first map, or a node that is told of already
		}
		first = false
		was[name] = n
		if _, stays := there[name]; !stays {
			n.Role = topology.Gone
			c.gone[name] = leaver{server: *before.Server(i), node: n, at: now}
			delete(c.untold, name)
			changes = append(changes, events.Event{Kind: events.NodeGone, Server: name, Text: "node " + name + " has left the cluster"})
		}
	}
	for i := range members {
		name, n := members[i].Server.Name, &nodes[i]
		old, known := was[name]
		if c.untold[name] {
			old.Role = topology.Replica
			delete(c.untold, name)
		}
		switch {
		case !known && !first:
			changes = append(changes, events.Event{Kind: events.NodeAdded, Server: name, Text: "node " + name + " has come to the cluster, as a " + n.Role.String()})
		case known && old.Role == topology.Replica && n.Role == topology.Primary && !m.HasSlots(int32(i)):
			c.untold[name] = true
		case known && old.Role != n.Role:
			changes = append(changes, events.Event{Kind: events.RoleChanged, Server: name, Text: "node " + name + " is a " + n.Role.String() + " now, and was a " + old.Role.String()})
		}
	}
	if more := len(changes) - toldAtOnce; more > 0 {
		changes = append(changes[:toldAtOnce], events.Event{Kind: events.RoleChanged, Text: strconv.Itoa(more) + units.Plural(more, " more node has come, gone or changed its role", " more nodes have come, gone or changed their roles")})
	}
	for i := range changes {
		changes[i].Pool = c.conf.Name
		c.resolver.log.Notice(changes[i].Text, slog.String("pool", c.conf.Name))
		c.resolver.tell(changes[i])
	}
}

// tell logs a change, and adds its event.
func (c *clustered) tell(change cluster.Change) {
	log, e := c.resolver.log, events.Event{Pool: c.conf.Name}
	attrs := []slog.Attr{slog.String("pool", c.conf.Name)}
	switch {
	case change.Seed != "" && change.Problem != "":
		e.Kind, e.Text = events.SeedFails, "seed "+change.Seed+" is of no use: "+change.Problem
		log.Warn("seed of the cluster is of no use", append(attrs, slog.String("seed", change.Seed), slog.String("reason", change.Problem))...)
	case change.Seed != "":
		e.Kind, e.Text = events.SeedAnswers, "seed "+change.Seed+" answers again"
		log.Notice("seed of the cluster answers again", append(attrs, slog.String("seed", change.Seed))...)
	case change.Problem != "" && change.Refuses:
		e.Kind, e.Text = events.ClusterFails, "the cluster refuses requests: "+change.Problem
		log.Warn("the cluster refuses requests", append(attrs, slog.String("reason", change.Problem))...)
	case change.Refuses:
		e.Kind, e.Text = events.ClusterWhole, "the cluster does not refuse requests any more"
		log.Notice("the cluster does not refuse requests any more", attrs...)
	case change.Problem != "" && change.Several:
		e.Kind, e.Text = events.ClusterFails, change.Problem
		log.Warn("the seeds belong to several clusters; one of them is used", append(attrs, slog.String("reason", change.Problem))...)
	case change.Several:
		e.Kind, e.Text = events.ClusterWhole, "the seeds belong to one cluster"
		log.Notice("the seeds belong to one cluster", attrs...)
	case change.Problem != "":
		e.Kind, e.Text = events.ClusterFails, "the map of the cluster is not complete: "+change.Problem
		log.Warn("the map of the cluster is not complete; what was known before stays", append(attrs, slog.String("reason", change.Problem))...)
	default:
		e.Kind, e.Text = events.ClusterWhole, "the map of the cluster is complete again"
		log.Notice("the map of the cluster is complete again", attrs...)
	}
	c.resolver.tell(e)
}

// Cluster implements admin.Instance.
func (v *view) Cluster(pool string) *api.Cluster {
	g := v.current.Load()
	i := g.pool(pool)
	if i < 0 || g.resolver == nil || g.resolver.clusters[i] == nil {
		return nil
	}
	s := g.resolver.clusters[i].watcher.Status()
	about := &api.Cluster{Slots: cluster.NumSlots, Epoch: -1, Why: s.Why, Problem: s.Problem, AskedFor: s.Looks, Seeds: []api.ClusterSeed{}}
	about.Asked, about.Answered = known(s.Looked), known(s.Answered)
	if s.Problem != "" {
		about.Since = known(s.Since)
	}
	about.Several, about.Refuses = s.Several, s.Refuses
	for i := range s.Seeds {
		seed := &s.Seeds[i]
		about.Seeds = append(about.Seeds, api.ClusterSeed{Address: seed.Address, Problem: seed.Problem, Foreign: seed.Foreign(), Asked: known(seed.Asked)})
	}
	if s.Map == nil {
		return about
	}
	about.Covered, about.Epoch = s.Map.Covered, s.Map.Epoch
	for i := range s.Map.Nodes {
		if s.Map.Nodes[i].Replica {
			about.Replicas++
		} else {
			about.Primaries++
		}
	}
	return about
}

// known is a time, or nil if it is zero.
func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
