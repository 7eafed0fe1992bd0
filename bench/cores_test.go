package main

import (
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	const rest = " R 1 2 3 4 -1 4194304 103 0 0 0 250 1750 7 8 20 0 1 0 182296"
	for _, line := range []string{"22 (cat)" + rest, "22 (a) b (c)" + rest} {
		user, system, err := parseStat(line)
		if err != nil || user != 2500*time.Millisecond || system != 17500*time.Millisecond {
			t.Errorf("%q: user %v, system %v, %v", line, user, system, err)
		}
	}
	if _, _, err := parseStat("22 (cat) R 1 2"); err == nil {
		t.Error("a line without the times has no error")
	}
}

func TestParseMachine(t *testing.T) {
	got, err := parseMachine("cpu  100 20 3 99999 88888 4 5 6 700 0\ncpu0 1 1 1 1 1 1 1 1\n")
	if err != nil || got != 1380*time.Millisecond {
		t.Errorf("%v, %v, want all but idle, waiting for a disk, and guests", got, err)
	}
	if got, err := parseMachine("cpu 1 2 3\n"); err == nil {
		t.Errorf("too few fields: %v", got)
	}
}

func TestCPUTimeSince(t *testing.T) {
	before := cpuTime{total: 10 * time.Second, user: 2 * time.Second, system: 8 * time.Second}
	after := cpuTime{total: 14 * time.Second, user: 3 * time.Second, system: 11 * time.Second}
	want := cpuTime{total: 4 * time.Second, user: time.Second, system: 3 * time.Second}
	if got := after.since(before); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	short := cpuTime{total: 3 * time.Millisecond}
	if got := short.since(cpuTime{}); got.total != got.user+got.system {
		t.Errorf("without a tick: %+v, which does not add up", got)
	}
}

func TestReadCPUCountsThisProcess(t *testing.T) {
	before, err := readCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	work := 0
	for start := time.Now(); time.Since(start) < 5*time.Millisecond; work++ {
		runtime.Gosched()
	}
	after, err := readCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after.since(before).total; used <= 0 {
		t.Errorf("busy for 5 ms (%d times around), and %v of CPU time was used", work, used)
	}
}

func TestPinnedRunsWhereItIsTold(t *testing.T) {
	c, err := splitCores()
	if err != nil {
		t.Fatal(err)
	}
	if c.rest.IsSet(c.proxy) {
		t.Error("the proxy's core is also the servers'")
	}
	var before, during, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	err = pinned(only(c.proxy), func() error {
		return errors.Join(unix.SchedGetaffinity(0, &during), io.EOF)
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("start's error is lost: %v", err)
	}
	if during != only(c.proxy) {
		t.Errorf("ran on %v, want %v", during, only(c.proxy))
	}
	if err := unix.SchedGetaffinity(0, &after); err != nil || after != before {
		t.Errorf("the thread was left on %v, was on %v (%v)", after, before, err)
	}
}

func TestUnevenness(t *testing.T) {
	before := map[string]time.Duration{"1": time.Second, "2": 2 * time.Second, "3": 0}
	after := map[string]time.Duration{"1": 4 * time.Second, "2": 3 * time.Second, "3": time.Millisecond}
	if got := unevenness(before, after, 2); got != 0.5 {
		t.Errorf("3 s and 1 s of CPU time: the busiest has %v more than an even share, want 0.5", got)
	}
	if got := unevenness(before, before, 2); got != 0 {
		t.Errorf("nothing used: %v", got)
	}
}

func TestLoopCores(t *testing.T) {
	for _, tt := range []struct{ cores, threads, want int }{
		{2, 1, 2},
		{2, 2, 2},
		{4, 1, 1},
		{4, 2, 2},
		{16, 2, 2},
	} {
		c := cores{}
		for cpu := range tt.cores {
			c.all = append(c.all, cpu)
		}
		set := c.loopCores(tt.threads)
		if got := set.Count(); got != tt.want {
			t.Errorf("%d loops on a machine of %d cores have %d, want %d", tt.threads, tt.cores, got, tt.want)
		}
	}
}

func TestReadWatched(t *testing.T) {
	s, err := openSession(t.Context(), []exchange{line("a\n", "STORED\r\n")}, 17, serveLines(t, "STORED\r\n", 0))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	watched, err := readWatched(os.Getpid())
	if err != nil || !slices.Contains(watched, 17) || !slices.IsSortedFunc(watched, func(a, b int) int { return b - a }) {
		t.Errorf("%v, %v, want one of 17 among them, and the most first", watched, err)
	}
}
