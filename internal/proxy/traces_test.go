package proxy_test

import (
	"testing"
	"time"

	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
)

// traced starts a conversation of which requests become traces.
func traced(t *testing.T, every int64, slow bool) (*conversation, *party, *slowlog.Log) {
	c, p := quick(t, "  timeout: 400\n")
	ring := slowlog.New(64)
	c.measures.Traces, c.measures.TraceEvery, c.measures.TraceSlow, c.measures.SlowLog = ring, every, slow, false
	c.loops[0].SetMeasures(c.measures)
	return c, p, ring
}

// TestTraceSamples: one request in so many becomes a trace, whether it is carried out or fails.
func TestTraceSamples(t *testing.T) {
	c, p, ring := traced(t, 10, false)
	for range 200 {
		c.ask(p, command("GET", c.keyAt(0, 0)))
		c.answerAll(0)
	}
	if n := ring.Next(); n < 10 || n > 40 {
		t.Errorf("%d of 200 requests became traces, want about 20", n)
	}
	if e := ring.Latest(1)[0]; e.Command != "get" || e.Pool != "pool" || e.ServerName != "a" || e.Key != "" {
		t.Errorf("a trace is of %+v", e)
	}
	before := ring.Next()
	for range 40 {
		c.ask(p, command("GET", c.keyAt(2, 0)))
		c.later(401 * time.Millisecond)
		c.calm()
	}
	if n := ring.Next() - before; n == 0 || ring.Latest(1)[0].Error == "" {
		t.Errorf("%d of 40 failures became traces: %+v", n, ring.Latest(1)[0])
	}
}

// TestTraceSlow: slow requests become traces, all of a run, and no others if nothing is sampled.
func TestTraceSlow(t *testing.T) {
	c, p, ring := traced(t, 0, true)
	c.ask(p, command("GET", c.keyAt(0, 0)))
	c.answerAll(0)
	if n := ring.Next(); n != 0 {
		t.Errorf("%d fast requests became traces", n)
	}
	c.ask(p, command("GET", c.keyAt(0, 0)), command("GET", c.keyAt(0, 0)))
	c.later(50 * time.Millisecond)
	c.answerAll(0)
	if n := ring.Next(); n != 2 {
		t.Errorf("%d of 2 slow requests became traces", n)
	}
	if n := len(c.topo.SlowLog().Latest(-1)); n != 0 {
		t.Errorf("%d requests are in the slow log, which is off", n)
	}
}

// TestTracesAreBounded: however many are to become traces, a loop makes some of them alone, and
// counts the others.
func TestTracesAreBounded(t *testing.T) {
	c, p, ring := traced(t, 1, false)
	for range 60 {
		c.ask(p, command("GET", c.keyAt(0, 0)))
	}
	c.answerAll(0)
	if n, left := ring.Next(), c.stats().Values[stats.TracesLeftOut]; n != 50 || left != 10 {
		t.Errorf("%d traces and %d left out, want 50 and 10", n, left)
	}
}
