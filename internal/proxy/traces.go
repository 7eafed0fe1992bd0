package proxy

// set takes over what is to be measured.
func (ms *measures) set(m Measures) {
	ms.Measures = m
	ms.runs = m.Latency || m.SlowLog || m.Traces != nil
	ms.toTrace, ms.sampledNow = 0, false
}

// trace decides whether the first request of a run, and with it which of the others, become
// traces. It reports whether logSlow is to look at the first.
//
// A request is due when as many as TraceEvery have come since the last that was. Since all
// requests of a run have the same times, the first of it stands for all: only then is anything
// counted or decided.
func (ms *measures) trace(r *clientRun, ctx *Context) bool {
	if ms.TraceSlow && ctx.loop.Now()-r.start >= int64(ms.SlowerThan) || ms.TraceEvery == 1 {
		r.slow = true // each of them
		return true
	}
	ms.sampledNow = ms.isDue(ctx)
	return r.slow || ms.sampledNow
}

// isDue reports whether a request is the next that is sampled.
func (ms *measures) isDue(ctx *Context) bool {
	if ms.TraceEvery == 0 || ms.toTrace > 0 {
		return false
	}
	// From half to one and a half of the mean, so that nothing regular hides.
	ms.toTrace = ms.TraceEvery/2 + int64(ctx.rnd.Uint64()%uint64(ms.TraceEvery+1))
	return true
}

// tracesNow reports whether the request that logSlow looks at becomes a trace.
func (ms *measures) tracesNow(slow bool) bool {
	sampled := ms.sampledNow
	ms.sampledNow = false
	return sampled || ms.TraceEvery == 1 || ms.TraceSlow && slow
}

// traceNext leaves a sample to the next request: that at hand was answered at once, by the
// proxy itself.
func (ms *measures) traceNext() {
	if ms.sampledNow {
		ms.toTrace, ms.sampledNow = 0, false
	}
}
