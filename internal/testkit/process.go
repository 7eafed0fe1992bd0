package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a program that a test started. It ends with the test at the
// latest, and with the test binary even if that is killed. Its methods are
// called from the test's goroutine.
type Process struct {
	t     testing.TB
	name  string // how failures call it
	path  string
	args  []string
	ready func() error
	logs  []string // files whose tail is shown when the test fails
	// abrupt servers are killed at the end of the test: a graceful end takes
	// redis-server 100 ms, and they have no data to save.
	abrupt  bool
	verdict func(output []byte) error

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
	ending bool          // Stop or Kill was called: an end is expected
}

// start runs the program and returns when ready returns nil.
func (p *Process) start() {
	p.t.Helper()
	p.launch()
	p.t.Cleanup(func() {
		if p.abrupt && !p.Ended() {
			p.Kill()
		}
		// Requests that a test has left in flight are not waited for.
		p.end(syscall.SIGINT)
		if p.t.Failed() {
			p.showLogs()
		}
	})
	p.awaitReady()
}

// launch starts the program again, and appends its output to the log.
func (p *Process) launch() {
	p.t.Helper()
	out, err := os.OpenFile(p.logs[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	defer func() { _ = out.Close() }() // the child has its own descriptor
	cmd := exec.Command(p.path, p.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(exited)
	}()
	p.cmd, p.exited, p.ending = cmd, exited, false
}

func (p *Process) awaitReady() {
	p.t.Helper()
	err := await(func() error {
		if p.Ended() {
			return nil
		}
		return p.ready()
	}, Patience)
	if p.Ended() {
		p.ending = true
		p.t.Fatalf("%s ended before it was ready: %v\n%s", p.name, p.cmd.ProcessState, p.Output())
	}
	if err != nil {
		p.t.Fatalf("%s is not ready after %v: %v", p.name, Patience, err)
	}
}

// Name is how failures call it.
func (p *Process) Name() string { return p.name }

// Pid is the process id, of the latest run if there were several.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Output is all that the program has written to its standard output and error.
func (p *Process) Output() []byte {
	b, err := os.ReadFile(p.logs[0])
	if err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	return b
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Signal sends sig.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Errorf("%s: signal %v: %v", p.name, sig, err)
	}
}

// Pause stops the process (SIGSTOP): its sockets stay open, the kernel goes on
// accepting, and it answers nothing until Resume. Pause returns when all its
// threads have stopped, as the signal alone leaves them time for an answer.
func (p *Process) Pause() {
	p.t.Helper()
	p.Signal(syscall.SIGSTOP)
	err := await(func() error {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.Pid(), &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == nil && info.Signo == 0 {
			err = errors.New("it still runs")
		}
		return err
	}, Patience)
	if err != nil {
		p.t.Errorf("%s was not stopped: %v", p.name, err)
	}
}

// Resume lets a paused process go on.
func (p *Process) Resume() { p.Signal(syscall.SIGCONT) }

// Wait waits for the process to end by itself or by a signal sent with Signal,
// and returns its state.
func (p *Process) Wait() *os.ProcessState {
	p.t.Helper()
	p.ending = true
	select {
	case <-p.exited:
	case <-time.After(Patience):
		p.t.Fatalf("%s (pid %d) has not ended after %v", p.name, p.Pid(), Patience)
	}
	return p.cmd.ProcessState
}

// Stop asks the process to end (SIGTERM) and waits until it has; Stop of an
// ended process does nothing. A process that had ended by itself, or left signs
// of a crash, fails the test.
func (p *Process) Stop() {
	p.t.Helper()
	p.end(syscall.SIGTERM)
}

func (p *Process) end(sig syscall.Signal) {
	p.t.Helper()
	if p.Ended() {
		p.judge()
		return
	}
	p.ending = true
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may be paused, or just have ended
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.exited:
	case <-time.After(Patience):
		p.t.Errorf("%s (pid %d) did not end on %v", p.name, p.Pid(), sig)
		p.Kill()
	}
	p.judge()
}

// Kill ends the process at once (SIGKILL) and waits until it is gone: its
// connections are reset or closed and its port refuses.
func (p *Process) Kill() {
	p.t.Helper()
	p.ending = true
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Restart starts the program again, with the same arguments and so on the same
// address, after Stop or Kill, and returns when it is ready.
func (p *Process) Restart() {
	p.t.Helper()
	if !p.Ended() {
		p.t.Fatalf("%s: Restart while it runs", p.name)
	}
	p.launch()
	p.awaitReady()
}

// judge fails the test if the process ended unasked.
func (p *Process) judge() {
	p.t.Helper()
	if !p.ending {
		p.ending = true
		p.t.Errorf("%s ended by itself: %v", p.name, p.cmd.ProcessState)
	}
	if p.verdict == nil {
		return
	}
	if err := p.verdict(p.Output()); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
}

// shownLog is how much of a log's end a failed test shows, in bytes.
const shownLog = 6000

func (p *Process) showLogs() {
	for _, name := range p.logs {
		b, err := os.ReadFile(name)
		if err != nil || len(b) == 0 {
			continue
		}
		if len(b) > shownLog {
			b = b[len(b)-shownLog:]
		}
		p.t.Logf("---- %s, end of %s:\n%s", p.name, filepath.Base(name), b)
	}
}

// crashSigns are in the output of a Go program that has crashed.
var crashSigns = []string{"panic: ", "fatal error: ", "WARNING: DATA RACE", "SIGSEGV"}

// goVerdict finds a crash or a data race in a Go program's output.
func goVerdict(output []byte) error {
	for _, sign := range crashSigns {
		if i := bytes.Index(output, []byte(sign)); i >= 0 {
			return fmt.Errorf("its output has %q:\n%s", sign, firstLines(output[i:], 60))
		}
	}
	return nil
}

func firstLines(b []byte, n int) []byte {
	lines := bytes.SplitAfterN(b, []byte("\n"), n+1)
	if len(lines) > n {
		lines = lines[:n]
	}
	return bytes.Join(lines, nil)
}

// lookProgram finds an installed program or fails the test, saying how to
// install it.
func lookProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		path = filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s is not installed: make deps installs what the tests need", name)
	return ""
}

// Program returns the path of an installed program, such as redis-cli, and
// fails the test with a word on how to install it if there is none.
func Program(t testing.TB, name string) string {
	t.Helper()
	return lookProgram(t, name)
}

// shortTempDir makes a folder whose path is short, unlike t.TempDir's, which
// contains the test's name: a Unix socket's path has 107 bytes at most.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
