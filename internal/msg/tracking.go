package msg

// A Tracking is which keys a client wants to be told of when they change, and how: CLIENT
// TRACKING.
type Tracking struct {
	// Broadcast: all keys that begin with one of Prefixes, whoever read them. Otherwise
	// those that the client has read.
	Broadcast bool
	Prefixes  []string
	// OptIn: of those only what it reads behind a CLIENT CACHING YES. OptOut: all but what
	// it reads behind a CLIENT CACHING NO. Caching: it has just said so.
	OptIn, OptOut, Caching bool
	// NoLoop: not if the client has changed them itself.
	NoLoop bool
}

// AllInvalid is the number of keys of an invalidation that is about all of them.
const AllInvalid = -1
