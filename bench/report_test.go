package main

import (
	"strings"
	"testing"
)

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

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{nil, "-"},
		{[]float64{0.5}, "0.50"},
		{[]float64{3, 1, 2}, "2.00 (1.00–3.00)"},
	} {
		if got := spread(tt.values); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.values, got, tt.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, tt := range []struct {
		value float64
		want  string
	}{
		{0.123, "0.12"}, {9.5, "9.50"}, {42.42, "42.4"}, {999, "999"}, {1000, "1,000"}, {1234567.8, "1,234,568"},
	} {
		if got := number(tt.value); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	tab := table{left: 1, head: []string{"work", "µs"}}
	tab.add("GET", "1.00")
	tab.add("a–b")
	const want = "| work |   µs |\n|------|-----:|\n| GET  | 1.00 |\n| a–b  |      |\n"
	if got := tab.String(); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
}

// TestReport has one of everything. Ratios are of the same round: the medians'
// ratio of the first work would be another one.
func TestReport(t *testing.T) {
	get := work{name: "get-p1", title: "GET", target: 0.7}
	set := work{name: "set-p1", title: "SET"}
	samples := func(totals ...float64) []sample {
		var list []sample
		for _, total := range totals {
			list = append(list, sample{total: total, user: 1, system: total - 1, rate: 1e6 / total, p50: 1, p99: total, p999: 3, memory: 4e6})
		}
		return list
	}
	f := findings{
		growth: true,
		works: []result{
			{work: get, proxy: baseline, samples: samples(10, 20, 8), counts: counts{"read": 2, "write": 1}},
			{work: get, proxy: ours, samples: samples(5, 18, 6), counts: counts{"read": 1, "write": 0.5}},
			{work: set, proxy: ours, samples: samples(1), err: errTooSlow},
			{work: work{name: "get-p16", growth: true}, proxy: baseline, samples: samples(9)},
		},
		open: &openResult{saturation: 1000, points: []openPoint{
			{half, baseline, samples(10, 10, 10)},
			{half, ours, samples(8, 5, 9.5)},
		}},
		memory: []memoryResult{
			{10_000, baseline, []float64{1e6}, []float64{101e6}},
			{10_000, ours, []float64{1e6}, []float64{202e6}},
		},
		threads: []threadsResult{
			{get, 1, samples(10), []float64{0}, []int{53}},
			{get, 2, samples(5), []float64{0.1}, []int{28, 27}},
		},
	}
	got := f.report([]string{"here"})
	for _, want := range []string{
		"- here",
		// Targets.
		"| GET                                  |      CPU |    0.70 | 0.75 (0.50–0.90) | **not reached** |",
		"| 10,000 idle clients                  |   memory |    1.00 |             2.00 | **not reached** |",
		"| GET at half of nutcracker's saturation |",
		// Ratios.
		"0.75 (0.50–0.90) | 1.00 (1.00–1.00) |",
		"| SET | nuthatch | failed | |",
		// System calls.
		"| GET  | nutcracker | read 2.000, write 1.000 |",
		// Offered load.
		"0.80 (0.50–0.95)",
		// Memory: 100 MB for 10,000 clients.
		"|  10,000 | nutcracker |   1.00 |   101 |          10.0 | 1.00 |",
		// Threads.
		"| GET  |       2 |            5.00 |    200,000 |                   2.00 |    10% | 28 27 |",
		// Growth.
		"GET by the depth of pipelines:",
		"| 1 | 10.0 | 6.00 | 0.75 (0.50–0.90) |",
		"| 16 | 9.00 | - | - |",
	} {
		if !strings.Contains(closed(got), closed(want)) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(got, "by the number of pools") {
		t.Error("an axis without points has a table")
	}
	if t.Failed() {
		t.Log("\n" + got)
	}
}

// closed has one space where a table has many.
func closed(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Join(lines, "\n")
}

func TestBusyMachine(t *testing.T) {
	with := func(others ...float64) string {
		var list []sample
		for _, o := range others {
			list = append(list, sample{others: o})
		}
		return findings{works: []result{{samples: list}}}.disturbance()
	}
	if got := with(0.01, 0.02, 0.9); got != "" {
		t.Errorf("a machine that was busy once: %q", got)
	}
	if got := with(0.01, 0.2, 0.9); !strings.Contains(got, "20% of it (median; 1% to 90%)") {
		t.Errorf("a busy machine: %q", got)
	}
}

func TestEmptyReportHasNoTables(t *testing.T) {
	if got := (findings{}).report(nil); strings.Contains(got, "|") || strings.Contains(got, "##") {
		t.Errorf("\n%s", got)
	}
}
