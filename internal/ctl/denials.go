package ctl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
)

// denials writes what clients were refused: how often, and by users' rules the latest.
func (s *session) denials(args []string) error {
	var d api.Denials
	if written, err := s.ask("/api/v1/denials", s.poolQuery(args), &d); written || err != nil {
		return err
	}
	err := s.table("POOL\tREFUSED\tTIMES", func(add func(...any)) {
		for i := range d.Pools {
			p := &d.Pools[i]
			for _, name := range slices.Sorted(maps.Keys(p.Counts)) {
				add(p.Pool, strings.ReplaceAll(name, "_", " "), p.Counts[name])
			}
			if p.Waiting > 0 {
				add(p.Pool, "clients that wait for a limit now", p.Waiting)
			}
		}
	})
	if err == nil && slices.ContainsFunc(d.Pools, func(p api.PoolDenials) bool { return len(p.Users) > 0 }) {
		err = s.limitedUsers(d.Pools)
	}
	if err != nil || !slices.ContainsFunc(d.Pools, func(p api.PoolDenials) bool { return len(p.Records) > 0 }) {
		return err
	}
	return s.table("TIME\tPOOL\tTIMES\tREASON\tWHAT\tUSER\tCLIENT", func(add func(...any)) {
		for i := range d.Pools {
			for j := range d.Pools[i].Records {
				r := &d.Pools[i].Records[j]
				reason := r.Reason
				if r.Context != "toplevel" {
					reason += " (" + r.Context + ")"
				}
				add(r.Time.Local().Format(time.DateTime), d.Pools[i].Pool, r.Count, reason, orDash(r.Object), orDash(r.User), whichClient(r.Client))
			}
		}
	})
}

// whichClient is what tells one client from another, of a line of CLIENT LIST.
func whichClient(line string) string {
	var words []string
	for word := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(word, "=")
		if value != "" && slices.Contains([]string{"id", "addr", "name", "user"}, key) {
			words = append(words, word)
		}
	}
	return orDash(strings.Join(words, " "))
}

// limitedUsers writes what users have of what user_limits allows them.
func (s *session) limitedUsers(pools []api.PoolDenials) error {
	of := func(n, most int64) string {
		if most == 0 {
			return "-"
		}
		return fmt.Sprintf("%d of %d", n, most)
	}
	return s.table("POOL\tUSER\tCLIENTS\tIN FLIGHT\tWAIT NOW\tHAVE WAITED\tREFUSED REQUESTS\tREFUSED CLIENTS", func(add func(...any)) {
		for i := range pools {
			for j := range pools[i].Users {
				u := &pools[i].Users[j]
				clients := of(u.Clients, u.MaxClients)
				if u.MaxClients == 0 {
					clients = fmt.Sprint(u.Clients)
				}
				add(pools[i].Pool, u.User, clients, of(u.InFlight, u.MaxInFlight), u.Waiting, u.Waits, u.RefusedRequests, u.RefusedClients)
			}
		}
	})
}
