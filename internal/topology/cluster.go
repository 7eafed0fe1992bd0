package topology

import (
	"slices"
	"strconv"
	"sync/atomic"

	"nuthatch/internal/config"
	"nuthatch/internal/route"
)

// A pool whose servers are a Redis Cluster has the cluster's nodes as its servers, and a
// table of slots in place of a ring.
//
//	loops: MOVED, a lost connection ─► Inquiry ─► publisher: asks nodes ─► PublishSlots
//	loops: MOVED                    ─► MoveSlot: that slot, at once
//
// A node is the same server, with its Health and its statistics, as long as it has the same
// address, whatever its role is: redirects name nodes by their addresses. A node that
// comes back with another address is another server, as a name with another address is
// another machine.
//
// Replicas are among the servers, and have no slots. So a node keeps its state when roles
// change. Nodes that have left the cluster stay among them for a while (Gone), so that
// their last numbers can be read.

// A Role is what a node of a cluster is.
type Role uint8

const (
	// Primary means that it has slots, or may get some.
	Primary Role = iota
	// Replica means that it has a copy of a primary's.
	Replica
	// Gone means that it has left the cluster.
	Gone
)

// String is the role as the API has it.
func (r Role) String() string {
	switch r {
	case Primary:
		return "primary"
	case Replica:
		return "replica"
	case Gone:
		return "gone"
	}
	return "unknown"
}

// A Node is what a server is in its cluster.
type Node struct {
	// ID is the node's own.
	ID   string
	Role Role
	// Of is the id of the primary of a replica.
	Of string
	// Failing: most of the others cannot reach it.
	Failing bool
	// Zone is where it is; empty: it does not say.
	Zone string
	// Others are the other addresses that redirects may call it by.
	Others []string
	// Imports: it gets slots, and may have keys of them, though it has none.
	Imports bool
}

// NodeAddress is how redirects and this package name a node: an address without brackets.
func NodeAddress(host string, port int) string { return host + ":" + strconv.Itoa(port) }

// NodeServer is the server at a node's address. Its name in the statistics is the address.
func NodeServer(host string, port int) config.Server {
	at := config.Address{Network: config.NetworkTCP, Host: host, Port: port}
	return config.Server{Address: at, Weight: 1, Name: at.String(), Text: at.String()}
}

// Slots is how many slots each server of a cluster has; nil: the pool is none.
func (s *Snapshot) Slots() []int {
	if s.Nodes == nil {
		return nil
	}
	slots := make([]int, len(s.Servers))
	for _, at := range s.Table.Owners() {
		if at != route.NoServer {
			slots[at]++
		}
	}
	return slots
}

// PlaceOf is the place of the node that a redirect has named, as in NodeAddress; -1: there
// is no such node. It is for pools that are clusters.
func (m *Members) PlaceOf(node []byte) int {
	if at, ok := m.places[string(node)]; ok {
		return at
	}
	return -1
}

// first has the servers of the configuration. A cluster that was one before, in the
// snapshot old, keeps its nodes; else it begins with its seeds, none of which has a slot.
func first(conf *config.Pool, old *Snapshot) change {
	var known *Members
	if old != nil {
		known = old.Members
	}
	switch {
	case !conf.Cluster.On:
		servers, of := serversOf(conf, known)
		return change{members: newMembers(conf, servers, of, known)}
	case known != nil && known.ring == nil:
		m := newMembers(conf, known.conf, nil, known)
		m.places = known.places
		return change{members: m, table: old.Table, nodes: old.Nodes}
	}
	seeds := make([]config.Server, len(conf.Servers))
	for i := range seeds {
		a := &conf.Servers[i].Address
		seeds[i] = NodeServer(a.Host, a.Port)
	}
	m := newMembers(conf, seeds, nil, known)
	nodes := make([]Node, len(seeds))
	m.places = placesOf(m, nodes)
	return change{members: m, table: m.table(noSlots(), nodes), nodes: nodes}
}

func noSlots() *[route.NumSlots]uint16 {
	owners := new([route.NumSlots]uint16)
	for slot := range owners {
		owners[slot] = route.NoServer
	}
	return owners
}

// table is the table of a cluster with these servers.
func (m *Members) table(owners *[route.NumSlots]uint16, nodes []Node) *route.Table {
	without := make([]uint16, len(m.Servers))
	for i := range without {
		without[i] = uint16(i)
	}
	t := route.NewSlots(owners, without)
	t.ReadFrom(replicasBy(leadersOf(nodes)))
	return t
}

// placesOf has the places of a cluster's servers by the names of its nodes.
func placesOf(m *Members, nodes []Node) map[string]int {
	places := make(map[string]int, len(m.Servers))
	for i := range m.Servers {
		for _, name := range nodes[i].Others {
			places[name] = i
		}
	}
	for i := range m.conf {
		a := &m.conf[i].Address
		places[NodeAddress(a.Host, a.Port)] = i
	}
	return places
}

// PublishSlots gives a pool the nodes of a cluster, at time now: owners has the place among
// members of the server of each slot, or route.NoServer. Loops take over other servers
// only if a node has come or gone, or has other addresses to be called by; else they get
// another table. Servers that go answer their requests until time by at the latest. It
// reports whether anything is other than before. Only one goroutine at a time may call it.
func (t *Topology) PublishSlots(members []Member, nodes []Node, owners *[route.NumSlots]uint16, now, by int64) (changed bool) {
	for {
		old := t.current.Load()
		c := change{nodes: nodes, since: old}
		m := old.Members
		if !m.hasNodes(members, old.Nodes, nodes) {
			servers := make([]config.Server, len(members))
			for i := range members {
				servers[i] = members[i].Server
			}
			m = newMembers(t.conf, servers, nil, old.Members)
			m.FinishBy, m.places = by, placesOf(m, nodes)
			c.members = m
		}
		for i := range members {
			if addrs := members[i].Addrs; addrs != nil && len(m.Servers[i].Addrs()) == 0 {
				m.Servers[i].SetAddrs(addrs)
			}
		}
		sameSlots := c.members == nil && *old.Table.Owners() == *owners
		if sameSlots && slices.EqualFunc(old.Nodes, nodes, Node.equal) {
			return false
		}
		m.depose(old, nodes, owners, now)
		if !sameSlots || !slices.Equal(old.leaders, leadersOf(nodes)) {
			c.table = m.table(owners, nodes)
		}
		if t.publish(c, now, nil) != nil {
			if c.members != nil {
				m.settle()
			}
			return true
		}
	}
}

// depose notes which primaries of the snapshot before have lost their slots to replicas of theirs.
// A node that has given its slots away is none of them: it may answer what it was asked.
func (m *Members) depose(old *Snapshot, nodes []Node, owners *[route.NumSlots]uint16, now int64) {
	has := make([]bool, len(nodes))
	for _, at := range owners {
		if at != route.NoServer {
			has[at] = true
		}
	}
	of := make(map[string]string, len(old.Nodes))
	for i := range old.Nodes {
		if n := &old.Nodes[i]; n.Role == Replica {
			of[n.ID] = n.Of
		}
	}
	followed := make(map[string]bool)
	for i := range nodes {
		if primary := of[nodes[i].ID]; has[i] && primary != "" {
			followed[primary] = true
		}
	}
	for i := range nodes {
		if followed[nodes[i].ID] && !has[i] {
			m.Servers[i].Depose(now)
		}
	}
}

func (n Node) equal(o Node) bool {
	return n.ID == o.ID && n.Role == o.Role && n.Of == o.Of && n.Failing == o.Failing && n.Zone == o.Zone && n.Imports == o.Imports && slices.Equal(n.Others, o.Others)
}

// hasNodes reports whether the servers are these members, and are called as before.
func (m *Members) hasNodes(members []Member, before, nodes []Node) bool {
	if len(members) != len(m.conf) {
		return false
	}
	for i := range members {
		if identityOf(&members[i].Server) != identityOf(&m.conf[i]) || !slices.Equal(before[i].Others, nodes[i].Others) {
			return false
		}
	}
	return true
}

// maxMoved is how many slots are moved one by one before the publisher's next map: each
// one costs a table.
const maxMoved = 64

// MoveSlot has the keys of a slot go to another server from now on, since a server has said
// so (MOVED). It reports whether that is in force: it is not if the server is none of the
// pool's, or if very many slots have moved since the last map. It may be called from any
// goroutine.
func (t *Topology) MoveSlot(slot int, to *Health, now int64) bool {
	for {
		old := t.current.Load()
		place := old.Place(to)
		if !old.Table.IsSlots() || place < 0 || slot < 0 || slot >= route.NumSlots {
			return false
		}
		if old.Table.OwnerOfSlot(slot) == uint16(place) {
			return true
		}
		if t.cluster.moved.Load() >= maxMoved {
			return false
		}
		owners := old.Table.Owners()
		owners[slot] = uint16(place)
		if t.publish(change{table: old.table(owners, old.Nodes), since: old}, now, nil) != nil {
			t.cluster.moved.Add(1)
			return true
		}
	}
}

// A Want is why a newer map of a cluster is wanted.
type Want uint8

const (
	// WantMoved means that a server has said MOVED.
	WantMoved Want = iota
	// WantLost means that a server cannot be connected to, or has failed.
	WantLost
	// WantDown means that a server has said CLUSTERDOWN.
	WantDown
	// WantUnknown means that a server has named a node that is not known.
	WantUnknown
	// WantReadOnly means that a server was no primary.
	WantReadOnly
	// WantSlot means that no server has the slot of a request.
	WantSlot
	// WantScan means that a client scans.
	WantScan
	numWants
)

// String is the reason in words.
func (w Want) String() string {
	switch w {
	case WantMoved:
		return "moved"
	case WantLost:
		return "lost"
	case WantDown:
		return "clusterdown"
	case WantUnknown:
		return "unknown_node"
	case WantReadOnly:
		return "readonly"
	case WantSlot:
		return "no_server"
	case WantScan:
		return "scan"
	case numWants:
	}
	return "unknown"
}

// An Inquiry is how loops ask for a newer map of a cluster. Any goroutine may use it.
type Inquiry struct {
	// wanted has a bit for each Want.
	wanted atomic.Uint32
	// from is the server that has said so last.
	from atomic.Pointer[Health]
	wake atomic.Pointer[func()]
	// wakeLook has all nodes be asked. scans: that was wanted.
	wakeLook atomic.Pointer[func()]
	scans    atomic.Bool
	// moved is how many slots have moved since the last map.
	moved atomic.Int64
}

// WantMap asks for a newer map of the pool's cluster, since that server has said that it is
// out of date, or has failed; nil: nobody has. It does not wait, and costs little if it
// was asked for already.
func (t *Topology) WantMap(why Want, from *Health) {
	q := &t.cluster
	if q.wanted.Load()&(1<<why) != 0 || q.wanted.Or(1<<why)&(1<<why) != 0 {
		return // the publisher was woken for that already
	}
	if from != nil {
		q.from.Store(from)
	}
	if wake := q.wake.Load(); wake != nil {
		(*wake)()
	}
}

// OnWanted sets f, which is called, on any goroutine, when a map is wanted. f must not
// wait.
func (t *Topology) OnWanted(f func()) { t.cluster.wake.Store(&f) }

// MissesNode reports whether a newer map is wanted since a node is missed, and not only since slots
// have moved, or a client scans.
func (t *Topology) MissesNode() bool {
	return t.cluster.wanted.Load()&^(1<<WantMoved|1<<WantScan) != 0
}

// Wanted takes what was wanted since its last call: why, and the server that had said so
// last. A map that is published after it may move slots anew.
func (t *Topology) Wanted() (why []Want, from *Health) {
	q := &t.cluster
	q.moved.Store(0)
	bits := q.wanted.Swap(0)
	for w := range numWants {
		if bits&(1<<w) != 0 {
			why = append(why, w)
		}
	}
	return why, q.from.Swap(nil)
}
