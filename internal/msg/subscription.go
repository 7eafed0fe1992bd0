package msg

// A Channels is a kind of channel.
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

// A Subscription is what a client begins, or ends, to listen to with a request.
type Subscription struct {
	Channels Channels
	// Ends: it is to end.
	Ends bool
}

// An Audience says which servers must be asked for the messages of a channel.
type Audience uint8

const (
	// OwnerOfKey is the owner of the key by which the channel is placed.
	OwnerOfKey Audience = iota
	// AnyServer is any one server, since all have the messages.
	AnyServer
	// FirstServer is the pool's first server.
	FirstServer
	// EveryServer is all of them.
	EveryServer
)

// A Heard is a kind of push or reply on a connection whose client listens.
type Heard uint8

// The kinds.
const (
	// Stray is something that no server says there.
	Stray Heard = iota
	// HeardReply is an error, or a reply to a request that is no subscription.
	HeardReply
	// HeardMessage is a message of a channel.
	HeardMessage
	// HeardBegun says that the connection listens to a channel from now on.
	HeardBegun
	// HeardEnded says that it listens to it no more.
	HeardEnded
)

// A Push is what a server says on such a connection.
type Push struct {
	Heard    Heard
	Channels Channels
	// Name is the channel, or the pattern, as the server has it, valid until the next Push
	// is read.
	Name []byte
}
