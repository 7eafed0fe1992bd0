package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/events"
)

// upgradeTimeout is how long the new program may take to be ready.
const upgradeTimeout = time.Minute

// ErrNotReady means that the new program was not ready in time.
var ErrNotReady = errors.New("the new program is not ready in time")

// Upgrade starts the program again, from its path, hands over its listening sockets
// (see handover.go), and drains. If the new program fails, or this one is told to end
// meanwhile, the new one is ended and nothing has changed. by says who asked for it.
func (in *Instance) Upgrade(by string) error {
	if !in.upgrading.CompareAndSwap(false, true) {
		in.log.Warn("upgrade refused: another one is under way", slog.String("by", by))
		return admin.ErrUpgrading
	}
	defer in.upgrading.Store(false)
	in.handing.Lock()
	defer in.handing.Unlock()
	in.journal.addEvent(events.Event{Kind: events.UpgradeBegun, Text: "the new program is started, to take over", By: by})
	s, err := in.upgrade()
	if err != nil {
		in.log.Error("upgrade failed: this program goes on", slog.String("by", by), errAttr(err))
		in.journal.addEvent(events.Event{Kind: events.UpgradeGivenUp, Text: "upgrade failed: this program goes on: " + inShort(err), By: by})
		return fmt.Errorf("upgrade: %w", err)
	}
	in.log.Always("program upgraded", slog.String("by", by), slog.Int("pid", s.pid))
	in.journal.addEvent(events.Event{Kind: events.Upgraded, Text: fmt.Sprintf("program upgraded: process %d has taken over", s.pid), By: by})
	g := in.current.Load()
	in.listeners.stopAccepting(g.listeners)
	in.ports.handOver()
	g.closeSentinelsWithout(nil)
	handed := make(chan struct{})
	go func() {
		defer close(handed)
		// The new program serves without it.
		if err := s.handHistory(in.recorder.HandOver); err != nil {
			in.log.Notice("the history is not handed over", errAttr(err))
		}
	}()
	go func() {
		defer in.Stop()
		in.emptyLoops(in.leaveBy(g))
		<-handed
	}()
	return nil
}

// errFirst means that the upgrade of process 1 was refused: it would end the container.
var errFirst = errors.New("this is process 1, with which its container would end; replace the container")

// mayBeReplaced says why another process cannot take the place of this one; nil: it
// can.
func mayBeReplaced(pid int) error {
	if pid == 1 {
		return errFirst
	}
	return nil
}

// upgrade starts the new program and lets it serve. On error the new program
// has ended.
func (in *Instance) upgrade() (*successor, error) {
	if in.life.ending() {
		return nil, admin.ErrEnding
	}
	if err := mayBeReplaced(os.Getpid()); err != nil {
		return nil, err
	}
	sockets, err := in.listeners.files(in.current.Load(), nil)
	if err == nil {
		sockets, err = in.sentinels.files(in.current.Load(), sockets)
	}
	if err == nil {
		sockets, err = in.ports.files(sockets)
	}
	if err == nil {
		sockets, err = in.certificates.file(sockets)
	}
	defer func() {
		for _, f := range sockets {
			f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, err := startSuccessor(len(sockets))
	if err != nil {
		return nil, err
	}
	err = s.awaitReady(in.life.asked, sockets)
	if err == nil {
		err = in.handOver(s)
	}
	if err == nil {
		return s, nil
	}
	ended := s.giveUp()
	in.takeBack()
	switch {
	case errors.Is(err, errNoReport) && ended != nil:
		err = fmt.Errorf("%w: %w", err, ended)
	case errors.Is(err, context.Canceled):
		err = admin.ErrEnding
	}
	return nil, err
}

// handOver lets the new program serve, unless this one is to end.
func (in *Instance) handOver(s *successor) error {
	return in.life.replace(func() error {
		notify(in.log, "MAINPID="+strconv.Itoa(s.pid))
		if err := s.letGo(); err != nil {
			notify(in.log, "MAINPID="+strconv.Itoa(os.Getpid()))
			return errNoReport
		}
		return nil
	})
}

// takeBack undoes what a failed new program may have done to the pid file and to
// the backlogs of the shared sockets.
func (in *Instance) takeBack() {
	if _, err := writePidFile(in.opts.PidFile); err != nil {
		in.log.Error("cannot write the pid file again", pathAttr(in.opts.PidFile), errAttr(err))
	}
	in.listeners.takeBackBacklogs(in.current.Load())
}
