package config

// Eject is what happens to the keys of an ejected server.
type Eject uint8

const (
	// EjectRing gives its keys to the other servers, as nutcracker does.
	EjectRing Eject = iota
	// EjectFail leaves its keys with it, and answers requests for them with an
	// error at once.
	EjectFail
)

var ejectNames = []string{EjectRing: "ring", EjectFail: "fail"}
