package cluster

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// strangers are the answers that name nodes, and none of the map. m may be nil.
func strangers(m *Map, answers []*answer) (foreign []*answer) {
	for _, a := range answers {
		if m != nil && len(a.nodes) > 0 && a.knows(m) == 0 {
			foreign = append(foreign, a)
		}
	}
	return foreign
}

// mark names the cluster that an answer is about: all of its nodes know its least id.
func (a *answer) mark() string { return slices.Min(slices.Collect(maps.Keys(a.nodes))) }

// A membership says which addresses belong to the cluster that is used, and which to others, by
// the marks of these.
type membership struct {
	used   []string
	others map[string][]string
}

// text says which address belongs to which cluster; empty: all belong to one.
func (m *membership) text() string {
	if len(m.others) == 0 {
		return ""
	}
	const two = 2
	n := strconv.Itoa(1 + len(m.others))
	if len(m.others)+1 == two {
		n = "two"
	}
	groups := slices.Collect(maps.Values(m.others))
	for _, g := range groups {
		slices.Sort(g)
	}
	slices.SortFunc(groups, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	words := []string{"none to the one that is used"}
	if len(m.used) > 0 {
		words[0] = strings.Join(m.used, ", ") + " to the one that is used"
	}
	for _, g := range groups {
		words = append(words, strings.Join(g, ", ")+" to another")
	}
	return "the seeds belong to " + n + " clusters: " + strings.Join(words, "; ")
}

// noteStrangers notes which of the seeds that have answered belong to another cluster than the
// map, and says which seed belongs where; empty: all of those that have ever answered belong to
// one. m may be nil.
func (w *Watcher) noteStrangers(m *Map, answers []*answer) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	foreign := strangers(m, answers)
	where := membership{others: make(map[string][]string)}
	for i := range w.status.Seeds {
		s := &w.status.Seeds[i]
		if j := slices.IndexFunc(answers, func(a *answer) bool { return a.addr == s.Address }); j >= 0 && m != nil {
			s.member, s.stranger = answers[j].knows(m) > 0, ""
			if slices.Contains(foreign, answers[j]) {
				s.stranger = answers[j].mark()
			}
		}
		switch {
		case s.stranger != "":
			where.others[s.stranger] = append(where.others[s.stranger], s.Address)
		case s.member:
			where.used = append(where.used, s.Address)
		}
	}
	return where.text()
}
