package daemon

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/preview"
	"nuthatch/internal/topology"
)

// A journal records what has happened, in the log and as events. The event loops record
// what happens to servers and clients; everything else is recorded here. Its methods
// may be called from any goroutine.
type journal struct {
	log    *logging.Logger
	events *events.Log
}

// addEvent adds an event, with the present time.
func (j *journal) addEvent(e events.Event) {
	e.Time = time.Now()
	j.events.Add(e)
}

// refused reports that a configuration was refused: every fault in the log, the first
// in the event.
func (j *journal) refused(err error, by string) {
	for fault := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		j.log.Error("configuration not reloaded, the old one stays in force", slog.String("by", by), slog.String("error", fault))
	}
	j.addEvent(events.Event{Kind: events.ReloadRefused, Text: "configuration not reloaded, the old one stays in force: " + inShort(err), By: by})
}

// inShort is the first fault of an error, and how many others there are.
func inShort(err error) string {
	faults := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if n := len(faults) - 1; n > 0 {
		return fmt.Sprintf("%s (and %d more)", faults[0], n)
	}
	return faults[0]
}

// tellReloaded adds the event of a reload, with the number of changes.
func (j *journal) tellReloaded(c *preview.Change, by string) {
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
		{len(c.Users), "pools with other users"},
		{len(c.NotApplied), "settings not applied"},
		{len(c.Refused), "certificates not used"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", p.what, p.n))
		}
	}
	parts = append(parts, movedKeys(c.Pools)...)
	if len(parts) == 0 {
		parts = []string{"nothing changed"}
	}
	j.addEvent(events.Event{Kind: events.Reloaded, Text: "configuration reloaded; " + strings.Join(parts, ", "), By: by})
}

// maxMovedPools is of how many pools an event names the share of the keys that moved.
const maxMovedPools = 3

// movedKeys says which share of the keys moved, by pool.
func movedKeys(pools []preview.Pool) []string {
	var parts []string
	more := 0
	for i := range pools {
		moved := 0.0
		for _, k := range pools[i].Keys {
			moved = max(moved, k.Moved)
		}
		switch {
		case moved == 0:
		case len(parts) == maxMovedPools:
			more++
		default:
			parts = append(parts, fmt.Sprintf("keys moved in %s: %s", pools[i].Name, preview.Percent(moved)))
		}
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and in other pools: %d", more))
	}
	return parts
}

// service adds the event that an operator takes a server out of service, or puts it
// back. out is how long it was out.
func (j *journal) service(pool, server string, s topology.Service, out time.Duration, by string) {
	e := events.Event{Pool: pool, Server: server, By: by}
	switch s {
	case topology.InService:
		e.Kind, e.For = events.ServerEnabled, out
		e.Text = fmt.Sprintf("server %s is in service again", server)
	case topology.OffTheRing:
		e.Kind, e.Text = events.ServerDisabled, fmt.Sprintf("server %s is out of service: the other servers get its keys", server)
	case topology.Refused:
		e.Kind, e.Text = events.ServerDisabled, fmt.Sprintf("server %s is out of service: requests for its keys fail", server)
	}
	j.addEvent(e)
}

// reloaded logs what a reload of a file changed, a line for each change.
func (j *journal) reloaded(c *preview.Change, file, by string) {
	j.log.Always("configuration reloaded", slog.String("by", by), slog.String("file", file))
	j.tellReloaded(c, by)
	if c.Empty() {
		j.log.Notice("reload: nothing changed")
	}
	for _, s := range c.Process {
		j.log.Notice("reload: setting changed", changeAttrs("", s)...)
	}
	for _, name := range c.Added {
		j.log.Notice("reload: pool added", slog.String("pool", name))
	}
	for _, name := range c.Removed {
		j.log.Notice("reload: pool removed", slog.String("pool", name))
	}
	for i := range c.Pools {
		j.reloadedPool(&c.Pools[i])
	}
	for _, n := range c.NotApplied {
		j.log.Warn("reload: setting not applied", append(changeAttrs(n.Pool, n.Change), slog.String("reason", n.Why))...)
	}
}

func (j *journal) reloadedPool(p *preview.Pool) {
	pool := slog.String("pool", p.Name)
	for _, s := range p.Settings {
		j.log.Notice("reload: setting changed", changeAttrs(p.Name, s)...)
	}
	for _, s := range p.Servers {
		j.log.Notice("reload: server changed", pool, slog.String("server", s.Name),
			slog.String("old", s.Old), slog.String("new", s.New))
	}
	for _, k := range p.Keys {
		if k.Moved == 0 {
			continue
		}
		j.log.Notice("reload: keys moved", pool, slog.String("keys", k.Which), slog.String("share", preview.Percent(k.Moved)))
	}
	for _, w := range p.Warnings {
		j.log.Warn("reload: keys moved without need", pool, slog.String("reason", w.What), slog.String("advice", w.Instead))
	}
}

// warnings logs settings that are valid and probably not meant.
func (j *journal) warnings(conf *config.Config) {
	for _, w := range conf.Warnings {
		j.log.Warn("configuration: warning", slog.String("warning", w.Error()))
	}
	for _, w := range openSockets(&conf.Process) {
		j.log.Warn("configuration: warning", slog.String("warning", w))
	}
}

// signal logs a signal in nutcracker's words, and what follows.
func (j *journal) signal(s syscall.Signal, brings string) {
	name := unix.SignalName(s)
	j.log.Always(fmt.Sprintf("signal %d (%s) received%s", int(s), name, brings), slog.String("signal", name))
}

// reopen reopens the log file. A new one begins with the reason.
func (j *journal) reopen() {
	j.signal(syscall.SIGHUP, ", reopening log file")
	if err := j.log.Reopen(); err != nil {
		j.log.Error("cannot reopen the log", errAttr(err))
		return
	}
	j.log.Always("log file reopened", slog.String("signal", unix.SignalName(syscall.SIGHUP)))
}
