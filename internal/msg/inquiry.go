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
	// Multi is how many commands the client's transaction has so far, of Collected bytes;
	// -1: it is in none.
	Multi, Collected int
	// Watched is how many keys the client has watched; Touched says that it is known that
	// its transaction will not be carried out for that.
	Watched int
	Touched bool
	// Blocked: a request of the client's waits at its server.
	Blocked bool
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
	// ID is the client that the request is about, if it is about one; 0: it is about
	// all those that match.
	ID() uint64
	// ReadIDs appends to ids the clients that the request names, until ids is full
	// or no whole one is left in text, of which it has read the first used bytes. A
	// fault is why there is no such client's id; it is what the client is told.
	ReadIDs(text []byte, ids []uint64) (used int, read []uint64, fault string)
	// Matches tells whether the request is about a client.
	Matches(c *ClientFacts) bool
	// Kills tells whether those clients are to be closed.
	Kills() bool
	// Unblocks tells whether those clients are not to wait at servers any more, and
	// whether they are to get an error in place of what they wait for.
	Unblocks() (yes, fails bool)
	// AppendClient appends to text what the reply says of a client; nothing if it
	// tells their number alone.
	AppendClient(text []byte, c *ClientFacts) []byte
	// Answer appends the reply, which is about n clients. text is what AppendClient
	// wrote of them, in the order of their ids or of the request, and is moved.
	Answer(n int, text *mbuf.Chain, p *mbuf.Pool, out *mbuf.Chain)
}
