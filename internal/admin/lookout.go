package admin

import (
	"log/slog"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/logging"
)

const (
	// lookPeriod is the time between two looks for what needs one.
	lookPeriod = 3 * time.Second
	// tellPeriod is the time between two lines about what goes on.
	tellPeriod = time.Minute
	// overAfter is for how long something must not have been found, to be over.
	overAfter = 10 * time.Second
	// maxTold is how much the lookout tells of at a time.
	maxTold = 200
)

// A lookout writes what needs a look into the log: when it begins, once a minute while it
// goes on, and when it is over. What has lines of its own, such as a server that fails, is
// left to those.
//
//	Warn     server two is slow: one request in a hundred takes 123ms or longer, ...   at once
//	Warn     still, after 1m0s: server two is slow: ...                                 each minute
//	Notice   over after 2m30s: server two is slow: ...                                  once
type lookout struct {
	now  present
	log  *logging.Logger
	told map[told]*telling
}

// told is what lines are about.
type told struct{ kind, pool, server string }

// A telling is when something was found first, last, and told last, and its first text.
type telling struct {
	first, last, line time.Time
	text              string
}

// LookOut has the recorder write what needs a look into the log. It is called before Run.
func (r *Recorder) LookOut(log *logging.Logger) {
	l := &lookout{now: presentOf(r.in, r), log: log, told: make(map[told]*telling)}
	r.lookout = func() {
		if found, err := l.now.look("", Windows[0]); err == nil { // else the proxy ends
			l.tell(found.Findings, time.Now())
		}
	}
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
			s = &telling{first: now, line: now, text: f.Text}
			l.told[key] = s
			l.log.Warn(f.Text, attrsOf(key, f)...)
		}
		if s.last = now; now.Sub(s.line) >= tellPeriod {
			s.line = now
			l.log.Warn("still, after "+now.Sub(s.first).Round(time.Second).String()+": "+f.Text, attrsOf(key, f)...)
		}
	}
	for key, s := range l.told {
		if now.Sub(s.last) >= overAfter {
			delete(l.told, key)
			l.log.Notice("over after "+s.last.Sub(s.first).Round(time.Second).String()+": "+s.text, attrsOf(key, new(api.Finding))...)
		}
	}
}

// attrsOf says what a line is about.
func attrsOf(of told, f *api.Finding) []slog.Attr {
	attrs := []slog.Attr{slog.String("finding", of.kind)}
	for _, a := range []struct{ name, value string }{{"pool", of.pool}, {"name", of.server}, {"reason", f.Reason}} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	return attrs
}
