package top

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"nuthatch/internal/units"
)

// The least screen that anything is shown on.
const minWidth, minHeight = 44, 12

// inks are the ways in which text is drawn. The colours are the terminal's own
// first sixteen, which its user has chosen to suit the ground, but for yellow: on
// white it cannot be read.
type inks struct {
	bold, soft, good, bad, warn, head, cursor lipgloss.Style
}

func inksOn(dark bool) inks {
	plain := lipgloss.NewStyle()
	return inks{
		bold:   plain.Bold(true),
		soft:   plain.Faint(true),
		good:   plain.Foreground(lipgloss.Green),
		bad:    plain.Foreground(lipgloss.Red).Bold(true),
		warn:   plain.Foreground(lipgloss.LightDark(dark)(lipgloss.Color("130"), lipgloss.Yellow)),
		head:   plain.Underline(true),
		cursor: plain.Reverse(true),
	}
}

// in is the ink of a tone.
func (k *inks) in(t tone) lipgloss.Style {
	switch t {
	case good:
		return k.good
	case odd:
		return k.warn
	case idle:
		return k.soft
	case ill:
		return k.bad
	default:
		return lipgloss.NewStyle()
	}
}

// View implements tea.Model.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.frame(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "nuthatch top"
	return v
}

// frame is the screen, line by line, none wider than it.
func (m *model) frame() []string {
	k := inksOn(m.dark)
	switch {
	case m.width < minWidth || m.height < minHeight:
		return []string{ansi.Truncate(fmt.Sprintf("needs %dx%d", minWidth, minHeight), m.width, "")}
	case m.help:
		return m.fit(m.helpLines(&k))
	case m.last == nil:
		return m.fit([]string{m.title(&k)})
	}
	lines := []string{m.title(&k)}
	if m.ofPools() {
		lines = append(lines, m.totals(&k))
	}
	lines = append(lines, m.process(&k), m.tabs(&k))
	switch m.view {
	case viewTime:
		lines = append(lines, m.plotLines(&k, m.room())...)
	case viewServers:
		lines = append(lines, m.poolLines(&k)...)
		fallthrough
	default:
		lines = append(lines, "")
		lines = append(lines, m.sheet().lines(&k, m.width, m.room(), m.wanted())...)
	}
	for len(lines) < m.height-2 {
		lines = append(lines, "")
	}
	return m.fit(append(lines[:m.height-2], m.detail(&k), m.footer(&k)))
}

func (m *model) fit(lines []string) []string {
	lines = lines[:min(len(lines), m.height)]
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], m.width, "…")
	}
	return lines
}

// spread puts one text at the left edge and another at the right one.
func (m *model) spread(left, right string) string {
	room := m.width - ansi.StringWidth(left) - ansi.StringWidth(right)
	if room < 1 {
		return ansi.Truncate(left, max(m.width-ansi.StringWidth(right)-1, 0), "…") + " " + right
	}
	return left + strings.Repeat(" ", room) + right
}

func (m *model) title(k *inks) string {
	left := k.bold.Render("nuthatch")
	if m.last == nil {
		return m.spread(left, m.status(k))
	}
	i := &m.last.info
	state := k.good.Render("ready")
	switch {
	case i.State != "serving":
		state = k.warn.Render(plain(i.State))
	case !i.Ready:
		state = k.bad.Render("not ready")
	}
	left += fmt.Sprintf(" %s  %s  up %s  ", plain(i.Version), plain(i.Host), span(time.Duration(i.Uptime*float64(time.Second)))) + state
	return m.spread(left, m.status(k))
}

// status tells whether the data is current.
func (m *model) status(k *inks) string {
	switch {
	case m.fault != nil:
		return k.bad.Render("no answer")
	case m.paused:
		return k.warn.Render("paused")
	}
	of := windows[m.window]
	if m.last != nil && m.last.window != nil {
		w := m.last.window
		of = units.Window(w.Seconds) + " to " + w.Until.Local().Format(time.TimeOnly)
	}
	return k.soft.Render("last " + of + "  every " + m.interval.String())
}

// ofPools tells whether the view in sight asks for pools, so that the totals are of
// now.
func (m *model) ofPools() bool { return views[m.view].path == poolsPath }

// tabs are the views, by the key that shows them. Where they do not fit, the others
// have no names.
func (m *model) tabs(k *inks) string {
	pool := ""
	if m.pool != "" {
		pool = "pool " + m.pool
	}
	long, short := make([]string, m.views()), make([]string, m.views())
	for i := range long {
		number := strconv.Itoa(i + 1)
		long[i], short[i] = number+" "+views[i].name, number
		if view(i) == m.view {
			long[i] = k.bold.Render(long[i])
			short[i] = long[i]
		} else {
			long[i], short[i] = k.soft.Render(long[i]), k.soft.Render(short[i])
		}
	}
	text := strings.Join(long, "  ")
	if ansi.StringWidth(text)+ansi.StringWidth(pool) >= m.width {
		text = strings.Join(short, "  ")
	}
	return m.spread(text, pool)
}

func (m *model) totals(k *inks) string {
	pools, s := m.last.pools, m.last
	failed := rate(sum(pools, func(r *row) float64 { return r.failed }))
	if failed != "0" && failed != dash {
		failed = k.bad.Render(failed)
	}
	parts := []string{
		"up " + k.bold.Render(fmt.Sprintf("%d/%d", upCount(s.servers), len(s.servers))),
		"req/s " + k.bold.Render(rate(sum(pools, func(r *row) float64 { return r.requests }))),
		"p50 " + k.bold.Render(delay(most(pools, func(r *row) float64 { return r.p50 }))),
		"p99 " + k.bold.Render(delay(most(pools, func(r *row) float64 { return r.p99 }))),
		"failed/s " + k.bold.Render(failed),
		"clients " + k.bold.Render(count(sum(pools, func(r *row) float64 { return r.clients }))),
		"queued " + k.bold.Render(count(sum(pools, func(r *row) float64 { return r.queued }))),
	}
	return strings.Join(parts, "  ")
}

func upCount(servers []row) int {
	n := 0
	for i := range servers {
		if servers[i].state == up {
			n++
		}
	}
	return n
}

func (m *model) process(k *inks) string {
	i := &m.last.info
	var loops []string
	for j := range i.Loops {
		busy := percent(i.Loops[j].Busy)
		if i.Loops[j].Busy > 0.9 {
			busy = k.bad.Render(busy)
		}
		loops = append(loops, busy)
	}
	p := &i.Process
	parts := []string{"loops busy " + strings.Join(loops, " "), "memory " + size(float64(p.ResidentMemory))}
	if p.MaxMemory > 0 {
		parts[1] += " of " + size(float64(p.MaxMemory))
	}
	if p.MaxDescriptors > 0 {
		parts = append(parts, fmt.Sprintf("descriptors %d/%s", p.Descriptors, count(float64(p.MaxDescriptors))))
	}
	return k.soft.Render(strings.Join(parts, "  "))
}

// poolRoom is how many pools are shown: a third at most of what pools and servers
// have together.
func (m *model) poolRoom() int { return min(len(m.last.pools), max(1, (m.height-10)/3)) }

// room is how many lines the view has for its table, or for what is drawn.
func (m *model) room() int {
	// title, process, tabs, detail, footer
	room := m.height - 5
	if m.ofPools() {
		room-- // totals
	}
	if m.sheet() != nil {
		room -= 2 // blank, head
	}
	if m.view == viewServers && m.last != nil {
		room -= 1 + m.poolRoom() // with their head
	}
	return max(1, room)
}

func (m *model) poolLines(k *inks) []string {
	lines := []string{k.head.Render(line(m.width, cells("POOL", "UP", "CLIENTS", "REQ/S", "P50", "P99", "FAIL/S", "QUEUED")))}
	pools := m.last.pools
	room := m.poolRoom()
	from := 0
	for i := range pools { // the chosen one is in sight
		if pools[i].name == m.pool && i >= room {
			from = i - room + 1
		}
	}
	for i := from; i < from+room; i++ {
		p := &pools[i]
		name := p.name
		if name == m.pool {
			name = "▸ " + name
		}
		if p.paused {
			name += " (paused"
			if p.pausedFor > 0 {
				name += ", " + span(p.pausedFor) + " more"
			}
			name += ")"
		}
		text := line(m.width, cells(name, fmt.Sprintf("%d/%d", p.up, p.servers), count(p.clients), rate(p.requests), delay(p.p50), delay(p.p99),
			rate(p.failed), count(p.queued)))
		switch {
		case p.name == m.pool:
			text = k.bold.Render(text)
		case m.pool != "":
			text = k.soft.Render(text)
		case p.up < p.servers || p.paused:
			text = k.warn.Render(text)
		}
		lines = append(lines, text)
	}
	return lines
}

// A cell is text in a column of a width; the first of a line takes what is left.
type cell struct {
	text  string
	width int
	left  bool
	ink   *lipgloss.Style // nil: the line's
}

// cells are those of the table of pools.
func cells(texts ...string) []cell {
	widths := []int{0, 7, 8, 8, 8, 8, 7, 7}
	list := make([]cell, len(texts))
	for i, text := range texts {
		list[i] = cell{text: text, width: widths[i], left: i == 0}
	}
	return list
}

// line joins cells to a line of the given width. Cells that do not fit go.
func line(width int, list []cell) string {
	rest, n := width, 1
	for ; n < len(list) && rest-list[n].width-1 >= 12; n++ {
		rest -= list[n].width + 1
	}
	list[0].width = rest
	parts := make([]string, n)
	for i, c := range list[:n] {
		parts[i] = pad(c)
	}
	return strings.Join(parts, " ")
}

func pad(c cell) string {
	text := ansi.Truncate(c.text, c.width, "…")
	blank := strings.Repeat(" ", max(0, c.width-ansi.StringWidth(text)))
	if c.ink != nil {
		text = c.ink.Render(text)
	}
	if c.left {
		return text + blank
	}
	return blank + text
}

// detail tells of the line under the cursor what has no column.
func (m *model) detail(k *inks) string {
	s := m.sheet()
	switch {
	case m.fault != nil:
		return k.bad.Render(plain(m.fault.Error()))
	case s == nil:
		return k.soft.Render(m.plotDetail())
	case len(s.rows) == 0:
		return ""
	}
	e := &s.rows[s.cursor()]
	return k.in(e.tone).Render(e.detail)
}

func (m *model) footer(k *inks) string {
	s := m.sheet()
	if s == nil {
		return k.soft.Render(fmt.Sprintf("q leave  ? help  1-%d views  tab pool  p pause", m.views()))
	}
	if m.typing {
		return "/" + s.filter + k.cursor.Render(" ")
	}
	place := fmt.Sprintf("%d/%d", min(s.cursor()+1, len(s.rows)), len(s.rows))
	if s.total > len(s.all) {
		place += " of " + count(float64(s.total))
	}
	keys := fmt.Sprintf("q leave  ? help  1-%d views  / filter  ←→ sort  r reverse  tab pool  p pause", m.views())
	if s.filter != "" {
		keys = "filter: " + s.filter + "  (esc)  " + keys
	}
	return m.spread(k.soft.Render(keys), place)
}

func (m *model) helpLines(k *inks) []string {
	lines := []string{m.title(k), ""}
	for _, l := range keyHelp {
		lines = append(lines, pad(cell{text: "  " + l[0], width: 14, left: true})+"  "+l[1])
	}
	lines = append(lines, "", "  States: ")
	for _, s := range states {
		lines[len(lines)-1] += k.in(toneOf(s)).Render(mark(s)+" "+s) + "  "
	}
	return append(lines, "", k.soft.Render("  any key goes back"))
}
