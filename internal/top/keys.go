package top

import (
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// keyHelp is what the keys do, for the screen of help.
var keyHelp = [][2]string{
	{"↑ ↓  j k", "move the cursor; PgUp, PgDn, Home and End go further"},
	{"← →  < >", "sort by the column to the left, to the right"},
	{"r", "turn the order around"},
	{"s", "sort by state, as at the start"},
	{"/", "filter by pool, name, address, state or reason; Esc ends it"},
	{"Tab", "one pool after the other, then all"},
	{"p  Space", "hold the screen still, and go on"},
	{"?  h", "this help"},
	{"q  Ctrl+C", "leave"},
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.typing:
		m.typed(k)
		return nil
	case m.help:
		m.help = false
		return nil
	}
	switch name {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
		m.arrange()
	case "p", "space":
		m.paused = !m.paused
		return m.question()
	case "tab":
		m.nextPool()
	default:
		m.steer(name)
	}
	return nil
}

// typed takes a key for the filter.
func (m *model) typed(k tea.KeyPressMsg) {
	switch k.String() {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.filter)
		m.filter = strings.TrimSuffix(m.filter, m.filter[len(m.filter)-n:])
	case "ctrl+u":
		m.filter = ""
	default:
		m.filter += plain(k.Text)
	}
	m.arrange()
}

// steer takes a key that moves the cursor or changes the order.
func (m *model) steer(name string) {
	switch name {
	case "up", "k":
		m.move(m.cursor() - 1)
	case "down", "j":
		m.move(m.cursor() + 1)
	case "pgup":
		m.move(m.cursor() - m.room())
	case "pgdown":
		m.move(m.cursor() + m.room())
	case "home", "g":
		m.move(0)
	case "end", "G":
		m.move(len(m.rows) - 1)
	case "left", "<":
		m.sort(-1)
	case "right", ">":
		m.sort(1)
	case "r":
		m.reversed = !m.reversed
		m.arrange()
	case "s":
		m.sortBy, m.reversed = byState, false
		m.arrange()
	}
}

// sort goes a column further in one direction, among those that are shown.
func (m *model) sort(step int) {
	list := shown(m.width)
	at := slices.Index(list, m.sortBy)
	m.sortBy = list[min(max(at+step, 0), len(list)-1)]
	m.reversed = false
	m.arrange()
}

func (m *model) nextPool() {
	if m.last == nil {
		return
	}
	at := slices.IndexFunc(m.last.pools, func(p row) bool { return p.name == m.pool })
	m.pool = ""
	if at+1 < len(m.last.pools) {
		m.pool = m.last.pools[at+1].name
	}
	m.arrange()
}
