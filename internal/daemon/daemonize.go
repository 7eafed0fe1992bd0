package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A Go program cannot fork: its other threads would not come along. It starts
// itself a second time instead, and the two halves talk over one pipe:
//
//	the user's process                    the daemon
//	──────────────────                    ──────────
//	Daemonize: start self ──────────────> own session, no terminal
//	  wait for the pipe                   Daemonize: finds the marker, returns
//	        <──────── "" or the error ─── report(err), once it listens
//	returns, and the program exits        serves on
//
// So the exit status is true: 0 means that the daemon listens, and the user's
// terminal shows when a port is taken. nutcracker's parent exits 0 before
// anything has been tried.

// daemonMarker is set in the environment of the second process only, to the
// inode of the pipe that it inherits; it removes the variable before anything
// else can inherit it.
const daemonMarker = "NUTHATCH_DAEMON_PIPE"

// daemonPipe is the descriptor on which the second process finds the pipe.
const daemonPipe = 3

// started is what a daemon reports when it serves. Anything else on the pipe
// is the text of an error.
const started = "started"

// A reportedError is what the background process has reported, and logged.
type reportedError string

// Error implements error.
func (e reportedError) Error() string { return string(e) }

// errDaemonEnded means that the daemon ended before it had reported anything.
var errDaemonEnded = errors.New("daemon: the background process ended before it listened")

// Daemonize continues the running program in the background: in its own
// session, with standard input, output and error on /dev/null and a file mode
// mask of 0. The working directory stays, as nutcracker's does, so relative
// paths keep their meaning. It must be called before the program listens,
// opens its log or writes its pid file.
//
// In the process that the user started it waits until the background process
// has reported, and returns a nil report: what is left to do is to exit. The
// error is the one that the background process reported.
//
// In the background process it returns a report to be called exactly once,
// with nil when the program serves or with the reason why it cannot.
func Daemonize() (report func(error), err error) {
	if pipe := inheritedPipe(); pipe != nil {
		syscall.Umask(0)
		return func(err error) { sendReport(pipe, err) }, nil
	}
	return nil, startBackground()
}

// inheritedPipe returns the pipe to the process that the user started, or nil
// if this is that process. A marker that does not name the pipe, set by hand,
// is ignored.
func inheritedPipe() *os.File {
	inode := os.Getenv(daemonMarker)
	if inode == "" {
		return nil
	}
	if err := os.Unsetenv(daemonMarker); err != nil {
		return nil
	}
	if pipe, err := inodeOfPipe(); err != nil || pipe != inode {
		return nil
	}
	syscall.CloseOnExec(daemonPipe)
	return os.NewFile(daemonPipe, "daemon report")
}

// inodeOfPipe returns the inode behind daemonPipe, in decimal, whoever that belongs to.
func inodeOfPipe() (string, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(daemonPipe, &st); err != nil {
		return "", err
	}
	return strconv.FormatUint(st.Ino, 10), nil
}

// inodeOf is that of a file.
func inodeOf(f *os.File) (string, error) {
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return "", os.ErrInvalid
	}
	return strconv.FormatUint(st.Ino, 10), nil
}

// sendReport tells the waiting process how the start went and closes the pipe.
// If nobody waits, the daemon goes on.
func sendReport(pipe *os.File, err error) {
	text := started
	if err != nil {
		text = err.Error()
	}
	_, _ = pipe.WriteString(text)
	_ = pipe.Close()
}

// startBackground starts this program again, detached, and returns what it
// reports.
func startBackground() error {
	path, err := programPath()
	if err != nil {
		return fmt.Errorf("daemon: find the running program: %w", err)
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	defer ours.Close()
	defer theirs.Close()
	inode, err := inodeOf(theirs)
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}

	cmd := exec.Cmd{
		Path:        path,
		Args:        os.Args,
		Env:         append(os.Environ(), daemonMarker+"="+inode),
		ExtraFiles:  []*os.File{theirs}, // becomes daemonPipe
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("daemon: start in the background: %w", err)
	}
	theirs.Close() // the daemon holds the only other end: its death is our end of file

	text, err := io.ReadAll(ours)
	switch {
	case err != nil:
		return fmt.Errorf("daemon: wait for the background process: %w", err)
	case string(text) == started:
		return cmd.Process.Release()
	case len(text) > 0:
		return reportedError(text)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %w", errDaemonEnded, err)
	}
	return errDaemonEnded
}

// programPath returns the path to start this program by. It prefers the path
// that the user called, if it still leads to the running program: the kernel
// names the process after it, and scripts look for "nutcracker" in the process
// list.
func programPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	called := os.Args[0]
	if !strings.Contains(called, "/") {
		if called, err = exec.LookPath(called); err != nil {
			return self, nil // the name does not lead to a program: the resolved path does
		}
	}
	if called, err = filepath.Abs(called); err != nil {
		return self, nil // no working directory: the resolved path needs none
	}
	if !sameFile(called, self) {
		return self, nil
	}
	return called, nil
}

// sameFile tells whether both paths lead to one file.
func sameFile(a, b string) bool {
	sa, err := os.Stat(a)
	if err != nil {
		return false
	}
	sb, err := os.Stat(b)
	return err == nil && os.SameFile(sa, sb)
}
