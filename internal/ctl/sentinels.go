package ctl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
)

// sentinelsOf shows the sentinels of one pool, and the primaries that they know.
func (s *session) sentinelsOf(p *api.Pool, now time.Time) error {
	t := p.Sentinels
	err := s.table("", func(add func(...any)) {
		add("pool", p.Name)
		add("sentinels", fmt.Sprintf("asked %s (%s)", ago(t.Asked, now), orDash(t.Why)))
		add("waiting", waiting(p)+" for a primary")
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	err = s.table("PRIMARY\tADDRESS\tEPOCH\tSWITCHED\tPROBLEM", func(add func(...any)) {
		for _, one := range t.Primaries {
			add(one.Name, orDash(one.Address), one.Epoch, ago(one.Switched, now), orDash(one.Problem))
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	return s.table("SENTINEL\tANSWERED\tTELLS\tSAYS\tPROBLEM", func(add func(...any)) {
		for i := range t.Sentinels {
			one := &t.Sentinels[i]
			tells := "no"
			if one.Subscribed {
				tells = "yes"
			}
			var says []string
			for _, name := range slices.Sorted(maps.Keys(one.Said)) {
				says = append(says, fmt.Sprintf("%s at %s (%d)", name, one.Said[name].Address, one.Said[name].Epoch))
			}
			problems := make([]string, 0, 1+len(one.Doubted))
			if one.Problem != "" {
				problems = append(problems, one.Problem)
			}
			for _, name := range slices.Sorted(maps.Keys(one.Doubted)) {
				problems = append(problems, "not believed: "+one.Doubted[name])
			}
			add(one.Address, ago(one.Asked, now), tells, orDash(strings.Join(says, ", ")), orDash(strings.Join(problems, "; ")))
		}
	})
}
