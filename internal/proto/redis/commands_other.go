package redis

import (
	"slices"

	"nuthatch/internal/msg"
)

// Scripts, the commands that the proxy answers, and those that it does not
// support.

// A script's keys say where it runs, so that it must have one. nutcracker sends
// it to the first key's server; here all keys must have the same one.
var scriptCommands = []command{
	forward("eval", -3, write, count2),
	forward("evalsha", -3, write, count2),
	forward("eval_ro", -3, read, count2),
	forward("evalsha_ro", -3, read, count2),
	forward("fcall", -3, write, count2),
	forward("fcall_ro", -3, read, count2),
}

// answer is who answers a Local request.
type answer uint8

const (
	answerNone answer = iota
	answerAuth
	answerClient
	answerCommand
	answerConfig
	answerEcho
	answerHello
	answerInfo
	answerLolwut
	answerPing
	answerQuit
	answerSelect
	answerHTTP
)

var connectionCommands = []command{
	local("auth", -2, answerAuth),
	local("client", -2, answerClient),
	local("command", -1, answerCommand),
	local("config", -2, answerConfig),
	local("echo", 2, answerEcho),
	local("hello", -1, answerHello),
	local("info", -1, answerInfo),
	local("lolwut", -1, answerLolwut),
	local("ping", -1, answerPing),
	{name: "quit", arity: -1, treatment: msg.Quit, answer: answerQuit},
	local("select", 2, answerSelect),
	// A browser that was made to POST to a Redis port speaks in inline commands.
	// As Redis does, it is cut off at the first that no HTTP request lacks.
	{name: "post", arity: -1, treatment: msg.Quit, answer: answerHTTP},
	{name: "host:", arity: -1, treatment: msg.Quit, answer: answerHTTP},
}

// Why a command is not supported.
const (
	unknownCommand = "unknown command"
	ownConnection  = "it needs a connection of its own"
	everyServer    = "it concerns every server"
	noServer       = "it does not say which server to ask"
	oneServer      = "it is about one server; ask that server itself"
	clusterOnly    = "it belongs to Redis Cluster"
	otherServer    = "it makes a server talk to another one"
)

var refusedCommands = slices.Concat(
	refuse(
		ownConnection,
		"multi", "exec", "discard", "watch", "unwatch",
		"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe",
		"blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax", "bzpopmin",
		"monitor", "reset", "wait", "waitaof",
	),
	refuse(
		everyServer,
		"keys", "scan", "randomkey", "dbsize", "flushall", "flushdb", "swapdb",
		"script", "function", "publish", "spublish", "pubsub",
	),
	refuse(noServer, "time", "role"),
	refuse(
		oneServer,
		"acl", "bgrewriteaof", "bgsave", "debug", "lastsave", "latency", "module", "pfdebug", "pfselftest",
		"save", "shutdown", "slowlog",
	),
	refuse(clusterOnly, "asking", "cluster", "readonly", "readwrite", "restore-asking"),
	refuse(otherServer, "failover", "migrate", "psync", "replconf", "replicaof", "slaveof", "sync"),
)
