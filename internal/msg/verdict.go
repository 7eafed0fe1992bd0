package msg

// A Verdict is what a reply means for the request that it came for: the oldest one without
// a reply on its connection. An error is an answer, too.
type Verdict uint8

const (
	// Answers the request: its owner gets it.
	Answers Verdict = iota
	// OutOfStep cannot be a reply to that request: replies and requests of the connection
	// no longer belong to each other, and nothing more that it says may be given to anybody.
	OutOfStep
)

// String is the verdict's name.
func (v Verdict) String() string {
	return [...]string{Answers: "answers", OutOfStep: "out of step"}[v]
}
