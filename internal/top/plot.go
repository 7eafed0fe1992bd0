package top

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"nuthatch/internal/admin/api"
)

// remembered is how many moments of the past are kept: as many as the widest
// screen shows.
const remembered = 512

// A moment is the rates of a pool, or of all, at one time.
type moment struct {
	at                         time.Time
	requests, p50, p99, failed float64
}

// A past is what the proxy remembered when the program began, and what was seen since, by
// pool; of all under "".
type past map[string][]moment

// begin puts what the proxy remembers of a pool, or of all, before what was seen.
func (p past) begin(h *api.History) {
	value := func(name string, i int) float64 {
		if values := h.Values[name]; i < len(values) {
			return float64(values[i])
		}
		return unknown
	}
	var list []moment
	for i, at := range h.At {
		list = append(list, moment{time.UnixMilli(at), value("requests", i), value("p50", i), value("p99", i), value("failed", i)})
	}
	p[h.Pool] = list[max(0, len(list)-remembered):]
}

// add keeps a sample. If gap, there was no sample for a while, and the plot
// gets a gap.
func (p past) add(s *sample, gap bool) {
	now := map[string]moment{"": all(s)}
	for i := range s.pools {
		r := &s.pools[i]
		now[r.name] = moment{s.at, r.nowRequests, r.p50, r.p99, r.nowFailed}
	}
	for name := range p {
		if _, ok := now[name]; !ok {
			delete(p, name)
		}
	}
	for name, one := range now {
		if gap {
			one = moment{s.at, unknown, unknown, unknown, unknown}
		}
		p[name] = append(p[name], one)
		p[name] = p[name][max(0, len(p[name])-remembered):]
	}
}

// all is what all pools did, as the line of totals tells it.
func all(s *sample) moment {
	return moment{
		at:       s.at,
		requests: sum(s.pools, func(r *row) float64 { return r.nowRequests }),
		p50:      most(s.pools, func(r *row) float64 { return r.p50 }),
		p99:      most(s.pools, func(r *row) float64 { return r.p99 }),
		failed:   sum(s.pools, func(r *row) float64 { return r.nowFailed }),
	}
}

// plots are what is drawn over time.
var plots = []struct {
	name  string
	value func(*moment) float64
	text  func(float64) string
}{
	{"req/s", func(m *moment) float64 { return m.requests }, rate},
	{"p50", func(m *moment) float64 { return m.p50 }, delay},
	{"p99", func(m *moment) float64 { return m.p99 }, delay},
	{"failed/s", func(m *moment) float64 { return m.failed }, rate},
}

// margin is the width of a plot's name and numbers, at its left.
const margin = 18

// plotLines draw the past of the chosen pool, now at the right edge, in so many
// lines.
func (m *model) plotLines(k *inks, room int) []string {
	each, blank := room/len(plots), 0
	if each > 2 {
		each, blank = each-1, 1
	}
	seen := m.seen()
	var lines []string
	for i := range plots {
		values, most := make([]float64, len(seen)), 0.0
		for j := range seen {
			values[j] = plots[i].value(&seen[j])
			most = max(most, zeroIfUnknown(values[j]))
		}
		now := unknown
		if len(values) > 0 {
			now = values[len(values)-1]
		}
		ink := k.good
		if i == len(plots)-1 {
			ink = k.bad
		}
		for n, bars := range bars(values, most, each) {
			label := strings.Repeat(" ", margin)
			switch n {
			case 0:
				label = k.bold.Render(caption(plots[i].name, plots[i].text(now)))
			case 1:
				label = k.soft.Render(caption("most", plots[i].text(most)))
			}
			space := strings.Repeat(" ", m.width-margin-ansi.StringWidth(bars))
			lines = append(lines, label+space+ink.Render(bars))
		}
		lines = append(lines, make([]string, blank)...)
	}
	return lines
}

// seen is as much of the chosen pool's past as there is room for.
func (m *model) seen() []moment {
	seen := m.past[m.pool]
	return seen[max(0, len(seen)-(m.width-margin)):]
}

// caption is a name and a number in the margin.
func caption(name, number string) string {
	return pad(cell{text: name, width: 9, left: true}) + pad(cell{text: number, width: margin - 11}) + "  "
}

// plotDetail tells whose past is drawn, and how long it is.
func (m *model) plotDetail() string {
	of := "all pools"
	if m.pool != "" {
		of = "pool " + m.pool
	}
	seen := m.seen()
	if len(seen) < 2 {
		return of + "  it begins now"
	}
	return of + fmt.Sprintf("  the last %s, now at the right", span(seen[len(seen)-1].at.Sub(seen[0].at)))
}

// blocks are a cell filled by so many eighths.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// bars draw values as columns so many lines high, the greatest filling them. Zero is
// a dot, and what is not known is blank.
func bars(values []float64, most float64, height int) []string {
	lines := make([]string, height)
	for n := range lines {
		below := 8 * (height - 1 - n) // eighths in the lines below this one
		line := make([]rune, len(values))
		for i, v := range values {
			line[i] = ' '
			switch {
			case math.IsNaN(v):
			case v > 0:
				eighths := max(1, int(math.Round(v/most*8*float64(height))))
				line[i] = blocks[min(max(eighths-below, 0), 8)]
			case below == 0:
				line[i] = '·'
			}
		}
		lines[n] = string(line)
	}
	return lines
}

func zeroIfUnknown(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
