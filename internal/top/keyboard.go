package top

import (
	"slices"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// keyHelp is what the keys do, for the screen of help.
var keyHelp = [][2]string{
	{"1 to 7", "servers, over time, failures, keys, slow log, clients, findings"},
	{"8", "sentinels, if a pool has some"},
	{"v", "the next of these views"},
	{"↑ ↓  j k", "move the cursor; PgUp, PgDn, Home and End go further"},
	{"← →  < >", "sort by the column to the left, to the right"},
	{"r", "turn the order around"},
	{"s", "sort as at the start"},
	{"/", "show only lines that contain a text; Esc ends it"},
	{"Tab", "the next pool; after the last one, all pools"},
	{"w", "rates and times of the last 10 seconds, minute, 10 minutes"},
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
		m.typing = m.sheet() != nil
	case "esc":
		if s := m.sheet(); s != nil {
			s.filter = ""
			m.arrange()
		}
	case "p", "space":
		m.paused = !m.paused
		return m.question()
	case "tab":
		m.nextPool()
		if views[m.view].path != poolsPath {
			return m.question()
		}
	case "w":
		m.window = (m.window + 1) % len(windows)
		return m.question()
	case "1", "2", "3", "4", "5", "6", "7", "8":
		if v := view(name[0] - '1'); v < m.views() {
			return m.show(v)
		}
	case "v":
		return m.show((m.view + 1) % m.views())
	default:
		m.steer(name)
	}
	return nil
}

// show selects a view, and asks for what it needs.
func (m *model) show(v view) tea.Cmd {
	m.view = v
	m.arrange()
	return m.question()
}

// typed takes a key for the filter.
func (m *model) typed(k tea.KeyPressMsg) {
	s := m.sheet()
	switch k.String() {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, s.filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(s.filter)
		s.filter = s.filter[:len(s.filter)-n]
	case "ctrl+u":
		s.filter = ""
	default:
		s.filter += plain(k.Text)
	}
	m.arrange()
}

// steer takes a key that moves the cursor or changes the order.
func (m *model) steer(name string) {
	s := m.sheet()
	if s == nil {
		return
	}
	switch name {
	case "up", "k":
		s.move(s.cursor()-1, m.room())
	case "down", "j":
		s.move(s.cursor()+1, m.room())
	case "pgup":
		s.move(s.cursor()-m.room(), m.room())
	case "pgdown":
		s.move(s.cursor()+m.room(), m.room())
	case "home", "g":
		s.move(0, m.room())
	case "end", "G":
		s.move(len(s.rows)-1, m.room())
	case "left", "<":
		m.sort(-1)
	case "right", ">":
		m.sort(1)
	case "r":
		s.reversed = !s.reversed
		m.arrange()
	case "s":
		s.sortBy, s.reversed = s.first, false
		m.arrange()
	}
}

// sort goes a column further in one direction, among those that are shown.
func (m *model) sort(step int) {
	s := m.sheet()
	list := s.shown(m.width)
	at := slices.Index(list, s.sortBy)
	s.sortBy = list[min(max(at+step, 0), len(list)-1)]
	s.reversed = false
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
