package admin

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
)

// TestNativeHistogram: a histogram has classic and native buckets, of the same times, and the
// latter tell a quantile more exactly.
func TestNativeHistogram(t *testing.T) {
	h := new(latency.Histogram)
	for _, d := range []time.Duration{time.Microsecond, 80 * time.Microsecond, 300 * time.Microsecond, 2 * time.Millisecond, 2 * time.Millisecond, 3 * time.Second} {
		h.Add(int64(d), 7)
	}
	out := make(chan prometheus.Metric, 1)
	s := &scrape{out: out}
	s.ofFamily(msg.Reads, nil, prometheus.NewDesc("x_seconds", "times", []string{"pool"}, nil), h, clientSteps, "p")
	s.ofFamily(msg.Reads, nil, prometheus.NewDesc("y_seconds", "none", []string{"pool"}, nil), new(latency.Histogram), clientSteps, "p")
	if len(out) != 1 {
		t.Fatalf("%d histograms, want one: the other is empty", len(out))
	}
	var m dto.Metric
	if err := (<-out).Write(&m); err != nil {
		t.Fatal(err)
	}
	got := m.GetHistogram()
	if got.GetSampleCount() != 42 || len(got.GetBucket()) != len(clientSteps) || got.GetSchema() != nativeSchema {
		t.Errorf("the histogram is %v", got)
	}
	// The native buckets, each with its upper bound.
	at, count, total, next := int32(0), int64(0), int64(0), 0
	bounds := make(map[int]int64)
	for _, span := range got.GetPositiveSpan() {
		at += span.GetOffset()
		for range span.GetLength() {
			count += got.GetPositiveDelta()[next]
			next++
			total += count
			bounds[int(math.Round(math.Exp2(float64(at)/nativePerPower)*1e6))] = count
			at++
		}
	}
	if total != 42 {
		t.Errorf("the native buckets have %d times, want 42: %v", total, bounds)
	}
	for _, us := range []float64{80, 300, 2000, 3e6} {
		found := false
		for bound, n := range bounds {
			found = found || n > 0 && us <= float64(bound)*1.01 && us >= float64(bound)/1.11
		}
		if !found {
			t.Errorf("no native bucket has %v microseconds: %v", us, bounds)
		}
	}
}

// TestExemplars: a trace is an exemplar of the bucket that its time is in, of its outcome.
func TestExemplars(t *testing.T) {
	command := CommandLatency{Command: msg.Command{Name: "get", Family: msg.Reads}}
	pools := []PoolLatency{{Name: "p", Commands: []CommandLatency{command}}}
	got := exemplars([]TraceExample{
		{Pool: "p", Command: "get", TraceID: "0af7", Duration: 3 * time.Millisecond, At: time.Unix(1, 0)},
		{Pool: "p", Command: "get", Failed: true, TraceID: "1bf8", Duration: time.Millisecond, At: time.Unix(1, 0)},
		{Pool: "q", Command: "get", TraceID: "2"},
	}, pools)
	if len(got) != 2 || got[exemplarKey{"p", msg.Reads, true}][0].Labels["trace_id"] != "1bf8" {
		t.Fatalf("exemplars %v", got)
	}
	h := new(latency.Histogram)
	h.Add(int64(3*time.Millisecond), 1)
	out := make(chan prometheus.Metric, 1)
	(&scrape{out: out}).histogram(got[exemplarKey{"p", msg.Reads, false}], prometheus.NewDesc("x_seconds", "times", nil, nil), h, clientSteps)
	var m dto.Metric
	if err := (<-out).Write(&m); err != nil {
		t.Fatal(err)
	}
	for _, b := range m.GetHistogram().GetBucket() {
		if has := b.GetExemplar() != nil; has != (b.GetUpperBound() == .005) {
			t.Errorf("the bucket to %v has the exemplar %v", b.GetUpperBound(), b.GetExemplar())
		}
	}
}
