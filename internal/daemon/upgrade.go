package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
)

// upgradeTimeout is how long the new program may take to be ready.
const upgradeTimeout = time.Minute

// ErrNotReady means that the new program was not ready in time.
var ErrNotReady = errors.New("the new program is not ready in time")

// Upgrade starts the program anew, from the path that it was started from, and
// hands its listening sockets over:
//
//	this process                               the new one
//	────────────                               ───────────
//	start it with copies of all ─────────────> reads its configuration, takes the
//	listening sockets, and a pipe              sockets, writes the pid file
//	        <───────── "started", or the error ─── serves
//	accepts no more, drains, ends
//
// Both accept for a moment, so that no client is refused. If the new program
// does not get so far it is ended, and nothing has changed. by says who asked for
// it.
func (in *Instance) Upgrade(by string) error {
	in.changing.Lock()
	defer in.changing.Unlock()
	if in.ending() {
		return admin.ErrEnding
	}
	pid, err := in.startSuccessor()
	if err != nil {
		in.log.Error("program not upgraded, this one goes on", slog.String("by", by), errAttr(err))
		return fmt.Errorf("upgrade: %w", err)
	}
	in.log.Always("program upgraded", slog.String("by", by), slog.Int("pid", pid))
	in.replaced.Store(true)
	in.draining.Store(true)
	in.notify("MAINPID=" + strconv.Itoa(pid))
	g := in.current.Load()
	// That the loops have ended is as good.
	_ = in.onLoop(in.contexts[0], func(*proxy.Context) {
		for _, l := range g.listeners {
			l.accept.Close()
		}
	})
	if in.statsPort != nil {
		in.statsPort.OwnPath(false)
	}
	in.closeStats()
	if h := in.adminPort.Load(); h != nil {
		h.OwnPath(false)
		h.Leave()
	}
	go func() {
		defer in.Stop()
		in.emptyLoops(in.leaveBy(g))
	}()
	return nil
}

// startSuccessor starts the new program and returns its pid when it serves.
func (in *Instance) startSuccessor() (pid int, err error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	defer theirs.Close()
	inode, err := inodeOf(int(theirs.Fd()))
	if err != nil {
		return 0, err
	}
	sockets, err := in.sockets()
	defer func() {
		for _, f := range sockets {
			f.Close()
		}
	}()
	if err != nil {
		return 0, err
	}
	path, err := calledPath()
	if err != nil {
		return 0, err
	}
	cmd := exec.Cmd{
		Path: path, Args: os.Args,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Env:        append(successorEnv(), fmt.Sprintf("%s=%s:%d", handoverMarker, inode, len(sockets))),
		ExtraFiles: slices.Concat([]*os.File{theirs}, sockets),
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	theirs.Close() // the program holds the only other end: its death is our end of file
	if err := awaitReport(ours); err != nil {
		// It may have ended by itself.
		_ = cmd.Process.Kill()
		if ended := cmd.Wait(); errors.Is(err, errNoReport) {
			err = fmt.Errorf("%w: %w", err, ended)
		}
		return 0, err
	}
	pid = cmd.Process.Pid
	return pid, cmd.Process.Release()
}

// successorEnv is the environment without what is meant for this process alone.
func successorEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "WATCHDOG_PID=") })
}

// awaitReport waits until the new program serves. The error is the one that it
// reports.
func awaitReport(pipe *os.File) error {
	if err := pipe.SetReadDeadline(time.Now().Add(upgradeTimeout)); err != nil {
		return err
	}
	text, err := io.ReadAll(pipe)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrNotReady
	case err != nil:
		return err
	case bytes.Equal(text, []byte(started)):
		return nil
	case len(text) > 0:
		return errors.New(string(text))
	}
	return errNoReport
}

// sockets are copies of all listening sockets. They are the caller's, also with
// an error.
func (in *Instance) sockets() ([]*os.File, error) {
	var files []*os.File
	for _, l := range in.current.Load().listeners {
		f, err := socket.File(l.fd)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	if in.statsPort != nil {
		f, err := in.statsPort.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	if h := in.adminPort.Load(); h != nil {
		f, err := h.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// calledPath is the path that the program was started from. What is there now
// may be another program.
func calledPath() (string, error) {
	called := os.Args[0]
	if !strings.Contains(called, "/") {
		return exec.LookPath(called)
	}
	return filepath.Abs(called)
}
