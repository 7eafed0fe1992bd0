package eventloop

// What one turn may do. The rest waits for the next turn, which follows at once, so
// that no connection waits long for others.
const (
	// maxTurnBytes: once a turn has received so many bytes, it receives from no other
	// connection. The same holds for sending.
	maxTurnBytes = 4 << 20
	// maxSends is how many connections one turn writes to; it is not less than the
	// number of events in a turn. maxCloses is how many descriptors a turn closes.
	maxSends  = maxEvents
	maxCloses = 256
	// maxSend is how many bytes are sent to one connection before others have their
	// turn.
	maxSend = 1 << 20
)

// A load is what a loop has done in one turn.
type load struct{ received, sent, sends int }

func (t *load) sentEnough() bool { return t.sends >= maxSends || t.sent >= maxTurnBytes }

func (t *load) receivedEnough() bool { return t.received >= maxTurnBytes }
