package msg

import "nuthatch/internal/mbuf"

// A RequestParser finds requests in a client's bytes, read by read. It is
// resumable: it keeps what it needs of the bytes it has seen, and never asks for
// them again.
type RequestParser interface {
	// Parse reads data from where the last call ended: up to the end of a
	// request (done), or all of it (not done, n == len(data), and the next call
	// continues). An error means that these bytes are not the protocol; it is
	// sticky, and its text is a whole error reply for the client, line end
	// included. Parse never looks at bytes behind a request's end.
	Parse(data []byte) (n int, done bool, err *ProtocolError)
	// Words is how many words the request has that Parse found.
	Words() int
	// Ready does a part of what Finish has to do for a request of many words, whose
	// bytes v holds: it looks at about so many of them, returns how many it was, and
	// reports whether that was the last part. Finish does the rest, and must follow
	// the last call. Between two calls other parsers may be used, but not this one;
	// between Finish and Forget, Ready of no other parser of the protocol.
	Ready(v *mbuf.View, words int) (read int, ready bool)
	// Restrict says that the next request comes from a client that has not logged in,
	// of which no large one is taken. It must be called between two requests.
	Restrict()
	// Adopt has the request in progress judged by the settings of another parser of
	// the same protocol: a reload has changed them.
	Adopt(of RequestParser)
	// Finish describes the request that Parse found, whose bytes v holds, and
	// makes the parser ready for the next. The Request is valid until the next
	// call of Parse or Finish.
	Finish(v mbuf.View) *Request
	// Body is how many bytes of a body, at the least, the request in progress
	// still lacks; 0 if unknown. It lets a large body be received in place.
	Body() int
	// Size is the number of bytes of the request in progress so far.
	Size() int
	// Held is how many bytes of memory the parser itself holds for the request in
	// progress.
	Held() int
	// Forget gives up what Finish returned, and the memory of it.
	Forget()
}

// A ReplyParser finds replies in a server's bytes, in the manner of
// RequestParser.
type ReplyParser interface {
	Parse(data []byte) (n int, done bool, err *ProtocolError)
	Body() int
	// Reset makes the parser ready for the next reply.
	Reset()
}

// A ProtocolError is bytes that are not the protocol.
type ProtocolError struct {
	// Reply is what a client is told before it is closed, in its own protocol,
	// line end included; it may be empty. Msg is what the log says.
	Reply, Msg string
}

// Error implements error.
func (e *ProtocolError) Error() string { return e.Msg }
