package msg

// A Denial is what a client was refused for lack of a right.
type Denial uint8

const (
	// DeniedLogin is a login with a wrong name or password.
	DeniedLogin Denial = iota
	// DeniedCommand is a command that the client's user may not use.
	DeniedCommand
	// DeniedKey is a key that it may not use in this way.
	DeniedKey
	// DeniedChannel is a channel that it may not use.
	DeniedChannel
	// DeniedDatabase is a database that it may not use.
	DeniedDatabase
	// DeniedStranger is a request of a client that has not logged in. The log of denials leaves it
	// out, as Redis's does.
	DeniedStranger
	// DeniedPing is PING of a client that has not logged in: health checks send it. The log leaves
	// it out, too.
	DeniedPing
	// NumDenials is how many there are.
	NumDenials = iota
)
