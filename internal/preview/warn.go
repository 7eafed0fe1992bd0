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
		all = appendCostly(all, old, changed, r.kept, r.what, r.instead)
	}
	if kept, names := withWeights(old, changed); len(names) > 0 {
		all = appendCostly(all, old, changed, kept, "weights change ("+strings.Join(names, ", ")+")",
			"keep the weights, or change them when keys may be lost; on ketama only their proportions count")
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
		What:    fmt.Sprintf("%s: %s of the keys move, %s without that", what, Percent(now), Percent(without)),
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
		What: fmt.Sprintf("modula counts slots, so one server more or less moves keys of all: %s of the keys move, "+
			"%s if the pool had been on ketama", Percent(now), Percent(ring)),
		Instead: "where servers come and go, use ketama from the start; to change to it now moves keys too",
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
	for i := range q.Servers {
		s := &q.Servers[i]
		if was := serverNamed(old, s.NodeName()); was != nil && was.Weight != s.Weight {
			names = append(names, fmt.Sprintf("%s from %d to %d", s.NodeName(), was.Weight, s.Weight))
			s.Weight = was.Weight
		}
	}
	return &q, names
}

// A renaming is a server that seems to be an old one under a new name, and the
// new pool with the old name kept.
type renaming struct {
	what, instead string
	kept          *config.Pool
}

// renamed finds servers that lost their place on the ring with their name:
// those whose address was known under another name, and those that came, as many
// as went, in the place of servers whose name was their address.
func renamed(old, changed *config.Pool) []renaming {
	gone := missingFrom(old, changed)
	come := missingFrom(changed, old)
	var all []renaming
	for _, s := range slices.Clone(come) {
		i := slices.IndexFunc(gone, func(g config.Server) bool { return g.Address == s.Address })
		if i < 0 {
			continue
		}
		was := gone[i]
		gone = slices.Delete(gone, i, i+1)
		come = slices.DeleteFunc(come, func(c config.Server) bool { return c == s })
		all = append(all, renaming{
			what:    fmt.Sprintf("the server at %s is renamed from %s to %s", s.Address, was.NodeName(), s.NodeName()),
			instead: "keep its name: " + lineWithName(s, was.NodeName()),
			kept:    withName(changed, s, was.NodeName()),
		})
	}
	if len(come) != len(gone) {
		return all
	}
	for i, was := range gone {
		if was.Name != "" {
			continue
		}
		s := come[i]
		all = append(all, renaming{
			what: fmt.Sprintf("%s takes the place of %s, which had no name, so its address placed its keys",
				s.NodeName(), was.NodeName()),
			instead: "if it takes over the keys too, give it the old address for a name: " + lineWithName(s, was.NodeName()),
			kept:    withName(changed, s, was.NodeName()),
		})
	}
	return all
}

// missingFrom returns the servers of p whose names other does not have.
func missingFrom(p, other *config.Pool) []config.Server {
	var all []config.Server
	for i := range p.Servers {
		if serverNamed(other, p.Servers[i].NodeName()) == nil {
			all = append(all, p.Servers[i])
		}
	}
	return all
}

func withName(p *config.Pool, s config.Server, name string) *config.Pool {
	q := *p
	q.Servers = slices.Clone(p.Servers)
	for i := range q.Servers {
		if q.Servers[i] == s {
			q.Servers[i].Name = name
		}
	}
	return &q
}

func lineWithName(s config.Server, name string) string { return s.Text + " " + name }

// Percent writes a share with as many digits as tell it from 0 and from 1.
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
