package config

// Retry is which requests are sent again whose connection to a server was lost.
type Retry uint8

const (
	// RetryNone sends no request again, as nutcracker.
	RetryNone Retry = iota
	// RetryUnsent sends requests again if the server cannot have seen a byte of them.
	RetryUnsent
	// RetryIdempotent also sends unanswered reads again.
	RetryIdempotent
)

var retryNames = []string{RetryNone: "none", RetryUnsent: "unsent", RetryIdempotent: "idempotent"}
