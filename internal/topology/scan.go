package topology

import (
	"cmp"
	"slices"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/route"
)

// A SCAN of a cluster goes from node to node, in an order that all proxies agree on, while
// slots move. Loops must know the nodes in this order, and whether slots have moved.

// MaxScanTag is the greatest tag of a node. 0 is none.
const MaxScanTag = 1<<12 - 1

// A ScanNode is a node that a SCAN goes through. Its tag is greater than those of all nodes
// before it.
type ScanNode struct {
	Place, Tag int
}

// Scans are what a SCAN must know of its cluster. They are immutable.
type Scans struct {
	// Nodes are the primaries that have slots, or get some, in the order of a SCAN.
	Nodes []ScanNode
	// Shifted is when a node got another tag last, in the loops' nanoseconds; 0: never.
	Shifted int64
	ScanLog
}

// A ScanLog says when slots were seen to move, in the loops' nanoseconds; 0: never.
type ScanLog struct {
	// Known is since when that is known; 0: it is not.
	Known int64
	// Looked is when all nodes were asked last: they had not been asked before that time.
	Looked int64
	// Back is when a slot moved last from a node to one that is before it in the order of
	// a SCAN.
	Back int64
	// Turned is the latest time at which a slot moved back that has moved forth since.
	Turned int64
}

// scanHash is what nodes are ordered by, and then by their names.
func scanHash(name string) int { return 1 + int(hashkit.FNV1a_32.Sum([]byte(name)))%MaxScanTag }

// scanOrder compares nodes by their names.
func scanOrder(a, b string) int {
	return cmp.Or(cmp.Compare(scanHash(a), scanHash(b)), cmp.Compare(a, b))
}

// scanNodes are the nodes of a cluster that a SCAN goes through.
func (m *Members) scanNodes(table *route.Table, nodes []Node) []ScanNode {
	all := make([]ScanNode, 0, len(table.All())+1)
	there := make([]bool, len(m.Names))
	add := func(place int) {
		if !there[place] {
			there[place] = true
			all = append(all, ScanNode{Place: place, Tag: scanHash(m.Names[place])})
		}
	}
	for _, place := range table.All() {
		add(int(place))
	}
	for place := range nodes {
		if nodes[place].Imports {
			add(place)
		}
	}
	slices.SortFunc(all, func(a, b ScanNode) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(m.Names[a.Place], m.Names[b.Place]))
	})
	for i := 1; i < len(all); i++ { // each has one of its own
		all[i].Tag = max(all[i].Tag, all[i-1].Tag+1)
	}
	for i := range all {
		all[i].Tag = min(all[i].Tag, MaxScanTag-(len(all)-1-i))
	}
	return all
}

// scansOf are the scans of a snapshot that follows old, at time now. log is what is new of
// their log; nil: nothing.
func scansOf(next, old *Snapshot, log *ScanLog, now int64) *Scans {
	if next.ring != nil {
		return nil
	}
	if old == nil || old.Scans == nil {
		return &Scans{Nodes: next.scanNodes(next.Table, next.Nodes)}
	}
	s := *old.Scans
	if log != nil {
		s.ScanLog = *log
	}
	if next.Members != old.Members || !slices.EqualFunc(next.Nodes, old.Nodes, Node.importsAs) || !slices.Equal(next.Table.All(), old.Table.All()) {
		s.Nodes = next.scanNodes(next.Table, next.Nodes)
		tags := make(map[string]int, len(s.Nodes))
		for _, n := range old.Scans.Nodes {
			tags[old.Names[n.Place]] = n.Tag
		}
		for _, n := range s.Nodes {
			if tag := tags[next.Names[n.Place]]; tag != 0 && tag != n.Tag {
				s.Shifted = now
			}
		}
	}
	return &s
}

func (n Node) importsAs(o Node) bool { return n.Imports == o.Imports }

// PublishScans publishes at time now when slots were seen to move.
func (t *Topology) PublishScans(log ScanLog, now int64) {
	if s := t.current.Load().Scans; s != nil && s.ScanLog != log {
		t.publish(change{log: &log}, now, nil)
	}
}

// WantLook asks for a look at all nodes, for requests that wait for it. It does not wait.
func (t *Topology) WantLook() {
	t.cluster.scans.Store(true)
	if wake := t.cluster.wakeLook.Load(); wake != nil {
		(*wake)()
	}
}

// OnWantedLook sets f, which is called, on any goroutine, when a look at all nodes is wanted.
// f must not wait.
func (t *Topology) OnWantedLook(f func()) {
	t.cluster.wakeLook.Store(&f)
	if t.cluster.scans.Load() { // before anybody could be told
		f()
	}
}
