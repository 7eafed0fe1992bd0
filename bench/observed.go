package main

import (
	"fmt"
	"io"
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
	return []proxyKind{
		ownBuild(bare, anything, func(servers) string {
			return "  latency: false\n  slowlog_max_len: 0\n  hotkeys: false\n  history_memory: 0\n"
		}),
		ownBuild(traced, anything, func(s servers) string {
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
