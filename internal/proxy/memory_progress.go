package proxy

// A request that comes a byte at a time holds memory for long and is never idle.
// So above the soft mark it must come at a least rate, as web servers require of
// bodies; the more it holds, the faster. The rate is looked at only when a client
// may be closed, so it costs a request nothing.

const (
	// progressTime is in how long, in nanoseconds, leastProgress bytes must come, and
	// of what a request holds one part in progressPart.
	progressTime  = softGrace
	leastProgress = 1 << 10
	progressPart  = 64
)

// A progress is how a request comes that has begun.
type progress struct {
	// since is when it was looked at last and had come far enough, or when it began.
	since int64
	// seen is how many bytes had come then.
	seen int
	// asked: it has been read from since then though there was no memory, for the end
	// of it may have been there.
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
