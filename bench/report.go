package main

import (
	"fmt"
	"slices"
	"strings"
)

// report is the document docs/BENCHMARKS.md.
func (f findings) report(description []string) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	b.WriteString(folded("", "Written by `make bench`; run it to measure your own machine. "+
		"Absolute values drift with the hour and the machine's neighbours; the ratios within a round do not.") + "\n\n")
	for _, line := range description {
		b.WriteString("- " + folded("  ", line) + "\n")
	}
	b.WriteString(f.disturbance())
	section := func(title, text string, t table) {
		if len(t.rows) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", title, folded("", text), t)
		}
	}
	section("Targets", "What nuthatch sets itself, and what this run has seen: a ratio to nutcracker in the same round, "+
		"or, for a transaction, to a GET of nuthatch's own, and KB (10^3 bytes) of a client that waits or listens.", f.targets())
	section("Ratios to nutcracker",
		"Median of the rounds (least–greatest). CPU, its user and its system part, and system calls: per request. "+
			"Below 1 is better, but for throughput. Where a proxy waits for the load, its throughput says nothing; its CPU time does.",
		f.ratioTable())
	section("What was measured",
		"Medians. Times in microseconds: CPU per request; latencies of a request, or of a whole pipeline. Memory is resident, at the end of a round. "+
			"Busy: the part of the time that the proxy, and the load's thread, ran; where the load's is near 100%, it was the bottleneck. "+
			"Others: the part of the whole machine that unrelated programs used, in the worst round; "+
			"above a few percent the row says little. The kernel samples user and system time 100 times a second; their sum is exact.",
		f.workTable())
	section("What observing costs",
		"Ratios within a round, medians, of one build with two configurations. `bare` has no latencies, slow log, hot keys and history; "+
			"`traced` makes a trace of one request in a hundred. Counters and events cannot be switched off. "+
			"A loss is significant if all of the interval is above the most.",
		f.observedTable())
	section("What users cost",
		"Ratios within a round, medians, of one build with two configurations. With `users` the clients are a user who may use "+
			"the commands and keys of the works and no others. A loss is significant if all of the interval is above the most.",
		f.usersTable())
	section("What the engines cost",
		"Ratios within a round, medians, of one build with `engine: io_uring` and with `engine: epoll`.", f.enginesTable())
	section("System calls by name", "Per request, counted by strace, which slows what it counts.", f.callTable())
	if f.open != nil {
		section("Latency against offered load",
			fmt.Sprintf("GET, 50 clients, open loop: requests leave at a fixed rate, and a latency counts from when its request should have left. "+
				"100%% is what nutcracker carries in a closed loop, %s requests/s. Latencies in microseconds, medians of the rounds.",
				number(f.open.saturation)),
			f.open.table())
	}
	if f.half != nil {
		section("Latency at half load",
			fmt.Sprintf("50 clients, open loop, %s requests/s: half of what nuthatch carries of the first work in a closed loop. "+
				"Latencies in microseconds; medians of the rounds (least–greatest).", number(half*f.half.saturation)),
			f.half.table())
	}
	section("Memory of idle clients",
		"Resident, in MB (10^6 bytes), of a proxy whose clients have each spoken once and then been silent for 3 seconds. Medians; ratio to nutcracker."+
			f.leftOut,
		memoryTable(f.memory))
	section("Memory of clients that wait or listen",
		"Resident, in MB (10^6 bytes), when nothing has happened for 3 seconds. Each client waits for an element of a list of its own (BLPOP) or listens "+
			"to a channel of its own (SUBSCRIBE), over three servers, and has a connection of its own to one of them. Medians; KB per client also least–greatest.",
		lastingTable(f.lasting))
	section("TLS with clients",
		"GET, 50 clients with TLS 1.3 (AES-128), one core: nuthatch, and HAProxy that terminates TLS before the same server and knows no keys. Handshakes are over "+
			"before the time begins. Times in microseconds, medians of the rounds; the ratio is that of the CPU time per request, also least–greatest.",
		securedTable(f.secured))
	section("Threads",
		"nuthatch with one and two event loops. Uneven: what the busiest loop used above an even share of the CPU time. "+
			"Watched: how many descriptors each loop's epoll holds with 50 clients, which tells how they were dealt. "+
			"On fewer than four cores loops, servers and load compete for all of them, and throughput says little.",
		threadsTable(f.threads))
	if f.growth {
		b.WriteString("\n## Growth\n\n" + folded("", "CPU microseconds per request, medians, and the ratio to nutcracker. "+
			"A pool of 100 or 1,000 servers names the same three many times.") + "\n")
		for _, a := range axes {
			if t := f.growthTable(a); len(t.rows) > 1 {
				fmt.Fprintf(&b, "\n%s:\n\n%s", a.title, t)
			}
		}
	}
	return b.String()
}

// busyAbove is the part of the machine that others may use before the report
// warns of it.
const busyAbove = 0.05

// disturbance is a line that says how busy the machine was with something else,
// or nothing if it was not.
func (f findings) disturbance() string {
	var others []float64
	for i := range f.works {
		others = append(others, each(f.works[i].samples, func(s sample) float64 { return s.others })...)
	}
	if median(others) <= busyAbove {
		return ""
	}
	return "- " + folded("  ", fmt.Sprintf("**The machine was busy with something else**, which used %s of it (median; %s to %s): "+
		"absolute values and latencies mean nothing, ratios something.",
		percent(median(others)), percent(slices.Min(others)), percent(slices.Max(others)))) + "\n"
}

// textWidth is the longest line of the document outside of tables, in bytes.
const textWidth = 100

// folded breaks a text into lines; those after the first begin with indent.
func folded(indent, text string) string {
	var b strings.Builder
	width := len(indent)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case width+len(" ")+len(word) > textWidth:
			b.WriteString("\n" + indent)
			width = len(indent)
		default:
			b.WriteString(" ")
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
}

// metric is a number of a sample, for the table of ratios.
type metric struct {
	name string
	of   func(sample) float64
}

var metrics = []metric{
	{"CPU", func(s sample) float64 { return s.total }},
	{"user", func(s sample) float64 { return s.user }},
	{"system", func(s sample) float64 { return s.system }},
	{"throughput", func(s sample) float64 { return s.rate }},
	{"p50", func(s sample) float64 { return s.p50 }},
	{"p99", func(s sample) float64 { return s.p99 }},
	{"p99.9", func(s sample) float64 { return s.p999 }},
	{"memory", func(s sample) float64 { return s.memory }},
}

// cpu is the metric of the works' targets.
func cpu(s sample) float64 { return s.total }

// find returns the result of a piece of work and a proxy, or nothing.
func (f findings) find(work, proxy string) *result {
	i := slices.IndexFunc(f.works, func(r result) bool { return r.work.name == work && r.proxy == proxy })
	if i < 0 {
		return &result{}
	}
	return &f.works[i]
}

// against are a result's ratios to the baseline.
func (f findings) against(r *result, of func(sample) float64) []float64 {
	return ratios(each(r.samples, of), each(f.find(r.work.name, baseline).samples, of))
}

func (f findings) ratioTable() table {
	t := table{left: 2, head: []string{"work", "proxy"}}
	for _, m := range metrics {
		t.head = append(t.head, m.name)
	}
	t.head = append(t.head, "system calls")
	for i := range f.works {
		r := &f.works[i]
		base := f.find(r.work.name, baseline)
		if r.work.growth || r.proxy == baseline || len(base.samples) == 0 {
			continue
		}
		row := []string{r.work.title, r.proxy}
		if r.err != nil {
			t.add(append(row, "failed")...)
			continue
		}
		for _, m := range metrics {
			row = append(row, spread(f.against(r, m.of)))
		}
		calls := ratios([]float64{r.counts.total()}, []float64{base.counts.total()})
		t.add(append(row, spread(calls))...)
	}
	return t
}

func (f findings) workTable() table {
	t := table{left: 2, head: []string{
		"work", "proxy", "CPU", "user", "system", "requests/s", "p50", "p99", "p99.9", "memory, MB", "system calls",
		"proxy busy", "load busy", "others",
	}}
	for i := range f.works {
		r := &f.works[i]
		row := []string{r.work.title, r.proxy}
		if r.err != nil || len(r.samples) == 0 {
			t.add(append(row, "failed")...)
			continue
		}
		for _, m := range metrics[:len(metrics)-1] {
			row = append(row, number(median(each(r.samples, m.of))))
		}
		row = append(row, number(median(each(r.samples, func(s sample) float64 { return s.memory / 1e6 }))))
		calls := "-"
		if len(r.counts) > 0 {
			calls = number(r.counts.total())
		}
		t.add(append(row, calls,
			percent(median(each(r.samples, func(s sample) float64 { return s.proxyBusy }))),
			percent(median(each(r.samples, func(s sample) float64 { return s.loadBusy }))),
			percent(slices.Max(each(r.samples, func(s sample) float64 { return s.others }))))...)
	}
	return t
}

// callTable has the most frequent system calls, where they are told apart.
func (f findings) callTable() table {
	const shown = 8
	t := table{left: 3, head: []string{"work", "proxy", "calls per request"}}
	for i := range f.works {
		r := &f.works[i]
		if _, apart := r.counts[everyCall]; apart || len(r.counts) == 0 {
			continue
		}
		var calls []string
		for name := range r.counts {
			calls = append(calls, name)
		}
		slices.SortFunc(calls, func(a, b string) int {
			if r.counts[a] > r.counts[b] {
				return -1
			}
			return 1
		})
		calls = calls[:min(shown, len(calls))]
		for i, name := range calls {
			calls[i] = fmt.Sprintf("%s %.3f", name, r.counts[name])
		}
		t.add(r.work.title, r.proxy, strings.Join(calls, ", "))
	}
	return t
}

// The targets beside those of works: see work.target.
const (
	memoryTarget = 1.0 // idle clients
	halfTarget   = 0.9 // p99 at half of the baseline's saturation
)

// targets compares nuthatch with its targets.
func (f findings) targets() table {
	t := table{left: 1, head: []string{"work", "of", "at most", "measured", ""}}
	judge := func(title, of string, most float64, seen []float64) {
		if len(seen) == 0 {
			return
		}
		verdict := "reached"
		if median(seen) > most {
			verdict = "**not reached**"
		}
		t.add(title, of, fmt.Sprintf("%.2f", most), spread(seen), verdict)
	}
	for i := range f.works {
		r := &f.works[i]
		if r.proxy == ours && r.work.target > 0 {
			judge(r.work.title, "CPU", r.work.target, f.against(r, cpu))
		}
	}
	for _, t := range slices.Concat(transactionTargets, clusterTargets, replicaTargets) {
		r := f.find(t.work, ours)
		judge(r.work.title, t.title, t.most, ratios(each(r.samples, cpu), each(f.find(t.of, ours).samples, cpu)))
	}
	for _, m := range f.memory {
		if m.proxy == ours && m.clients == idleClients[0] {
			judge(number(float64(m.clients))+" idle clients", "memory", memoryTarget, memoryRatios(f.memory, m))
		}
	}
	for _, l := range f.lasting {
		if l.proxy == ours {
			judge(l.title, "KB per client", lastingTarget, l.perClient())
		}
	}
	for _, res := range f.secured {
		if res.proxy == ours {
			judge(fmt.Sprintf("GET with TLS, pipeline %d", res.depth), "CPU, of HAProxy's", securedTarget, toHAProxy(f.secured, res))
		}
	}
	if f.open != nil {
		for _, p := range f.open.points {
			if p.proxy == ours && p.fraction == half {
				judge("GET at half of nutcracker's saturation", "p99", halfTarget, f.open.ratios(p))
			}
		}
	}
	return t
}
