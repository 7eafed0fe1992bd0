package config

// UnknownCommands is what a Redis pool does with commands that nuthatch does not
// know.
type UnknownCommands uint8

const (
	// UnknownLearn asks a server where their keys are, and routes them by their keys.
	UnknownLearn UnknownCommands = iota
	// UnknownRefuse answers them with an error.
	UnknownRefuse
)

var unknownNames = []string{UnknownLearn: "learn", UnknownRefuse: "refuse"}
