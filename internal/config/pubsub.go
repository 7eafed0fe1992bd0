package config

import "time"

// PubSub is how a Redis pool carries messages from channels to those who listen.
type PubSub struct {
	// Publish is which servers PUBLISH goes to.
	Publish Publish
	// MaxSubscriptions is the most channels and patterns that one client may listen to.
	MaxSubscriptions int
	// OutputLimit is the most bytes of messages and replies that may wait for a client
	// that listens to read them; 0 is no limit. More than OutputSoftLimit may wait only if
	// it reads as many within OutputSoftTime.
	OutputLimit, OutputSoftLimit int64
	OutputSoftTime               time.Duration
}

// Publish says which servers PUBLISH goes to.
type Publish uint8

const (
	// PublishAll is all of them, so that a client which listens needs one of them.
	PublishAll Publish = iota
	// PublishOwner is the owner of the channel's name.
	PublishOwner
)

var publishNames = []string{PublishAll: "all", PublishOwner: "owner"}

// pubSubKeys are the keys of a pool's block "pubsub".
var pubSubKeys = []key[PubSub]{
	{
		name: "publish", kind: kindPublish, def: "all", origin: fromNuthatch,
		help: "Where messages of channels go. `all`: `PUBLISH` goes to every server, `SUBSCRIBE` to the owner of the channel's " +
			"name, `PSUBSCRIBE` to the pool's first server. So clients that are connected to a server themselves hear everything, " +
			"too. `owner`: `PUBLISH` and `SUBSCRIBE` go to the owner of the channel's name, and `PSUBSCRIBE` to every server: " +
			"a message costs one request, however many servers there are. All proxies of a pool must have the same value. " +
			"Ignored in Memcached pools.",
		set: func(c *PubSub, v value) { c.Publish = Publish(v.number) },
	},
	{
		name: "max_subscriptions", kind: kindNumber, limits: limits{0, 65536}, def: "16384", origin: fromNuthatch,
		help: "The most channels and patterns that one client may listen to. A request for more gets an error that says so. " +
			"`0`: none may be listened to.",
		set: func(c *PubSub, v value) { c.MaxSubscriptions = int(v.number) },
	},
	{
		name: "output_limit", kind: kindSize, limits: limits{0, tb}, def: "32mb", origin: fromNuthatch,
		help: "How many bytes of messages and replies may wait for a client that listens to read them. One that has more is " +
			"closed. It stands in place of `client_output_limit` for such clients, and is what Redis has for them. `0`: no limit " +
			"but `max_memory`.",
		set: func(c *PubSub, v value) { c.OutputLimit = v.number },
	},
	{
		name: "output_soft_limit", kind: kindSize, limits: limits{0, tb}, def: "8mb", origin: fromNuthatch,
		help: "How many bytes may wait for such a client for longer than `output_soft_time`, in place of " +
			"`client_output_soft_limit`. `0`: as many as `output_limit` allows.",
		set: func(c *PubSub, v value) { c.OutputSoftLimit = v.number },
	},
	{
		name: "output_soft_time", kind: kindDuration, limits: durations(time.Second, time.Hour), def: "60s", origin: fromNuthatch,
		help: "How long more than `output_soft_limit` bytes may wait for a client that does not read as many.",
		set:  func(c *PubSub, v value) { c.OutputSoftTime = v.duration() },
	},
}
