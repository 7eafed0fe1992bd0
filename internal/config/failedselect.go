package config

// FailedSelect is what happens to the requests of a client whose SELECT failed.
type FailedSelect uint8

const (
	// FailedSelectRefuse refuses requests for servers until a SELECT succeeds.
	FailedSelectRefuse FailedSelect = iota
	// FailedSelectIgnore carries requests out in the database where the client was, as
	// Redis does.
	FailedSelectIgnore
)

var failedSelectNames = []string{FailedSelectRefuse: "refuse", FailedSelectIgnore: "ignore"}
