package msg

import "nuthatch/internal/mbuf"

// ClientFacts are what a proxy knows of one of its clients. They are a copy, and
// may be read by any thread.
type ClientFacts struct {
	ID                        uint64
	Addr, LocalAddr           string
	FD                        int
	Name, LibName, LibVersion string
	// Age and Idle are the seconds since the client came, and since it last sent
	// something.
	Age, Idle int64
	Lane      Lane
	// Received is the bytes that wait to become requests, Held what is held of
	// requests and replies, Unsent the bytes of replies that wait to be sent.
	Received, Held, Unsent int
	// InFlight is the number of requests without a reply.
	InFlight int
	// Last is the command that the client sent last.
	Last Type
	// Closing: the client gets its replies, and is then closed.
	Closing bool
}

// An Inquiry is a request about the clients of a pool, on all event loops. It is
// immutable: the loops share it.
type Inquiry interface {
	// Matches tells whether the request is about a client.
	Matches(c *ClientFacts) bool
	// Kills tells whether those clients are to be closed.
	Kills() bool
	// Answer appends the reply. found are the clients that it is about, in the
	// order of their ids.
	Answer(found []ClientFacts, p *mbuf.Pool, out *mbuf.Chain)
}
