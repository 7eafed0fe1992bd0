package config

// Engine is what the event loops run on.
type Engine uint8

const (
	// EngineAuto leaves the choice to the daemon.
	EngineAuto Engine = iota
	// EngineEpoll is epoll.
	EngineEpoll
	// EngineIOUring is io_uring, or no start.
	EngineIOUring
)

var engineNames = []string{EngineAuto: "auto", EngineEpoll: "epoll", EngineIOUring: "io_uring"}

// String is the engine's name in the file.
func (e Engine) String() string { return engineNames[e] }

var kindEngine = oneOf("engine", engineNames)
