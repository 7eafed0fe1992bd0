package config

// Retry is which requests are sent again whose connection to a server was lost.
type Retry uint8

const (
	// RetryNone sends none again, as nutcracker.
	RetryNone Retry = iota
	// RetryUnsent sends those again of which the server cannot have seen a byte.
	RetryUnsent
	// RetryIdempotent also sends reads again that had not been answered.
	RetryIdempotent
)

var retryNames = []string{RetryNone: "none", RetryUnsent: "unsent", RetryIdempotent: "idempotent"}
