package config

import "time"

// PubSub is how a Redis pool carries messages from channels to those who listen.
type PubSub struct {
	// Publish is which servers PUBLISH goes to.
	Publish Publish
	// Connections is whether clients that listen have connections to servers of their own.
	Connections Connections
	// MaxSubscriptions is the most channels and patterns that one client may listen to.
	MaxSubscriptions int
	// OutputLimit is the most bytes of messages and replies that may wait for a client
	// that listens to read them; 0 is no limit. More than OutputSoftLimit may wait only if
	// it reads as many within OutputSoftTime.
	OutputLimit, OutputSoftLimit int64
	OutputSoftTime               time.Duration
	// OnLoss is what becomes of a client whose connection to a server has ended.
	OnLoss OnLoss
	// Ping is after how long without a message the server is asked whether it is still
	// there; 0: it is not.
	Ping time.Duration
}

// Publish says which servers PUBLISH goes to.
type Publish uint8

const (
	// PublishAll is all of them, so that a client which listens needs one of them.
	PublishAll Publish = iota
	// PublishOwner is the owner of the channel's name.
	PublishOwner
)

// Connections says whether clients that listen share connections to servers.
type Connections uint8

const (
	// ConnectionsOwn means that each has its own.
	ConnectionsOwn Connections = iota
	// ConnectionsShared means that those of an event loop have one to each server together.
	ConnectionsShared
)

var connectionsNames = []string{ConnectionsOwn: "own", ConnectionsShared: "shared"}

// OnLoss says what becomes of a client that has lost what it listens to.
type OnLoss uint8

const (
	// LossCloses closes it, as it would be by the server.
	LossCloses OnLoss = iota
	// LossResubscribes has it listen anew, without a word.
	LossResubscribes
)

var lossNames = []string{LossCloses: "close", LossResubscribes: "resubscribe"}

var publishNames = []string{PublishAll: "all", PublishOwner: "owner"}

// pubSubKeys are the keys of a pool's block "pubsub".
var pubSubKeys = []key[PubSub]{
	{
		name: "publish", kind: kindPublish, def: "all", origin: fromNuthatch,
		help: "Where messages of channels go. `all`: `PUBLISH` goes to every server, `SUBSCRIBE` to the owner of " +
			"the channel's name, `PSUBSCRIBE` to one server: one at which the client listens already, or else the pool's first. So clients that are connected directly " +
			"to a server get every message, too. `owner`: `PUBLISH` and `SUBSCRIBE` go to the owner of the " +
			"channel's name, and `PSUBSCRIBE` to every server: a message costs one request, however many servers " +
			"there are. In a transaction the channel then counts as a key: it must have the same owner. All proxies of a pool must have the same value. Ignored in Memcached pools.",
		set: func(c *PubSub, v value) { c.Publish = Publish(v.number) },
	},
	{
		name: "connections", kind: kindConnections, def: "own", origin: fromNuthatch,
		help: "Which connections to servers clients that listen have. `own`: each client has its own, to each server " +
			"at which it listens. So `PUBLISH` and `PUBSUB NUMSUB` count clients, as some libraries rely on. " +
			"`shared`: the clients of an event loop share one connection to each server, and nuthatch hands messages " +
			"out. So ten thousand clients cost a server one connection for each event loop; `PUBLISH` and `PUBSUB NUMSUB` count " +
			"these connections, not clients. After a reload clients move to the other kind of connection without a gap. " +
			"If `private_connections` does not suffice then, the others stay on shared connections.",
		set: func(c *PubSub, v value) { c.Connections = Connections(v.number) },
	},
	{
		name: "on_loss", kind: kindLoss, def: "close", origin: fromNuthatch,
		help: "What happens to a client that listens if its connection to a server ends. `close`: the client is " +
			"closed, as the server itself would close it, so that it knows that messages may be lost. " +
			"`resubscribe`: nuthatch subscribes again as soon as the server is back, and the client is not told. " +
			"A node of a cluster that fails counts as a connection that ends, even if it only hangs.",
		set: func(c *PubSub, v value) { c.OnLoss = OnLoss(v.number) },
	},
	{
		name: "ping", kind: kindDuration, limits: limits{0, int64(time.Hour)}, def: "30s", origin: fromNuthatch,
		help: "How long a connection on which a client listens may be without a message before nuthatch sends `PING` on it. " +
			"Without an answer within `timeout` the connection is closed. The check itself is made once in that time, so a " +
			"path that is dead is found after up to twice as long. `0`: no `PING` is sent, and only TCP " +
			"keepalive finds a server that has gone silently.",
		set: func(c *PubSub, v value) { c.Ping = v.duration() },
	},
	{
		name: "max_subscriptions", kind: kindNumber, limits: limits{0, 65536}, def: "16384", origin: fromNuthatch,
		help: "The most channels and patterns that one client may listen to. A request for more gets an error that " +
			"says so. `0`: clients cannot listen.",
		set: func(c *PubSub, v value) { c.MaxSubscriptions = int(v.number) },
	},
	{
		name: "output_limit", kind: kindSize, limits: limits{0, tb}, def: "32mb", origin: fromNuthatch,
		help: "The most bytes of messages and replies that may wait for a client that listens to read them. A " +
			"client with more is closed. For such clients it replaces `client_output_limit`; the default is " +
			"Redis's. `0`: only `max_memory` limits them.",
		set: func(c *PubSub, v value) { c.OutputLimit = v.number },
	},
	{
		name: "output_soft_limit", kind: kindSize, limits: limits{0, tb}, def: "8mb", origin: fromNuthatch,
		help: "The most bytes that may wait, for longer than `output_soft_time`, for a client that listens; in place of `client_output_soft_limit`. `0`: as many as `output_limit` allows.",
		set:  func(c *PubSub, v value) { c.OutputSoftLimit = v.number },
	},
	{
		name: "output_soft_time", kind: kindDuration, limits: durations(time.Second, time.Hour), def: "60s", origin: fromNuthatch,
		help: "The time in which a client that listens must read `output_soft_limit` bytes if more than that wait for it.",
		set:  func(c *PubSub, v value) { c.OutputSoftTime = v.duration() },
	},
}
