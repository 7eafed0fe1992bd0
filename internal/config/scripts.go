package config

// KeylessScripts is what a pool of several servers does with scripts and functions
// that name no key.
type KeylessScripts uint8

const (
	// KeylessRefuse answers with an error.
	KeylessRefuse KeylessScripts = iota
	// KeylessAny has one of the servers run it, always the same server for the same
	// script.
	KeylessAny
)

var keylessNames = []string{KeylessRefuse: "refuse", KeylessAny: "any"}
