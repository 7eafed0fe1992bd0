package msg

// A Tracking is what a client has asked for with CLIENT TRACKING: of which keys it
// wants to be told when they change.
type Tracking struct {
	// Broadcast: it is told of all keys that begin with one of Prefixes, whoever has
	// read them. Otherwise it is told of the keys that it has read itself.
	Broadcast bool
	Prefixes  []string
	// OptIn: only a read behind a CLIENT CACHING YES counts. OptOut: a read behind a
	// CLIENT CACHING NO does not count. Caching: the client has just sent that.
	OptIn, OptOut, Caching bool
	// NoLoop: it is not told of its own changes.
	NoLoop bool
}

// AllInvalid stands for the number of keys if an invalidation is about all keys.
const AllInvalid = -1
