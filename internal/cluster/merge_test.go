package cluster

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// says makes an answer of lines of CLUSTER NODES: "id epoch slots", "id epoch replica of",
// with "fail" for a node that fails. A node's address is 10.0.0.<id>:7000.
func says(t *testing.T, lines ...string) *answer {
	t.Helper()
	text := ""
	for i, line := range lines {
		words := strings.Fields(line)
		n := 0
		if _, err := fmt.Sscan(words[0], &n); err != nil {
			t.Fatal(err)
		}
		flags, primary, slots := "master", "-", words[2:]
		if len(slots) > 0 && slots[0] == "replica" {
			of := 0
			if _, err := fmt.Sscan(slots[1], &of); err != nil {
				t.Fatal(err)
			}
			flags, primary, slots = "slave", id(of), slots[2:]
		}
		if len(slots) > 0 && slots[0] == "fail" {
			flags, slots = flags+",fail", slots[1:]
		}
		if i == 0 {
			flags = "myself," + flags
		}
		text += fmt.Sprintf("%s 10.0.0.%d:7000@17000 %s %s 0 0 %s connected %s\n", id(n), n, flags, primary, words[1], strings.Join(slots, " "))
	}
	a, err := parseNodes(text, asked{host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	a.addr = a.nodes[a.self].Addr()
	return a
}

// shown is a map in words: each node with its slots.
func shown(m *Map) string {
	if m == nil {
		return "none"
	}
	var all []string
	for i, n := range m.Nodes {
		text := strings.TrimSuffix(strings.TrimPrefix(n.Addr(), "10.0.0."), ":7000")
		if n.Replica {
			text += " replica"
		}
		first := -1
		for slot := 0; slot <= NumSlots; slot++ {
			is := slot < NumSlots && m.Owners[slot] == int32(i)
			switch {
			case is && first < 0:
				first = slot
			case !is && first >= 0:
				text += fmt.Sprintf(" %d-%d", first, slot-1)
				first = -1
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// The newest and fullest map comes of answers that differ.
func TestMerge(t *testing.T) {
	whole := []string{"1 1 0-8191", "2 2 8192-16383"}
	known, _ := merge(nil, []*answer{says(t, whole...)})
	failedOver, _ := merge(nil, []*answer{says(t, "1 1 fail", "2 2 8192-16383", "3 9 0-8191")})
	for _, tt := range []struct {
		name          string
		known         *Map
		answers       []*answer
		want, problem string
	}{
		{"one answer", nil, []*answer{says(t, whole...)}, "1 0-8191, 2 8192-16383", ""},
		{"a failover that one has not heard of", nil, []*answer{
			says(t, "2 2 8192-16383", "1 1 0-8191", "3 1 replica 1"), says(t, "3 5 0-8191", "1 1 fail", "2 2 8192-16383"),
		}, "1, 2 8192-16383, 3 0-8191", ""},
		{"the same in the other order", nil, []*answer{
			says(t, "3 5 0-8191", "1 1 fail", "2 2 8192-16383"), says(t, "2 2 8192-16383", "1 1 0-8191", "3 1 replica 1"),
		}, "1, 2 8192-16383, 3 0-8191", ""},
		{
			"one that has not heard of all slots", nil,
			[]*answer{says(t, "1 1 0-100", "2 2"), says(t, "2 2 8192-16383", "1 1 0-8191")},
			"1 0-8191, 2 8192-16383", "",
		},
		{
			"a slot that has moved", known,
			[]*answer{says(t, "1 1 0-8191", "2 2 8192-16383"), says(t, "2 7 8191-16383", "1 1 0-8190")},
			"1 0-8190, 2 8191-16383", "",
		},
		{"holes, and nothing is known", nil, []*answer{says(t, "1 1 0-99", "2 2 200-16383")}, "1 0-99, 2 200-16383", "100 of 16384 slots have no primary"},
		{"holes keep what was known", known, []*answer{says(t, "1 1 0-99", "2 2 200-16383")}, "1 0-199, 2 200-16383", "100 of 16384 slots have no primary"},
		{"but not at nodes that have left", known, []*answer{says(t, "2 2 8192-16383")}, "2 8192-16383", "8192 of 16384 slots have no primary"},
		{"an answer that is behind", failedOver, []*answer{says(t, "1 1 0-8191", "2 2 8192-16383", "3 3")}, "none", "the nodes that answer are out of date"},
		{
			"one that is behind, and one that is not", failedOver,
			[]*answer{says(t, "1 1 0-8191", "2 2 8192-16383", "3 3"), says(t, "3 9 0-8191", "2 2 8192-16383", "1 9 replica 3")},
			"1 replica, 2 8192-16383, 3 0-8191", "",
		},
		{
			"another cluster", known,
			[]*answer{says(t, "8 50 0-16383"), says(t, whole...)},
			"1 0-8191, 2 8192-16383",
			"",
		},
		{"a node at the address of one that is gone", nil, []*answer{says(t, "2 2 8192-16383", "1 1 0-8191")}, "1 0-8191, 2 8192-16383", ""},
		{"a cluster that was set up anew", known, []*answer{says(t, "11 0 0-16383", "12 1")}, "11 0-16383, 12", ""},
		{"no answer", known, nil, "none", ""},
	} {
		got, problem := merge(tt.known, tt.answers)
		if shown(got) != tt.want || problem != tt.problem {
			t.Errorf("%s: %s (%q), want %s (%q)", tt.name, shown(got), problem, tt.want, tt.problem)
		}
	}
}

// TestMergeOfTwoClusters: the order of the answers does not decide.
func TestMergeOfTwoClusters(t *testing.T) {
	whole := []string{"1 1 0-8191", "2 2 8192-16383"}
	for _, tt := range []struct {
		name    string
		answers []*answer
		want    string
		others  string // those that belong to another cluster
	}{
		{
			"two clusters, and nothing is known",
			[]*answer{says(t, "8 50 0-99"), says(t, whole...)},
			"1 0-8191, 2 8192-16383",
			"10.0.0.8:7000",
		},
		{
			"two whole clusters: the one of more nodes",
			[]*answer{says(t, "8 50 0-16383"), says(t, whole...)},
			"1 0-8191, 2 8192-16383",
			"10.0.0.8:7000",
		},
		{
			"the same, whoever answers first",
			[]*answer{says(t, whole...), says(t, "8 50 0-16383")},
			"1 0-8191, 2 8192-16383",
			"10.0.0.8:7000",
		},
		{
			"of as many nodes: the newer one",
			[]*answer{says(t, "7 3 0-16383"), says(t, "8 4 0-16383")},
			"8 0-16383",
			"10.0.0.7:7000",
		},
		{
			"as new: the one of the lower address",
			[]*answer{says(t, "8 3 0-16383"), says(t, "7 3 0-16383")},
			"7 0-16383",
			"10.0.0.8:7000",
		},
	} {
		got, problem := merge(nil, tt.answers)
		var others []string
		for _, a := range strangers(got, tt.answers) {
			others = append(others, a.addr)
		}
		if shown(got) != tt.want || problem != "" || strings.Join(others, ", ") != tt.others {
			t.Errorf("%s: %s (%q) and not %q, want %s and not %s", tt.name, shown(got), problem, others, tt.want, tt.others)
		}
	}
}

// Without epochs most answers count.
func TestMergeWithoutEpochs(t *testing.T) {
	of := func(owner int) *answer {
		a := says(t, "1 1", "2 1")
		for _, n := range a.nodes {
			n.Epoch = -1
		}
		a.epoch, a.runs = -1, []run{{0, NumSlots - 1, id(owner)}}
		return a
	}
	for _, order := range [][]int{{1, 2, 2}, {2, 1, 2}, {2, 2, 1}} {
		var answers []*answer
		for _, owner := range order {
			answers = append(answers, of(owner))
		}
		if m, _ := merge(nil, answers); shown(m) != "1, 2 0-16383" {
			t.Errorf("of %v comes %s", order, shown(m))
		}
	}
}

// A map is settled if every slot has a primary that works.
func TestSettled(t *testing.T) {
	for want, lines := range map[bool][]string{
		true:  {"1 1 0-16383", "2 1 fail"},
		false: {"1 1 0-16382", "2 1"},
	} {
		if m, _ := merge(nil, []*answer{says(t, lines...)}); m.Settled() != want {
			t.Errorf("%v: %v", lines, m.Settled())
		}
	}
	if m, _ := merge(nil, []*answer{says(t, "1 1 fail 0-16383")}); m.Settled() {
		t.Error("a map with a primary that fails is settled")
	}
	if (*Map)(nil).Settled() {
		t.Error("no map is settled")
	}
}

// 2,000 primaries with 16,384 runs of one slot each, and as many replicas, are read and
// merged within bounds.
func TestLargeCluster(t *testing.T) {
	const primaries = 2000
	slots := make([][]string, primaries)
	for slot := range NumSlots {
		slots[slot%primaries] = append(slots[slot%primaries], fmt.Sprint(slot))
	}
	var b strings.Builder
	for n := range primaries {
		fmt.Fprintf(&b, "%s 10.1.%d.%d:7000@17000 master - 0 1700000000000 %d connected %s\n", id(n+1), n/250, n%250, n+1, strings.Join(slots[n], " "))
		fmt.Fprintf(&b, "%s 10.2.%d.%d:7000@17000 slave %s 0 1700000000000 %d connected\n", id(n+10001), n/250, n%250, id(n+1), n+1)
	}
	text := b.String()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := parseNodes(text, asked{host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	m, problem := merge(nil, []*answer{a, a, a})
	runtime.ReadMemStats(&after)
	if m == nil || problem != "" || m.Covered != NumSlots || len(m.Nodes) != 2*primaries {
		t.Fatal(problem)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("a map of %d bytes takes %d", len(text), got)
	}
	if m.Nodes[m.Owners[4001]].ID != id(2) || !slices.IsSortedFunc(m.Nodes, func(a, b Node) int { return strings.Compare(a.Host, b.Host) }) {
		t.Error("slot 4001 is not at the second primary")
	}
}
