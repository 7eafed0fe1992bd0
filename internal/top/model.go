package top

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// A model is what the screen shows. Only Update changes it.
type model struct {
	// ask brings the answer to a question; static.
	ask func(question) tea.Msg
	// interval is the time from one answer to the next question.
	interval time.Duration

	width, height int
	dark          bool

	last  *sample // of pools
	past  past
	fault error // of the last question; nil if it was answered
	tries int   // questions without an answer

	// What the user has chosen.
	paused bool
	asking bool // a question is under way
	help   bool
	typing bool   // keys go to the filter
	pool   string // the only pool shown; all if it is empty
	view   view
	window int               // of windows
	sheets [viewCount]*sheet // by view; nil if it has none
	ticks  int               // ticks that were ordered; the last one counts
}

// answered is a sample that has come, or why none has.
type answered struct {
	to     question
	sample *sample
	fault  error
}

// tick ends the wait for the next question, and has its number.
type tick int

func newModel(ask func(question) tea.Msg, interval time.Duration) *model {
	return &model{
		ask: ask, interval: interval, dark: true, width: 80, height: 24, past: past{},
		sheets: [viewCount]*sheet{
			viewServers: newServerSheet(), viewFailures: newFailureSheet(), viewKeys: newKeySheet(), viewSlow: newSlowSheet(),
			viewClients: newClientSheet(), viewFindings: newFindingSheet(), viewSentinels: newSentinelSheet(),
		},
	}
}

// sheet is the table in sight; nil if there is none.
func (m *model) sheet() *sheet { return m.sheets[m.view] }

// views is how many views there are now.
func (m *model) views() view {
	if m.view != viewSentinels && len(m.sheets[viewSentinels].all) == 0 {
		return viewSentinels
	}
	return viewCount
}

// wanted is what the selected view asks for; other views ask for nothing.
func (m *model) wanted() question {
	q := question{path: views[m.view].path}
	switch {
	case q.path != poolsPath:
		q.pool = m.pool
		if q.path == lookPath && m.window > 0 {
			q.window = windows[m.window]
		}
	case m.window > 0:
		q.window = windows[m.window]
	}
	return q
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
		next = m.handleAnswer(msg)
	case tick:
		if int(msg) == m.ticks {
			next = m.question()
		}
	case tea.PasteMsg:
		if m.typing {
			m.sheet().filter += plain(msg.Content)
			m.arrange()
		}
	case tea.KeyPressMsg:
		next = m.key(msg)
	}
	return m, next
}

// question asks, unless an answer is awaited or the screen is frozen.
func (m *model) question() tea.Cmd {
	if m.asking || m.paused {
		return nil
	}
	m.asking = true
	q := m.wanted()
	return func() tea.Msg { return m.ask(q) }
}

// handleAnswer shows an answer and schedules the next question. Each failure makes the
// wait longer, up to ten seconds.
func (m *model) handleAnswer(a answered) tea.Cmd {
	wait := m.interval
	if m.fault = a.fault; a.fault != nil {
		m.tries++
		wait = min(m.interval<<min(m.tries-1, 4), max(10*time.Second, m.interval))
	} else {
		m.tries = 0
		m.keep(a)
		m.arrange()
		if a.to != m.wanted() && !m.paused {
			return m.question() // another view came in sight meanwhile
		}
	}
	return m.wait(wait)
}

// wait schedules a tick; earlier ones are ignored.
func (m *model) wait(d time.Duration) tea.Cmd {
	m.ticks++
	n := tick(m.ticks)
	return tea.Tick(d, func(time.Time) tea.Msg { return n })
}

// keep puts an answer where its views look for it.
func (m *model) keep(a answered) {
	s := a.sample
	if a.to.path != poolsPath {
		m.last.info, m.last.window = s.info, s.window
		for i := range views {
			if views[i].path == a.to.path {
				m.sheets[i].all, m.sheets[i].total, m.sheets[i].of = s.entries, s.total, a.to
			}
		}
		return
	}
	m.last = s
	if len(m.past) > 0 || s.elapsed > 0 {
		m.past.add(s, s.elapsed > max(5*m.interval, 5*time.Second))
	}
	m.sheets[viewServers].all = serverEntries(s.servers)
	m.sheets[viewFailures].all = failureEntries(s.failures)
	m.sheets[viewSentinels].all = s.sentinels
	m.sheets[viewServers].of, m.sheets[viewFailures].of, m.sheets[viewSentinels].of = a.to, a.to, a.to
	if !slices.ContainsFunc(s.pools, func(p row) bool { return p.name == m.pool }) {
		m.pool = ""
	}
}

// arrange sorts the visible table again.
func (m *model) arrange() {
	if s := m.sheet(); s != nil && m.last != nil {
		s.arrange(m.pool, m.room())
	}
}
