package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/redisclient"
	"nuthatch/internal/units"
)

// whole is where a fault is that is none of a single node's.
const whole = "cluster"

// A judgement collects what is wrong with a cluster.
type judgement struct {
	m      *Map
	all    []*visit
	secure bool
	// names are the addresses of the map's nodes, by their ids.
	names  map[string]string
	faults []redisclient.Fault
}

// judge says what is wrong with a cluster, of which m is what all nodes say together; nil:
// nobody says anything.
func judge(m *Map, all []*visit, seeds map[string]bool, secure bool) *Examined {
	j := &judgement{m: m, all: all, secure: secure, names: make(map[string]string)}
	e := &Examined{Nodes: seenOf(m, all, seeds), Epoch: -1}
	if m != nil {
		for i := range m.Nodes {
			j.names[m.Nodes[i].ID] = m.Nodes[i].Addr()
		}
		e.Covered, e.Epoch = m.Covered, m.Epoch
	}
	j.answers(seeds)
	if m == nil {
		j.fault(whole, "no seed is a node of a cluster")
	} else {
		j.clusters(seeds)
		j.views()
		j.slots()
		j.owners()
		j.epochs()
		j.primaries()
		j.endpoints()
		j.versions()
	}
	e.Faults = j.faults
	return e
}

func (j *judgement) fault(where, what string, args ...any) {
	j.faults = append(j.faults, redisclient.Fault{Where: where, What: fmt.Sprintf(what, args...)})
}

func (j *judgement) minor(where, what string, args ...any) {
	j.faults = append(j.faults, redisclient.Fault{Where: where, What: fmt.Sprintf(what, args...), Minor: true})
}

// node is the node of the map at that address, or nil.
func (j *judgement) node(addr string) *Node {
	if j.m == nil {
		return nil
	}
	i := slices.IndexFunc(j.m.Nodes, func(n Node) bool { return n.Addr() == addr })
	if i < 0 {
		return nil
	}
	return &j.m.Nodes[i]
}

// answers tells which nodes and seeds have not answered.
func (j *judgement) answers(seeds map[string]bool) {
	for _, v := range j.all {
		at := v.addr.String()
		n := j.node(at)
		switch {
		case v.open:
			j.minor(at, "it wants no password, and the pool has one")
		case v.err == nil:
		case isNoCluster(v.err):
			j.fault(at, "it is no node of a cluster: %s", strings.TrimPrefix(v.err.Error(), "ERR "))
		case seeds[at] || n == nil:
			j.fault(at, "%s", redisclient.Why(v.err, j.secure))
		case n.Failing:
			j.minor(at, "it has failed, as the others say: %s", redisclient.Why(v.err, j.secure))
		default:
			j.fault(at, "%s. The other nodes can reach it: is that its address from here, too?", strings.TrimSuffix(redisclient.Why(v.err, j.secure), "."))
		}
	}
}

// clusters tells of seeds that belong to another cluster than most.
func (j *judgement) clusters(seeds map[string]bool) {
	where := membership{others: make(map[string][]string)}
	foreign := strangers(j.m, answersOf(j.all))
	for _, v := range j.all {
		switch at := v.addr.String(); {
		case v.answer == nil || !seeds[at]:
		case slices.Contains(foreign, v.answer):
			where.others[v.mark()] = append(where.others[v.mark()], at)
		default:
			where.used = append(where.used, at)
		}
	}
	if text := where.text(); text != "" {
		j.fault(whole, "%s", text)
	}
	one := ofOneCluster(nil, answersOf(j.all))
	for _, v := range j.all {
		if v.answer == nil || slices.Contains(one, v.answer) {
			continue
		}
		alone := ""
		if len(v.nodes) == 1 && len(v.runs) == 0 {
			alone = "; it knows only itself, and has no slots"
		}
		j.fault(v.answer.addr, "it belongs to another cluster than %s: neither knows a node of the other%s", one[0].addr, alone)
	}
}

// inside are the visits of nodes of the cluster that have answered.
func (j *judgement) inside() (in []*visit) {
	one := ofOneCluster(nil, answersOf(j.all))
	for _, v := range j.all {
		if v.answer != nil && slices.Contains(one, v.answer) {
			in = append(in, v)
		}
	}
	return in
}

// views tells of nodes that see the cluster otherwise than all together.
func (j *judgement) views() {
	for _, v := range j.inside() {
		at := v.addr.String()
		if v.state != "" && v.state != "ok" {
			j.fault(at, "its cluster_state is %s: it refuses requests", v.state)
		}
		if covers := v.coverage(); covers < j.m.Covered {
			j.fault(at, "it knows the primaries of %d of %d slots, and others know those of %d: it is behind, or sees half of the cluster", covers, NumSlots, j.m.Covered)
		}
		var unknown []string
		for i := range j.m.Nodes {
			if n := &j.m.Nodes[i]; v.nodes[n.ID] == nil && !n.Failing {
				unknown = append(unknown, n.Addr())
			}
		}
		if len(unknown) > 0 {
			j.minor(at, "it does not know %s", someOf(unknown))
		}
		if len(v.moving) > 0 {
			j.minor(at, "slots are on their way from it to other nodes: %s", someOf(v.moving))
		}
	}
}

// slots tells which slots have no primary.
func (j *judgement) slots() {
	if j.m.Covered == NumSlots {
		return
	}
	covered := make([]bool, NumSlots)
	for _, v := range j.inside() {
		for _, r := range v.runs {
			for slot := r.first; slot <= r.last; slot++ {
				covered[slot] = covered[slot] || j.names[r.owner] != ""
			}
		}
	}
	var holes []int
	for slot, is := range covered {
		if !is {
			holes = append(holes, slot)
		}
	}
	j.fault(whole, "%d of %d slots %s no primary: %s", len(holes), NumSlots, units.Plural(len(holes), "has", "have"), runsOf(holes))
}

// owners tells about which slots nodes disagree: once for all slots about which the same nodes say
// the same.
func (j *judgement) owners() {
	// A claim is an owner that is named, the first node that names it, and how many more do.
	type claim struct {
		owner, by string
		more      int
	}
	var claims [NumSlots][]claim
	for _, v := range j.inside() {
		for _, r := range v.runs {
			for slot := r.first; slot <= r.last; slot++ {
				of := claims[slot]
				if at := slices.IndexFunc(of, func(c claim) bool { return c.owner == r.owner }); at >= 0 {
					of[at].more++
				} else {
					claims[slot] = append(of, claim{owner: r.owner, by: v.addr.String()})
				}
			}
		}
	}
	slots := make(map[string][]int)
	for slot, of := range claims {
		if len(of) < 2 {
			continue
		}
		var said []string
		for _, c := range of {
			say := " says "
			if c.more > 0 {
				say = " and " + strconv.Itoa(c.more) + " more say "
			}
			said = append(said, c.by+say+j.name(c.owner))
		}
		text := strings.Join(said, ", and ")
		slots[text] = append(slots[text], slot)
	}
	texts := slices.SortedFunc(maps.Keys(slots), func(a, b string) int { return cmp.Compare(slots[a][0], slots[b][0]) })
	for _, text := range texts {
		j.fault(whole, "nodes do not agree who has the slots %s: %s", runsOf(slots[text]), text)
	}
}

// name is the address of a node, or else its id.
func (j *judgement) name(id string) string { return cmp.Or(j.names[id], "node "+id) }

// epochs tells of primaries with the same config epoch, of which one must still get another.
func (j *judgement) epochs() {
	by := make(map[int64]string)
	for i := range j.m.Nodes {
		n := &j.m.Nodes[i]
		if n.Replica || n.Epoch < 0 || !j.m.HasSlots(int32(i)) {
			continue
		}
		if other := by[n.Epoch]; other != "" {
			j.fault(whole, "%s and %s have the same config epoch %d: the nodes have not agreed yet", other, n.Addr(), n.Epoch)
		}
		by[n.Epoch] = n.Addr()
	}
	for _, v := range j.inside() {
		if v.epoch >= 0 && v.epoch < j.m.Epoch {
			j.minor(v.addr.String(), "the greatest config epoch that it knows is %d, and others know %d: it is behind", v.epoch, j.m.Epoch)
		}
	}
}

// primaries tells of primaries with slots that are out of reach.
func (j *judgement) primaries() {
	var all, down int
	for i := range j.m.Nodes {
		n := &j.m.Nodes[i]
		if n.Replica || !j.m.HasSlots(int32(i)) {
			continue
		}
		all++
		v := j.visitOf(n.Addr())
		if n.Failing {
			j.fault(n.Addr(), "it has failed, as the others say, and it has slots")
		}
		if n.Failing || v == nil || v.err != nil {
			down++
		}
	}
	if down > 0 && 2*down >= all {
		j.fault(whole, "%d of %d primaries are out of reach: half of the cluster is missing, and no replica can be made a primary", down, all)
	}
}

func (j *judgement) visitOf(addr string) *visit {
	i := slices.IndexFunc(j.all, func(v *visit) bool { return v.addr.String() == addr })
	if i < 0 {
		return nil
	}
	return j.all[i]
}

// endpoints tells of nodes of which others do not say where they are.
func (j *judgement) endpoints() {
	lost, vague := make(map[string]string), make(map[string]string)
	for _, v := range j.inside() {
		for _, id := range v.lost {
			lost[id] = v.addr.String()
		}
		for _, id := range v.vague {
			vague[id] = v.addr.String()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		tell := j.fault
		if j.names[id] != "" {
			tell = j.minor
		}
		tell(j.name(id), "%s does not know its address", lost[id])
	}
	for _, id := range slices.Sorted(maps.Keys(vague)) {
		j.minor(j.name(id), "its endpoint is '?', as %s says: cluster-announce-hostname is missing there; its address is used", vague[id])
	}
}

// versions tells of servers of different versions.
func (j *judgement) versions() {
	by := make(map[string][]string)
	for _, v := range j.inside() {
		if v.version != "" && !slices.Contains(by[v.version], v.addr.String()) {
			by[v.version] = append(by[v.version], v.addr.String())
		}
	}
	if len(by) < 2 {
		return
	}
	var all []string
	for _, version := range slices.Sorted(maps.Keys(by)) {
		all = append(all, version+" at "+someOf(by[version]))
	}
	j.minor(whole, "nodes have different versions: %s", strings.Join(all, "; "))
}

// someOf names things, in short if there are many.
func someOf(all []string) string {
	const most = 4
	if more := len(all) - most; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), more)
	}
	return strings.Join(all, ", ")
}
