package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/units"
)

// A Map is a cluster at one moment. It is immutable.
type Map struct {
	// Nodes are in the order of their addresses.
	Nodes []Node
	// Owners has for each slot the place of its primary among Nodes, or -1.
	Owners [NumSlots]int32
	// Covered is how many slots have a primary by the last answers. Others may have one in
	// Owners, by an older map.
	Covered int
	// Epoch is the greatest config epoch; -1: the nodes do not say.
	Epoch int64
	// Whole: all primaries were asked, from Began on, and Moves are the slots that are on their
	// way. Without it, Moves is empty.
	Whole bool
	Began time.Time
	Moves []Move
}

// Settled reports whether every slot has a primary that works.
func (m *Map) Settled() bool {
	if m == nil || m.Covered < NumSlots {
		return false
	}
	for i := range m.Nodes {
		if m.Nodes[i].Failing && m.HasSlots(int32(i)) {
			return false
		}
	}
	return true
}

// HasSlots reports whether the node at a place among Nodes has slots.
func (m *Map) HasSlots(place int32) bool { return slices.Contains(m.Owners[:], place) }

// hosts are where the nodes are, by their ids. m may be nil.
func (m *Map) hosts() map[string]string {
	if m == nil {
		return nil
	}
	all := make(map[string]string, len(m.Nodes))
	for i := range m.Nodes {
		all[m.Nodes[i].ID] = m.Nodes[i].Host
	}
	return all
}

// merge makes a map of answers, and tells what is wrong with them. known is the last map,
// nil: there is none. It returns nil if the answers are of no use.
//
//	answers of several clusters    those of the cluster that is known; else the fullest
//	that are older than the map    none
//	that differ about a slot       the primary with the greatest config epoch has it; without
//	                               epochs the one that most name
//	that do not know a slot        the last map counts, if its node is still there
func merge(known *Map, answers []*answer) (m *Map, problem string) {
	answers, problem = withoutStale(known, ofOneCluster(known, answers))
	if len(answers) == 0 {
		return nil, problem
	}
	m = &Map{Epoch: -1}
	nodes := make(map[string]*Node)
	for _, a := range answers {
		m.Epoch = max(m.Epoch, a.epoch)
		for id, n := range a.nodes {
			if is := nodes[id]; is == nil || n.Epoch > is.Epoch {
				nodes[id] = n
			}
		}
	}
	places := m.addNodes(nodes)
	m.own(places, answers)
	for slot := range m.Owners {
		if m.Owners[slot] >= 0 {
			m.Covered++
		} else if known != nil && known.Owners[slot] >= 0 {
			if at, there := places[known.Nodes[known.Owners[slot]].ID]; there {
				m.Owners[slot] = at
			}
		}
	}
	problem = ""
	if m.Covered < NumSlots {
		problem = fmt.Sprintf("%d of %d slots %s no primary", NumSlots-m.Covered, NumSlots, units.Plural(NumSlots-m.Covered, "has", "have"))
	}
	return m, problem
}

// addNodes adds nodes in the order of their addresses, and returns their places by their
// ids. Of two nodes at one address, one has taken it over: the newer one counts.
func (m *Map) addNodes(nodes map[string]*Node) map[string]int32 {
	all := make([]*Node, 0, len(nodes))
	for _, n := range nodes {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *Node) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), cmp.Compare(rank(a), rank(b)),
			cmp.Compare(b.Epoch, a.Epoch), strings.Compare(a.ID, b.ID))
	})
	places := make(map[string]int32, len(all))
	for _, n := range all {
		if last := len(m.Nodes) - 1; last >= 0 && m.Nodes[last].Host == n.Host && m.Nodes[last].Port == n.Port {
			continue
		}
		places[n.ID] = int32(len(m.Nodes))
		m.Nodes = append(m.Nodes, *n)
	}
	return places
}

// rank is smaller for nodes that are more likely to be there.
func rank(n *Node) int {
	if n.Failing {
		return 1
	}
	return 0
}

// own gives the slots to their primaries.
func (m *Map) own(places map[string]int32, answers []*answer) {
	type claim struct {
		epoch int64
		place int32
		votes int32
	}
	var won [NumSlots]claim
	for slot := range won {
		won[slot] = claim{epoch: -2, place: -1}
	}
	for _, a := range answers {
		for _, r := range a.runs {
			at, there := places[r.owner]
			if !there {
				continue
			}
			epoch := int64(-1)
			if n := a.nodes[r.owner]; n != nil {
				epoch = n.Epoch
			}
			for slot := r.first; slot <= r.last; slot++ {
				switch w := &won[slot]; {
				case w.place == at:
					w.votes, w.epoch = w.votes+1, max(w.epoch, epoch)
				case epoch > w.epoch:
					*w = claim{epoch, at, 1}
				case epoch == w.epoch && w.votes <= 1:
					// Without epochs: of three answers the two that agree.
					if w.votes--; w.votes < 0 {
						*w = claim{epoch, at, 1}
					}
				case epoch == w.epoch:
					w.votes--
				}
			}
		}
	}
	for slot := range won {
		m.Owners[slot] = won[slot].place
	}
}

// ofOneCluster leaves the answers of one cluster.
func ofOneCluster(known *Map, answers []*answer) []*answer {
	if len(answers) == 0 {
		return nil
	}
	var groups [][]*answer
	for _, a := range answers {
		i := slices.IndexFunc(groups, func(g []*answer) bool { return slices.ContainsFunc(g, a.isOf) })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], a)
	}
	best := 0
	for i := range groups {
		if better(known, groups[i][0], groups[best][0]) {
			best = i
		}
	}
	return groups[best]
}

// isOf reports whether two answers are about one cluster: they have a node in common.
func (a *answer) isOf(b *answer) bool {
	for id := range a.nodes {
		if b.nodes[id] != nil {
			return true
		}
	}
	return false
}

// better reports whether the cluster of a is to be used, and not that of b. Between two whole
// ones the answers' order must not decide: with the same seeds, all proxies choose the same one.
func better(known *Map, a, b *answer) bool {
	if known != nil {
		if ofA, ofB := a.knows(known), b.knows(known); ofA != ofB {
			return ofA > ofB
		}
	}
	return cmp.Or(
		cmp.Compare(a.coverage(), b.coverage()), cmp.Compare(len(a.nodes), len(b.nodes)),
		cmp.Compare(a.epoch, b.epoch), cmp.Compare(b.addr, a.addr),
	) > 0
}

// knows is how many of the map's nodes the answer has.
func (a *answer) knows(m *Map) (n int) {
	for i := range m.Nodes {
		if a.nodes[m.Nodes[i].ID] != nil {
			n++
		}
	}
	return n
}

func (a *answer) coverage() (n int) {
	for _, r := range a.runs {
		n += r.last - r.first + 1
	}
	return n
}

// withoutStale leaves the answers that are not older than the map: those that know no
// primary by an older config epoch, which never falls. A node that has become a replica
// shows its primary's epoch, and says nothing.
func withoutStale(known *Map, answers []*answer) (fresh []*answer, problem string) {
	if known == nil {
		return answers, ""
	}
	for _, a := range answers {
		if !a.isOlder(known) {
			fresh = append(fresh, a)
		}
	}
	if len(fresh) == 0 && len(answers) > 0 {
		problem = "the nodes that answer are out of date"
	}
	return fresh, problem
}

// isOlder reports whether the answer is older than the map.
func (a *answer) isOlder(than *Map) bool {
	return slices.ContainsFunc(than.Nodes, func(n Node) bool {
		is := a.nodes[n.ID]
		return is != nil && !n.Replica && !is.Replica && is.Epoch >= 0 && is.Epoch < n.Epoch
	})
}
