package eventloop

import "fmt"

// An Engine says which engine a loop has on the kernel.
type Engine uint8

const (
	// Epoll asks which sockets are ready, and reads and writes them.
	Epoll Engine = iota
	// IOUring has a ring tell which sockets are ready, and has a turn's reads done by one call,
	// and its writes by another.
	IOUring
)

// LoopMemory is how much memory a loop has of the engine at the most, outside of Go's heap, in
// bytes, however many connections there are. Most of it is resident only as far as it is used.
func (e Engine) LoopMemory() int64 {
	if e == IOUring {
		return int64(uringBytes)
	}
	return 0
}

// String is the engine's name in the configuration.
func (e Engine) String() string {
	switch e {
	case Epoll:
		return "epoll"
	case IOUring:
		return "io_uring"
	default:
		return fmt.Sprintf("engine %d", uint8(e))
	}
}
