package msg

// A Verdict is what a reply means for the oldest unanswered request of its connection.
// An error is an answer, too.
type Verdict uint8

const (
	// Answers means that the reply answers the request. The request's owner gets it.
	Answers Verdict = iota
	// OutOfStep means that the reply cannot answer the request. Replies and requests of the
	// connection no longer match, and nobody may get anything more that comes on it.
	OutOfStep
)

// String is the verdict's name.
func (v Verdict) String() string {
	return [...]string{Answers: "answers", OutOfStep: "out of step"}[v]
}
