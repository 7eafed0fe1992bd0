package msg

// A Channels is a kind of what clients listen to.
type Channels uint8

const (
	// PlainChannels are those of SUBSCRIBE.
	PlainChannels Channels = iota
	// Patterns are those of PSUBSCRIBE.
	Patterns
	// ShardChannels are those of SSUBSCRIBE.
	ShardChannels
	// NumChannels is how many kinds there are.
	NumChannels = iota
)

// A Subscription is what a request has a client begin, or end, to listen to.
type Subscription struct {
	Channels Channels
	// Ends: it is to end.
	Ends bool
}

// An Audience says which servers have to be asked for the messages of a channel.
type Audience uint8

const (
	// OwnerOfKey is the one that owns the key which a channel is placed by.
	OwnerOfKey Audience = iota
	// AnyServer is one, whichever it is, since all have the messages.
	AnyServer
	// FirstServer is the pool's first server.
	FirstServer
	// EveryServer is all of them.
	EveryServer
)

// A Heard is a kind of what a server says on a connection whose client listens.
type Heard uint8

// The kinds.
const (
	// Stray is what no server says there.
	Stray Heard = iota
	// HeardReply is an error, or a reply to what is no subscription.
	HeardReply
	// HeardMessage is a message of a channel.
	HeardMessage
	// HeardBegun says that the connection listens to a channel from now on.
	HeardBegun
	// HeardEnded says that it listens to it no more.
	HeardEnded
)

// A Push is what a server says there.
type Push struct {
	Heard    Heard
	Channels Channels
	// Name is the channel, or the pattern, as the server has it, valid until the next Push
	// is read.
	Name []byte
}
