package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// syscallTime is how long system calls are counted.
const syscallTime = 300 * time.Millisecond

// counts are numbers of system calls per request, by their names.
type counts map[string]float64

func (c counts) total() float64 {
	sum := 0.0
	for _, n := range c {
		sum += n
	}
	return sum
}

// syscallCounter counts the system calls of a process, from attach until the
// function that it returns is called. nil where there is no tool for it.
type syscallCounter func(ctx context.Context, pid int) (detach func() (counts, error), err error)

// everyCall stands for all calls, of a tool that does not tell them apart.
const everyCall = "all"

// newSyscallCounter chooses the tool: perf, which hardly disturbs what it
// counts, or else strace, under which a process is several times slower, but
// which tells the calls by name.
func newSyscallCounter(ctx context.Context, byName bool) (counter syscallCounter, tool string) {
	perf, err := find("perf")
	if err == nil && !byName && exec.CommandContext(ctx, perf, "stat", "-e", perfEvent, "true").Run() == nil {
		return perfCounter(perf), "perf stat"
	}
	if strace, err := find("strace"); err == nil {
		return straceCounter(strace), "strace -c -f"
	}
	return nil, ""
}

const perfEvent = "raw_syscalls:sys_enter"

func perfCounter(path string) syscallCounter {
	return func(ctx context.Context, pid int) (func() (counts, error), error) {
		// perf starts when it is told to and says when it has.
		control, ack, err := pipes()
		if err != nil {
			return nil, err
		}
		defer func() { _, _ = control.r.Close(), ack.w.Close() }()
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, path, "stat", "-x,", "-e", perfEvent, "-D", "-1",
			"--control", "fd:3,4", "-p", strconv.Itoa(pid))
		cmd.Stderr, cmd.ExtraFiles = &out, []*os.File{control.r, ack.w}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return nil, fmt.Errorf("perf: %w", err)
		}
		end := func() error {
			_, _ = control.w.Close(), ack.r.Close()
			_ = cmd.Process.Signal(syscall.SIGINT)
			return interrupted(cmd.Wait())
		}
		err = ack.r.SetReadDeadline(time.Now().Add(patience))
		if err == nil {
			_, err = control.w.WriteString("enable\n")
		}
		if err == nil {
			_, err = ack.r.Read(make([]byte, 16))
		}
		if err != nil {
			return nil, fmt.Errorf("perf: %w", errors.Join(err, end(), errors.New(out.String())))
		}
		return func() (counts, error) {
			if err := end(); err != nil {
				return nil, fmt.Errorf("perf: %w\n%s", err, out.String())
			}
			return parsePerf(out.String())
		}, nil
	}
}

// pipe is a pair of descriptors.
type pipe struct{ r, w *os.File }

// pipes makes two.
func pipes() (a, b pipe, err error) {
	if a.r, a.w, err = os.Pipe(); err != nil {
		return a, b, fmt.Errorf("pipe: %w", err)
	}
	if b.r, b.w, err = os.Pipe(); err != nil {
		_, _ = a.r.Close(), a.w.Close()
		return a, b, fmt.Errorf("pipe: %w", err)
	}
	return a, b, nil
}

// interrupted takes the end that SIGINT makes for a good one.
func interrupted(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, ok := exit.Sys().(syscall.WaitStatus)
		if ok && (status.Signaled() && status.Signal() == syscall.SIGINT || status.ExitStatus() == 128+int(syscall.SIGINT)) {
			return nil
		}
	}
	return err
}

// parsePerf reads `perf stat -x,`: a line of value, unit, event and more.
func parsePerf(output string) (counts, error) {
	for line := range strings.Lines(output) {
		fields := strings.Split(line, ",")
		if len(fields) < 3 || fields[2] != perfEvent {
			continue
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("perf: %w", err)
		}
		return counts{everyCall: n}, nil
	}
	return nil, fmt.Errorf("perf: no %s in %q", perfEvent, output)
}

func straceCounter(path string) syscallCounter {
	return func(ctx context.Context, pid int) (func() (counts, error), error) {
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, path, "-c", "-f", "-p", strconv.Itoa(pid))
		cmd.Stderr = &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return nil, fmt.Errorf("strace: %w", err)
		}
		end := func() error {
			_ = cmd.Process.Signal(syscall.SIGINT)
			return interrupted(cmd.Wait())
		}
		if err := awaitTraced(ctx, pid); err != nil {
			return nil, errors.Join(err, end())
		}
		return func() (counts, error) {
			if err := end(); err != nil {
				return nil, fmt.Errorf("strace: %w\n%s", err, out.String())
			}
			return parseStrace(out.String())
		}, nil
	}
}

// awaitTraced waits until every thread of a process has a tracer.
func awaitTraced(ctx context.Context, pid int) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return fmt.Errorf("threads: %w", err)
		}
		traced := 0
		for _, task := range tasks {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
			if err == nil && !strings.Contains(string(b), "TracerPid:\t0\n") {
				traced++
			}
		}
		if traced == len(tasks) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("strace does not attach")
}

// parseStrace reads the table that strace -c prints: %, seconds, microseconds
// per call, calls, perhaps errors, and the name.
func parseStrace(output string) (counts, error) {
	c := counts{}
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if _, err := strconv.ParseFloat(fields[0], 64); err != nil {
			continue
		}
		n, err := strconv.ParseFloat(fields[3], 64)
		if err != nil {
			return nil, fmt.Errorf("strace: %w in %q", err, line)
		}
		c[fields[len(fields)-1]] = n
	}
	if len(c) == 0 {
		return nil, fmt.Errorf("strace: no table in %q", output)
	}
	return c, nil
}

// countSyscalls adds the system calls per request to the results.
func (c *contest) countSyscalls(ctx context.Context) {
	if c.countCalls == nil || ctx.Err() != nil {
		return
	}
	for i, p := range c.proxies {
		if c.results[i].err == nil {
			c.results[i].counts, c.results[i].err = c.count(ctx, p)
		}
	}
}

func (c *contest) count(ctx context.Context, p *proxy) (counts, error) {
	ctx, cancel := within(ctx, syscallTime)
	defer cancel()
	s, err := openSession(ctx, c.exchanges, c.work.clients, p.addrs...)
	if err != nil {
		return nil, errors.Join(err, p.ended())
	}
	defer s.close()
	detach, err := c.countCalls(ctx, p.pid())
	if err != nil {
		return nil, err
	}
	res, err := s.closedLoop(ctx, syscallTime)
	calls, detachErr := detach()
	if err := errors.Join(err, detachErr); err != nil {
		return nil, err
	}
	for name := range calls {
		calls[name] /= float64(res.requests)
	}
	return calls, nil
}
