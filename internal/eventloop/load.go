package eventloop

// What one turn may do. The rest waits for the next turn, which follows at once, so
// that no connection waits long for others.
const (
	// maxTurnBytes is how many bytes one turn receives, and how many it sends, from
	// which on it begins with no other connection.
	maxTurnBytes = 4 << 20
	// maxSends is how many connections one turn writes to, not fewer than it can hear
	// of, and maxCloses how many descriptors it closes.
	maxSends  = maxEvents
	maxCloses = 256
	// maxSend is how many bytes one connection is sent at a time, before the others
	// have their turn.
	maxSend = 1 << 20
)

// A load is what a loop has done in one turn.
type load struct{ received, sent, sends int }

func (t *load) sentEnough() bool { return t.sends >= maxSends || t.sent >= maxTurnBytes }

func (t *load) receivedEnough() bool { return t.received >= maxTurnBytes }
