package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// closedLoop lets each client send, and again when it has its reply, until the
// time is over and the last reply is there. Without a length each sends once.
func (s *session) closedLoop(ctx context.Context, length time.Duration) (loadResult, error) {
	return s.measured(func() error {
		for i := range s.clients {
			if err := s.send(i, time.Since(s.start)); err != nil {
				return err
			}
		}
		again := func(i int) error {
			if now := time.Since(s.start); now < length {
				return s.send(i, now)
			}
			return nil
		}
		for s.waiting > 0 {
			if err := s.turn(ctx, again); err != nil {
				return err
			}
		}
		return nil
	})
}

// measured runs a load and returns what was seen of it.
func (s *session) measured(load func() error) (loadResult, error) {
	runtime.LockOSThread() // whose CPU time is the load's
	defer runtime.UnlockOSThread()
	before, err := threadTime()
	if err != nil {
		return loadResult{}, err
	}
	s.begin()
	if err := load(); err != nil {
		return loadResult{}, err
	}
	elapsed := time.Since(s.start)
	after, err := threadTime()
	return loadResult{requests: s.requests, elapsed: elapsed, latency: s.latency, cpu: after - before}, err
}

// turn waits for events, for a short time, and handles them.
func (s *session) turn(ctx context.Context, answered func(i int) error) error {
	const pause = 100 // ms between looks at the context
	if ctx.Err() != nil {
		return fmt.Errorf("%d replies are missing: %w", s.waiting, context.Cause(ctx))
	}
	n, err := unix.EpollWait(s.epoll, s.events, pause)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range s.events[:max(n, 0)] {
		if e.Fd == timerEvent {
			continue
		}
		if err := s.handle(e, answered); err != nil {
			return err
		}
	}
	return nil
}

// threadTime is the CPU time of the calling thread.
func threadTime() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0, fmt.Errorf("own CPU time: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}
