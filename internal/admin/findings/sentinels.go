package findings

import (
	"maps"
	"slices"
	"strings"

	"nuthatch/internal/admin/api"
)

// sentinels finds primaries that the pool's sentinels do not know, or do not agree about, and
// sentinels that are of no use.
func (f *finder) sentinels(p *api.Pool) {
	t := p.Sentinels
	if t == nil {
		return
	}
	for i := range t.Primaries {
		one := &t.Primaries[i]
		if one.Problem != "" {
			f.add(sentinel, false, p.Name, "primary %s cannot be found:: %s", one.Name, one.Problem)
		}
		if others := dissent(t, one); others != "" {
			f.add(sentinel, false, p.Name, "sentinels do not agree where primary %s is:: %s is in use, by epoch %d; %s", one.Name, one.Address, one.Epoch, others)
		}
	}
	for i := range t.Sentinels {
		one := &t.Sentinels[i]
		if one.Problem != "" {
			f.add(sentinel, false, p.Name, "sentinel %s is of no use:: %s", one.Address, one.Problem).Since = one.Since
		}
		for _, name := range slices.Sorted(maps.Keys(one.Doubted)) {
			f.add(sentinel, false, p.Name, "sentinel %s is not believed about primary %s:: %s", one.Address, name, one.Doubted[name])
		}
	}
}

// dissent says which sentinels name another address for a primary; empty: none. Those that are not
// believed are left out.
func dissent(t *api.Sentinels, primary *api.SentinelPrimary) string {
	var others []string
	for i := range t.Sentinels {
		s := &t.Sentinels[i]
		said, has := s.Said[primary.Name]
		if has && s.Problem == "" && s.Doubted[primary.Name] == "" && primary.Address != "" && said.Address != primary.Address {
			others = append(others, s.Address+" says "+said.Address)
		}
	}
	return strings.Join(others, ", ")
}
