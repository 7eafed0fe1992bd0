package msg

import "nuthatch/internal/mbuf"

// A RequestParser finds requests in a client's bytes, read by read. It is
// resumable: it keeps what it needs of the bytes it has seen, and never asks for
// them again.
type RequestParser interface {
	// Parse reads data, which continues that of the last call. It reads up to the end
	// of a request (done), or all of data (not done, n == len(data)). An error means
	// that these bytes are not the protocol. It is sticky. Parse never looks at bytes
	// after a request's end.
	Parse(data []byte) (n int, done bool, err *ProtocolError)
	// Words is how many words the request has that Parse has found.
	Words() int
	// Ready does a part of the work of Finish for a request of many words, whose bytes
	// v holds. It looks at about words words, returns how many it was, and reports
	// whether that was the last part. Finish must follow the last call. Between two
	// calls other parsers may be used, but not this one. Between Finish and Forget,
	// Ready of other parsers of the protocol must not be called.
	Ready(v *mbuf.View, words int) (read int, ready bool)
	// Restrict says that the next request comes from a client that has not logged in.
	// Such a request must be small. Restrict must be called between two requests.
	Restrict()
	// Adopt has the request in progress judged by the settings of another parser of the
	// same protocol, after a reload has changed them.
	Adopt(of RequestParser)
	// Finish describes the request that Parse found, whose bytes are b, and makes the
	// parser ready for the next. The Request is valid until the next call of Parse or
	// Finish, and as long as b is.
	Finish(b []byte) *Request
	// FinishChain is Finish for a request whose bytes are all of a chain's.
	FinishChain(c *mbuf.Chain) *Request
	// Body is how many bytes of a body the request in progress still lacks, at least; 0
	// if unknown. With it a large body is received in place.
	Body() int
	// Size is the number of bytes of the request in progress so far.
	Size() int
	// Held is how many bytes of memory the parser itself holds for the request in
	// progress.
	Held() int
	// Forget releases the memory of what Finish returned.
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
	// Reply is sent to the client before it is closed, in its own protocol, line end
	// included. It may be empty. Msg is for the log.
	Reply, Msg string
}

// Error implements error.
func (e *ProtocolError) Error() string { return e.Msg }
