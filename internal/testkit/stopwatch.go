package testkit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// stopwatchEnv holds the addresses for a process that is a stopwatch.
const stopwatchEnv = "NUTHATCH_TEST_STOPWATCH"

// A Stopwatch measures how long Redis servers, or proxies, take to answer one
// request at a time, each in turn. It is a process of its own, so that the test's
// goroutines do not delay it. Its times of a server without a proxy show the
// delays of the machine alone.
type Stopwatch struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
}

// Times are what a Stopwatch saw at one address.
type Times struct {
	N                          int64
	Median, P99, P999, Slowest time.Duration
}

func (t Times) String() string {
	return fmt.Sprintf("median %v, 99%% %v, 99.9%% %v, slowest %v of %d", t.Median, t.P99, t.P999, t.Slowest, t.N)
}

// StartStopwatch starts one, which ends with the test.
func StartStopwatch(t testing.TB, addrs ...string) *Stopwatch {
	t.Helper()
	plain := make([]string, len(addrs))
	for i, addr := range addrs {
		plain[i] = Plain(t, addr)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), stopwatchEnv+"="+strings.Join(plain, " "))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the stopwatch: %v", err)
		}
	})
	return &Stopwatch{t: t, in: in, out: bufio.NewScanner(out)}
}

// Lap returns the times since the last lap, in the order of the addresses.
func (w *Stopwatch) Lap() []Times {
	w.t.Helper()
	var times []Times
	if _, err := io.WriteString(w.in, "lap\n"); err != nil {
		w.t.Fatalf("the stopwatch: %v", err)
	}
	if !w.out.Scan() {
		w.t.Fatalf("the stopwatch has ended: %v", w.out.Err())
	}
	if err := json.Unmarshal(w.out.Bytes(), &times); err != nil {
		w.t.Fatalf("the stopwatch: %v", err)
	}
	return times
}

// runStopwatch is the process: it asks until its standard input ends, and tells
// the times for each line that it reads there.
func runStopwatch(addrs []string) error {
	var hands []*hand
	for _, addr := range addrs {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		hands = append(hands, &hand{conn: conn, seen: hdrhistogram.New(1, int64(time.Minute), 3)})
	}
	var mu sync.Mutex
	failed := make(chan error, 1)
	go func() {
		for {
			for _, h := range hands {
				mu.Lock()
				err := h.ask()
				mu.Unlock()
				if err != nil {
					failed <- err
					return
				}
			}
		}
	}()
	laps := make(chan struct{})
	go func() {
		defer close(laps)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			laps <- struct{}{}
		}
	}()
	for {
		select {
		case err := <-failed:
			return err
		case _, more := <-laps:
			if !more {
				return nil
			}
		}
		mu.Lock()
		times := make([]Times, 0, len(hands))
		for _, h := range hands {
			times = append(times, h.lap())
		}
		mu.Unlock()
		if err := json.NewEncoder(os.Stdout).Encode(times); err != nil {
			return err
		}
	}
}

// A hand is the client for one address.
type hand struct {
	conn net.Conn
	seen *hdrhistogram.Histogram
	buf  [512]byte
}

func (h *hand) ask() error {
	began := time.Now()
	if _, err := h.conn.Write(RESP("GET", "nobody's")); err != nil {
		return err
	}
	n, err := h.conn.Read(h.buf[:])
	if err != nil {
		return err
	}
	if got := string(h.buf[:n]); got != "$-1\r\n" {
		return fmt.Errorf("asked for a key that is not there: %q", got)
	}
	return h.seen.RecordValue(int64(time.Since(began)))
}

func (h *hand) lap() Times {
	defer h.seen.Reset()
	return Times{
		N: h.seen.TotalCount(), Median: time.Duration(h.seen.ValueAtQuantile(50)),
		P99: time.Duration(h.seen.ValueAtQuantile(99)), P999: time.Duration(h.seen.ValueAtQuantile(99.9)), Slowest: time.Duration(h.seen.Max()),
	}
}
