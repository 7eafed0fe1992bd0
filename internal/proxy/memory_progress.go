package proxy

// A request that comes a byte at a time holds memory for long, and its client is never
// idle. So above the soft mark a request must come at a minimum rate, as web servers
// require of bodies. The more it holds, the higher is that rate. The rate is checked
// only when clients may be closed, so it costs a request nothing.

const (
	// Within progressTime, in nanoseconds, leastProgress bytes of a request must come,
	// and at least what it holds divided by progressPart.
	progressTime  = softGrace
	leastProgress = 1 << 10
	progressPart  = 64
)

// A progress is how fast a partial request comes.
type progress struct {
	// since is the last check at which enough had come, or when the request began.
	since int64
	// seen is how many bytes had come then.
	seen int
	// asked: the client has been read from since then although there was no memory,
	// since the request's end may have come.
	asked bool
	// once: the next read needs no memory.
	once bool
}

// creeps reports whether the client's request has come too slowly at time now.
// Bytes that we have not read count as come.
func (m *memory) creeps(c *client, now int64) bool {
	q := c.partial
	if q == nil || c.inFlight() > 0 {
		return false
	}
	pace, have := &q.pace, q.bytes.Len()
	enough := max(leastProgress, have/progressPart)
	switch {
	case have-pace.seen >= enough:
		*pace = progress{since: now, seen: have}
		return false
	case now-pace.since < progressTime:
		return false
	}
	waits, ok := c.Unread()
	switch {
	case !ok || waits == 0:
		return true
	case have-pace.seen+waits >= enough:
		return false
	case pace.asked:
		return true
	}
	pace.asked, pace.once = true, true
	return false
}
