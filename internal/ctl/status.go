package ctl

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/units"
)

const (
	// maxFindings and maxLastEvents keep what status writes to 24 lines, if no limit is asked for.
	maxFindings, maxLastEvents = 12, 6
	// maxFolded is how many events are asked for: of a server that flaps most are folded.
	maxFolded = 200
)

// A Status is what needs a look, and what has happened last.
type Status struct {
	// Fails: requests fail, or clients are refused.
	Fails bool `json:"fails"`
	// Findings are what needs a look, what fails requests first.
	Findings []api.Finding `json:"findings"`
	Events   []api.Event   `json:"events"`
}

// status writes what needs a look, and the last events.
func (s *session) status(args []string) error {
	query := s.windowQuery(args)
	var look api.Findings
	var last api.Events
	info, err := s.client.Identify(s.ctx)
	if err == nil {
		err = s.read("/api/v1/findings", query, &look)
	}
	if err == nil {
		query["limit"] = []string{fmt.Sprint(maxFolded)}
		err = s.read("/api/v1/events", query, &last)
	}
	if err != nil {
		return err
	}
	found := Status{Fails: look.Fails, Findings: look.Findings, Events: last.Events}
	if s.JSON {
		found.Events = found.Events[max(len(found.Events)-maxLastEvents, 0):]
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		err = e.Encode(found)
	} else {
		err = s.writeStatus(info, &found)
	}
	if err == nil && found.Fails {
		return ErrFails
	}
	return err
}

// read reads an answer, and writes nothing.
func (s *session) read(path string, query map[string][]string, body any) error {
	text, err := s.client.Get(s.ctx, path, query)
	if err != nil {
		return err
	}
	return s.client.Read(s.ctx, text, body)
}

func (s *session) writeStatus(info *api.Info, found *Status) error {
	_, err := fmt.Fprintf(s.out, "%s %s: %s, up %s, %s\n", Plain(info.Program), Plain(info.Version),
		proxyName(info.PID, info.Host, info.ConfigFile), units.Age(time.Duration(info.Uptime*float64(time.Second))), Plain(info.State))
	if err != nil {
		return err
	}
	return s.table("", func(add func(...any)) {
		listed := mostUrgent(found.Findings, cmp.Or(s.Limit, maxFindings))
		for _, fails := range []bool{true, false} {
			s.addFindings(add, found.Findings, listed, fails)
		}
		if len(found.Findings) == 0 {
			add("nothing needs a look")
		}
		if len(found.Events) > 0 {
			add("last events:")
		}
		for _, e := range foldEvents(found.Events) {
			text := what(e.Event)
			if e.more > 0 {
				text += fmt.Sprintf("; and %d more of this server since %s", e.more, e.since.Local().Format(time.DateTime))
			}
			add("  "+Plain(cmp.Or(e.Pool, "process")), e.Time.Local().Format(time.DateTime)+"  "+text)
		}
	})
}

// A foldedEvent stands for itself and for so many earlier ones of its server, since then.
type foldedEvent struct {
	*api.Event
	more  int
	since time.Time
}

// foldEvents are the events to list, the latest last. A server that fails again and again does not
// crowd out the others: its last two events are listed, or the last one if there are too many.
func foldEvents(all []api.Event) []foldedEvent {
	listed := foldTo(all, 2)
	if len(listed) > maxLastEvents {
		listed = foldTo(all, 1)
	}
	return listed[max(len(listed)-maxLastEvents, 0):]
}

// foldTo lists so many events of each server.
func foldTo(all []api.Event, most int) (listed []foldedEvent) {
	type place struct{ pool, server string }
	of := make(map[place][]int)
	for i := range slices.Backward(all) {
		e := &all[i]
		at := place{e.Pool, e.Server}
		if before := of[at]; e.Server != "" && len(before) == most {
			oldest := &listed[before[most-1]]
			oldest.more, oldest.since = oldest.more+1, e.Time
			continue
		}
		of[at] = append(of[at], len(listed))
		listed = append(listed, foldedEvent{Event: e})
	}
	slices.Reverse(listed)
	return listed
}

// addFindings adds those of the findings that fail requests, or the others, under a heading: the
// listed ones, and how many more there are.
func (s *session) addFindings(add func(...any), all []api.Finding, listed []bool, fails bool) {
	heading, more := "needs a look:", 0
	if fails {
		heading = "requests fail:"
	}
	for i := range all {
		f := &all[i]
		if f.Fails != fails {
			continue
		}
		if heading != "" {
			add(heading)
			heading = ""
		}
		if !listed[i] {
			more++
			continue
		}
		add("  "+Plain(cmp.Or(f.Pool, "process")), f.Text)
	}
	if more > 0 {
		add(fmt.Sprintf("  and %d more; 'nuthatch ctl status -n %d' lists all", more, len(all)))
	}
}

// mostUrgent tells which n of the findings to list: what fails requests before all else, and of
// each pool one before the second of another.
func mostUrgent(all []api.Finding, n int) (listed []bool) {
	type place struct{ index, nth int }
	type group struct {
		pool  string
		fails bool
	}
	seen := make(map[group]int)
	places := make([]place, len(all))
	for i := range all {
		g := group{all[i].Pool, all[i].Fails}
		places[i] = place{i, seen[g]}
		seen[g]++
	}
	slices.SortFunc(places, func(a, b place) int {
		if x, y := all[a.index].Fails, all[b.index].Fails; x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.nth, b.nth), cmp.Compare(a.index, b.index))
	})
	listed = make([]bool, len(all))
	for _, p := range places[:min(n, len(places))] {
		listed[p.index] = true
	}
	return listed
}
