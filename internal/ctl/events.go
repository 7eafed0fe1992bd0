package ctl

import (
	"fmt"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/units"
)

// events writes the events, one a line, the latest last.
func (s *session) events(args []string) error {
	query := s.poolQuery(args)
	s.limit(query)
	if s.Since != "" {
		query["since"] = []string{s.Since}
	}
	var list api.Events
	if written, err := s.ask("/api/v1/events", query, &list); written || err != nil {
		return err
	}
	err := s.table("ID\tTIME\tKIND\tPOOL\tWHAT", func(add func(...any)) {
		for i := range list.Events {
			e := &list.Events[i]
			add(e.ID, e.Time.Local().Format(time.DateTime), e.Kind, orDash(e.Pool), what(e))
		}
	})
	if err == nil && list.Missed > 0 {
		_, err = fmt.Fprintf(s.out, "%d earlier events are no longer kept\n", list.Missed)
	}
	return err
}

// what is an event in words: what happened, for how long, by whom.
func what(e *api.Event) string {
	text := e.Text
	if e.Duration > 0 {
		d := units.Lasting(e.Duration)
		switch e.Kind {
		case "pool_paused", "draining":
			text += ", for " + d + " at the most"
		case "pool_resumed", "server_enabled":
			text += ", after " + d
		}
	}
	if e.By != "" {
		text += " (by " + e.By + ")"
	}
	return text
}
