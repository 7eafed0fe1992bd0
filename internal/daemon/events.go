package daemon

import (
	"fmt"
	"strings"
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/preview"
	"nuthatch/internal/topology"
)

// What has happened, for those who ask later. The event loops tell of servers and
// clients; all else is told here, beside its line in the log.

// Events implements admin.Instance.
func (in *Instance) Events() *events.Log { return in.identity.Events() }

// tell notes that something happens now.
func (in *Instance) tell(e events.Event) {
	e.Time = time.Now()
	in.Events().Add(e)
}

// tellRefused tells that a configuration was not taken, for its first fault.
func (in *Instance) tellRefused(err error, by string) {
	faults := strings.Split(strings.TrimSpace(err.Error()), "\n")
	text := "configuration not reloaded, the old one stays in force: " + faults[0]
	if n := len(faults) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	in.tell(events.Event{Kind: events.ReloadRefused, Text: text, By: by})
}

// tellReloaded tells that a configuration was taken, and of how many changes.
func (in *Instance) tellReloaded(c *preview.Change, by string) {
	settings, servers := len(c.Process), 0
	for i := range c.Pools {
		settings += len(c.Pools[i].Settings)
		servers += len(c.Pools[i].Servers)
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{len(c.Added), "pools added"},
		{len(c.Removed), "pools removed"},
		{settings, "settings changed"},
		{servers, "servers changed"},
		{len(c.NotApplied), "settings not applied"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", p.what, p.n))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing changed"}
	}
	in.tell(events.Event{Kind: events.Reloaded, Text: "configuration reloaded; " + strings.Join(parts, ", "), By: by})
}

// tellService tells that an operator takes the i-th server of a pool out of service or
// puts it back, if that is a change. before is how the server was. The caller holds
// changing.
func (in *Instance) tellService(pool string, i int, s topology.Service, before *topology.ServerState, by string) {
	if s == before.Service {
		return
	}
	g := in.current.Load()
	server := g.conf.Pools[g.pool(pool)].Servers[i].StatsName()
	e := events.Event{Pool: pool, Server: server, By: by}
	switch s {
	case topology.InService:
		e.Kind, e.For = events.ServerEnabled, time.Duration(in.Now()-before.Since)
		e.Text = fmt.Sprintf("server %s is in service again", server)
	case topology.OffTheRing:
		e.Kind, e.Text = events.ServerDisabled, fmt.Sprintf("server %s is out of service: the other servers get its keys", server)
	case topology.Refused:
		e.Kind, e.Text = events.ServerDisabled, fmt.Sprintf("server %s is out of service: requests for its keys fail", server)
	}
	in.tell(e)
}
