package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// Two programs talk over one socket while the new one takes over from the running
// one:
//
//	the running program                          the new one
//	───────────────────                          ───────────
//	starts it, with one end of the socket ─────► finds the socket
//	        ◄────────────────── "sockets" ─────
//	copies of all listening sockets, and the ──► reads its configuration, takes the
//	keys of session tickets                      sockets, writes the pid file
//	        ◄──── "ready PID", or "failed" and the reason
//	decides: "go" ─────────────────────────────► accepts
//	accepts no more, drains
//	the history of the last hour ──────────────► puts it before its own, and closes
//	ends
//
// A closed socket means that the other program has ended or given up. If that
// happens before "go", the new program ends. A program that does not speak this
// protocol, or hangs, never gets a listening socket. The kernel ends it with the
// running program (PR_SET_PDEATHSIG); when the running program gives up it ends the
// new one's process group.

// handoverMarker is set in the environment of a program that takes over from a
// running one: the inode of the socket that it inherits, a colon, and how many
// listening sockets it gets. It is removed before anything else can inherit it.
const handoverMarker = "NUTHATCH_HANDOVER"

// What is said. Each is a line.
const (
	saySockets = "sockets\n"
	sayReady   = "ready " // and the pid
	sayFailed  = "failed\n"
	sayGo      = "go\n"
)

// historyTimeout is how long it may take to hand the history over.
const historyTimeout = 10 * time.Second

// maxReason is the most bytes that are read of why a program did not start.
const maxReason = 64 << 10

var (
	// errNoReport means that a program ended before it had reported anything.
	errNoReport = errors.New("the new program ended before it served")
	// errAlone means that the old program is gone, or has given up.
	errAlone = errors.New("the old program has ended, or has given up the upgrade")
	// errThread means that the kernel would end this program together with the old
	// one.
	errThread = errors.New("the new program was not started by the main thread")
)

// A successor is the new program, seen from the running one.
type successor struct {
	cmd  *exec.Cmd
	conn *net.UnixConn
	in   *bufio.Reader
	// pid is the process that reported to be ready: it may be a child, if it went
	// into the background.
	pid int
}

// startSuccessor starts the program that is to get n sockets. The caller's thread
// must live until the program is ready: the kernel ends the program with that thread.
func startSuccessor(n int) (*successor, error) {
	path, err := calledPath()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socket.Pair("handover")
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	defer theirs.Close()
	inode, err := inodeOf(theirs)
	if err != nil {
		return nil, err
	}
	conn, err := unixConn(ours)
	if err != nil {
		return nil, err
	}
	s := &successor{conn: conn, in: bufio.NewReader(conn), cmd: &exec.Cmd{
		Path: path, Args: os.Args,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Env:         append(successorEnv(), fmt.Sprintf("%s=%s:%d", handoverMarker, inode, n)),
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}}
	if err := s.cmd.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// unixConn is the connection of a socket. The file stays the caller's.
func unixConn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is a %s", f.Name(), c.LocalAddr().Network())
	}
	return conn, nil
}

// awaitReady gives the program its sockets and returns when it is ready. The error is
// the one that it reports, or of ctx.
func (s *successor) awaitReady(ctx context.Context, sockets []*os.File) error {
	if err := s.conn.SetDeadline(time.Now().Add(upgradeTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		line, err := s.in.ReadString('\n')
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ErrNotReady
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return errNoReport
		case err != nil:
			return err
		case line == saySockets:
			err = socket.Pass(s.conn, sockets)
		case line == sayFailed:
			why, _ := io.ReadAll(io.LimitReader(s.in, maxReason)) // what has come of it
			err = errors.New(string(why))
		case strings.HasPrefix(line, sayReady):
			s.pid, err = strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, sayReady)))
			if err == nil {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// letGo tells the program to serve. It cannot be undone.
func (s *successor) letGo() error {
	if err := s.conn.SetDeadline(time.Now().Add(upgradeTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(s.conn, sayGo)
	if err == nil {
		go func() { _ = s.cmd.Wait() }() // how it ends is its own concern
	}
	return err
}

// handHistory has the history written behind the last word, and ends the talk. A program that
// wants none has closed the socket.
func (s *successor) handHistory(write func(io.Writer) error) error {
	defer s.conn.Close()
	if err := s.conn.SetDeadline(time.Now().Add(historyTimeout)); err != nil {
		return err
	}
	err := write(s.conn)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	return err
}

// giveUp ends the program and all that it started, and returns how it ended.
func (s *successor) giveUp() error {
	s.conn.Close()
	// Either may have ended by itself.
	_ = unix.Kill(-s.cmd.Process.Pid, unix.SIGKILL)
	_ = s.cmd.Process.Kill()
	return s.cmd.Wait()
}

// A predecessor is the running program, seen from the new one.
type predecessor struct {
	conn *net.UnixConn
	n    int // how many sockets it has for us
	// asked: this program is ready, and waits for answered.
	asked    chan struct{}
	answered chan error
	over     atomic.Bool // this program does not start
}

// init keeps a program that takes over on its main thread. Only that thread can undo
// PR_SET_PDEATHSIG, which the old program has set.
func init() {
	if os.Getenv(handoverMarker) != "" {
		runtime.LockOSThread()
	}
}

// findPredecessor returns the program that this one is to take over from, or nil. A
// marker that does not name the socket, set by hand, is ignored.
func findPredecessor() *predecessor {
	marker := os.Getenv(handoverMarker)
	if marker == "" || os.Unsetenv(handoverMarker) != nil {
		return nil
	}
	inode, number, _ := strings.Cut(marker, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return nil
	}
	if found, err := inodeOfPipe(); err != nil || found != inode {
		return nil
	}
	f := os.NewFile(daemonPipe, "handover")
	defer f.Close()
	conn, err := unixConn(f)
	if err != nil {
		return nil
	}
	return newPredecessor(conn, n)
}

func newPredecessor(conn *net.UnixConn, n int) *predecessor {
	return &predecessor{conn: conn, n: n, asked: make(chan struct{}), answered: make(chan error, 1)}
}

// takeSockets returns the listening sockets that are handed over.
func (p *predecessor) takeSockets() ([]*os.File, error) {
	if _, err := io.WriteString(p.conn, saySockets); err != nil {
		return nil, errAlone
	}
	files, err := socket.ReceivePassed(p.conn, p.n)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAlone, err)
	}
	return files, nil
}

// watchEnd calls alone, once, if the other program ends before this one is ready. After
// that announce reads the socket.
func (p *predecessor) watchEnd(alone func(error)) {
	go func() {
		answer := make([]byte, len(sayGo))
		_, err := io.ReadFull(p.conn, answer)
		if err != nil || string(answer) != sayGo {
			err = errAlone
		}
		select {
		case <-p.asked:
			p.answered <- err
		default:
			if !p.over.Load() {
				alone(errAlone)
			}
		}
	}()
}

// announce tells the other program that this one can serve. It returns nil when this
// one may serve, or the reason why not. It runs on the main thread.
func (p *predecessor) announce() error {
	if unix.Gettid() != os.Getpid() {
		return errThread
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_PDEATHSIG", err)
	}
	runtime.UnlockOSThread()
	return p.ask()
}

// ask is announce after the kernel has stopped to end this program with the other one.
// From now on the closed socket shows that the other one has ended.
func (p *predecessor) ask() error {
	close(p.asked)
	if _, err := fmt.Fprintf(p.conn, "%s%d\n", sayReady, os.Getpid()); err != nil {
		return errAlone
	}
	return <-p.answered
}

// takeHistory has the history taken that the other program hands over, and ends the talk. It
// returns how many rounds came; none if the other program keeps none, or is of an earlier release.
func (p *predecessor) takeHistory(take func(io.Reader) (int, error)) (int, error) {
	defer p.conn.Close()
	if err := p.conn.SetDeadline(time.Now().Add(historyTimeout)); err != nil {
		return 0, err
	}
	n, err := take(p.conn)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// failed tells the other program why this one does not start.
func (p *predecessor) failed(why error) {
	p.over.Store(true)
	// If nobody listens, nobody needs to know.
	_, _ = io.WriteString(p.conn, sayFailed+why.Error())
	p.conn.Close()
}

// successorEnv is the environment without what is meant for this process alone.
func successorEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WATCHDOG_PID=") {
			env = append(env, v)
		}
	}
	return env
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
