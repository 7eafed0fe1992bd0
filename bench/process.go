package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a program may take to be ready, to answer, or to end.
const patience = 10 * time.Second

// process is a program that runs until stop. It dies with this process at the
// latest, and has a process group of its own so that Ctrl-C reaches only this
// process, which then ends the others in order.
type process struct {
	name   string
	logs   []string // files; the first is standard output and error
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has been waited for
}

// startProcess starts a program on a set of cores.
func startProcess(name, dir string, set unix.CPUSet, path string, args ...string) (*process, error) {
	p := &process{name: name, logs: []string{filepath.Join(dir, name+".out")}, exited: make(chan struct{})}
	out, err := os.Create(p.logs[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = out.Close() }() // the program has its own descriptor
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := pinned(set, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	return p, nil
}

// pid is valid until stop.
func (p *process) pid() int { return p.cmd.Process.Pid }

// ended returns an error with its output if the process is no more.
func (p *process) ended() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended by itself: %v\n%s", p.name, p.cmd.ProcessState, p.output())
	default:
		return nil
	}
}

// awaitListening waits until every address accepts connections.
func (p *process) awaitListening(ctx context.Context, addrs ...string) error {
	deadline := time.Now().Add(patience)
	for len(addrs) > 0 {
		if err := p.ended(); err != nil {
			return err
		}
		conn, err := net.DialTimeout("tcp", addrs[0], time.Second)
		if err == nil {
			_ = conn.Close()
			addrs = addrs[1:]
			continue
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not listen after %v: %w\n%s", p.name, patience, err, p.output())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// stop ends the process, with SIGTERM and at last with SIGKILL, and returns
// when it is gone. An end before that, or one that took SIGKILL, is an error.
func (p *process) stop() error {
	if err := p.ended(); err != nil {
		return err
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // if it has just ended, exited tells
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s (pid %d) did not end on SIGTERM", p.name, p.pid())
	}
}

// kill ends the process at once; it is for servers, whose data is not needed.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// output is what the process has written, abridged.
func (p *process) output() string {
	var parts []string
	for _, name := range p.logs {
		if text := ends(name); text != "" {
			parts = append(parts, fmt.Sprintf("---- %s\n%s", filepath.Base(name), text))
		}
	}
	return strings.Join(parts, "\n")
}

// ends are the start and the end of a text file, as far as it can be read: a
// crashed Go program says why at the start, others at the end.
func ends(name string) string {
	const shown = 1000 // bytes of each
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	if len(b) > 2*shown {
		b = slices.Concat(b[:shown], []byte("\n[...]\n"), b[len(b)-shown:])
	}
	return strings.TrimSpace(string(b))
}

// packages are the Debian packages of the programs that are measured or
// measured with.
var packages = map[string]string{
	"redis-server": "redis-server",
	"memcached":    "memcached",
	"nutcracker":   "nutcracker",
	"go":           "golang",
}

// find returns the path of an installed program, or an error that says how to
// install it.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	if pkg := packages[name]; pkg != "" {
		return "", fmt.Errorf("%s is not installed: `make deps`, or apt-get install %s", name, pkg)
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// freeAddrs returns n addresses on 127.0.0.1 that nobody listens on. The ports
// lie below those that the kernel gives to outgoing connections, of which there
// will be many.
func freeAddrs(n int) ([]string, error) {
	const first, last = 10_000, 32_000
	var addrs []string
	var probes []net.Listener // held until all are found, so that none is found twice
	defer func() {
		for _, probe := range probes {
			_ = probe.Close()
		}
	}()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		probe, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		probes = append(probes, probe)
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, errors.New("no free ports on 127.0.0.1")
}
