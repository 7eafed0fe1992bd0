package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// describe says what was compared, where and how, so that the numbers can be
// understood later.
func (r *rig) describe(ctx context.Context) []string {
	var programs []string
	for _, p := range r.programs {
		programs = append(programs, p.name+": "+versionLine(ctx, p.path, p.version...))
	}
	for _, server := range []string{"redis-server", "memcached"} {
		if path, err := find(server); err == nil {
			programs = append(programs, versionLine(ctx, path, "--version"))
		}
	}
	counted := "not counted: neither perf nor strace works here"
	if r.countCalls != nil {
		counted = "counted in a pass of their own with " + r.countedWith
	}
	return []string{
		fmt.Sprintf("Date: %s.", r.began.Format("2 January 2006")),
		"Programs: " + strings.Join(programs, "; ") + "; " + runtime.Version() + ".",
		fmt.Sprintf("Machine: %s, %d cores, TCP congestion control %s; the proxy alone on one core, servers and load on the rest.",
			machine(), len(r.cores.all), congestionControl()),
		fmt.Sprintf("Method: loopback, %d clients where a row does not say otherwise, closed loop; every proxy with one thread and started anew "+
			"for each piece of work; %d rounds of %v, the proxies in turn in each. System calls are %s.%s", usualClients, r.rounds, r.length, counted,
			r.aboutFloor()),
	}
}

// aboutFloor says what the relay is there for, if it is there.
func (r *rig) aboutFloor() string {
	if !slices.ContainsFunc(r.programs, func(p program) bool { return p.name == relayName }) {
		return ""
	}
	return " `relay` is a part of this benchmark, and the floor: it finds where requests and replies end, forwards to one server and gives " +
		"replies to clients in order, and does nothing else, neither routing nor statistics, timeouts, nor bounds. A proxy on epoll " +
		"will hardly cost less."
}

// machine names the kernel and the processor.
func machine() string {
	var uts unix.Utsname
	kernel := runtime.GOOS
	if unix.Uname(&uts) == nil {
		kernel = "Linux " + unix.ByteSliceToString(uts.Release[:])
	}
	cpu := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	return kernel + ", " + cpu
}

// ratios are a point's p99 latencies over the baseline's at the same rate.
func (o *openResult) ratios(p openPoint) []float64 {
	p99 := func(s sample) float64 { return s.p99 }
	for _, base := range o.points {
		if base.proxy == baseline && base.fraction == p.fraction {
			return ratios(each(p.samples, p99), each(base.samples, p99))
		}
	}
	return nil
}

func (o *openResult) table() table {
	t := table{left: 0, head: []string{
		"offered", "requests/s", "proxy", "carried", "p50", "p99", "p99.9", "p99, ratio", "proxy busy", "load busy",
	}}
	for _, p := range o.points {
		of := func(of func(sample) float64) float64 { return median(each(p.samples, of)) }
		t.add(percent(p.fraction), number(p.fraction*o.saturation), p.proxy,
			number(of(func(s sample) float64 { return s.rate })),
			number(of(func(s sample) float64 { return s.p50 })),
			number(of(func(s sample) float64 { return s.p99 })),
			number(of(func(s sample) float64 { return s.p999 })),
			spread(o.ratios(p)),
			percent(of(func(s sample) float64 { return s.proxyBusy })),
			percent(of(func(s sample) float64 { return s.loadBusy })))
	}
	return t
}

// memoryRatios are a result's ratios to the baseline's.
func memoryRatios(all []memoryResult, m memoryResult) []float64 {
	for _, base := range all {
		if base.proxy == baseline && base.clients == m.clients {
			return ratios(m.after, base.after)
		}
	}
	return nil
}

func memoryTable(all []memoryResult) table {
	t := table{left: 0, head: []string{"clients", "proxy", "before", "after", "KB per client", "ratio"}}
	for _, m := range all {
		before, after := median(m.before), median(m.after)
		t.add(number(float64(m.clients)), m.proxy, number(before/1e6), number(after/1e6),
			number(max(0, after-before)/1e3/float64(m.clients)), spread(memoryRatios(all, m)))
	}
	return t
}

func threadsTable(all []threadsResult) table {
	t := table{left: 1, head: []string{"work", "threads", "CPU per request", "requests/s", "throughput to one thread", "uneven", "watched"}}
	rate := func(s sample) float64 { return s.rate }
	one := &threadsResult{}
	for i := range all {
		r := &all[i]
		if r.threads == threadNumbers[0] {
			one = r
		}
		t.add(r.work.title, fmt.Sprint(r.threads), number(median(each(r.samples, cpu))), number(median(each(r.samples, rate))),
			spread(ratios(each(r.samples, rate), each(one.samples, rate))), percent(median(r.uneven)),
			strings.Trim(fmt.Sprint(r.watched), "[]"))
	}
	return t
}

// growthTable has a row for each point of an axis, with each proxy's cost.
func (f findings) growthTable(a axis) table {
	t := table{left: 0, head: []string{a.column}}
	for _, proxy := range []string{baseline, ours} {
		t.head = append(t.head, proxy)
		if a.per != "" {
			t.head = append(t.head, "per "+a.per)
		}
	}
	t.head = append(t.head, "ratio")
	for _, p := range a.points {
		row := []string{number(float64(p.x))}
		if p.x < 100 {
			row[0] = fmt.Sprint(p.x)
		}
		found := false
		for _, proxy := range []string{baseline, ours} {
			samples := f.find(p.work, proxy).samples
			cost := "-"
			part := "-"
			if len(samples) > 0 {
				found = true
				mid := median(each(samples, cpu))
				cost = number(mid)
				if n := a.parts(p.x); n >= 1 {
					part = fmt.Sprintf("%.3f", mid/n)
				}
			}
			if row = append(row, cost); a.per != "" {
				row = append(row, part)
			}
		}
		if found {
			t.add(append(row, spread(f.against(f.find(p.work, ours), cpu)))...)
		}
	}
	return t
}
