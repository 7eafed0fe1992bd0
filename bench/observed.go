package main

import (
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"time"
)

// What it costs that nuthatch observes itself: one build with two more configurations, measured
// in turn with its usual one.
//
//	bare    everything that can be switched off is: latencies, slow log, hot keys, history
//	traced  one request in a hundred becomes a trace, and a collector takes the traces
//
// Counters and events cannot be switched off.
const (
	bare   = "bare"
	traced = "traced"
)

// observedTarget is the largest ratio of nuthatch to its bare form, and of the traced form to
// nuthatch, in CPU time per request.
const observedTarget = 1.01

// observedKinds are the two.
func observedKinds() []proxyKind {
	kind := func(name string, more func(s servers) string) proxyKind {
		return proxyKind{
			name: name, build: buildNuthatch, args: nutcrackerArgs, can: anything, version: []string{"-V"},
			config: func(s servers, t topology, listen []string) string { return nuthatchYAML(1)(s, t, listen) + more(s) },
		}
	}
	return []proxyKind{
		kind(bare, func(servers) string {
			return "  latency: false\n  slowlog_max_len: 0\n  hotkeys: false\n  history_memory: 0\n"
		}),
		kind(traced, func(s servers) string {
			return fmt.Sprintf("  tracing: {endpoint: \"http://%s\", sample: 100}\n", s.collector)
		}),
	}
}

// startCollector runs a collector that takes traces and forgets them, if a proxy needs one.
func (r *rig) startCollector() error {
	if !slices.ContainsFunc(r.programs, func(p program) bool { return p.name == traced }) {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	r.servers.collector = l.Addr().String()
	r.collector = &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if n, err := io.Copy(io.Discard, req.Body); err == nil {
			r.traceBytes.Add(n)
		}
	})}
	go func() { _ = r.collector.Serve(l) }()
	return nil
}

// stopCollector fails if the collector got no traces of a run that was long enough for them.
func (r *rig) stopCollector() error {
	if r.collector == nil {
		return nil
	}
	if err := r.collector.Close(); err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	if r.traceBytes.Load() == 0 && r.length*time.Duration(r.rounds) > tracesWithin {
		return fmt.Errorf("%s: the collector got no traces", traced)
	}
	return nil
}

// tracesWithin is how long a proxy may run before its first traces are sent.
const tracesWithin = 3 * time.Second

// medianWithin is where the median of what was sampled lies with a likelihood of 95%, whatever its
// distribution: between two of the values, or all of them if they are fewer than six.
func medianWithin(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	// Of so many tosses of a coin, `few` is the likelihood of at most `outside` heads: that the
	// median is not above as many of the values.
	n := float64(len(sorted))
	outside, exactly := 0, math.Pow(0.5, n)
	for few := exactly; ; outside++ {
		exactly *= (n - float64(outside)) / float64(outside+1)
		if few += exactly; few > 0.025 {
			break
		}
	}
	return sorted[outside], sorted[len(sorted)-1-outside]
}

// observedTable compares nuthatch with its bare form, and its traced form with nuthatch.
func (f findings) observedTable() table {
	t := table{left: 2, head: []string{"work", "compared", "CPU", "user", "system", "CPU, 95%", "most"}}
	for i := range f.works {
		base := &f.works[i]
		for _, pair := range [][2]string{{ours, bare}, {traced, ours}} {
			if base.proxy != pair[1] {
				continue
			}
			with := f.find(base.work.name, pair[0])
			if len(with.samples) == 0 || len(base.samples) == 0 || f.find(base.work.name, bare).work.name == "" {
				continue
			}
			row := []string{base.work.title, pair[0] + " to " + pair[1]}
			for _, m := range metrics[:3] {
				row = append(row, fmt.Sprintf("%.3f", median(ratios(each(with.samples, m.of), each(base.samples, m.of)))))
			}
			low, high := medianWithin(ratios(each(with.samples, cpu), each(base.samples, cpu)))
			t.add(append(row, fmt.Sprintf("%.3f–%.3f", low, high), fmt.Sprintf("%.2f", observedTarget))...)
		}
	}
	return t
}
