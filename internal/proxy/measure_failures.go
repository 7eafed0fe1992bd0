package proxy

import (
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
)

// failureTimes are how long requests took that the proxy answered with an error, by msg.Type;
// nil for commands that had none, and until the first one. They are apart from other times:
// what fails at once would make these look better.
type failureTimes []*latency.Histogram

// measure notes that the error with which the proxy answers m, of p, stands in the client's
// output. It reports whether m goes into the slow log, or becomes a trace.
func (f *failureTimes) measure(p *ServerPool, m *msg.Msg) (slow bool) {
	ms, took := &p.ctx.measures, p.ctx.loop.Now()-m.Start
	if ms.Latency {
		if *f == nil {
			*f = make(failureTimes, len(p.commands))
		}
		h := &(*f)[m.Type]
		if *h == nil {
			*h = new(latency.Histogram)
		}
		(*h).Add(took, 1)
	}
	slow = took >= int64(ms.SlowerThan)
	if ms.Traces != nil {
		ms.toTrace--
		ms.sampledNow = ms.isDue(p.ctx)
		return slow || ms.sampledNow || ms.TraceEvery == 1
	}
	return ms.SlowLog && slow
}

// copyTo copies the times over dst.
func (f failureTimes) copyTo(dst *[]latency.Histogram) {
	for len(*dst) < len(f) {
		*dst = append(*dst, latency.Histogram{})
	}
	for i, h := range f {
		if h != nil {
			h.CopyTo(&(*dst)[i])
		}
	}
}
