package top

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

// patience is how long an answer may take.
const patience = 10 * time.Second

var errNoTerminal = errors.New("it needs a terminal to write to and read from; 'nuthatch ctl status' and 'ctl stats' need none")

// isTerminal reports whether the screen can be drawn, and keys be read: from standard input or, if
// that is none, from the terminal of this process.
func isTerminal() bool {
	if !isDevice(os.Stdout) {
		return false
	}
	if isDevice(os.Stdin) {
		return true
	}
	own, err := os.Open("/dev/tty")
	if err == nil {
		own.Close()
	}
	return err == nil
}

// isDevice reports whether the file is a device of characters other than /dev/null: a terminal, in
// all likelihood.
func isDevice(f *os.File) bool {
	is, err := f.Stat()
	if err != nil || is.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(is, null)
}

// Run shows the proxy in the terminal, asking for it anew every interval, until
// the user leaves or ctx ends.
func Run(ctx context.Context, client *ctl.Client, interval time.Duration) error {
	a := &asker{ctx: ctx, client: client}
	first := a.answer(question{path: poolsPath})
	if first.fault != nil {
		return first.fault // before the screen is taken
	}
	if !isTerminal() {
		return errNoTerminal
	}
	m := newModel(a.ask, interval)
	m.handleAnswer(first)
	a.remember(m.past, first.sample)
	_, err := tea.NewProgram(m, tea.WithContext(ctx)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// An asker asks the proxy. One question is under way at a time.
type asker struct {
	ctx    context.Context
	client *ctl.Client
	meter  meter
}

func (a *asker) ask(q question) tea.Msg { return a.answer(q) }

// answer asks for the process, and for what q wants.
func (a *asker) answer(q question) answered {
	s := &sample{}
	err := a.get(infoPath, nil, &s.info)
	if err == nil {
		s, err = a.fill(s, q)
	}
	if err != nil {
		return answered{to: q, fault: err}
	}
	return answered{to: q, sample: s}
}

func (a *asker) fill(s *sample, q question) (*sample, error) {
	now := s.info.Time
	switch q.path {
	case keysPath:
		var keys api.HotKeys
		err := a.get(q.path, ofPool(q.pool), &keys)
		s.entries = keyEntries(&keys, now)
		return s, err
	case slowPath:
		var slow api.SlowLog
		err := a.get(q.path, ofPool(q.pool), &slow)
		s.entries = slowEntries(&slow, now)
		return s, err
	case clientsPath:
		var clients api.Clients
		err := a.get(q.path, ofPool(q.pool), &clients)
		s.entries, s.total = clientEntries(&clients), clients.Total
		return s, err
	case lookPath:
		query := ofPool(q.pool)
		if q.window != "" {
			query.Set("window", q.window)
		}
		var look api.Findings
		err := a.get(q.path, query, &look)
		s.entries, s.window = findingEntries(&look), look.Window
		return s, err
	}
	var pools api.Pools
	query := url.Values{}
	if q.window != "" {
		query.Set("window", q.window)
	}
	if err := a.get(poolsPath, query, &pools); err != nil {
		return nil, err
	}
	return a.meter.makeSample(&s.info, &pools), nil
}

// remember fills the past with what the proxy remembers of all and of each pool. Without an
// answer it stays empty: the view over time begins with what is seen.
func (a *asker) remember(p past, s *sample) {
	pools := []string{""}
	for i := range s.pools {
		pools = append(pools, s.pools[i].name)
	}
	for _, pool := range pools {
		query := ofPool(pool)
		query.Set("seconds", strconv.Itoa(remembered))
		var h api.History
		if a.get(historyPath, query, &h) != nil {
			return
		}
		p.begin(&h)
	}
}

// ofPool asks about a pool, or about all if it is empty.
func ofPool(pool string) url.Values {
	query := url.Values{}
	if pool != "" {
		query.Set("pool", pool)
	}
	return query
}

// get asks for a path.
func (a *asker) get(path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(a.ctx, patience)
	defer cancel()
	text, err := a.client.Get(ctx, path, query)
	if err != nil {
		return err
	}
	return a.client.Read(ctx, text, into)
}
