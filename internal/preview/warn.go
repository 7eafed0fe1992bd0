package preview

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// noticeable is the smallest share of keys, moved without need, that is worth a
// warning.
const noticeable = 1e-6

// warn finds the changes that move keys without need: it undoes one kind of
// change after the other in a copy of the new pool, and compares again.
func warn(old, changed *config.Pool, d *Pool) []Warning {
	if old.Distribution == hashkit.Random || changed.Distribution == hashkit.Random {
		return nil
	}
	var all []Warning
	if old.Hash != changed.Hash && hashMatters(old, changed) {
		all = append(all, Warning{
			What:    fmt.Sprintf("hash changes from %s to %s: %s of the keys move", old.Hash, changed.Hash, Percent(d.Keys[0].Moved)),
			Instead: "keep hash: " + old.Hash.String(),
		})
	}
	if old.Distribution != changed.Distribution {
		all = appendCostly(all, old, changed, withDistribution(changed, old.Distribution),
			fmt.Sprintf("distribution changes from %s to %s", old.Distribution, changed.Distribution),
			"keep distribution: "+old.Distribution.String())
	}
	for _, r := range renamed(old, changed) {
		all = appendCostly(all, old, changed, withNames(changed, r.names), r.what(), r.instead())
	}
	if kept, names := withWeights(old, changed); len(names) > 0 {
		all = appendCostly(all, old, changed, kept, "weights change ("+list(names, ", ")+")",
			"keep the weights, or change them when keys may be lost; with ketama only their proportions count")
	}
	if old.Distribution == hashkit.Modula && changed.Distribution == hashkit.Modula && len(all) == 0 {
		all = appendModula(all, old, changed)
	}
	return all
}

// appendCostly appends a warning if fewer keys move with kept in the place of
// changed.
func appendCostly(all []Warning, old, changed, kept *config.Pool, what, instead string) []Warning {
	now, without := moved(old, changed), moved(old, kept)
	if now-without < noticeable {
		return all
	}
	return append(all, Warning{
		What:    fmt.Sprintf("%s: %s of the keys move; without that change, %s would", what, Percent(now), Percent(without)),
		Instead: instead,
	})
}

// appendModula tells what a ring would have saved.
func appendModula(all []Warning, old, changed *config.Pool) []Warning {
	now := moved(old, changed)
	ring := moved(withDistribution(old, hashkit.Ketama), withDistribution(changed, hashkit.Ketama))
	if now-ring < noticeable {
		return all
	}
	return append(all, Warning{
		What: fmt.Sprintf("with modula an added or removed server moves keys of all servers: %s of the keys move, "+
			"%s with ketama", Percent(now), Percent(ring)),
		Instead: "use ketama if servers are added or removed; changing to it now moves keys too",
	})
}

func withDistribution(p *config.Pool, d hashkit.Distribution) *config.Pool {
	q := *p
	q.Distribution = d
	return &q
}

// withWeights is changed with the weights that servers had in old, and the
// names of those that have others.
func withWeights(old, changed *config.Pool) (kept *config.Pool, names []string) {
	q := *changed
	q.Servers = slices.Clone(changed.Servers)
	before := byName(old)
	for i := range q.Servers {
		s := &q.Servers[i]
		if was := before[s.NodeName()]; was != nil && was.Weight != s.Weight {
			names = append(names, fmt.Sprintf("%s from %d to %d", s.NodeName(), was.Weight, s.Weight))
			s.Weight = was.Weight
		}
	}
	return &q, names
}

// renamings are servers that seem to be old ones under new names. They are undone
// together: one alone would show almost nothing, and costs a ring.
type renamings struct {
	// names are the old names, by the index of the server in the new pool.
	names map[int]string
	// whats says what happened to each server, and why follows. lines says how each
	// keeps its old name, and advice stands before them.
	whats, lines []string
	why, advice  string
}

func (r *renamings) add(at int, name, what, line string) {
	if r.names == nil {
		r.names = make(map[int]string)
	}
	r.names[at] = name
	r.whats, r.lines = append(r.whats, what), append(r.lines, line)
}

func (r *renamings) what() string { return list(r.whats, "; ") + r.why }

func (r *renamings) instead() string { return r.advice + list(r.lines, ", ") }

// maxListed is how many servers a warning names.
const maxListed = 10

func list(all []string, sep string) string {
	if n := len(all) - maxListed; n > 0 {
		return strings.Join(all[:maxListed], sep) + fmt.Sprintf("%sand %d more", sep, n)
	}
	return strings.Join(all, sep)
}

// renamed finds servers that lost their place on the ring with their name: those
// whose address had another name, and new ones that replace as many servers
// whose name was their address.
func renamed(old, changed *config.Pool) []renamings {
	gone := missingFrom(old, changed)
	byName := renamings{advice: "keep the names: "}
	var come []int
	for _, at := range missingFrom(changed, old) {
		s := &changed.Servers[at]
		i := slices.IndexFunc(gone, func(g int) bool { return old.Servers[g].Address == s.Address })
		if i < 0 {
			come = append(come, at)
			continue
		}
		was := old.Servers[gone[i]].NodeName()
		gone = slices.Delete(gone, i, i+1)
		byName.add(at, was, fmt.Sprintf("the server at %s is renamed from %s to %s", s.Address, was, s.NodeName()),
			lineWithName(s, was))
	}
	byPlace := renamings{
		why: ", which had no name, so its address placed its keys", advice: "if it takes over the keys too, " +
			"give it the old address for a name: ",
	}
	for i, g := range gone {
		was := &old.Servers[g]
		if len(come) != len(gone) || was.Name != "" {
			continue
		}
		s := &changed.Servers[come[i]]
		byPlace.add(come[i], was.NodeName(), fmt.Sprintf("%s takes the place of %s", s.NodeName(), was.NodeName()),
			lineWithName(s, was.NodeName()))
	}
	return slices.DeleteFunc([]renamings{byName, byPlace}, func(r renamings) bool { return len(r.names) == 0 })
}

// missingFrom returns the indices of the servers of p whose names other does not
// have.
func missingFrom(p, other *config.Pool) []int {
	names := make(map[string]bool, len(other.Servers))
	for i := range other.Servers {
		names[other.Servers[i].NodeName()] = true
	}
	var all []int
	for i := range p.Servers {
		if !names[p.Servers[i].NodeName()] {
			all = append(all, i)
		}
	}
	return all
}

// withNames is p with other names for some of its servers.
func withNames(p *config.Pool, names map[int]string) *config.Pool {
	q := *p
	q.Servers = slices.Clone(p.Servers)
	for at, name := range names {
		q.Servers[at].Name = name
	}
	return &q
}

func lineWithName(s *config.Server, name string) string { return s.Text + " " + name }

// Percent writes a share with enough digits to differ from 0 and from 1.
func Percent(share float64) string {
	switch {
	case share == 0:
		return "0%"
	case share < 0.0001:
		return "<0.01%"
	case share > 0.9999 && share < 1:
		return ">99.99%"
	}
	return strconv.FormatFloat(share*100, 'f', 2, 64) + "%"
}
