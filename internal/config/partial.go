package config

// PartialResults is what a pool answers to a request for several servers when
// some of them failed.
type PartialResults uint8

const (
	// PartialError answers with one error, as nutcracker does.
	PartialError PartialResults = iota
	// PartialNulls answers a request that reads with what the other servers
	// have: nulls in MGET for the keys of those that failed, counts and lists
	// without them.
	PartialNulls
	// PartialErrors answers MGET with an error in place of each value that could
	// not be read, and all else as PartialError.
	PartialErrors
)

var partialNames = []string{PartialError: "error", PartialNulls: "nulls", PartialErrors: "errors"}
