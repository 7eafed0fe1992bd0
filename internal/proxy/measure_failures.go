package proxy

import (
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
)

// failureTimes are how long requests took that the proxy answered with an error, by family;
// nil where there were none. They are apart from other times: what fails at once would make
// these look better.
type failureTimes [msg.NumFamilies]*latency.Histogram

// measure notes that the error with which the proxy answers m, of p, stands in the client's
// output. It reports whether m took so long that it goes into the slow log.
func (f *failureTimes) measure(p *ServerPool, m *msg.Msg) (slow bool) {
	ms, took := &p.ctx.measures, p.ctx.loop.Now()-m.Start
	if ms.Latency {
		h := &f[p.commands[m.Type].Family]
		if *h == nil {
			*h = new(latency.Histogram)
		}
		(*h).Add(took, 1)
	}
	return ms.SlowLog && took >= int64(ms.SlowerThan)
}

// copyTo copies the times over dst.
func (f *failureTimes) copyTo(dst *[msg.NumFamilies]latency.Histogram) {
	for i, h := range f {
		if h != nil {
			h.CopyTo(&dst[i])
		}
	}
}
