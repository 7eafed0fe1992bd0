package topology

import (
	"slices"
	"testing"

	"nuthatch/internal/route"
)

// A slot's moves are told apart by their direction in the order of a SCAN. What may have been
// both counts as both.
func TestScanHistory(t *testing.T) {
	names := []string{"10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"}
	slices.SortFunc(names, scanOrder)
	type step struct {
		owner  uint16 // of slot 7
		epochs []int64
		moves  []SlotMove
	}
	still := []int64{1, 2, 3}
	for _, tt := range []struct {
		name         string
		steps        []step // at 10, 20, ...
		back, turned int64
	}{
		{"nothing moves", []step{{0, still, nil}, {0, still, nil}}, 0, 0},
		{"forth", []step{{0, still, nil}, {1, []int64{1, 4, 3}, nil}}, 0, 0},
		{"back", []step{{1, still, nil}, {0, []int64{4, 2, 3}, nil}}, 20, 0},
		{"on its way forth", []step{{0, still, []SlotMove{{7, 0, 1}}}}, 0, 0},
		{"on its way back", []step{{1, still, []SlotMove{{7, 1, 0}}}}, 10, 0},
		{"forth, then back", []step{{0, still, nil}, {1, []int64{1, 4, 3}, nil}, {0, []int64{5, 4, 3}, nil}}, 30, 0},
		{"back, then forth", []step{{1, still, nil}, {0, []int64{4, 2, 3}, nil}, {1, []int64{4, 5, 3}, nil}}, 20, 20},
		{"back, forth, back", []step{{1, still, nil}, {0, []int64{4, 2, 3}, nil}, {1, []int64{4, 5, 3}, nil}, {0, []int64{6, 5, 3}, nil}}, 40, 20},
		{"back, and on its way forth", []step{{1, still, nil}, {0, []int64{4, 2, 3}, []SlotMove{{7, 0, 1}}}}, 20, 20},
		{"to a node that was not scanned", []step{{0, still, nil}, {2, []int64{1, 2, 4}, nil}}, 20, 20},
		{"on its way to a node that was not scanned", []step{{0, still, nil}, {0, still, []SlotMove{{7, 0, 2}}}}, 20, 20},
		{"from that node on", []step{{0, still, []SlotMove{{7, 0, 2}}}, {0, still, []SlotMove{{7, 0, 2}}}}, 0, 0},
		{"to a node that nobody knows", []step{{0, still, []SlotMove{{7, 0, -1}}}}, 10, 10},
		{"gone and back between two views", []step{{0, still, nil}, {0, []int64{4, 2, 3}, nil}}, 20, 20},
		{"an epoch that was not known", []step{{0, []int64{-1, -1, -1}, nil}, {0, []int64{-1, -1, -1}, nil}}, 0, 0},
	} {
		var h ScanHistory
		var got ScanLog
		for i, s := range tt.steps {
			v := ScanView{Names: names, Epochs: s.epochs, Owners: noSlots(), Moves: s.moves, Looked: int64(i) * 10}
			v.Owners[0], v.Owners[1], v.Owners[7] = 0, 1, s.owner
			got = h.Note(&v, int64(i+1)*10)
		}
		want := ScanLog{Known: 10, Looked: int64(len(tt.steps)-1) * 10, Back: tt.back, Turned: tt.turned}
		if got != want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, want)
		}
	}
}

// The nodes of a scan are in an order that their names give, with tags that differ, and those that
// get slots are among them. A node that gets another tag is noted.
func TestScanNodes(t *testing.T) {
	var members []Member
	nodes := make([]Node, 1500)
	for i := range nodes {
		members = append(members, Member{Server: NodeServer("10.0.0.1", 7000+i)})
	}
	owners := new([route.NumSlots]uint16)
	for slot := range owners {
		owners[slot] = uint16(slot % (len(nodes) - 1))
	}
	topo := New(clusterOf(t, 7000))
	topo.PublishSlots(members, nodes, owners, 5, 5)
	all := func() *Scans {
		t.Helper()
		s := topo.Snapshot()
		for i, n := range s.Scans.Nodes {
			if n.Tag < 1 || n.Tag > MaxScanTag || i > 0 && (s.Scans.Nodes[i-1].Tag >= n.Tag || scanOrder(s.Names[s.Scans.Nodes[i-1].Place], s.Names[n.Place]) >= 0) {
				t.Fatalf("node %d has tag %d", i, n.Tag)
			}
		}
		return s.Scans
	}
	before := all()
	if n := len(before.Nodes); n != len(nodes)-1 {
		t.Errorf("%d nodes are scanned, and %d have slots", n, len(nodes)-1)
	}
	nodes = slices.Clone(nodes)
	nodes[len(nodes)-1].Imports = true
	topo.PublishSlots(members, nodes, owners, 6, 6)
	if n := len(all().Nodes); n != len(nodes) {
		t.Errorf("%d nodes are scanned, and %d have slots or get some", n, len(nodes))
	}
	for slot, at := range owners { // the first node of the order has none any more
		if int(at) == before.Nodes[0].Place {
			owners[slot] = uint16(before.Nodes[1].Place)
		}
	}
	topo.PublishSlots(members, nodes, owners, 7, 7)
	after := all()
	tags := map[int]int{}
	for _, n := range before.Nodes {
		tags[n.Place] = n.Tag
	}
	shifted := slices.ContainsFunc(after.Nodes, func(n ScanNode) bool { return tags[n.Place] != 0 && tags[n.Place] != n.Tag })
	if (after.Shifted == 7) != shifted && after.Shifted != 6 {
		t.Errorf("another tag: %t, noted at %d", shifted, after.Shifted)
	}
	topo.PublishScans(ScanLog{Known: 1, Looked: 2}, 8)
	if got := topo.Snapshot().Scans; got.Looked != 2 || len(got.Nodes) != len(after.Nodes) {
		t.Errorf("after a look: %+v", got.ScanLog)
	}
}
