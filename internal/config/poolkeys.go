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
			"`/path:weight [name]`, or `sentinel://primary:weight [name]` for the primary that Sentinel knows by that " +
			"name. See [Server lines](#server-lines) below, and give every server a name.",
		differs: "An IPv6 address may stand in brackets. A line that nutcracker accepts and can never use " +
			"(no host, `a:b:6379:1`, a socket path over 107 bytes, a weight over 2147483647, an empty name) is an error. " +
			"A pool has at most 65535 servers.",
		set: func(p *Pool, v value) { p.Servers = append(p.Servers, v.server) },
	},
	{
		name: "redis", kind: kindProtocol, def: "false",
		help: "`true` if the pool speaks Redis, `false` if it speaks Memcached.",
		set:  func(p *Pool, v value) { p.Protocol = Protocol(v.number) },
	},
	{
		name: "hash", kind: kindHash, def: "fnv1a_64",
		help: "How a key becomes a number: `one_at_a_time`, `md5`, `crc16`, `crc32` (libmemcached's), `crc32a` (the " +
			"standard's), `fnv1_64`, `fnv1a_64`, `fnv1_32`, `fnv1a_32`, `hsieh`, `murmur` or `jenkins`. Another hash " +
			"moves nearly every key.",
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
		help: "How that number becomes a server. `ketama`: a consistent hash ring; a server that is added or removed moves " +
			"only its own share of the keys. `modula`: the remainder of a division; a server that is added or removed " +
			"moves nearly all keys. `random`: any server for any request.",
		set: func(p *Pool, v value) { p.Distribution = v.distribution },
	},
	{
		name: "timeout", kind: kindMillis, limits: anyNumber(0), def: "0", defNote: "no limit",
		help: "How long a server may take to accept a connection or to answer a request before the client gets an " +
			"error. Set it: without it a server that hangs keeps its clients waiting for ever.",
		differs: "A time with a unit, `400ms`, works too; nutcracker takes only milliseconds without one.",
		set:     func(p *Pool, v value) { p.Timeout = millis(v) },
	},
	{
		name: "connect_timeout", kind: kindDuration, limits: durations(0, time.Hour), def: "0", defNote: "that of `timeout`", origin: fromNuthatch,
		help: "How long a server may take to accept a connection. Set it if that should be shorter than `timeout`, or if there is no `timeout`.",
		set:  func(p *Pool, v value) { p.ConnectTimeout = v.duration() },
	},
	{
		name: "request_timeout", kind: kindDuration, limits: durations(0, 24*time.Hour), def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How long a client's request may take, from its arrival until its reply has come. That includes waits " +
			"for a connection, for earlier requests, for several servers, and for the end of a pause. After that, or a few " +
			"milliseconds later if there are thousands of clients, the client gets an error, in its turn. The connection to " +
			"the server stays open: the late reply is dropped, and " +
			"other clients notice nothing. The request may still be carried out, if it has been sent. It does not count " +
			"as a failure of the server. `timeout` does, and ends the connection with all requests on it, so set " +
			"`request_timeout` lower. It holds while nuthatch asks a server about an unknown command or about RESP3, too: " +
			"the client gets its error, and the next server is asked. It does not hold for a command that blocks. " +
			"It bounds how long a transaction is collected, too: if `EXEC` has not come that long after `MULTI`, " +
			"what was collected is dropped, and the connection of a `WATCH` is given back. The client stays in the " +
			"transaction: its commands get an error, and `EXEC` gets `EXECABORT`, both with that reason. The time of a " +
			"pause does not count here. `EXEC` itself has `request_timeout` again.",
		set: func(p *Pool, v value) { p.RequestTimeout = v.duration() },
	},
	{
		name: "server_idle_timeout", kind: kindDuration, limits: durations(0, 24*time.Hour), def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "Closes a connection to a server that has had no request for this long, or up to a quarter longer. The next " +
			"request opens another. Set it below the server's own (`timeout` in redis.conf, `idle_timeout` of " +
			"memcached), or below that of a firewall in between. Otherwise a request finds the connection dead.",
		set: func(p *Pool, v value) { p.ServerIdleTimeout = v.duration() },
	},
	{
		name: "backlog", kind: kindNumber, limits: anyNumber(0), def: "512",
		help: "The argument of `listen(2)`: how many connections the kernel keeps for the proxy to accept. The kernel cuts " +
			"it to `net.core.somaxconn`.",
		set: func(p *Pool, v value) { p.Backlog = int(v.number) },
	},
	{
		name: "client_connections", kind: kindNumber, limits: anyNumber(0), def: "0", defNote: "no limit",
		help:    "The most clients connected to the pool at one time. More are refused until one leaves.",
		differs: "nutcracker reads the key and then ignores it; nuthatch enforces it. If it had no effect in a file so far, it has one now.",
		set:     func(p *Pool, v value) { p.ClientConnections = int(v.number) },
	},
	{
		name: "allow_from", kind: kindNetworks, defNote: "any address", origin: fromNuthatch,
		help: "The addresses that clients may come from, as a list of IPv4 and IPv6 addresses and networks: " +
			"`[10.0.0.0/8, 192.168.7.4]`. A client from elsewhere gets an error and is closed before anything of it is read, " +
			"and before a TLS handshake. It holds at `listen` and at `tls.listen`, and for clients that come from another " +
			"pool's port by `tls.server_names`. Clients at a unix socket are not affected: the socket's mode says who may " +
			"connect. A reload applies it to new clients, and leaves those that are connected.",
		set: func(p *Pool, v value) { p.AllowFrom = NetworkList(v.text) },
	},
	{
		name: "deny_from", kind: kindNetworks, defNote: "none", origin: fromNuthatch,
		help: "Addresses that clients may not come from, as in `allow_from`. An address that is in both lists is refused.",
		set:  func(p *Pool, v value) { p.DenyFrom = NetworkList(v.text) },
	},
	{
		name: "proxy_protocol_from", kind: kindPeers, defNote: "none", origin: fromNuthatch,
		help: "The load balancers in front of nuthatch, as a list of addresses and networks, such as `[10.0.0.7, 10.0.1.0/24]`; " +
			"`unix` stands for those at the pool's unix socket. A connection from there must begin with a header of the PROXY " +
			"protocol, version 1 or 2, in front of TLS if the pool has TLS. The address in it counts as the client's: in the log, in " +
			"`CLIENT LIST`, in the slow log, in `allow_from` and `deny_from`. If the header has no IP address (`UNKNOWN`, `LOCAL`, as " +
			"in health checks, or a unix socket), the lists judge the load balancer's own. " +
			"A connection from there without a header is refused. So is a header from elsewhere: anybody could lie about an address. A header has at most " +
			"4096 bytes. A reload applies it to new clients.",
		set: func(p *Pool, v value) { p.ProxyProtocolFrom = NetworkList(v.text) },
	},
	{
		name: "proxy_protocol_timeout", kind: kindDuration, limits: durations(10*time.Millisecond, 10*time.Minute), def: "5s", origin: fromNuthatch,
		help: "How long the header may take to come, from when the connection was accepted. Only with `proxy_protocol_from`.",
		set:  func(p *Pool, v value) { p.ProxyProtocolTimeout = v.duration() },
	},
	{
		name: "tcpkeepalive", kind: kindBool, def: "false",
		help: "Sets `SO_KEEPALIVE` on TCP connections to clients and servers, so that a peer whose machine is gone is " +
			"noticed. Private connections to Redis servers have it in any case. A client whose machine is gone while it " +
			"waits in a command that blocks is noticed only with it: until then such a client still gets elements.",
		set: func(p *Pool, v value) { p.TCPKeepalive = v.flag },
	},
	{
		name: "tcpkeepalive_idle", kind: kindDuration, limits: keepaliveTimes, def: "0", defNote: "the kernel's", origin: fromNuthatch,
		help: "How long a TCP connection is silent before the kernel probes the peer (`TCP_KEEPIDLE`). The kernel counts " +
			"whole seconds. Only with `tcpkeepalive: true`, and for private connections.",
		set: func(p *Pool, v value) { p.TCPKeepaliveIdle = v.duration() },
	},
	{
		name: "tcpkeepalive_interval", kind: kindDuration, limits: keepaliveTimes, def: "0", defNote: "the kernel's", origin: fromNuthatch,
		help: "How long the kernel waits before it probes again (`TCP_KEEPINTVL`). Only with `tcpkeepalive: " +
			"true`, and for private connections.",
		set: func(p *Pool, v value) { p.TCPKeepaliveInterval = v.duration() },
	},
	{
		name: "tcpkeepalive_count", kind: kindNumber, limits: limits{0, 127}, def: "0", defNote: "the kernel's", origin: fromNuthatch,
		help: "After how many probes without an answer the connection is broken (`TCP_KEEPCNT`). Only with `tcpkeepalive: " +
			"true`, and for private connections.",
		set: func(p *Pool, v value) { p.TCPKeepaliveCount = int(v.number) },
	},
	{
		name: "reuseport", kind: kindBool, def: "false",
		help: "Sets `SO_REUSEPORT` on the pool's listener. Several processes can then listen on one address, and the " +
			"kernel divides the clients among them.",
		set: func(p *Pool, v value) { p.ReusePort = v.flag },
	},
	{
		name: "preconnect", kind: kindBool, def: "false",
		help: "Connects to every server of the pool at the start. Without it nuthatch connects to a server at the first request for it.",
		set:  func(p *Pool, v value) { p.Preconnect = v.flag },
	},
	{
		name: "redis_auth", kind: kindSecret, onlyWith: "redis", defNote: "none",
		help: "The password of the pool's Redis servers. The proxy sends it on every connection to a server, and every " +
			"client must send it too. Only in a pool with `redis: true`. No log line, error or statistic shows it. " +
			"A client that has not sent it can only log in, and its requests may have at most 10 words of 16 KB. " +
			"Clients that are connected when a reload changes the password stay logged in, as with Redis. Quote the " +
			"password if it begins with a character such as `*`, or holds `: ` or ` #`: YAML gives these a meaning of its " +
			"own.",
		set: func(p *Pool, v value) { p.RedisAuth = Secret(v.text) },
	},
}, twins("redis_auth", "redis", func(p *Pool) *SecretSource { return &p.RedisAuthFrom }), []key[Pool]{
	{
		name: "redis_auth_previous", kind: kindSecret, onlyWith: "redis", defNote: "none", origin: fromNuthatch,
		help: "A second password that clients may send while they change from the old one to the new one. It is " +
			"never sent to servers. Only with `redis_auth`.",
		set: func(p *Pool, v value) { p.RedisAuthPrevious = Secret(v.text) },
	},
}, twins("redis_auth_previous", "redis", func(p *Pool) *SecretSource { return &p.RedisAuthPreviousFrom }), []key[Pool]{
	{
		name: "server_user", kind: kindUserName, onlyWith: "redis", defNote: "the user `default`", origin: fromNuthatch,
		help: "The user name with which the proxy logs in to the servers (Redis 6 and later). Only with " +
			"`server_password`.",
		set: func(p *Pool, v value) { p.ServerUser = v.text },
	},
	{
		name: "server_password", kind: kindSecret, onlyWith: "redis", defNote: "`redis_auth`", origin: fromNuthatch,
		help: "The password that the proxy sends to the servers, in place of `redis_auth`. Clients cannot log in " +
			"with it. When a reload changes it, new connections are made, and requests in flight finish on the old " +
			"ones.",
		set: func(p *Pool, v value) { p.ServerPassword = Secret(v.text) },
	},
}, twins("server_password", "redis", func(p *Pool) *SecretSource { return &p.ServerPasswordFrom }), []key[Pool]{
	{
		name: "acl_file", kind: kindPath, onlyWith: "redis", defNote: "none", origin: fromNuthatch,
		help: "The path of a file with users and what each may do: Redis's own file (`aclfile`), read as it is. With it, or with " +
			"`users`, clients log in as one of these users, and each request is checked before it is sent. See [Users](USERS.md). " +
			"`redis_auth` is the password of the user `default`; both it and a line for `default` are a fault. The servers know " +
			"nothing of these users: the proxy logs in to them with `server_user` and `server_password`, or with `redis_auth`. " +
			"The file is read at the start and at each reload, and with `watch` when it changes. A file with a fault, or without users, changes nothing.",
		set: func(p *Pool, v value) { p.ACLFile = v.text },
	},
	{
		name: "users", limits: limits{1, maxUsers}, defNote: "none", origin: fromNuthatch,
		help:   "Users and what each may do, by name, in place of `acl_file`.",
		blocks: mapOf(func(p *Pool) *[]User { return &p.Users }, func(u *User) *string { return &u.Name }, userKeys),
	},
	{
		name: "auth_mode", kind: kindAuthMode, def: "proxy", origin: fromNuthatch,
		help: "Who decides which clients may log in, and what they may do. `proxy`: nuthatch does, by `redis_auth`, `acl_file` or " +
			"`users`; it logs in to the servers as itself. `passthrough`: the servers do. `AUTH` and `HELLO` with `AUTH` are tried at all " +
			"servers, and each user has connections to the servers of its own, which are logged in as that user. A client that has " +
			"not logged in is the servers' user `default`. The pool then has no `redis_auth`, `acl_file` and `users`; " +
			"`server_password`, if there is one, is for health checks and the proxy's own questions. See [Users](USERS.md). A reload that " +
			"changes it closes the pool's clients. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.AuthMode = AuthMode(v.number) },
	},
	{
		name: "max_server_users", kind: kindNumber, limits: limits{1, 65536}, def: "256", origin: fromNuthatch,
		help: "With `auth_mode: passthrough` the most users that may have connections to the servers at one time, in all event loops together. A name " +
			"with another password counts as another user; at most a quarter of the number, and two in any case, have the same name. One more gets an error when it logs in. A user is counted until ten seconds after " +
			"its last client has gone. Each user has, in each event loop in which it has clients, up to `server_connections` to each server, and as many " +
			"for each further database and for RESP3.",
		set: func(p *Pool, v value) { p.MaxServerUsers = int(v.number) },
	},
	{
		name: "redis_db", kind: kindNumber, limits: anyNumber(0), def: "0",
		help: "The database of clients that have not chosen one. The proxy selects it on every connection to a Redis " +
			"server. With `databases: 1` clients see it as database 0, and may also use its number on the servers, in " +
			"`SELECT`, `COPY` and `MOVE`. With more databases they may choose others. When a reload changes `redis_db`, clients " +
			"that have not chosen a database move to the new one; the others stay in theirs. Ignored in Memcached pools.",
		differs: "A server that refuses the database gets no request, and clients get an error; nutcracker goes on in database 0.",
		set:     func(p *Pool, v value) { p.RedisDB = int(v.number) },
	},
	{
		name: "databases", kind: kindNumber, limits: limits{1, 1024}, def: "1", origin: fromNuthatch,
		help: "How many databases the clients of a Redis pool may choose from with `SELECT`. With `1` there is only that " +
			"of `redis_db`, and `SELECT 0` means it, whatever its number. With more, `SELECT n` is database n of every " +
			"server, for the client that sends it. A client that sends no `SELECT` is in that of `redis_db`, which must be " +
			"one of them. Each database in use has its own connections to the servers; they are closed ten seconds after " +
			"its " +
			"last client has gone. If a reload removes a client's database, the client gets errors until it selects " +
			"another one. `COPY` and `MOVE` accept the same databases; `DBSIZE` and `FLUSHDB` use the client's own. " +
			"Scripts and functions can `SELECT` any database of a server.",
		set: func(p *Pool, v value) { p.Databases = int(v.number) },
	},
	{
		name: "failed_select", kind: kindFailedSelect, def: "refuse", origin: fromNuthatch,
		help: "What happens to the requests of a client whose `SELECT` failed. Many clients ignore the error, and would go " +
			"on in the old database, among the keys of others. `refuse`: each request for the servers gets an error that " +
			"says why, until a `SELECT` succeeds, or names the database that the client is in, or the client sends " +
			"`RESET`. Commands that the proxy answers itself go on. `ignore`: the client stays in its old database, as with Redis. (nutcracker closes the connection at any " +
			"`SELECT`.) Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.FailedSelect = FailedSelect(v.number) },
	},
	{
		name: "transactions", kind: kindTransactions, def: "atomic", origin: fromNuthatch,
		help: "What nuthatch does with `MULTI`. `atomic`: the proxy collects the commands. At `EXEC` it sends them " +
			"in one piece, between `MULTI` and `EXEC`, to the one server that owns all their keys, so that no " +
			"other client's command comes between. A key of another server gets `CROSSSLOT`, and `EXEC` then gets " +
			"`EXECABORT`. `per_server`: each server that owns some of the keys gets the commands about them, " +
			"between `MULTI` and `EXEC`. The transaction is then atomic at each server, and **not as a whole**: " +
			"other clients may see a part of it. If a server fails, its commands get errors in `EXEC`'s reply, " +
			"while the commands of other servers are carried out; if it is known before to be away, nothing is. It is for clients that send every pipeline as a " +
			"transaction. The keys of one command, and all keys of a transaction after `WATCH`, must still have " +
			"one server. `refuse`: `MULTI` is refused, with everything up to `EXEC` or `DISCARD`. So is `WATCH`. " +
			"Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.Transactions = Transactions(v.number) },
	},
	{
		name: "max_transaction_commands", kind: kindNumber, limits: anyNumber(1), def: "16384", origin: fromNuthatch,
		help: "The most commands between `MULTI` and `EXEC`. One more is refused, and `EXEC` gets `EXECABORT`. Ignored in " +
			"Memcached pools.",
		set: func(p *Pool, v value) { p.MaxTransactionCommands = int(v.number) },
	},
	{
		name: "max_transaction_size", kind: kindSize, limits: limits{16 * kb, 4 * gb}, def: "4mb", origin: fromNuthatch,
		help: "The most bytes of the commands between `MULTI` and `EXEC`, which the proxy keeps. A command above it is " +
			"refused, and `EXEC` gets `EXECABORT`. The bytes count for `max_memory`; at that bound the largest waiting " +
			"transactions are given up first, and their clients told so. The names of all keys that a client watches " +
			"are bounded in the same way: a `WATCH` above it gets an error. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.MaxTransactionSize = v.number },
	},
	{
		name: "private_connections", kind: kindNumber, limits: limits{0, 65536}, def: "256", origin: fromNuthatch,
		help: "The most private connections to each server, of all event loops together. A client has one from `WATCH` until " +
			"`EXEC`, `DISCARD`, `UNWATCH` or `RESET`; while a command that blocks, such as `BLPOP`, waits; while it listens " +
			"to channels or monitors; and from its first tracked read on (`tracking`). A request that needs one more gets " +
			"an error. A connection that is being replaced (the server has another address or login, `nuthatch ctl " +
			"reconnect`) does not count: so all clients can move, and for a moment there may be twice as many. " +
			"Private connections come on top of `server_connections`. `0`: there are none, and requests that need " +
			"one are refused. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.PrivateConnections = int(v.number) },
	},
	{
		name: "private_idle_timeout", kind: kindDuration, limits: durations(0, time.Hour), def: "10s", origin: fromNuthatch,
		help: "How long a private connection that is no longer used is kept for the next client that needs one. `0`: it is " +
			"closed at once. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.PrivateIdleTimeout = v.duration() },
	},
}, within("pubsub", func(p *Pool) *PubSub { return &p.PubSub }, pubSubKeys), []key[Pool]{
	{
		name: "tracking", kind: kindTracking, def: "on", origin: fromNuthatch,
		help: "Whether clients may send `CLIENT TRACKING`, to cache what they read and be told when it changes. " +
			"`on`: at its first tracked read a client gets a private connection to the server, which then carries " +
			"all its requests to that server. With `BCAST` it has one to every server. When such a connection " +
			"ends, or keys get other servers, the client is told to forget all that it has read. `off`: the " +
			"command is refused; clients that were tracked before a reload go on. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.Tracking = Tracking(v.number) },
	},
	{
		name: "max_tracked_keys", kind: kindNumber, limits: anyNumber(1), def: "1000000", origin: fromNuthatch,
		help: "The most keys that servers track for one client: those that it has read and has not been told of " +
			"since. A client that would have more is told to forget all that it has read, and the count begins " +
			"anew. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.MaxTrackedKeys = int(v.number) },
	},
	{
		name: "unknown_commands", kind: kindUnknown, def: "learn", origin: fromNuthatch,
		help: "What nuthatch does with a Redis command that it does not know, such as a module's. `learn`: it asks a " +
			"server once, with `COMMAND INFO`, and from then on sends the command to the owner of its keys. `refuse`: " +
			"the client gets an error. A command without keys runs only in a pool of one server. Ignored in Memcached " +
			"pools.",
		set: func(p *Pool, v value) { p.UnknownCommands = UnknownCommands(v.number) },
	},
	{
		name: "server_connections", kind: kindNumber, limits: limits{1, math.MaxUint16}, def: "1",
		help: "The most connections that each event loop opens to each server. `SCRIPT KILL` and `FUNCTION KILL` take one " +
			"more for a while.",
		differs: "A client keeps to one connection per server, so it reads what it wrote even with more than one; " +
			"nutcracker sends each request over the next connection, and a read may overtake a write. " +
			"More than 65535 is an error.",
		set: func(p *Pool, v value) { p.ServerConnections = int(v.number) },
	},
	{
		name: "auto_eject_hosts", kind: kindBool, def: "false",
		help: "Takes a server off the ring for `server_retry_timeout` after `server_failure_limit` failures in a row. Its " +
			"keys go to the other servers meanwhile. Use it for a cache. Do not use it alone for data that lives in one " +
			"place only: reads would find nothing, and writes would go to servers where nobody looks afterwards. For " +
			"such data add `eject: fail`.",
		set: func(p *Pool, v value) { p.AutoEjectHosts = v.flag },
	},
	{
		name: "server_retry_timeout", kind: kindMillis, limits: anyNumber(0), def: "30s",
		help:    "How long an ejected server stays off the ring before it is tried again. Only with `auto_eject_hosts: true`.",
		differs: "A time with a unit works too, as with `timeout`.",
		set:     func(p *Pool, v value) { p.ServerRetryTimeout = millis(v) },
	},
	{
		name: "server_failure_limit", kind: kindNumber, limits: anyNumber(0), def: "2",
		help: "How many failures in a row eject a server; 0 means 1. Connections that fail together are one failure. A " +
			"connection that ends without requests on it is no failure. Without `auto_eject_hosts` no server is ejected. A server is then `failing` after this many failures, or after the first one if it cannot be connected to.",
		set: func(p *Pool, v value) { p.ServerFailureLimit = int(v.number) },
	},
	{
		name: "eject", kind: kindEject, def: "ring", origin: fromNuthatch,
		help: "What `auto_eject_hosts: true` does with a server that fails. `ring`: its keys go to the other servers, as " +
			"with nutcracker. `fail`: its keys stay, and requests for them get an error at once; use it for data that " +
			"lives in one place only. After `server_retry_timeout` one request is let through. If it is answered, all " +
			"requests are sent to the server again. If not, another one is let through after the same time.",
		set: func(p *Pool, v value) { p.Eject = Eject(v.number) },
	},
}, clusterKeys, readKeys, sentinelKeys, within("sentinel_tls", func(p *Pool) *ServerTLS { return &p.Sentinel.TLS }, sentinelTLSKeys), within("emulate", func(p *Pool) *Emulate { return &p.Emulate }, emulateKeys), within("health_check", func(p *Pool) *HealthCheck { return &p.HealthCheck }, healthCheckKeys), slices.Concat(
	within("limits", func(p *Pool) *Limits { return &p.Limits }, limitKeys),
	[]key[Pool]{{
		name: "user_limits", limits: limits{1, 1000}, defNote: "none", origin: fromNuthatch,
		help: "Limits of users, by their names, in all event loops together: users of `users`, of `acl_file`, or of the servers " +
			"(`auth_mode: passthrough`), and `default`. They hold besides those of `limits`. A user who is not named has none.",
		blocks: mapOf(func(p *Pool) *[]UserLimit { return &p.UserLimits }, func(l *UserLimit) *string { return &l.Name }, userLimitKeys),
	}},
	within("tls", func(p *Pool) *TLS { return &p.TLS }, clientTLSKeys), within("server_tls", func(p *Pool) *ServerTLS { return &p.ServerTLS }, serverTLSKeys),
), []key[Pool]{
	{
		name: "reconnect_backoff", kind: kindDuration, limits: durations(0, time.Minute), def: "0", defNote: "none", origin: fromNuthatch,
		help: "The pause before nuthatch connects again to a server that could not be connected to, or that closed a " +
			"connection without an answer. The pause is a random time up to this value after the first failure, up to " +
			"twice as much after the second, and so on up to `reconnect_backoff_max`. Meanwhile requests for the server " +
			"fail at once, with the reason of the failure. Each event loop counts separately. Without it every request " +
			"tries to connect, as with nutcracker.",
		set: func(p *Pool, v value) { p.ReconnectBackoff = v.duration() },
	},
	{
		name: "reconnect_backoff_max", kind: kindDuration, limits: durations(time.Millisecond, time.Hour), def: "2s", origin: fromNuthatch,
		help: "The longest pause of `reconnect_backoff`.",
		set:  func(p *Pool, v value) { p.ReconnectBackoffMax = v.duration() },
	},
	{
		name: "retry", kind: kindRetry, def: "none", origin: fromNuthatch,
		help: "Which requests are sent again, once, on a new connection, when the server closes or resets theirs. `none`: " +
			"none; clients get an error, as with nutcracker. `unsent`: those of which no byte was handed to the kernel, " +
			"reads and writes. `idempotent`: also reads that were sent, if no byte of the reply has come, and if the " +
			"client sent no write behind them on that connection. A write that may have been carried out is never sent " +
			"again. At most one in ten of the recent requests is sent again. Requests that timed out are not sent again. " +
			"Neither are requests for a server that nuthatch could not connect to: it has tried all addresses already. " +
			"With Memcached the reads are `get` and `gets`; `mg`, `gat` and `gats` may change what they read, and are " +
			"never sent twice.",
		set: func(p *Pool, v value) { p.Retry = Retry(v.number) },
	},
	{
		name: "server_max_queued", kind: kindNumber, limits: limits{1, 1 << 24}, def: "1048576", origin: fromNuthatch,
		help: "The most requests on one connection to a server, unsent and unanswered ones together. One more gets the error " +
			"`server busy` at once. The default is far above what a working server needs.",
		set: func(p *Pool, v value) { p.ServerMaxQueued = int(v.number) },
	},
	{
		name: "server_max_queued_bytes", kind: kindSize, limits: limits{kb, 64 * gb}, def: "1gb", origin: fromNuthatch,
		help: "The most bytes of requests that may wait to be sent on one connection to a server. At this bound requests " +
			"get the error `server busy` at once. A single request that is larger than the bound still passes.",
		set: func(p *Pool, v value) { p.ServerMaxQueuedBytes = v.number },
	},
	{
		name: "server_max_reply", kind: kindSize, limits: limits{64 * kb, 4 * gb}, def: "1gb", origin: fromNuthatch,
		help: "The most bytes of the reply to one request. For a split request the replies of all servers count together. It is never more than " +
			"an eighth of `max_memory`. A request with a larger reply gets an error that names the bound, in its turn, " +
			"and the rest of the reply is dropped. A connection is closed only if more than 1 GB of a reply comes. Answers of " +
			"the proxy itself, such as `CLIENT LIST`, have the same bound.",
		set: func(p *Pool, v value) { p.ServerMaxReply = v.number },
	},
	{
		name: "max_request_size", kind: kindSize, limits: limits{kb, 4 * gb}, def: "512mb", origin: fromNuthatch,
		help: "The most bytes of one request, all arguments together. A larger one gets an error as soon as its size is " +
			"known, before its bytes are in memory. The default in a Memcached pool is `32mb`, since memcached itself " +
			"accepts 1 MB by default (`-I`): raise it where servers accept more.",
		set: func(p *Pool, v value) { p.MaxRequestSize = v.number },
	},
	{
		name: "client_max_pipeline", kind: kindNumber, limits: limits{1, 1 << 20}, def: "1024", origin: fromNuthatch,
		help: "The most requests of one client in flight. At that number nuthatch stops reading from the client until a " +
			"reply has gone out. Nothing is refused or lost.",
		set: func(p *Pool, v value) { p.ClientMaxPipeline = int(v.number) },
	},
	{
		name: "client_max_queued", kind: kindSize, limits: limits{16 * kb, 4 * gb}, def: "1mb", origin: fromNuthatch,
		help: "The most bytes, requests and replies together, that are held for one client. At that number nuthatch stops " +
			"reading from the client until half of them have gone out; requests in flight go on. The size of replies to " +
			"come is estimated from earlier ones. A single request or reply that is larger than the bound still passes. A " +
			"client whose replies suddenly grow can exceed the bound with the requests that it already has in flight.",
		set: func(p *Pool, v value) { p.ClientMaxQueued = v.number },
	},
	{
		name: "max_keys", kind: kindNumber, limits: anyNumber(1), def: "1048576", origin: fromNuthatch,
		help: "The most keys of one request. One with more gets an error, and the connection goes on.",
		set:  func(p *Pool, v value) { p.MaxKeys = int(v.number) },
	},
	{
		name: "client_login_timeout", kind: kindDuration, limits: durations(0, 24*time.Hour), onlyWith: "redis", def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How long a client may take to log in, in a pool that wants a password. After that it gets an error and is closed. " +
			"It counts from when the client was accepted or, with TLS, from the end of its handshake, which has a time of its " +
			"own (`tls_handshake_timeout`). Whatever the value, a client without a login may send requests of 10 words of 16 KB, " +
			"and 256 of them in a row.",
		set: func(p *Pool, v value) { p.ClientLoginTimeout = v.duration() },
	},
	{
		name: "client_idle_timeout", kind: kindDuration, limits: anyDuration, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "Closes a client that has no request in flight, and has sent and read nothing for this long. It does not matter " +
			"whether a part of a request has come. nuthatch looks at intervals, so a client may stay up to a " +
			"quarter longer.",
		set: func(p *Pool, v value) { p.ClientIdleTimeout = v.duration() },
	},
	{
		name: "client_output_limit", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "The most bytes of replies that may wait for one client to read them. A client with more is closed, as by " +
			"the hard limit of Redis's `client-output-buffer-limit`. Bytes in the kernel do not count.",
		set: func(p *Pool, v value) { p.ClientOutputLimit = v.number },
	},
	{
		name: "client_output_soft_limit", kind: kindSize, limits: limits{0, tb}, def: "64kb", defNote: "`0` is no limit", origin: fromNuthatch,
		help: "Closes a client that has more bytes of replies waiting than this, and reads fewer than this within " +
			"`client_output_soft_time`. So a client that has stopped reading does not hold memory for ever, and a slow " +
			"reader can take a reply of any size.",
		set: func(p *Pool, v value) { p.ClientOutputSoftLimit = v.number },
	},
	{
		name: "client_output_soft_time", kind: kindDuration, limits: durations(100*time.Millisecond, 24*time.Hour), def: "5m", origin: fromNuthatch,
		help: "The time in which a client must read `client_output_soft_limit` bytes.",
		set:  func(p *Pool, v value) { p.ClientOutputSoftTime = v.duration() },
	},
	{
		name: "read_only", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Refuses what may write. In a Redis pool that is each command with the flag `write` (`COMMAND INFO`), `EVAL`, " +
			"`EVALSHA` and `FCALL` (their `_RO` forms are allowed), and each command that nuthatch does not know, unless the servers " +
			"call it `readonly`. The client gets the error that a read-only replica has: `READONLY You can't write against a read only " +
			"replica.`. `PUBLISH` is allowed, as at a replica. In a Memcached pool all is refused but `get`, `gets`, `bget`, `mg` " +
			"without the flags `N`, `R` and `T`, `me`, `mn`, `stats`, `version` and `quit`; the client gets a `CLIENT_ERROR`. (An `mg` that " +
			"finds a stale item still takes the right to replace it, as memcached has it.) It holds for all users of the pool. " +
			"A reload applies it at once: to commands that wait at their servers, and to those that wait for `EXEC`, too.",
		set: func(p *Pool, v value) { p.ReadOnly = v.flag },
	},
	{
		name: "allow_monitor", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Lets clients of a Redis pool send `MONITOR`, and so see every command of all clients at all " +
			"servers, with keys and values. It slows every server down. Such a client has a private connection to " +
			"every server. If it does not read, it is closed at `client_output_limit`, or at 32 MB if that is not " +
			"set. A reload that takes the permission away closes such clients. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.AllowMonitor = v.flag },
	},
	{
		name: "allow_flush", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Lets clients empty every server of the pool: with `FLUSHALL` and `FLUSHDB` in a Redis pool, with " +
			"`flush_all` in a Memcached pool. Otherwise these commands are refused.",
		set: func(p *Pool, v value) { p.AllowFlush = v.flag },
	},
	{
		name: "allow_admin", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Lets the clients of a Redis pool administer all servers of the pool: `CONFIG SET` of most settings that " +
			"`CONFIG GET` shows, `CONFIG RESETSTAT`, `CONFIG REWRITE`, `SAVE`, `BGSAVE`, `BGREWRITEAOF` and `MEMORY " +
			"PURGE`; and pause the pool (`CLIENT PAUSE`). See [COMMANDS.md](COMMANDS.md). Every client of the pool " +
			"can then do so. With users, their rules can allow it too: see [USERS.md](USERS.md). Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.AllowAdmin = v.flag },
	},
	{
		name: "allow_keys", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Lets the clients of a Redis pool use `KEYS`. It goes to every server of the pool, and keeps each busy until " +
			"it has looked at all of its keys. With `false` the command gets an error that names `SCAN`. Ignored in " +
			"Memcached pools.",
		set: func(p *Pool, v value) { p.AllowKeys = v.flag },
	},
	{
		name: "partial_results", kind: kindPartial, def: "error", origin: fromNuthatch,
		help: "What the client gets if a Redis request goes to several servers and some of them fail. `error`: one error " +
			"for the whole request. `nulls`: a request that reads gets what the other servers have. `MGET` has a null " +
			"for each key that could not be read, which looks like a key that does not exist; `EXISTS`, `TOUCH`, " +
			"`DBSIZE`, `KEYS` and `PUBSUB` count or list what the others have; `PUBLISH` returns the receivers that it " +
			"reached. `errors`: `MGET` has an error in place of each value that could not be read, which not every " +
			"client library accepts; other requests are as with `error`. A request that writes (`MSET`, `DEL`, " +
			"`UNLINK`), or that no server answers, always gets an error. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.PartialResults = PartialResults(v.number) },
	},
	{
		name: "keyless_scripts", kind: kindKeyless, def: "refuse", origin: fromNuthatch,
		help: "What nuthatch does with scripts and functions without a key (`EVAL`, `EVALSHA`, `FCALL` and their " +
			"`_RO` forms) in a pool of several servers. `refuse`: an error says so. `any`: one of the servers runs " +
			"it, always the same one for the same script, sent as text or as SHA1, and for the same function. (In " +
			"a transaction with keys it runs on the server of these keys. With `distribution: random` any server " +
			"runs it.) It sees only the keys of that server, and what it writes is only there. In a pool of one " +
			"server it always runs. Ignored in Memcached pools.",
		set: func(p *Pool, v value) { p.KeylessScripts = KeylessScripts(v.number) },
	},
})

// healthCheckKeys are the keys of a pool's block "health_check".
var healthCheckKeys = []key[HealthCheck]{
	{
		name: "interval", kind: kindDuration, limits: durations(0, time.Hour), needed: true, def: "0", defNote: "no checks",
		origin: fromNuthatch,
		help: "How often nuthatch checks each server, on a connection of its own: with `PING`, after `AUTH` if there is a " +
			"`redis_auth`, or with Memcached's `version`. With `auto_eject_hosts: true` failed checks eject a server " +
			"too, and an ejected server comes back when it answers, not after `server_retry_timeout`. Without " +
			"`auto_eject_hosts` checks only change the state that is shown. A process sends one check per server, " +
			"whatever `threads` is.",
		set: func(c *HealthCheck, v value) { c.Interval = v.duration() },
	},
	{
		name: "timeout", kind: kindDuration, limits: durations(time.Millisecond, time.Minute), def: "1s", origin: fromNuthatch,
		help: "How long a server may take to connect and to answer a check. A check also fails if the server answers that it " +
			"is loading its data, has lost its master (`replica-serve-stale-data no`), refuses the password, or is busy with a script.",
		set: func(c *HealthCheck, v value) { c.Timeout = v.duration() },
	},
	{
		name: "rise", kind: kindNumber, limits: limits{1, 1000}, def: "2", origin: fromNuthatch,
		help: "How many checks in a row must succeed for an ejected server to come back.",
		set:  func(c *HealthCheck, v value) { c.Rise = int(v.number) },
	},
	{
		name: "fall", kind: kindNumber, limits: limits{1, 1000}, def: "3", origin: fromNuthatch,
		help: "How many checks in a row must fail for a server to be ejected. Failures of requests are counted separately, " +
			"by `server_failure_limit`.",
		set: func(c *HealthCheck, v value) { c.Fall = int(v.number) },
	},
}

// keepaliveTimes are what the kernel takes, and 0 for its own.
var keepaliveTimes = durations(0, 32767*time.Second)
