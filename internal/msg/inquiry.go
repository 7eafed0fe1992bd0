package msg

import "nuthatch/internal/mbuf"

// ClientFacts are what a proxy knows of one of its clients. They are a copy, and
// may be read by any thread.
type ClientFacts struct {
	ID                        uint64
	Addr, LocalAddr           string
	ShownFD                   int // for display only
	Name, LibName, LibVersion string
	// User is the number of the user that the client is.
	User uint16
	// UserName is its name, of what the API is told alone; empty in a Memcached pool.
	UserName string
	// Age and Idle are the seconds since the client came, and since it last sent
	// something.
	Age, Idle int64
	Lane      Lane
	// Received is how many bytes have come and are not taken yet, Held how many of
	// requests and replies are held, Unsent how many of replies wait to be sent.
	Received, Held, Unsent int
	// Multi is how many commands the client's transaction has so far, of Collected bytes;
	// -1: it is in none.
	Multi, Collected int
	// Watched is how many keys the client watches. Touched: the watch is lost, so its
	// transaction will not be carried out.
	Watched int
	Touched bool
	// Blocked: a request of the client's waits at its server.
	Blocked bool
	// Tracks: the client is told when keys change, and Broadcast that it is told whoever has
	// read them. Monitors: it sees every command.
	Tracks, Broadcast, Monitors bool
	// Listens is how many channels of each kind the client listens to.
	Listens [NumChannels]int
	// Private is how many connections to servers the client has to itself.
	Private int
	// InFlight is the number of requests without a reply.
	InFlight int
	// Last is the command that the client sent last.
	Last Type
	// TLS is the version of TLS that the client speaks; empty: none.
	TLS string
	// Closing: the client gets its replies, and is then closed.
	Closing bool
}

// An Inquiry is a request about the clients of a pool, on all event loops. It is
// immutable: the loops share it.
type Inquiry interface {
	// ID is the client that the request is about; 0: all that match.
	ID() uint64
	// ReadIDs appends to ids the ids that text names, until ids is full or text has no
	// whole one left. used is how many bytes of text it has read. fault, if not empty,
	// says what is wrong with an id; it is sent to the client.
	ReadIDs(text []byte, ids []uint64) (used int, read []uint64, fault string)
	// Matches tells whether the request is about a client.
	Matches(c *ClientFacts) bool
	// Kills tells whether those clients are to be closed.
	Kills() bool
	// Unblocks tells whether the waits of those clients at servers are to end, and
	// whether they get an error then.
	Unblocks() (yes, fails bool)
	// AppendClient appends a client's line of the reply to text, or nothing if the
	// reply has only the number of clients.
	AppendClient(text []byte, c *ClientFacts) []byte
	// Answer appends the reply, which is about n clients. text is their lines, in the
	// order of their ids or of the request. Answer takes its bytes.
	Answer(n int, text *mbuf.Chain, p *mbuf.Pool, out *mbuf.Chain)
}
