package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// describe says what was compared, where and how: without that a table of
// numbers cannot be read a month later.
func describe(ctx context.Context, opts options, r *rig, c cores) []string {
	var programs []string
	for _, p := range r.proxies {
		programs = append(programs, versionLine(ctx, p.path, p.kind.version...))
	}
	for _, server := range []string{"redis-server", "memcached"} {
		if path, err := find(server); err == nil {
			programs = append(programs, versionLine(ctx, path, "--version"))
		}
	}
	return []string{
		strings.Join(programs, "; "),
		fmt.Sprintf("%s; %d cores, the proxy on core %d, servers and load on the others", machine(), len(c.all), c.proxy),
		fmt.Sprintf("%d clients, closed loop, loopback; %d rounds of about %v, the proxies in turn; medians, ratios within a round",
			clients, opts.rounds, opts.length()),
		"times: CPU microseconds of the proxy; waited: how much of its time something else had its core, in the worst round",
	}
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

// columns are the report's head. Where the last is above a few percent, the
// machine was busy with something else, and the row is worth little.
var columns = []string{
	"work", "proxy", "us/request", "user", "system", "ratio", "min", "max", "requests/s", "ratio", "waited",
}

// printReport writes the description and the table.
func printReport(out io.Writer, description []string, results []result, markdown bool) {
	rows := [][]string{columns}
	if markdown {
		rows = append(rows, rule(columns))
	}
	for _, r := range results {
		rows = append(rows, row(r, reference(results, r.work)))
	}
	for _, line := range description {
		fmt.Fprintln(out, line)
		if markdown {
			fmt.Fprintln(out)
		}
	}
	if markdown {
		for _, cells := range rows {
			fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
		}
		return
	}
	fmt.Fprintln(out)
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush() // a Builder takes everything
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
}

// rule is Markdown's line under the head; numbers are aligned to the right.
func rule(head []string) []string {
	line := []string{"---", "---"}
	for range head[len(line):] {
		line = append(line, "---:")
	}
	return line
}

// reference finds the baseline's samples of a piece of work; none if it was
// not measured.
func reference(results []result, w work) []sample {
	for _, r := range results {
		if r.work.name == w.name && r.proxy == baseline {
			return r.samples
		}
	}
	return nil
}

// row shows one result as compared with the baseline's samples.
func row(r result, base []sample) []string {
	cells := []string{r.work.title, r.proxy}
	if r.err != nil || len(r.samples) == 0 {
		cells = append(cells, "failed")
		return append(cells, make([]string, len(columns)-len(cells))...)
	}
	total := func(s sample) float64 { return s.total }
	rate := func(s sample) float64 { return s.rate }
	for _, of := range []func(sample) float64{
		total,
		func(s sample) float64 { return s.user },
		func(s sample) float64 { return s.system },
	} {
		cells = append(cells, fmt.Sprintf("%.2f", median(each(r.samples, of))))
	}
	cells = append(cells, spread(ratios(r.samples, base, total))...)
	disturbed := slices.Max(each(r.samples, func(s sample) float64 { return s.disturbed }))
	return append(cells,
		fmt.Sprintf("%.0f", median(each(r.samples, rate))),
		spread(ratios(r.samples, base, rate))[0],
		fmt.Sprintf("%.0f%%", 100*disturbed))
}

// each takes one number from every sample.
func each(samples []sample, of func(sample) float64) []float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	return values
}

// ratios compares the rounds in which both were measured. A round's samples
// are its neighbours in time, so that what the machine did besides is in both.
func ratios(samples, base []sample, of func(sample) float64) []float64 {
	var values []float64
	for i := range min(len(samples), len(base)) {
		if b := of(base[i]); b > 0 {
			values = append(values, of(samples[i])/b)
		}
	}
	return values
}

// spread formats the median, the least and the greatest value.
func spread(values []float64) []string {
	if len(values) == 0 {
		return []string{"-", "-", "-"}
	}
	var cells []string
	for _, v := range []float64{median(values), slices.Min(values), slices.Max(values)} {
		cells = append(cells, fmt.Sprintf("%.2f", v))
	}
	return cells
}

// median is the middle value, or the mean of the two in the middle; 0 if there
// is none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
