package config

import (
	"math"
	"slices"
	"time"
)

// anyNumber are the numbers that nutcracker takes.
func anyNumber(least int64) limits { return limits{least, math.MaxInt32} }

func millis(v value) time.Duration { return time.Duration(v.number) * time.Millisecond }

// poolKeys are the keys of a pool, in the order of the documentation.
var poolKeys = slices.Concat([]key[Pool]{
	{
		name: "listen", kind: kindListen, required: true,
		help: "Where clients connect: `host:port`, or the absolute path of a unix socket. " +
			"After the path an octal mode may follow, as in `/run/nuthatch/alpha.sock 0660`; without it, or with `0`, " +
			"the umask decides. `0.0.0.0` listens on every IPv4 address, `[::]` on every address. " +
			"An IPv4 address may have any form that getaddrinfo takes, such as `127.1`. A host name is looked up when the proxy " +
			"starts, and by `-t`.",
		differs: "An IPv6 address may stand in brackets, `[::1]:22121`; nutcracker takes only `::1:22121`, " +
			"which works here too. " +
			"A mode that is not octal is an error; nutcracker takes it for 0.",
		set: func(p *Pool, v value) { p.Listen = v.address },
	},
	{
		name: "servers", kind: kindServers, required: true,
		help: "The servers that the keys are spread over, one to a line: `host:port:weight [name]` or " +
			"`/path:weight [name]`. See [Server lines](#server-lines) below, and give every server a name.",
		differs: "An IPv6 address may stand in brackets. A line that nutcracker accepts and can never use " +
			"(no host, `a:b:6379:1`, a socket path over 107 bytes, a weight over 2147483647, an empty name) is an error. " +
			"A pool has at most 65535 servers.",
		set: func(p *Pool, v value) { p.Servers = append(p.Servers, v.server) },
	},
	{
		name: "redis", kind: kindBool, def: "false",
		help: "`true` if the pool speaks Redis, `false` if it speaks Memcached.",
		set:  func(p *Pool, v value) { p.Redis = v.flag },
	},
	{
		name: "hash", kind: kindHash, def: "fnv1a_64",
		help: "How a key becomes a number: `one_at_a_time`, `md5`, `crc16`, `crc32` (as libmemcached has it), " +
			"`crc32a` (as the standard has it), `fnv1_64`, `fnv1a_64`, `fnv1_32`, `fnv1a_32`, `hsieh`, `murmur` or `jenkins`. " +
			"To change it is to move nearly every key.",
		set: func(p *Pool, v value) { p.Hash = v.hash },
	},
	{
		name: "hash_tag", kind: kindHashTag, defNote: "none, the whole key is hashed",
		help: "Two characters that enclose the part of a key to be hashed, so that keys with the same part live on " +
			"the same server: with `\"{}\"`, `user:{42}:name` and `user:{42}:mail` do. A key without the pair, or with " +
			"nothing between, is hashed whole. Quote the value: bare `{}` is an empty YAML mapping.",
		set: func(p *Pool, v value) { p.HashTag = v.text },
	},
	{
		name: "distribution", kind: kindDistribution, def: "ketama",
		help: "How that number becomes a server: `ketama`, a consistent hash ring, where a server that comes or goes " +
			"moves only its own share of the keys; `modula`, the remainder of a division, where it moves nearly all; " +
			"`random`, any server for any request.",
		set: func(p *Pool, v value) { p.Distribution = v.distribution },
	},
	{
		name: "timeout", kind: kindMillis, limits: anyNumber(0), def: "0", defNote: "no limit",
		help: "How long a server may take to accept a connection or to answer a request before the client gets an " +
			"error. Set it: without it a server that hangs keeps its clients waiting for ever.",
		set: func(p *Pool, v value) { p.Timeout = millis(v) },
	},
	{
		name: "connect_timeout", kind: kindDuration, limits: durations(0, time.Hour), def: "0", defNote: "that of `timeout`", origin: fromNuthatch,
		help: "How long a server may take to accept a connection, where that is to be less than `timeout`, or where there is no `timeout`.",
		set:  func(p *Pool, v value) { p.ConnectTimeout = v.duration() },
	},
	{
		name: "request_timeout", kind: kindDuration, limits: durations(0, 24*time.Hour), def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How long a client's request may take, from the moment that it has come until its reply is there: with all that it " +
			"waits for, be it a connection, requests before it, several servers or the end of a pause. After that the client gets an " +
			"error, in its turn. The connection to the server goes on: the late reply is dropped when it comes, and other " +
			"clients notice nothing. A request that has been sent may still be carried out. It does not count as a failure of " +
			"the server; `timeout` does, and it also ends the server's connection with all that is on it, so set this one lower. " +
			"It does not end the wait of a client whose command the proxy does not know, while a server is asked about it: `timeout` does, " +
			"for each server that is asked.",
		set: func(p *Pool, v value) { p.RequestTimeout = v.duration() },
	},
	{
		name: "server_idle_timeout", kind: kindDuration, limits: durations(0, 24*time.Hour), def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "Closes a connection to a server that has had no request for this long, give or take a quarter. The next request " +
			"opens another. Set it below the server's own (`timeout` in redis.conf, `idle_timeout` of memcached), or that of a " +
			"firewall in between, so that it is not a request that finds the connection dead.",
		set: func(p *Pool, v value) { p.ServerIdleTimeout = v.duration() },
	},
	{
		name: "backlog", kind: kindNumber, limits: anyNumber(0), def: "512",
		help: "How many connections the kernel holds ready for the proxy to accept: the argument of `listen(2)`, which the " +
			"kernel cuts to `net.core.somaxconn`.",
		set: func(p *Pool, v value) { p.Backlog = int(v.number) },
	},
	{
		name: "client_connections", kind: kindNumber, limits: anyNumber(0), def: "0", defNote: "no limit",
		help: "The most clients connected to the pool at one time. Above it, new ones are turned away until another leaves.",
		differs: "nutcracker reads the key and then ignores it; here it is enforced. A file that has carried it " +
			"without effect gets the limit it asks for.",
		set: func(p *Pool, v value) { p.ClientConnections = int(v.number) },
	},
	{
		name: "tcpkeepalive", kind: kindBool, def: "false",
		help: "Sets `SO_KEEPALIVE` on TCP connections, of clients and of servers, so that a peer that is gone without a word is noticed.",
		set:  func(p *Pool, v value) { p.TCPKeepalive = v.flag },
	},
	{
		name: "tcpkeepalive_idle", kind: kindDuration, limits: keepaliveTimes, def: "0", defNote: "the kernel's", origin: fromNuthatch,
		help: "How long a TCP connection is silent before the kernel asks the peer whether it is there (`TCP_KEEPIDLE`). The kernel " +
			"counts whole seconds. Only with `tcpkeepalive: true`.",
		set: func(p *Pool, v value) { p.TCPKeepaliveIdle = v.duration() },
	},
	{
		name: "tcpkeepalive_interval", kind: kindDuration, limits: keepaliveTimes, def: "0", defNote: "the kernel's", origin: fromNuthatch,
		help: "How long the kernel waits for the answer before it asks again (`TCP_KEEPINTVL`). Only with `tcpkeepalive: true`.",
		set:  func(p *Pool, v value) { p.TCPKeepaliveInterval = v.duration() },
	},
	{
		name: "tcpkeepalive_count", kind: kindNumber, limits: limits{0, 127}, def: "0", defNote: "the kernel's", origin: fromNuthatch,
		help: "How often it asks in vain before the connection is taken for broken (`TCP_KEEPCNT`). Only with `tcpkeepalive: true`.",
		set:  func(p *Pool, v value) { p.TCPKeepaliveCount = int(v.number) },
	},
	{
		name: "reuseport", kind: kindBool, def: "false",
		help: "Sets `SO_REUSEPORT` on the pool's listener, so that several processes may listen at one address and the kernel " +
			"shares the clients out among them.",
		set: func(p *Pool, v value) { p.ReusePort = v.flag },
	},
	{
		name: "preconnect", kind: kindBool, def: "false",
		help: "Connects to every server of the pool at the start, rather than when the first request for it comes.",
		set:  func(p *Pool, v value) { p.Preconnect = v.flag },
	},
	{
		name: "redis_auth", kind: kindSecret, onlyWith: "redis", defNote: "none",
		help: "The password of the pool's Redis servers. The proxy sends it on every connection to a server, and asks the same of " +
			"every client. Only in a pool with `redis: true`. No log line, error or statistic shows it. A client that has not said it " +
			"gets nothing but the login, and its requests may have 10 words of 16 KB at the most. Clients that are connected when a " +
			"reload changes it stay logged in, as with Redis. " +
			"Quote it if it begins with a sign or holds `: ` or ` #`, which YAML would read as its own.",
		set: func(p *Pool, v value) { p.RedisAuth = Secret(v.text) },
	},
	{
		name: "redis_db", kind: kindNumber, limits: anyNumber(0), def: "0",
		help: "The database of clients that have not chosen one. The proxy selects it on every connection to a Redis server. With " +
			"`databases: 1` clients see it as database 0, and may also call it by its own number, with `SELECT` as with `COPY` and " +
			"`MOVE`; with more they may choose others. When a reload changes it, clients that have not chosen a database are in the " +
			"new one; those that have stay in theirs. Ignored in Memcached pools.",
		differs: "A server that refuses the database gets no request, and clients get an error; nutcracker goes on in database 0.",
		set:     func(p *Pool, v value) { p.RedisDB = int(v.number) },
	},
	{
		name: "databases", kind: kindNumber, limits: limits{1, 1024}, def: "1", origin: fromNuthatch,
		help: "How many databases the clients of a Redis pool may choose from with `SELECT`. With `1` there is the one of " +
			"`redis_db`, whatever its number, and `SELECT 0` agrees to it. With more, `SELECT n` is database n of every server, for " +
			"the client that says it; a client that says nothing is in that of `redis_db`, which must be one of them. Each database " +
			"that clients use has its own connections to the servers, which are closed when the last of those clients has been " +
			"gone for ten seconds. A client whose database is none of the pool's after a reload gets errors until it chooses another. " +
			"`COPY` and `MOVE` are held to the same databases, and `DBSIZE` and `FLUSHDB` to the client's own. Scripts and functions " +
			"are not: a server lets them `SELECT` any database.",
		set: func(p *Pool, v value) { p.Databases = int(v.number) },
	},
	{
		name: "failed_select", kind: kindFailedSelect, def: "refuse", origin: fromNuthatch,
		help: "What becomes of the requests of a client whose `SELECT` failed. Many clients do not look at the answer and would go on " +
			"in the database where they were, among the keys of others. `refuse`: each request that is for the servers gets an error " +
			"that says why, until a `SELECT` succeeds or the client says `RESET`. What the proxy answers itself goes on. " +
			"`ignore`: the client stays where it was, as with Redis; nutcracker closes the connection at any `SELECT`. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.FailedSelect = FailedSelect(v.number) },
	},
	{
		name: "transactions", kind: kindTransactions, def: "atomic", origin: fromNuthatch,
		help: "What becomes of `MULTI`. `atomic`: the proxy collects the commands, and at `EXEC` sends them in one piece, between " +
			"`MULTI` and `EXEC`, to the one server that owns all their keys; nothing of another client comes between. A key of another server is " +
			"refused with `CROSSSLOT`, and `EXEC` is answered `EXECABORT`. `refuse`: `MULTI` is refused, and with it all that follows up to `EXEC` " +
			"or `DISCARD`. `WATCH` is refused either way, and a `MULTI` behind it too. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.Transactions = Transactions(v.number) },
	},
	{
		name: "max_transaction_commands", kind: kindNumber, limits: anyNumber(1), def: "16384", origin: fromNuthatch,
		help: "The most commands between `MULTI` and `EXEC`. One more is refused, and `EXEC` is answered `EXECABORT`. Ignored in Memcached pools.",
		set:  func(p *Pool, v value) { p.MaxTransactionCommands = int(v.number) },
	},
	{
		name: "max_transaction_size", kind: kindSize, limits: limits{16 * kb, 4 * gb}, def: "4mb", origin: fromNuthatch,
		help: "The most bytes of the commands between `MULTI` and `EXEC`, which the proxy keeps. One that exceeds it is refused, and " +
			"`EXEC` is answered `EXECABORT`. What is kept counts for `max_memory`; at that bound the largest transactions that wait " +
			"for their `EXEC` are given up first. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.MaxTransactionSize = v.number },
	},
	{
		name: "unknown_commands", kind: kindUnknown, def: "learn", origin: fromNuthatch,
		help: "What becomes of a Redis command that nuthatch does not know, such as a module's. `learn`: a server is asked for it " +
			"once, with `COMMAND INFO`, and from then on the command goes to the owner of its keys. `refuse`: an error. A command " +
			"that names no key is served only in a pool of one server. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.UnknownCommands = UnknownCommands(v.number) },
	},
	{
		name: "server_connections", kind: kindNumber, limits: limits{1, math.MaxUint16}, def: "1",
		help: "The most connections that each event loop opens to each server. `SCRIPT KILL` and `FUNCTION KILL` take one more for a while.",
		differs: "A client keeps to one connection per server, so it reads what it wrote even with more than one; " +
			"nutcracker sends each request over the next connection, and a read may overtake a write. " +
			"More than 65535 is an error.",
		set: func(p *Pool, v value) { p.ServerConnections = int(v.number) },
	},
	{
		name: "auto_eject_hosts", kind: kindBool, def: "false",
		help: "Takes a server that fails `server_failure_limit` times in a row off the ring for `server_retry_timeout`; its keys " +
			"go to the others meanwhile. Right for a cache. Wrong for data that lives in one place only: " +
			"reads then find nothing, and writes go where nobody looks afterwards.",
		set: func(p *Pool, v value) { p.AutoEjectHosts = v.flag },
	},
	{
		name: "server_retry_timeout", kind: kindMillis, limits: anyNumber(0), def: "30000",
		help: "How long an ejected server stays off the ring before it is tried again. Only with `auto_eject_hosts: true`.",
		set:  func(p *Pool, v value) { p.ServerRetryTimeout = millis(v) },
	},
	{
		name: "server_failure_limit", kind: kindNumber, limits: anyNumber(0), def: "2",
		help: "How many failures in a row eject a server; 0 means what 1 means. Connections that fail together are one failure, and one that ends while it owes no reply is none. Only with `auto_eject_hosts: true`.",
		set:  func(p *Pool, v value) { p.ServerFailureLimit = int(v.number) },
	},
	{
		name: "eject", kind: kindEject, def: "ring", origin: fromNuthatch,
		help: "What `auto_eject_hosts: true` does with a server that fails. `ring`: its keys go to the other servers, as with " +
			"nutcracker. `fail`: its keys stay where they are, and requests for them are answered with an error at once, " +
			"without waiting for the server: right for data that lives in one place only. After `server_retry_timeout` " +
			"one request is let through; if it is answered so are all from then on, if not the next one is let through " +
			"after the same time again.",
		set: func(p *Pool, v value) { p.Eject = Eject(v.number) },
	},
}, within("health_check", func(p *Pool) *HealthCheck { return &p.HealthCheck }, healthCheckKeys), []key[Pool]{
	{
		name: "reconnect_backoff", kind: kindDuration, limits: durations(0, time.Minute), def: "0", defNote: "none", origin: fromNuthatch,
		help: "How long a server that could not be connected to, or that closed a connection without an answer, is left alone before " +
			"the next request connects to it again: a random time up to this after the first such failure, up to twice as " +
			"much after the second, and so on up to `reconnect_backoff_max`. Meanwhile requests for it fail at once, with the reason " +
			"of the failure. Each event loop counts for itself. Without it every request tries, as with nutcracker.",
		set: func(p *Pool, v value) { p.ReconnectBackoff = v.duration() },
	},
	{
		name: "reconnect_backoff_max", kind: kindDuration, limits: durations(time.Millisecond, time.Hour), def: "2s", origin: fromNuthatch,
		help: "The most that `reconnect_backoff` grows to.",
		set:  func(p *Pool, v value) { p.ReconnectBackoffMax = v.duration() },
	},
	{
		name: "retry", kind: kindRetry, def: "none", origin: fromNuthatch,
		help: "Which requests are sent again, once, on a fresh connection, when the server closes or resets the one that they were on. " +
			"`none`: none; clients get an error, as with nutcracker. `unsent`: those of which not one byte had been handed to the " +
			"kernel, reads and writes. `idempotent`: also reads that had been sent, if no byte of the reply has come, and if the " +
			"client had not sent a write behind them on that connection, which they might see now. A write that may have been " +
			"carried out is never sent again. At most one request in ten is, counted over those of late. A time-out is no loss of " +
			"the connection, and what could not be connected to has been tried at all addresses. " +
			"With Memcached the reads are `get` and `gets`; `mg`, `gat` and `gats` may change what they read, and are never repeated " +
			"once they have been sent.",
		set: func(p *Pool, v value) { p.Retry = Retry(v.number) },
	},
	{
		name: "server_max_queued", kind: kindNumber, limits: limits{1, 1 << 24}, def: "1048576", origin: fromNuthatch,
		help: "The most requests that may be under way on one connection to a server: to be sent, or to be answered. One more is " +
			"answered with the error `server busy` at once. The default is far above what clients of a server that works bring together.",
		set: func(p *Pool, v value) { p.ServerMaxQueued = int(v.number) },
	},
	{
		name: "server_max_queued_bytes", kind: kindSize, limits: limits{kb, 64 * gb}, def: "1gb", origin: fromNuthatch,
		help: "The most bytes of requests that may wait to be sent on one connection to a server. While there are as many, requests " +
			"are answered with the error `server busy` at once. It never stops a single request that is larger by itself.",
		set: func(p *Pool, v value) { p.ServerMaxQueuedBytes = v.number },
	},
	{
		name: "server_max_reply", kind: kindSize, limits: limits{64 * kb, 4 * gb}, def: "1gb", origin: fromNuthatch,
		help: "The most bytes of the reply to one request, those of all servers together if it was split. An eighth of " +
			"`max_memory` is the most in any case. A request whose reply is larger gets an error that names the bound, in its " +
			"turn, and what else comes of the reply is dropped; only the connection of a reply that goes on for more than 1 GB is " +
			"closed. What the proxy itself tells of its clients (`CLIENT LIST`) and of the process has the same bound.",
		set: func(p *Pool, v value) { p.ServerMaxReply = v.number },
	},
	{
		name: "max_request_size", kind: kindSize, limits: limits{kb, 4 * gb}, def: "512mb", origin: fromNuthatch,
		help: "The most bytes of one request, its arguments together. A larger one is refused with an error as soon as its size " +
			"is known, before its bytes are in memory. In a Memcached pool the default is `32mb`, since memcached itself takes " +
			"1 MB if it is not told otherwise (`-I`): raise it where servers take more.",
		set: func(p *Pool, v value) { p.MaxRequestSize = v.number },
	},
	{
		name: "client_max_pipeline", kind: kindNumber, limits: limits{1, 1 << 20}, def: "1024", origin: fromNuthatch,
		help: "The most requests of one client that may be under way. At that number the client is not read from until a reply " +
			"has gone out; nothing is refused or lost.",
		set: func(p *Pool, v value) { p.ClientMaxPipeline = int(v.number) },
	},
	{
		name: "client_max_queued", kind: kindSize, limits: limits{16 * kb, 4 * gb}, def: "1mb", origin: fromNuthatch,
		help: "The most bytes, requests and replies together, that are held for one client. At that number the client is not " +
			"read from until half of them have gone out. Replies to come are counted by the size of those that came before; " +
			"nothing that is under way is dropped. So one request or reply that is larger by itself still passes, and a client " +
			"whose replies suddenly grow, and that reads none, is held as many of them as it has requests under way.",
		set: func(p *Pool, v value) { p.ClientMaxQueued = v.number },
	},
	{
		name: "max_keys", kind: kindNumber, limits: anyNumber(1), def: "1048576", origin: fromNuthatch,
		help: "The most keys of one request. One with more gets an error, and the connection goes on.",
		set:  func(p *Pool, v value) { p.MaxKeys = int(v.number) },
	},
	{
		name: "client_idle_timeout", kind: kindDuration, limits: anyDuration, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How long a client may send nothing, and take nothing, while it has no request under way, before it is closed. A client " +
			"whose request has only begun to come counts too. It is looked at now and then, so a client may stay up to a quarter longer.",
		set: func(p *Pool, v value) { p.ClientIdleTimeout = v.duration() },
	},
	{
		name: "client_output_limit", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "The most bytes of replies that may wait for one client to read them. A client that has more is closed, as by the " +
			"hard limit of Redis's `client-output-buffer-limit`. What the kernel holds for it does not count.",
		set: func(p *Pool, v value) { p.ClientOutputLimit = v.number },
	},
	{
		name: "client_output_soft_limit", kind: kindSize, limits: limits{0, tb}, def: "64kb", defNote: "`0` is no limit", origin: fromNuthatch,
		help: "A client that has more bytes of replies waiting than this, and for `client_output_soft_time` takes less than this, is " +
			"closed. So one that has stopped reading does not hold memory for ever, and one that reads slowly a reply of any size may do so.",
		set: func(p *Pool, v value) { p.ClientOutputSoftLimit = v.number },
	},
	{
		name: "client_output_soft_time", kind: kindDuration, limits: durations(100*time.Millisecond, 24*time.Hour), def: "5m", origin: fromNuthatch,
		help: "See `client_output_soft_limit`.",
		set:  func(p *Pool, v value) { p.ClientOutputSoftTime = v.duration() },
	},
	{
		name: "allow_flush", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Lets clients empty every server of the pool: with `FLUSHALL` and `FLUSHDB` if it is a Redis pool, with `flush_all` " +
			"if it is a Memcached pool. Without it these commands are refused.",
		set: func(p *Pool, v value) { p.AllowFlush = v.flag },
	},
	{
		name: "allow_keys", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Lets the clients of a Redis pool send `KEYS`, which goes to every server of the pool and keeps each busy until it has " +
			"looked at all of its keys. With `false` the command is refused with an error that names `SCAN`. " +
			"Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.AllowKeys = v.flag },
	},
	{
		name: "partial_results", kind: kindPartial, def: "error", origin: fromNuthatch,
		help: "What a Redis request for several servers is answered when some of them fail or answer with an error. `error`: one " +
			"error for the whole. `nulls`: a request that reads gets what the other servers have: `MGET` a null for " +
			"each key that could not be read, which cannot be told from a key that does not exist; `EXISTS`, `TOUCH`, `DBSIZE`, " +
			"`KEYS` and `PUBSUB` what the others count or list; `PUBLISH` the receivers that it reached. `errors`: `MGET` gets an error " +
			"in place of each value that could not be read, which not every client library takes; all else is as with `error`. " +
			"A request that writes (`MSET`, `DEL`, `UNLINK`) is always answered with an error, and if no server answers so is any. " +
			"Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.PartialResults = PartialResults(v.number) },
	},
	{
		name: "keyless_scripts", kind: kindKeyless, def: "refuse", origin: fromNuthatch,
		help: "What becomes of scripts and functions (`EVAL`, `EVALSHA`, `FCALL` and their `_RO` forms) that name no key, in a Redis " +
			"pool of several servers. `refuse`: an error that says so. `any`: one of the servers runs it, always the same for the " +
			"same script, whether it comes as its text or as its SHA1, and for the same function; it finds the keys of that server " +
			"alone, and what it writes is found there alone. In a pool of one server they are that server's, whatever is set here. " +
			"Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.KeylessScripts = KeylessScripts(v.number) },
	},
})

// healthCheckKeys are the keys of a pool's block "health_check".
var healthCheckKeys = []key[HealthCheck]{
	{
		name: "interval", kind: kindDuration, limits: durations(0, time.Hour), needed: true, def: "0", defNote: "no checks",
		origin: fromNuthatch,
		help: "How often each server is asked whether it is well, on a connection of its own: with `PING`, behind `AUTH` if there is a " +
			"`redis_auth`, or with Memcached's `version`. With `auto_eject_hosts: true` a server is then ejected by checks too, " +
			"and an ejected one comes back when it answers, not when `server_retry_timeout` is over. Without it, checks change " +
			"nothing but what is told of the server. One process sends one check per server, whatever `threads` is.",
		set: func(c *HealthCheck, v value) { c.Interval = v.duration() },
	},
	{
		name: "timeout", kind: kindDuration, limits: durations(time.Millisecond, time.Minute), def: "1s", origin: fromNuthatch,
		help: "How long a server may take to connect and to answer a check. A server that is loading its data, a replica that " +
			"has lost its master (`replica-serve-stale-data no`), one that refuses the password, and one that a script keeps busy " +
			"answer, but not as they should: the check has failed.",
		set: func(c *HealthCheck, v value) { c.Timeout = v.duration() },
	},
	{
		name: "rise", kind: kindNumber, limits: limits{1, 1000}, def: "2", origin: fromNuthatch,
		help: "How many checks in a row must succeed for an ejected server to come back.",
		set:  func(c *HealthCheck, v value) { c.Rise = int(v.number) },
	},
	{
		name: "fall", kind: kindNumber, limits: limits{1, 1000}, def: "3", origin: fromNuthatch,
		help: "How many checks in a row must fail for a server to be ejected. Failures of requests count apart, by " +
			"`server_failure_limit`.",
		set: func(c *HealthCheck, v value) { c.Fall = int(v.number) },
	},
}

// keepaliveTimes are what the kernel takes, and 0 for its own.
var keepaliveTimes = durations(0, 32767*time.Second)
