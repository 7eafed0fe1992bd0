package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseArgs(t *testing.T) {
	tests := []struct {
		args string
		want string // in the complaint; empty if it is fine
	}{
		{args: ""},
		{args: "-rounds 1 -n 0.5 -works mget-100,get-p1 -proxies nuthatch -o x.md"},
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

// TestOtherBuild: another build of nuthatch is one more proxy, and optional ones
// stay.
func TestOtherBuild(t *testing.T) {
	opts, err := parseArgs([]string{"-works", "get-p1", "-with", "some/nuthatch"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	last := opts.proxies[len(opts.proxies)-1]
	path, err := last.build(t.Context(), "")
	if len(opts.proxies) != len(proxyKinds())+1 || err != nil || !strings.HasSuffix(path, "/bench/some/nuthatch") {
		t.Errorf("of %d proxies the last is %q, in %q, error %v", len(opts.proxies), last.name, path, err)
	}
}

// TestWhatIsMeasured: everything, or only what the command line names.
func TestWhatIsMeasured(t *testing.T) {
	main := len(slices.DeleteFunc(works(), func(w work) bool { return w.growth }))
	for _, tt := range []struct {
		args                          string
		works                         int // -1 for some
		growth, open, memory, threads bool
	}{
		{"", len(works()), true, true, true, true},
		{"-works all", main, false, false, false, false},
		{"-works get-p1,get-s3", 2, false, false, false, false},
		{"-open", 0, false, true, false, false},
		{"-memory -threads", 0, false, false, true, true},
		{"-half get-s3,get-cluster", 0, false, false, false, false},
		{"-growth", -1, true, false, false, false},
		{"-quick", strings.Count(quickWorks, ",") + 1, false, false, false, false},
		{"-profile x.pgo", strings.Count(profileWorks, ",") + 1, false, false, false, false},
	} {
		o, err := parseArgs(strings.Fields(tt.args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if tt.works >= 0 && len(o.works) != tt.works || tt.works < 0 && len(o.works) == 0 {
			t.Errorf("%q: %d works, want %d", tt.args, len(o.works), tt.works)
		}
		if o.growth != tt.growth || o.open != tt.open || o.memory != tt.memory || o.threads != tt.threads {
			t.Errorf("%q: growth %t, open %t, memory %t, threads %t", tt.args, o.growth, o.open, o.memory, o.threads)
		}
	}
}

func TestChooseKeepsTheTablesOrder(t *testing.T) {
	got, err := choose("work", works(), "mget-100, get-p1")
	if err != nil || strings.Join(names(got), " ") != "get-p1 mget-100" {
		t.Errorf("chose %v, %v", names(got), err)
	}
}

// TestRelayIsChosen: it is among the proxies unless others are named.
func TestRelayIsChosen(t *testing.T) {
	for args, want := range map[string]bool{"": true, "-proxies relay": true, "-proxies nutcracker,nuthatch": false} {
		opts, err := parseArgs(strings.Fields(args), io.Discard)
		if got := slices.Contains(names(opts.proxies), relayName); got != want || err != nil {
			t.Errorf("%q: %t (%v)", args, got, err)
		}
	}
}

func TestWorksAreSound(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range works() {
		if seen[w.name] || w.clients < 1 || w.topology.servers < 1 || w.topology.pools < 1 {
			t.Errorf("%s: used twice, or without clients, servers or pools", w.name)
		}
		seen[w.name] = true
		e := w.one()
		last := &e
		for ; last.then != nil; last = last.then {
			if last.requests != 0 { // a step is none of its own
				t.Errorf("%s: a step is %d requests", w.name, last.requests)
			}
		}
		if last.requests < 1 || len(e.request) == 0 || len(e.reply) == 0 {
			t.Errorf("%s: an exchange of %d requests, %d bytes and a reply of %d", w.name, e.requests, len(e.request), len(e.reply))
		}
		if redis := e.request[0] == '*'; redis != w.topology.redis {
			t.Errorf("%s: its requests and its topology speak different protocols", w.name)
		}
		for _, d := range w.seeds {
			if !strings.Contains(string(e.request), d.kind+":") && w.name != "mixed-get" {
				t.Errorf("%s: is seeded with %s and asks for none", w.name, d.kind)
			}
		}
	}
	for _, axis := range axes {
		for _, p := range axis.points {
			if !seen[p.work] {
				t.Errorf("%s: there is no work %q", axis.title, p.work)
			}
		}
	}
}

// TestFirstWorkIsGET: open.go and memory.go take it for a GET.
func TestFirstWorkIsGET(t *testing.T) {
	if w := works()[0]; w.name != "get-p1" || w.clients != usualClients {
		t.Errorf("the first work is %s with %d clients", w.name, w.clients)
	}
}

func TestExchanges(t *testing.T) {
	two := dataset{"k", 1, 2}
	get := redisGet(two)
	const request, reply = "*2\r\n$3\r\nGET\r\n$14\r\nk:000000000000\r\n", "$2\r\nxx\r\n"
	for _, tt := range []struct {
		name           string
		one            func() exchange
		request, reply string
		requests       int
	}{
		{"GET", get, request, reply, 1},
		{"pipelined", pipelined(3, get), strings.Repeat(request, 3), strings.Repeat(reply, 3), 3},
		{"SET", redisSet(two), "*3\r\n$3\r\nSET\r\n$14\r\nk:000000000000\r\n$2\r\nxx\r\n", "+OK\r\n", 1},
	} {
		e := tt.one()
		if string(e.request) != tt.request || string(e.reply) != tt.reply || e.requests != tt.requests {
			t.Errorf("%s: %q, %q, %d", tt.name, e.request, e.reply, e.requests)
		}
	}
	every := mixed(get, redisSet(two), 3)
	var got []byte
	for range 6 {
		got = append(got, every().request[8])
	}
	if string(got) != "GGSGGS" {
		t.Errorf("each third of another kind: %s", got)
	}
}

func TestVariantsAreBounded(t *testing.T) {
	if n := len(variants(redisGet(small))); n != maxVariants {
		t.Errorf("%d small ones", n)
	}
	large := variants(redisSet(oneMB))
	if n := len(large); n != maxVariantBytes>>20 {
		t.Errorf("%d large ones", n)
	}
	if &large[0].reply[0] != &large[1].reply[0] {
		t.Error("equal replies are held twice")
	}
}

func TestDistinctKeys(t *testing.T) {
	keys := small.distinct(small.keys)
	slices.Sort(keys)
	if n := len(slices.Compact(keys)); n != small.keys {
		t.Errorf("%d different ones of %d", n, small.keys)
	}
}

func TestManyServersShareTheRealOnes(t *testing.T) {
	s := servers{redis: []string{"127.0.0.1:1", "127.0.0.1:2"}, memcached: []string{"127.0.0.1:3"}}
	yaml := nuthatchYAML(2)(s, topology{redis: true, servers: 3, pools: 2}, []string{"127.0.0.1:8", "127.0.0.1:9"})
	for _, want := range []string{
		"pool0:\n  listen: 127.0.0.1:8\n", "pool1:\n  listen: 127.0.0.1:9\n",
		"- 127.0.0.1:1:1 server0\n    - 127.0.0.1:2:1 server1\n    - 127.0.0.1:1:1 server2\n", "threads: 2",
	} {
		if !strings.Contains(yaml, want) {
			t.Errorf("no %q in\n%s", want, yaml)
		}
	}
	if got := haproxyConfig(s, memcachedOne, []string{"127.0.0.1:8"}); !strings.Contains(got, "bind 127.0.0.1:8 ") || !strings.Contains(got, "server0 127.0.0.1:3\n") {
		t.Errorf("HAProxy:\n%s", got)
	}
	if got := predixyConfig(s, redisThree, []string{"127.0.0.1:8"}); strings.Count(got, "Group ") != 3 {
		t.Errorf("predixy:\n%s", got)
	}
}

func TestWhatProxiesCan(t *testing.T) {
	can := map[string]func(work) bool{}
	for _, kind := range proxyKinds() {
		can[kind.name] = kind.can
	}
	mget, memcached, many := work{topology: redisThree}, work{topology: memcachedOne}, work{topology: redisOne, clients: 10_000}
	for _, tt := range []struct {
		proxy string
		work  work
		want  bool
	}{
		{baseline, mget, true},
		{ours, many, true},
		{relayName, mget, false},
		{relayName, memcached, true},
		{relayName, many, true},
		{"haproxy", mget, false},
		{"haproxy", memcached, true},
		{"haproxy", many, false},
		{"predixy", mget, true},
		{"predixy", memcached, false},
	} {
		if got := can[tt.proxy](tt.work); got != tt.want {
			t.Errorf("%s, %+v: %t", tt.proxy, tt.work.topology, got)
		}
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	made := proxyKind{name: "made", build: func(context.Context, string) (string, error) { return filepath.Join(dir, "made"), nil }}
	missing := proxyKind{name: "no such proxy", optional: true}
	found, err := locate(t.Context(), []proxyKind{made, missing}, dir)
	if err != nil || len(found) != 1 || found[0].path != filepath.Join(dir, "made") {
		t.Errorf("%v, %v", found, err)
	}
	missing.optional = false
	if _, err := locate(t.Context(), []proxyKind{missing}, dir); err == nil {
		t.Error("a proxy that must be there is not missed")
	}
}

func TestVersionLineHasNoPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \"$0 proxy-1.0\"\necho more\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := versionLine(t.Context(), path); got != "proxy-1.0" {
		t.Errorf("%q", got)
	}
}

func TestTurnsTakeTurns(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}} {
		if got := turns(round, 3); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}

func TestDisturbed(t *testing.T) {
	calm, busy := &sample{others: disturbedAbove}, &sample{others: disturbedAbove + 0.01}
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

func TestTooManyClients(t *testing.T) {
	r := &rig{descriptors: 20_000}
	if why := r.tooManyFor(work{clients: 10_000}); why != "" {
		t.Error(why)
	}
	if why := r.tooManyFor(work{clients: 50_000}); why != "50,000 clients are left out: a process could have 20,000 descriptors (ulimit -Hn)." {
		t.Errorf("%q", why)
	}
}

func TestParsePerf(t *testing.T) {
	got, err := parsePerf("12345,,raw_syscalls:sys_enter,1000,100.00,,\n")
	if err != nil || got.total() != 12345 || got[everyCall] != 12345 {
		t.Errorf("%v, %v", got, err)
	}
	for _, output := range []string{"", "<not counted>,,raw_syscalls:sys_enter,0,0,,\n", "perf: no permission\n"} {
		if got, err := parsePerf(output); err == nil {
			t.Errorf("%q: %v", output, got)
		}
	}
}

func TestParseStrace(t *testing.T) {
	const output = `strace: Process 7 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.001200           1      1000           read
 40.00    0.000800           2       400         7 epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.002000           1      1400         7 total
`
	got, err := parseStrace(output)
	if err != nil || len(got) != 2 || got["read"] != 1000 || got["epoll_wait"] != 400 || got.total() != 1400 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parseStrace("strace: attach: Operation not permitted\n"); err == nil {
		t.Errorf("no table: %v", got)
	}
}

func TestInterrupted(t *testing.T) {
	if err := interrupted(nil); err != nil {
		t.Error(err)
	}
	if err := interrupted(errors.New("no")); err == nil {
		t.Error("another error is taken for an interruption")
	}
}

// TestOnPaper: 10 clients cost 1 MB each on top of 5 MB, so 50 would need 55.
func TestOnPaper(t *testing.T) {
	measured := []memoryResult{
		{clients: 5, proxy: "one", before: []float64{0}, after: []float64{1e9}},
		{clients: 10, proxy: "one", before: []float64{5e6}, after: []float64{15e6}},
		{clients: 10, proxy: "two", before: []float64{5e6}, after: []float64{4e6}},
	}
	const want = " On paper, each of them as large as one of 10.0, they would need: one 55.0 MB, two 5.00 MB."
	if got := onPaper(measured, 50); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := onPaper(nil, 50); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}
