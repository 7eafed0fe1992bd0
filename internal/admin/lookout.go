package admin

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/stats"
)

const (
	// lookPeriod is the time between two looks for what needs one.
	lookPeriod = 2 * time.Second
	// tellPeriod is the time between two lines about what goes on.
	tellPeriod = time.Minute
	// overAfter is for how long something must not have been found, to be over.
	overAfter = 10 * time.Second
	// idleFor is for how long after the last work of the loops it is looked for the end of what was
	// found: until no window has what was.
	idleFor = 10*time.Second + overAfter + lookPeriod
	// maxTold is how much the lookout tells of at a time.
	maxTold = 200
)

// A lookout writes what needs a look into the log: when it begins, once a minute while it
// goes on, and when it is over. What has lines of its own, such as a server that fails, is
// left to those.
//
//	Warn     memory is short finding=memory details="52 MB of 60 MB ..."                  at once
//	Warn     still: memory is short finding=memory after=1m0s details="53 MB of 60 MB ..."  each minute
//	Notice   no longer: memory is short finding=memory lasted=2m30s ended=...               once
//
// The last line comes when something was not found for overAfter, since it may come back. lasted
// is from the first sign of it to the last, and ended is when that was.
type lookout struct {
	now    present
	log    *logging.Logger
	events *events.Log
	told   map[told]*telling
	// begun is when the last event of a beginning was, if that was in the last minute: what comes
	// and goes must not fill the log of events.
	begun map[told]time.Time
}

// told is what lines are about.
type told struct{ kind, pool, server string }

// A telling is when something was found first, last, and told last (zero: not yet), and what it
// was last.
type telling struct {
	first, last, line time.Time
	// sign is when the last sign of it was: what is found in a window is found longer.
	sign  time.Time
	found api.Finding
	// begun: there was an event when it began, and will be one when it ends.
	begun bool
	over  events.Kind
	// reached are the steps above the first one of a bound that were reached; nil: one is not.
	reached [maxStep]*reached
}

// lasts is for how long it was so, from the first sign to the last.
func (s *telling) lasts() time.Duration { return max(s.sign.Sub(s.first), lookPeriod) }

// LookOut has the recorder write what needs a look into the log. It is called before Run.
func (r *Recorder) LookOut(log *logging.Logger) {
	l := newLookout(log, r.in.Events())
	l.now = presentOf(r.in, r)
	r.lookout = func() { l.look(r) }
}

func newLookout(log *logging.Logger, to *events.Log) *lookout {
	return &lookout{log: log, events: to, told: make(map[told]*telling), begun: make(map[told]time.Time)}
}

// look finds what needs a look, and tells of it.
func (l *lookout) look(r *Recorder) {
	found, err := l.now.look("", Windows[0])
	if err != nil {
		return // the proxy ends
	}
	now := r.clock()
	l.tell(found.Findings, now)
	snap, _ := l.now.snapshots.get()
	r.waits = anySilent(snap) || len(l.told) > 0 && now.Sub(r.worked) <= idleFor
}

// anySilent reports whether requests wait for a server; snap is nil when the proxy ends.
func anySilent(snap *stats.Snapshot) bool {
	return snap != nil && slices.ContainsFunc(snap.Pools, func(p stats.PoolSnapshot) bool {
		return slices.ContainsFunc(p.Servers, func(s stats.ServerSnapshot) bool { return s.Values[stats.Silent] > 0 })
	})
}

// tell writes the lines that are due.
func (l *lookout) tell(found []api.Finding, now time.Time) {
	for i := range found {
		f := &found[i]
		if findings.Logged(f) {
			continue
		}
		key := told{f.Kind, f.Pool, f.Server}
		s := l.told[key]
		if s == nil {
			if len(l.told) >= maxTold {
				continue
			}
			s = &telling{first: now}
			if f.Since != nil && !f.Since.IsZero() && f.Since.Before(now) && !findings.Settles(f) {
				s.first = *f.Since
			}
			l.told[key] = s
		}
		s.last, s.sign, s.found = now, signOf(f, s.first, now), *f
		l.edges(s, now)
		switch after := now.Sub(s.first); {
		case s.line.IsZero():
			if !findings.Settles(f) || after >= Windows[0] {
				s.line = now
				l.log.Warn(f.Title, attrsOf(f, "", 0)...)
			}
		case now.Sub(s.line) >= tellPeriod:
			s.line = now
			goesOn := f
			if r := s.worst(); r != nil {
				goesOn = &r.found
			}
			l.log.Warn("still: "+goesOn.Title, attrsOf(goesOn, "after", after)...)
		}
		if !s.line.IsZero() && !s.begun {
			l.begin(key, s, now)
		}
	}
	for key, s := range l.told {
		if now.Sub(s.last) < overAfter && (!findings.Ends(&s.found) || s.last.Equal(now)) {
			continue
		}
		delete(l.told, key)
		if !s.line.IsZero() {
			over, lasted := s.found, s.lasts()
			if r := s.worst(); r != nil {
				over, lasted = r.found, r.lasts()
			}
			over.Reason, over.Cause, over.Text = "", "", over.Title
			l.log.Notice("no longer: "+over.Title, append(attrsOf(&over, "lasted", lasted), endedAt(s.sign))...)
			if s.begun {
				text := "no longer: " + over.Title + "; it lasted " + lasted.Round(time.Second).String()
				if ago := now.Sub(s.sign).Round(time.Second); ago > lookPeriod {
					text += ", and ended " + ago.String() + " ago"
				}
				l.events.Add(events.Event{Kind: s.over, Time: now, Pool: key.pool, Server: key.server, Text: text, For: lasted})
			}
		}
	}
	for key, at := range l.begun {
		if l.told[key] == nil && now.Sub(at) >= events.Quiet {
			delete(l.begun, key)
		}
	}
}

// signOf is when the last sign of what is found was. first is when it was found first.
func signOf(f *api.Finding, first, now time.Time) time.Time {
	sign := now
	switch {
	case f.Last != nil && !f.Last.IsZero():
		sign = *f.Last
	case findings.Lingers(f): // not found at the next look, it began to leave the window here
		sign = now.Add(lookPeriod - Windows[0])
	}
	if sign.Before(first) {
		return first
	}
	return sign
}

func endedAt(sign time.Time) slog.Attr {
	return slog.Time("ended", sign.UTC().Truncate(time.Second))
}

// begin adds the event that something begins, if it has one.
func (l *lookout) begin(key told, s *telling, now time.Time) {
	kind, over, ok := findings.Events(&s.found)
	if at, has := l.begun[key]; !ok || has && now.Sub(at) < events.Quiet {
		return
	}
	s.begun, s.over, l.begun[key] = true, over, now
	l.events.Add(events.Event{Kind: kind, Time: now, Pool: key.pool, Server: key.server, Reason: s.found.Reason, Text: s.found.Text})
}

// attrsOf says what a line is about, how long it goes on, under that name, and the details.
func attrsOf(f *api.Finding, name string, long time.Duration) []slog.Attr {
	address := f.Address
	if address == "" {
		address = f.Server
	}
	attrs := []slog.Attr{slog.String("finding", f.Kind)}
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	add("pool", f.Pool)
	add("server", address)
	add("name", f.Server)
	add("reason", f.Reason)
	add("cause", f.Cause)
	if name != "" {
		attrs = append(attrs, slog.Duration(name, long.Round(time.Second)))
	}
	if f.Text != f.Title {
		add("details", strings.TrimPrefix(f.Text, f.Title+": "))
	}
	return attrs
}
