package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// timerEvent is what epoll reports in the place of a client when the next send
// is due.
const timerEvent = -1

// openLoop sends at a fixed rate (of exchanges per second), the clients in turn,
// whether or not replies have come. A reply's latency counts from the moment at
// which its request should have been sent: what a slow proxy, or a load that
// falls behind, holds up is in it (no coordinated omission).
func (s *session) openLoop(ctx context.Context, rate float64, length time.Duration) (loadResult, error) {
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return loadResult{}, fmt.Errorf("timer: %w", err)
	}
	defer func() { _ = unix.Close(timer) }() // takes it out of epoll, too
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerEvent}); err != nil {
		return loadResult{}, fmt.Errorf("epoll: %w", err)
	}
	return s.measured(func() error {
		total := int(rate * length.Seconds())
		due := func(sent int) time.Duration { return time.Duration(float64(sent) / rate * float64(time.Second)) }
		for sent := 0; sent < total || s.waiting > 0; {
			for ; sent < total && due(sent) <= time.Since(s.start); sent++ {
				if err := s.send(sent%len(s.clients), due(sent)); err != nil {
					return err
				}
			}
			var next time.Duration // 0 stops the timer
			if sent < total {
				next = max(1, due(sent)-time.Since(s.start))
			}
			spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(next))}
			if err := unix.TimerfdSettime(timer, 0, &spec, nil); err != nil {
				return fmt.Errorf("timer: %w", err)
			}
			if err := s.turn(ctx, func(int) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	})
}
