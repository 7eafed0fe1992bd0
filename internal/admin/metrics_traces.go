package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nuthatch/internal/msg"
)

// Traces is what became of the requests that were to be traces.
type Traces struct {
	// Exported were sent, Overwritten came faster than they were sent, Failed could not be sent.
	Exported, Overwritten, Failed int64
	// Examples are the latest traces of commands.
	Examples []TraceExample
}

// A TraceExample is a request whose trace there is.
type TraceExample struct {
	Pool, Command string
	Failed        bool
	TraceID       string
	Duration      time.Duration
	At            time.Time
}

// A tracesCollector makes the metrics of traces.
type tracesCollector struct {
	in                Instance
	exported, dropped *prometheus.Desc
}

func newTracesCollector(in Instance) *tracesCollector {
	return &tracesCollector{
		in:       in,
		exported: prometheus.NewDesc("nuthatch_traces_exported_total", "requests whose trace was sent to the collector", nil, nil),
		dropped: prometheus.NewDesc("nuthatch_traces_dropped_total",
			"requests whose trace was lost: it came faster than traces are sent (overwritten), or could not be sent (failed)", []string{"reason"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *tracesCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.exported
	out <- c.dropped
}

// Collect implements prometheus.Collector.
func (c *tracesCollector) Collect(out chan<- prometheus.Metric) {
	t := c.in.Traces()
	out <- prometheus.MustNewConstMetric(c.exported, prometheus.CounterValue, float64(t.Exported))
	out <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(t.Overwritten), "overwritten")
	out <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(t.Failed), "failed")
}

// exemplarKey is the series of the clients' histogram that an exemplar belongs to.
type exemplarKey struct {
	pool   string
	family msg.Family
	failed bool
}

// exemplars are the latest traces by the series that they belong to.
func exemplars(examples []TraceExample, pools []PoolLatency) map[exemplarKey][]prometheus.Exemplar {
	if len(examples) == 0 {
		return nil
	}
	families := make(map[[2]string]msg.Family)
	for i := range pools {
		for j := range pools[i].Commands {
			c := &pools[i].Commands[j]
			families[[2]string{pools[i].Name, c.Name}] = c.Family
		}
	}
	found := make(map[exemplarKey][]prometheus.Exemplar)
	for _, e := range examples {
		family, known := families[[2]string{e.Pool, e.Command}]
		if !known {
			continue
		}
		of := exemplarKey{e.Pool, family, e.Failed}
		found[of] = append(found[of], prometheus.Exemplar{
			Value: e.Duration.Seconds(), Labels: prometheus.Labels{"trace_id": e.TraceID}, Timestamp: e.At,
		})
	}
	return found
}
