package ctl

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// endPoll is how often a draining proxy is asked whether it is still there.
const endPoll = 100 * time.Millisecond

// drain has the proxy answer what has come, and end. With Wait it returns when the proxy has
// ended: a service manager that calls it may then end what is left.
func (s *session) drain([]string) error {
	if err := s.give("/api/v1/drain", nil); err != nil || !s.Wait {
		return err
	}
	// A proxy that ends may be slow to say so, and is not gone then.
	patient := *s.client
	patient.questions = patient.actions
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	for {
		_, err := patient.do(s.ctx, http.MethodGet, infoPath, "", nil)
		switch {
		case s.ctx.Err() != nil:
			return context.Cause(s.ctx)
		case errors.Is(err, ErrNoAnswer):
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
		}
	}
}
