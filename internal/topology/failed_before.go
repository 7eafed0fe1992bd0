package topology

// FailedFrom notes that a server has ceased to be up at that time, and was not up again when the
// program before handed over. Its next answer is noted. It may be called from any goroutine.
func FailedFrom(h *Health, at int64) {
	h.failedFrom.Store(at)
	for {
		c := h.condition.Load()
		switch {
		case c == nil:
			h.failures.Or(unproven)
			return
		case c.state == Up:
			h.failedFrom.Store(0)
			return
		case c.since <= at || h.condition.CompareAndSwap(c, &condition{state: c.state, since: at, found: c.found, why: c.why}):
			return
		}
	}
}

// beganToFail is when a server that is found to fail at time now has ceased to be up.
func beganToFail(h *Health, now int64) int64 {
	if at := h.failedFrom.Load(); at != 0 {
		return at
	}
	return now
}
