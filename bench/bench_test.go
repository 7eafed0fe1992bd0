package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseArgs(t *testing.T) {
	tests := []struct {
		args string
		want string // in the complaint; empty if it is fine
	}{
		{args: ""},
		{args: "-rounds 1 -n 0.5 -works mget-100,get-p1 -proxies nuthatch -markdown"},
		{args: "-works get-p2", want: `no work is called "get-p2"; there are get-p1, get-p16`},
		{args: "-proxies nutcraker", want: `no proxy is called "nutcraker"; there are nutcracker, nuthatch`},
		{args: "-rounds 0", want: "at least one"},
		{args: "-n -1", want: "above 0"},
		{args: "get-p1", want: `unexpected argument "get-p1"`},
	}
	for _, tt := range tests {
		_, err := parseArgs(strings.Fields(tt.args), io.Discard)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want one with %q", tt.args, err, tt.want)
		}
	}
}

func TestChooseKeepsTheTablesOrder(t *testing.T) {
	got, err := choose("work", works(), "mget-100, get-p1")
	if err != nil || strings.Join(names(got), " ") != "get-p1 mget-100" {
		t.Errorf("chose %v, %v", names(got), err)
	}
}

func TestWorksHaveOnePoolAndNameEach(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range works() {
		if seen[w.name] || w.pool < 0 || w.pool >= len(pools) || w.warm < clients {
			t.Errorf("%s: used twice, no such pool, or too little to warm up with", w.name)
		}
		seen[w.name] = true
		if _, isRedis := w.load.(redisBenchmark); isRedis != pools[w.pool].redis {
			t.Errorf("%s: its load and its pool speak different protocols", w.name)
		}
	}
}

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

func TestCPUTimeSince(t *testing.T) {
	before := cpuTime{total: 10 * time.Second, user: 2 * time.Second, system: 8 * time.Second, waited: time.Second}
	after := cpuTime{total: 14 * time.Second, user: 3 * time.Second, system: 11 * time.Second, waited: 3 * time.Second}
	want := cpuTime{total: 4 * time.Second, user: time.Second, system: 3 * time.Second, waited: 2 * time.Second}
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

func TestParseRate(t *testing.T) {
	const table = `"test","rps","avg_latency_ms"` + "\n" + `"GET key:__rand_int__","61349.69","0.6"` + "\n"
	for _, output := range []string{table, "WARNING: Could not fetch server CONFIG\n" + table} {
		if rate, err := parseRate(output); err != nil || rate != 61349.69 {
			t.Errorf("%q: %v, %v", output, rate, err)
		}
	}
	for _, output := range []string{"", "Could not connect", `"test","avg"` + "\n" + `"GET","1"`, `"test","rps"`} {
		if rate, err := parseRate(output); err == nil {
			t.Errorf("%q: %v, want an error", output, rate)
		}
	}
}

func TestServerError(t *testing.T) {
	err := serverError("\"test\"\nError from server: ERR no such key\n")
	if err == nil || !strings.Contains(err.Error(), "no such key") {
		t.Errorf("got %v", err)
	}
	if err := serverError("WARNING: Could not fetch server CONFIG\n"); err != nil {
		t.Errorf("a warning that has nothing to do with it: %v", err)
	}
}

func TestRedisCommandEncode(t *testing.T) {
	c := redisCommand{args: []string{"GET", "key:" + randomInt}}
	if got, want := string(c.encode()), "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTake gives a client every reply in pieces of each size.
func TestTake(t *testing.T) {
	want := memcachedReply(3)
	other := bytes.Replace(want, []byte("key:000000000000"), []byte("key:000000000042"), 1)
	for _, tt := range []struct {
		name  string
		reply []byte
		ok    bool
	}{
		{"as expected", want, true},
		{"other keys", other, true},
		{"a miss", []byte("END\r\n"), false},
		{"an error", []byte("SERVER_ERROR Connection refused\r\n"), false},
		{"too long", append(slices.Clip(want), "END\r\n"...), false},
		{"another end", append(slices.Clip(want[:len(want)-5]), "xyz\r\n"...), false},
	} {
		for size := 1; size <= len(tt.reply); size++ {
			var c loopClient
			var err error
			for b := tt.reply; len(b) > 0 && err == nil; {
				n := min(size, len(b))
				err = c.take(b[:n], want)
				b = b[n:]
			}
			if (err == nil) != tt.ok {
				t.Errorf("%s, %d bytes at a time: %v", tt.name, size, err)
			}
		}
	}
	var c loopClient
	if err := c.take([]byte("+OK\r\n"), []byte("+OK\r\n")); err != nil {
		t.Errorf("a reply as short as the ends: %v", err)
	}
	c = loopClient{}
	if err := c.take([]byte("+\r\n"), []byte("+\r\n")); err != nil {
		t.Errorf("a reply shorter than the ends: %v", err)
	}
}

// serveLines answers every line on every connection.
func serveLines(t *testing.T, reply string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, 4096)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					if _, err := io.WriteString(conn, strings.Repeat(reply, bytes.Count(buf[:n], []byte("\n")))); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func TestClosedLoop(t *testing.T) {
	l := closedLoop{requests: [][]byte{[]byte("a\n"), []byte("bb\n")}, reply: []byte("STORED\r\n")}
	res, err := l.run(t.Context(), serveLines(t, "STORED\r\n"), 1234)
	if err != nil || res.requests != 1234 || res.rate <= 0 {
		t.Errorf("%+v, %v", res, err)
	}
	_, err = l.run(t.Context(), serveLines(t, "ERROR\r\n"), 1234)
	if err == nil || !strings.Contains(err.Error(), "ERROR") {
		t.Errorf("wrong replies: %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errTooSlow)
	defer cancel()
	if _, err = l.run(ctx, serveLines(t, ""), 1234); !errors.Is(err, errTooSlow) {
		t.Errorf("no replies: %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v: %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestTurnsTakeTurns(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}} {
		for i, got := range turns(round, 3) {
			if got != want[i] {
				t.Errorf("round %d: place %d has proxy %d, want %d", round, i, got, want[i])
			}
		}
	}
}

func TestDisturbed(t *testing.T) {
	calm, busy := &sample{disturbed: disturbedAbove}, &sample{disturbed: disturbedAbove + 0.01}
	for _, tt := range []struct {
		name    string
		samples []*sample
		want    bool
	}{
		{"calm", []*sample{calm, calm}, false},
		{"one proxy disturbed", []*sample{calm, busy}, true},
		{"one proxy failed", []*sample{nil, calm}, false},
	} {
		if got := disturbed(tt.samples); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestPrintReport(t *testing.T) {
	get, set := work{name: "get", title: "GET"}, work{name: "set", title: "SET"}
	results := []result{
		{work: get, proxy: baseline, samples: []sample{
			{total: 10, user: 1, system: 9, rate: 1000},
			{total: 20, user: 2, system: 18, rate: 2000},
			{total: 8, user: 1, system: 7, rate: 900, disturbed: 0.5},
		}},
		{work: get, proxy: "nuthatch", samples: []sample{
			{total: 5, user: 1, system: 4, rate: 1500},
			{total: 18, user: 2, system: 16, rate: 2000},
			{total: 6, user: 1, system: 5, rate: 1800},
		}},
		{work: set, proxy: "nuthatch", err: errors.New("it ended"), samples: []sample{{total: 1}}},
	}
	for _, tt := range []struct {
		markdown bool
		want     string
	}{
		{false, `here

work  proxy       us/request  user  system  ratio  min   max   requests/s  ratio  waited
GET   nutcracker  10.00       1.00  9.00    1.00   1.00  1.00  1000        1.00   50%
GET   nuthatch    6.00        1.00  5.00    0.75   0.50  0.90  1800        1.50   0%
SET   nuthatch    failed
`},
		{true, `here

| work | proxy | us/request | user | system | ratio | min | max | requests/s | ratio | waited |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| GET | nutcracker | 10.00 | 1.00 | 9.00 | 1.00 | 1.00 | 1.00 | 1000 | 1.00 | 50% |
| GET | nuthatch | 6.00 | 1.00 | 5.00 | 0.75 | 0.50 | 0.90 | 1800 | 1.50 | 0% |
| SET | nuthatch | failed |  |  |  |  |  |  |  |  |
`},
	} {
		var out strings.Builder
		printReport(&out, []string{"here"}, results, tt.markdown)
		if out.String() != tt.want {
			t.Errorf("markdown %t:\n%s\nwant\n%s", tt.markdown, out.String(), tt.want)
		}
	}
}
