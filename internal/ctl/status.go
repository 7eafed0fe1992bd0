package ctl

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
)

const (
	// maxFindings and maxLastEvents keep what status writes to 24 lines.
	maxFindings, maxLastEvents = 12, 6
	// nearly is the part of a bound from which on it needs a look.
	nearly = 0.8
)

// A Status is what needs a look, and what has happened last.
type Status struct {
	// Fails: requests fail, or clients are refused.
	Fails bool `json:"fails"`
	// Findings are what needs a look, what fails requests first.
	Findings []Finding   `json:"findings"`
	Events   []api.Event `json:"events"`
}

// A Finding needs a look: it is about a server, a pool or, without either, the process.
type Finding struct {
	Fails  bool   `json:"fails"`
	Pool   string `json:"pool,omitempty"`
	Server string `json:"server,omitempty"`
	Text   string `json:"text"`
}

// status writes what needs a look, and the last events.
func (s *session) status(args []string) error {
	query := s.windowQuery(args)
	var info api.Info
	var pools api.Pools
	var last api.Events
	err := s.read("/api/v1/info", nil, &info)
	if err == nil {
		err = s.read("/api/v1/pools", query, &pools)
	}
	if err == nil {
		query["limit"] = []string{fmt.Sprint(maxLastEvents)}
		err = s.read("/api/v1/events", query, &last)
	}
	if err != nil {
		return err
	}
	found := Status{Findings: findings(&info, &pools), Events: last.Events}
	found.Fails = len(found.Findings) > 0 && found.Findings[0].Fails
	if s.JSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		err = e.Encode(found)
	} else {
		err = s.writeStatus(&info, &found)
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
	if err := json.Unmarshal(text, body); err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return nil
}

func (s *session) writeStatus(info *api.Info, found *Status) error {
	_, err := fmt.Fprintf(s.out, "%s %s: %s, up %s, %s\n", Plain(info.Program), Plain(info.Version),
		proxyName(info.PID, info.Host, info.ConfigFile), age(time.Duration(info.Uptime*float64(time.Second))), Plain(info.State))
	if err != nil {
		return err
	}
	return s.table("", func(add func(...any)) {
		heading := ""
		for i, f := range found.Findings {
			if i == maxFindings {
				add(fmt.Sprintf("  and %d more; see 'nuthatch ctl servers'", len(found.Findings)-i))
				break
			}
			under := "needs a look:"
			if f.Fails {
				under = "requests fail:"
			}
			if under != heading {
				heading = under
				add(heading)
			}
			add("  "+Plain(cmp.Or(f.Pool, "process")), f.Text)
		}
		if len(found.Findings) == 0 {
			add("nothing needs a look")
		}
		if len(found.Events) > 0 {
			add("last events:")
		}
		for i := range found.Events {
			e := &found.Events[i]
			add("  "+Plain(cmp.Or(e.Pool, "process")), e.Time.Local().Format(time.DateTime)+"  "+what(e))
		}
	})
}

// A finder collects findings.
type finder struct{ found []Finding }

func (f *finder) add(fails bool, pool, server, form string, args ...any) {
	f.found = append(f.found, Finding{fails, pool, server, fmt.Sprintf(form, args...)})
}

// findings are what needs a look, what fails requests first.
func findings(info *api.Info, pools *api.Pools) []Finding {
	f := &finder{found: []Finding{}}
	f.process(info, pools)
	for i := range pools.Pools {
		f.pool(&pools.Pools[i], pools.Time)
	}
	slices.SortStableFunc(f.found, func(a, b Finding) int {
		switch {
		case a.Fails == b.Fails:
			return 0
		case a.Fails:
			return -1
		}
		return 1
	})
	return f.found
}

func (f *finder) process(info *api.Info, pools *api.Pools) {
	if info.State == "draining" {
		f.add(false, "", "", "draining: no more clients are accepted, and the proxy ends when the last one has gone")
	} else {
		for _, why := range info.NotReady {
			f.add(false, "", "", "not ready: %s", why)
		}
	}
	if r := info.LastReload; r != nil && r.Refused {
		f.add(false, "", "", "the last reload was refused, %s ago, by %s: %s", age(info.Time.Sub(r.Time)), r.By, r.Text)
	}
	p := &info.Process
	switch held := fmt.Sprintf("%s of %s held for clients", size(p.HeldMemory), size(p.HardMemory)); {
	case p.HardMemory <= 0:
	case p.HeldMemory >= p.HardMemory:
		f.add(true, "", "", "memory is full: %s; clients are hardly read from", held)
	case p.HeldMemory >= p.SoftMemory:
		f.add(false, "", "", "memory is short: %s; clients wait, and those that do not read are closed", held)
	case float64(p.HeldMemory) >= nearly*float64(p.SoftMemory):
		f.add(false, "", "", "memory is nearly short: %s; above %s clients wait", held, size(p.SoftMemory))
	}
	clients := 0
	for i := range pools.Pools {
		clients += pools.Pools[i].Clients
	}
	f.clients("", clients, p.MaxClients, "descriptors")
	f.descriptors(p)
}

// clients finds clients that are at their bound, or nearly.
func (f *finder) clients(pool string, n, most int, bound string) {
	switch {
	case most <= 0:
	case n >= most:
		f.add(true, pool, "", "clients are at their limit, more are refused: %d of %d (%s)", n, most, bound)
	case float64(n) >= nearly*float64(most):
		f.add(false, pool, "", "clients are near their limit: %d of %d (%s)", n, most, bound)
	}
}

func (f *finder) pool(p *api.Pool, now time.Time) {
	if p.Paused {
		f.add(false, p.Name, "", "its requests wait: %s", pauseOf(p, now))
	}
	f.lost(p)
	f.certificate(p, now)
	f.slow(p)
	f.clients(p.Name, p.Clients, p.MaxClients, "client_connections")
	if r := p.Recent; r != nil && r.Failed > 0 {
		f.add(true, p.Name, "", "%s of %s requests a second failed in the last %s", perSecond(r.Failed), perSecond(r.Requests), lasting(r.Window))
	}
	owned := 0.0
	for i := range p.Servers {
		owned += p.Servers[i].Share
	}
	for i := range p.Servers {
		f.server(&p.Servers[i], owned > 0, now)
	}
}

// server finds a server that is not up, or answers with errors. others: some server
// of the pool has keys.
func (f *finder) server(v *api.Server, others bool, now time.Time) {
	name := v.Name
	if v.Address != v.Name {
		name += " (" + v.Address + ")"
	}
	since := ""
	if v.Since != nil {
		since = " for " + age(now.Sub(*v.Since))
	}
	why := ""
	if v.Reason != "" {
		why = ": " + strings.ReplaceAll(v.Reason, "_", " ")
	}
	keeps := v.Share > 0 || !others
	follows := "; the other servers get its keys"
	switch v.State {
	case "up":
	case "failing":
		f.add(true, v.Pool, v.Name, "server %s fails%s%s", name, since, why)
	case "probing":
		f.add(true, v.Pool, v.Name, "server %s has failed%s, and is tried again%s", name, since, why)
	case "disabled":
		if keeps {
			follows = "; requests for its keys fail"
		}
		f.add(keeps, v.Pool, v.Name, "server %s is disabled%s%s", name, since, follows)
	default:
		if keeps {
			follows = "; requests for its keys fail"
		}
		f.add(keeps, v.Pool, v.Name, "server %s is %s%s%s%s", name, v.State, since, why, follows)
	}
	switch n := v.Counters["private_connections"]; {
	case v.MaxPrivate == 0:
	case n >= int64(v.MaxPrivate):
		f.add(true, v.Pool, v.Name, "server %s: private connections are at their limit, more are refused: %d of %d (private_connections)", name, n, v.MaxPrivate)
	case float64(n) >= nearly*float64(v.MaxPrivate):
		f.add(false, v.Pool, v.Name, "server %s: private connections are near their limit: %d of %d (private_connections)", name, n, v.MaxPrivate)
	}
	if v.Recent != nil && len(v.Recent.ErrorReplies) > 0 {
		words, fails := recentErrors(v.Recent.ErrorReplies)
		f.add(fails, v.Pool, v.Name, "server %s answers with errors: %s a second", name, words)
	}
}

// recentErrors are the most frequent error replies, by prefix; fails: some are about the
// server.
func recentErrors(of map[string]float64) (text string, fails bool) {
	prefixes := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
	var words []string
	for i, prefix := range prefixes {
		fails = fails || serverFaults[prefix]
		if i < maxErrorsShown {
			words = append(words, perSecond(of[prefix])+" "+prefix)
		}
	}
	return strings.Join(words, ", "), fails
}

// serverFaults are the prefixes of error replies that are about the server, and not
// only about the request.
var serverFaults = map[string]bool{
	"OOM": true, "READONLY": true, "NOAUTH": true, "NOPERM": true, "MISCONF": true, "LOADING": true, "MASTERDOWN": true,
	"CLUSTERDOWN": true, "NOREPLICAS": true, "BUSY": true, "SERVER_ERROR": true, "MOVED": true,
}
