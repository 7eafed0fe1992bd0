package admin

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
)

// The buckets of the classic histograms, in seconds. Servers, of which there may be
// hundreds, have fewer steps.
var (
	clientSteps = []float64{
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10,
	}
	serverSteps = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1}
)

// The values of the label outcome.
const (
	outcomeOK     = "ok"
	outcomeFailed = "failed"
)

// Native histograms have eight buckets to each power of two: a quantile is exact to 4.5%.
const (
	nativeSchema   = 3
	nativePerPower = 8
	// nativeZero is what client_golang has for the width of the bucket of zeros.
	nativeZero = prometheus.DefNativeHistogramZeroThreshold
)

// A histogram is a classic histogram with the buckets of a native one beside: a scraper that
// asks for the protobuf format and wants native histograms takes these.
type histogram struct {
	prometheus.Metric // the classic one
	native            prometheus.Metric
}

// Write implements prometheus.Metric.
func (h histogram) Write(out *dto.Metric) error {
	if err := h.Metric.Write(out); err != nil {
		return err
	}
	var native dto.Metric
	if err := h.native.Write(&native); err != nil {
		return err
	}
	from, to := native.GetHistogram(), out.GetHistogram()
	to.Schema, to.ZeroThreshold, to.ZeroCount = from.Schema, from.ZeroThreshold, from.ZeroCount
	to.PositiveSpan, to.PositiveDelta = from.GetPositiveSpan(), from.GetPositiveDelta()
	return nil
}

// ofFamily writes the histogram of a family, unless it is empty and has no series from the start.
func (s *scrape) ofFamily(f msg.Family, of []prometheus.Exemplar, d *prometheus.Desc, h *latency.Histogram, steps []float64, labels ...string) {
	if h.Count() > 0 || s.firstFamilies[f] {
		s.histogram(of, d, h, steps, labels...)
	}
}

// histogram writes a histogram with its exemplars.
func (s *scrape) histogram(of []prometheus.Exemplar, d *prometheus.Desc, h *latency.Histogram, steps []float64, labels ...string) {
	buckets := make(map[float64]uint64, len(steps))
	for _, step := range steps {
		buckets[step] = h.AtMost(time.Duration(step * float64(time.Second)))
	}
	labels = valid(labels)
	sum := h.Sum().Seconds()
	native, err := prometheus.NewConstNativeHistogram(d, h.Count(), sum, nativeBuckets(h), nil, 0, nativeSchema, nativeZero, time.Time{}, labels...)
	classic := prometheus.MustNewConstHistogram(d, h.Count(), sum, buckets, labels...)
	m := classic
	if err == nil {
		m = histogram{classic, native}
	}
	if len(of) > 0 {
		if with, err := prometheus.NewMetricWithExemplars(m, of...); err == nil {
			m = with
		}
	}
	s.out <- m
}

// nativeBuckets are the counts by the native histogram's bucket: that of the middle of each
// of h's own, which are narrower from 12 microseconds on.
func nativeBuckets(h *latency.Histogram) map[int]int64 {
	buckets := make(map[int]int64)
	for middle, n := range h.Middles {
		buckets[int(math.Ceil(math.Log2(middle.Seconds())*nativePerPower))] += int64(n)
	}
	return buckets
}
