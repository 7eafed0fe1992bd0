package top

import (
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

// A finding is something that needs a look.
type finding struct {
	api.Finding
	text  string
	since time.Duration // 0: not known
	place int
}

var findingColumns = []column[finding]{
	{"WHAT NEEDS A LOOK", 0, 0, nil, func(f *finding) string { return f.text }},
	{"KIND", 14, 60, func(f *finding) float64 { return float64(-f.place) }, func(f *finding) string { return plain(f.Label) }},
	{"POOL", 11, 72, nil, func(f *finding) string { return orDash(plain(f.Pool)) }},
	{"SERVER", 18, 110, nil, func(f *finding) string { return orDash(plain(f.Server)) }},
	{"SINCE", 7, 88, func(f *finding) float64 { return f.since.Seconds() }, func(f *finding) string {
		if f.since == 0 {
			return dash
		}
		return span(f.since)
	}},
}

// byKind is the column that findings are sorted by at first: in the proxy's order.
const byKind = 1

func newFindingSheet() *sheet {
	s := newSheet(headsOf(findingColumns), byKind, "nothing needs a look")
	s.heads[byKind].left = true
	return s
}

// findingEntries are the lines of what needs a look, what fails requests first.
func findingEntries(l *api.Findings) []entry {
	list := make([]entry, len(l.Findings))
	for i := range l.Findings {
		f := &finding{Finding: l.Findings[i], text: ctl.Plain(l.Findings[i].Text), place: i}
		if f.Since != nil {
			f.since = l.Time.Sub(*f.Since)
		}
		list[i] = entry{
			id: f.Kind + "\n" + f.Pool + "\n" + f.Server, pool: plain(f.Pool), values: valuesOf(findingColumns, f),
			detail: f.text + "  " + ctl.Plain(f.Help), words: strings.ToLower(f.text + " " + plain(f.Pool) + " " + plain(f.Label)), tone: odd,
		}
		if f.Fails {
			list[i].tone = ill
		}
	}
	return list
}
