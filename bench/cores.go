package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cores says on which cores programs run.
type cores struct {
	proxy int         // the one core of every proxy
	rest  unix.CPUSet // the servers and the load
	all   []int       // what this process may use
}

// splitCores gives the proxies the last core that this process may use, and
// everything else the others.
func splitCores() (cores, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return cores{}, fmt.Errorf("which cores there are: %w", err)
	}
	c := cores{rest: set}
	for cpu := range 8 * len(set) * strconv.IntSize / 8 {
		if set.IsSet(cpu) {
			c.all = append(c.all, cpu)
		}
	}
	if len(c.all) < 2 {
		return cores{}, errors.New("needs two cores: one for the proxy, one for the servers and the load")
	}
	c.proxy = c.all[len(c.all)-1]
	c.rest.Clear(c.proxy)
	return c, nil
}

// only returns the set of one core.
func only(cpu int) unix.CPUSet {
	var set unix.CPUSet
	set.Set(cpu)
	return set
}

// pinSelf moves every thread of this process to a set of cores. What it starts
// from then on, threads and programs, inherits that.
func pinSelf(set unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("own threads: %w", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("own threads: %w", err)
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pinning thread %d: %w", tid, err)
		}
	}
	return nil
}

// pinned calls start on a thread that is confined to a set of cores, so that
// the program started there is, from its first instruction: Go programs count
// their cores only once.
func pinned(set unix.CPUSet, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("own cores: %w", err)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pinning: %w", err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }() // it was allowed before
	return start()
}

// cpuTime is what a process has used since it started, all threads together.
type cpuTime struct {
	total time.Duration // to the nanosecond, from the scheduler's clock
	// The kernel samples these 100 times a second: use only their proportion, over
	// a second or more.
	user, system time.Duration
}

// readCPU reads the clock of a process that was not waited for yet.
func readCPU(pid int) (cpuTime, error) {
	// The kernel's MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED), which is what
	// clock_getcpuclockid(3) returns.
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return cpuTime{}, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return cpuTime{}, fmt.Errorf("CPU time: %w", err)
	}
	c := cpuTime{total: time.Duration(ts.Nano())}
	if c.user, c.system, err = parseStat(string(b)); err != nil {
		return cpuTime{}, err
	}
	return c, nil
}

// readThreads is the CPU time of each thread of a process. Those that have ended
// do not count.
func readThreads(pid int) (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return nil, fmt.Errorf("threads of process %d: %w", pid, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("thread: %w", err)
		}
		var ran int64 // ns, the first of several numbers
		if _, err := fmt.Sscan(string(b), &ran); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		times[filepath.Base(filepath.Dir(name))] = time.Duration(ran)
	}
	return times, nil
}

// readMachine is the CPU time that all programs have used on all cores, and what
// a hypervisor gave to others instead.
func readMachine() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("the machine's CPU time: %w", err)
	}
	return parseMachine(string(b))
}

// parseMachine reads the first line of /proc/stat; see proc(5).
func parseMachine(text string) (time.Duration, error) {
	const idle, iowait, steal = 4, 5, 8 // fields; time as a guest counts as user time, too
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) <= steal {
		return 0, fmt.Errorf("/proc/stat: %q", line)
	}
	var sum time.Duration
	for i, field := range fields[:steal+1] {
		if i == 0 || i == idle || i == iowait {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// tick is the kernel's USER_HZ.
const tick = time.Second / 100

// parseStat finds utime and stime in a line of /proc/PID/stat; see proc(5).
func parseStat(line string) (user, system time.Duration, err error) {
	const (
		utime = 14 - 3 // fields are counted from 1, and the third follows the name
		stime = 15 - 3
	)
	// The second field is the program's name in parentheses, which may contain
	// anything, parentheses too.
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) <= stime {
		return 0, 0, fmt.Errorf("/proc/PID/stat has %d fields after the name: %q", len(fields), line)
	}
	u, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("utime: %w", err)
	}
	s, err := strconv.ParseInt(fields[stime], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("stime: %w", err)
	}
	return time.Duration(u) * tick, time.Duration(s) * tick, nil
}

// since returns what was used after an earlier reading, with user and system
// scaled so that they add up to the total.
func (c cpuTime) since(earlier cpuTime) cpuTime {
	d := cpuTime{total: c.total - earlier.total}
	user, system := float64(c.user-earlier.user), float64(c.system-earlier.system)
	if user+system > 0 {
		d.user = time.Duration(float64(d.total) * user / (user + system))
	}
	d.system = d.total - d.user
	return d
}
