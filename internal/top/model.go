package top

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A model is what the screen shows. Only Update changes it.
type model struct {
	// ask brings the next sample; static.
	ask func() tea.Msg
	// interval is the time from one answer to the next question.
	interval time.Duration

	width, height int
	dark          bool

	last  *sample
	fault error // of the last question; nil if it was answered
	tries int   // questions without an answer

	// What the user has chosen.
	paused   bool
	asking   bool // a question is under way
	help     bool
	typing   bool // keys go to the filter
	filter   string
	pool     string // the only pool shown; all if it is empty
	sortBy   int
	reversed bool
	selected string // pool and name of the server that the cursor is on
	first    int    // the row at the top of the table
	rows     []row  // the servers shown, in order
	ticks    int    // ticks that were ordered; the last one counts
}

// answered is a sample that has come, or why none has.
type answered struct {
	sample *sample
	fault  error
}

// tick ends the wait for the next question. It bears its number.
type tick int

func newModel(ask func() tea.Msg, interval time.Duration) *model {
	return &model{ask: ask, interval: interval, dark: true, sortBy: byState, width: 80, height: 24}
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return tea.Batch(m.wait(m.interval), tea.RequestBackgroundColor) }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var next tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.arrange()
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
	case answered:
		m.asking = false
		next = m.take(msg)
	case tick:
		if int(msg) == m.ticks {
			next = m.question()
		}
	case tea.PasteMsg:
		if m.typing {
			m.filter += plain(msg.Content)
			m.arrange()
		}
	case tea.KeyPressMsg:
		next = m.key(msg)
	}
	return m, next
}

// question asks, unless it is being asked or the screen is held still.
func (m *model) question() tea.Cmd {
	if m.asking || m.paused {
		return nil
	}
	m.asking = true
	return m.ask
}

// take shows an answer and orders the next question: after a failure later each
// time, ten seconds at most.
func (m *model) take(a answered) tea.Cmd {
	wait := m.interval
	if m.fault = a.fault; a.fault != nil {
		m.tries++
		wait = min(m.interval<<min(m.tries-1, 4), max(10*time.Second, m.interval))
	} else {
		m.tries = 0
		m.last = a.sample
		m.arrange()
	}
	return m.wait(wait)
}

// wait orders a tick; those ordered before do not count any more.
func (m *model) wait(d time.Duration) tea.Cmd {
	m.ticks++
	n := tick(m.ticks)
	return tea.Tick(d, func(time.Time) tea.Msg { return n })
}

// arrange chooses and sorts the rows, and keeps the cursor on its server and in
// sight.
func (m *model) arrange() {
	m.rows = m.rows[:0]
	if m.last == nil {
		return
	}
	if m.pool != "" && !slices.ContainsFunc(m.last.pools, func(p row) bool { return p.name == m.pool }) {
		m.pool = ""
	}
	want := strings.ToLower(m.filter)
	for i := range m.last.servers {
		r := &m.last.servers[i]
		words := strings.ToLower(r.pool + " " + r.name + " " + r.address + " " + r.state + " " + r.reason)
		if (m.pool == "" || r.pool == m.pool) && strings.Contains(words, want) {
			m.rows = append(m.rows, *r)
		}
	}
	order(m.rows, m.sortBy, m.reversed)
	m.look()
}

// cursor is the place of the selected server among the rows; the first, if it is
// not among them.
func (m *model) cursor() int {
	return max(0, slices.IndexFunc(m.rows, func(r row) bool { return r.pool+"\n"+r.name == m.selected }))
}

// move puts the cursor on another row.
func (m *model) move(to int) {
	if len(m.rows) == 0 {
		return
	}
	r := &m.rows[min(max(to, 0), len(m.rows)-1)]
	m.selected = r.pool + "\n" + r.name
	m.look()
}

// look scrolls so far that the cursor is in sight.
func (m *model) look() {
	room, at := m.room(), m.cursor()
	m.first = min(m.first, max(0, len(m.rows)-room))
	m.first = max(min(m.first, at), at-room+1)
}
