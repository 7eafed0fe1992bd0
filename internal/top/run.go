package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

// patience is how long an answer may take.
const patience = 10 * time.Second

// Run shows the proxy in the terminal, asking for it anew every interval, until
// the user leaves or ctx ends.
func Run(ctx context.Context, client *ctl.Client, interval time.Duration) error {
	a := &asker{ctx: ctx, client: client}
	first := a.answer()
	if first.fault != nil {
		return first.fault // before the screen is taken
	}
	m := newModel(a.ask, interval)
	m.take(first)
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

func (a *asker) ask() tea.Msg { return a.answer() }

func (a *asker) answer() answered {
	var info api.Info
	var pools api.Pools
	err := a.get("/api/v1/info", &info)
	if err == nil {
		err = a.get("/api/v1/pools", &pools)
	}
	if err != nil {
		return answered{fault: err}
	}
	return answered{sample: a.meter.take(&info, &pools)}
}

func (a *asker) get(path string, into any) error {
	ctx, cancel := context.WithTimeout(a.ctx, patience)
	defer cancel()
	text, err := a.client.Get(ctx, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
