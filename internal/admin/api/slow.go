package api

import "time"

// Slow says how a server is slow.
type Slow struct {
	Since time.Time
	// Last is when the last second ended in which it was slow.
	Last time.Time `json:"-"`
	// Way is one of the constants below: how many of Count requests of the last Window seconds
	// take at least Takes. With the other servers of the pool, or with Before at this one in the
	// minutes before, half of the requests take Usual; one in a hundred does for SlowTail.
	Way string
	// Family is "read" or "write" if these are not all of the server's requests; else it is empty.
	Family       string
	Count        int64
	Window       float64
	Takes, Usual Seconds
	Before       bool
}

// The ways to be slow.
const (
	SlowHalf = "half"
	SlowAll  = "all"
	SlowTail = "tail"
)
