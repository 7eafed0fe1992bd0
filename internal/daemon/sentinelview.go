package daemon

import (
	"time"

	"nuthatch/internal/admin/api"
)

// Sentinels implements admin.Instance.
func (v *view) Sentinels(pool string) *api.Sentinels {
	g := v.current.Load()
	i := g.pool(pool)
	if i < 0 || g.resolver == nil || g.resolver.primaries[i] == nil {
		return nil
	}
	w := g.resolver.primaries[i].watcher
	at, why := w.Asked()
	about := &api.Sentinels{Asked: moment(at), Why: why}
	for _, name := range w.Names() {
		place := w.Place(name)
		about.Primaries = append(about.Primaries, api.SentinelPrimary{Name: name, Address: place.Addr, Epoch: place.Epoch, Switched: moment(w.Moved(name)), Problem: w.Problem(name)})
	}
	all := w.Sentinels()
	for j := range all {
		s := &all[j]
		one := api.SentinelState{Address: s.Address, Subscribed: s.Subscribed, Problem: s.Problem, Since: moment(s.Since), Asked: moment(s.Asked)}
		if len(s.Said) > 0 {
			one.Said = make(map[string]api.SentinelSaid, len(s.Said))
		}
		for _, name := range w.Names() {
			if addr, why := w.Doubted(name); addr == s.Address {
				if one.Doubted == nil {
					one.Doubted = make(map[string]string)
				}
				one.Doubted[name] = why
			}
		}
		for name, place := range s.Said {
			one.Said[name] = api.SentinelSaid{Address: place.Addr, Epoch: place.Epoch}
		}
		about.Sentinels = append(about.Sentinels, one)
	}
	return about
}

// moment is a time, or nil if it has not come.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
