package proxy

// A request that comes a byte now and then holds memory as long as its client
// likes, and is never still for long. So above the soft mark it must come at a
// rate, as web servers ask of bodies; the more it holds, the faster. Looked at is
// how much has come when a client may be cut, so that it costs a request nothing.

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

// creeps reports whether the client's request has come too slowly at time now,
// through no fault of ours: what waits for us to be read has come too.
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
