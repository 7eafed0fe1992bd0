package msg

// reasonHelp says what each reason means, and what to do about it. The page and the API show
// it, and docs/TROUBLESHOOTING.md has the same texts.
var reasonHelp = [NumReasons]struct{ meaning, advice string }{
	ConnRefused: {
		"Nothing listens at the server's address, or its unix socket has no room for a connection. Also: all servers of the pool are ejected.",
		"Is the server running? Is the address in the configuration right?",
	},
	Timedout: {
		"The server did not accept the connection, or did not answer, within timeout (connect_timeout). All requests on that connection failed.",
		"Is the server stopped, overloaded, or busy with a long command? Is a firewall dropping packets?",
	},
	ConnReset: {
		"The server, or a firewall, broke the connection.",
		"Look at the server's log. Does it want TLS? Set server_tls, with cert and key if it asks for a certificate.",
	},
	ServerEOF: {
		"The server closed the connection before it answered. The text is nutcracker's; the log says eof.",
		"Did the server restart, or close the connection as idle? Set server_idle_timeout below the server's timeout, and retry.",
	},
	HostUnreachable: {
		"The network has no route to the server, or a firewall refuses it.",
		"Look at routes and firewalls.",
	},
	NetUnreachable: {
		"This host has no route to the server's network.",
		"Look at routes; for IPv6, does this host have it?",
	},
	HostDown: {
		"The server's machine does not answer on the local network.",
		"Is the machine running?",
	},
	Unresolved: {
		"The name of the server has no address in DNS.",
		"Correct the name, or DNS. nuthatch asks again every resolve_interval.",
	},
	BrokenPipe: {
		"The connection was closed while nuthatch wrote to it.",
		"As for conn_reset.",
	},
	BadReply: {
		"The server sent bytes that are no valid reply, or a reply that nobody asked for.",
		"Is the pool's redis: right? A Memcached server in a Redis pool shows this. So does a server that wants TLS; then set server_tls.",
	},
	NoDescriptors: {
		"The process, or the system, has no file descriptor left.",
		"Raise ulimit -n or LimitNOFILE=.",
	},
	SocketMissing: {
		"The server's unix socket does not exist.",
		"Is the server running? Is the path right, also inside the container?",
	},
	AccessDenied: {
		"nuthatch may not open the server's unix socket.",
		"Give its user the right to write to the socket.",
	},
	ServerRemoved: {
		"A reload took the server out of the pool before the request could be sent.",
		"Send the request again: the key has another server now.",
	},
	ConnReplaced: {
		"A reload, reconnect, a change of DNS or a failover replaced the connection, and the old one ended before the reply came. Or the node of a cluster fails or has left, and a client asked just then to listen there.",
		"The request may have been carried out. Raise drain_timeout, if the server is slow.",
	},
	NoRESP3: {
		"The client asked for RESP3 (HELLO 3), and this server is older than Redis 6.",
		"Set the client to RESP2, or upgrade the server.",
	},
	LoginRefused: {
		"The server does not accept what the pool tells it: server_user and server_password or, without them, redis_auth.",
		"Correct these or the server. The login is tried again each second, for the next request.",
	},
	NoDatabase: {
		"The server has fewer databases than the pool's databases or redis_db says.",
		"Correct either.",
	},
	Disabled: {
		"An operator took the server out of service (nuthatch ctl disable).",
		"nuthatch ctl enable POOL SERVER.",
	},
	ServerBusy: {
		"The server's queue is full (server_max_queued or server_max_queued_bytes).",
		"The server is too slow for what clients send. Find out why, or add servers.",
	},
	CircuitOpen: {
		"The server is ejected, and the pool has eject: fail.",
		"Mend the server. It is back after its next good answer.",
	},
	RequestTimedout: {
		"The request took longer than request_timeout. It may still be carried out.",
		"nuthatch ctl slowlog shows where the time went.",
	},
	Loading: {
		"The server has just started.",
		"Wait.",
	},
	MasterDown: {
		"The server is a replica without its master, with replica-serve-stale-data no.",
		"Mend the replication.",
	},
	ReadOnly: {
		"The server is a replica now.",
		"After a failover, make the server's name resolve to the new primary.",
	},
	ScriptBusy: {
		"A script has run for longer than the server's busy-reply-threshold.",
		"SCRIPT KILL, which nuthatch passes on.",
	},
	OtherError: {
		"Another error of the operating system.",
		"The log has its number.",
	},
	CrossServer: {
		"The keys of one command have different servers. Clients read CROSSSLOT or a text that names two keys.",
		"Give the keys a common hash tag (hash_tag).",
	},
	Asked: {
		"The client said QUIT.",
		"Nothing.",
	},
	ClientEOF: {
		"The client closed its connection.",
		"Nothing.",
	},
	NotProtocol: {
		"The client sent bytes that are not the protocol. The log line says which.",
		"Is the client for this protocol? Does it use TLS? Does an HTTP check reach the port?",
	},
	Killed: {
		"CLIENT KILL, or nuthatch ctl kill.",
		"Nothing.",
	},
	Dismissed: {
		"The proxy drains, or a reload removed the pool.",
		"Nothing: clients connect again.",
	},
	TooManyClients: {
		"The pool has client_connections clients, or the process has no descriptor left for clients.",
		"Raise the bound that the log names. Do clients leak connections?",
	},
	ClientIdle: {
		"The client sent nothing for client_idle_timeout.",
		"Nothing, or raise it.",
	},
	OutputLimit: {
		"The client did not read its replies: client_output_limit, or the soft limit.",
		"Find out why the client is slow or hangs.",
	},
	NoMemory: {
		"The process holds as much as max_memory allows; the largest transactions were given up, and EXEC carries nothing of them out, or the largest holders were closed.",
		"nuthatch ctl clients shows who holds how much. Raise max_memory, or lower client_max_queued or max_transaction_size.",
	},
	SlowRequest: {
		"Memory was short, and this client kept some for a request that it sent very slowly.",
		"As for no_memory.",
	},
	TooManyKeys: {
		"The request has more than max_keys keys; or it is a WATCH, a SUBSCRIBE or a command that blocks, with more than 16384 keys or channels, whatever max_keys says.",
		"Split it, or raise max_keys.",
	},
	TooManyReports: {
		"Too many clients asked for INFO and the like at the same moment.",
		"Ask less often.",
	},
	ReplyTooLarge: {
		"The reply was dropped.",
		"Ask in parts (SCAN, LRANGE), or raise server_max_reply and max_memory.",
	},
	TransactionTooLarge: {
		"EXEC carried nothing out. Or it is a WATCH: with it the names of all keys that the client watches would be longer than max_transaction_size.",
		"Make it smaller, or raise the bound.",
	},
	TransactionTimedout: {
		"EXEC did not come within request_timeout of MULTI. What was collected is dropped, and nothing is watched any more; EXEC carries nothing out.",
		"Does the client wait for something between MULTI and EXEC, or has it forgotten a DISCARD? Else raise request_timeout.",
	},
	NoTransactions: {
		"The server's ACL forbids MULTI.",
		"Allow +multi +exec, or set transactions: refuse.",
	},
	MultiRefused: {
		"The pool's user lost the right to MULTI while the transaction was under way.",
		"Check the data. Then as above.",
	},
	NoPrivate: {
		"A private connection to the server is needed for WATCH, for a command that blocks, and for clients that listen to channels, monitor, or use CLIENT TRACKING. All private_connections are in use. The MULTI behind the WATCH is refused too.",
		"Raise private_connections, if the server's maxclients has room. Do clients end what they watch, with EXEC, DISCARD or UNWATCH?",
	},
	TooManySubscriptions: {
		"The client asked for more channels and patterns than pubsub.max_subscriptions.",
		"Raise it, or use more connections.",
	},
	SubscriptionLost: {
		"A reason in the log and the statistics: the client listened to channels and was closed, since it may have missed messages.",
		"Clients connect and subscribe again by themselves. Why did the connection to the server end?",
	},
	TLSFailed: {
		"The handshake with a server failed, or with a client; or what came behind it was no TLS. The log line's fault= or reason= says why: a certificate that is not signed by server_tls.ca or has another name, no certificate of a client that needs one, versions or suites that do not meet.",
		"Mend what it names. See TLS.md.",
	},
	TLSUnanswered: {
		"The server accepts connections, and says nothing in answer to the TLS handshake within connect_timeout, timeout or tls_handshake_timeout. Redis without TLS does that: it waits for the end of a line.",
		"Does the server speak TLS at this port (tls-port)? If not, leave server_tls out, or name the port that does.",
	},
	Unpublished: {
		"The server's ACL forbids the PUBLISH that WAIT and WAITAOF need.",
		"Allow +publish and &__redis__:wait.",
	},
	Replaced: {
		"A client has written to a server, which then got another address (a failover), or was removed. Its WAIT or WAITAOF cannot tell whether replicas have these writes. Later ones are answered again.",
		"The client treats these writes as not confirmed.",
	},
	NoTracking: {
		"A client with CLIENT TRACKING has read a key, and the key's server refuses CLIENT TRACKING: it is older than Redis 6, or its ACL forbids the command.",
		"Allow +client|tracking +client|caching, or set tracking: off.",
	},
	MonitorLost: {
		"The client had sent MONITOR. It is closed, since it would miss commands.",
		"Send MONITOR again.",
	},
	AddressRefused: {
		"The client's address is in the pool's deny_from, or allow_from does not have it. The log line names the address and the list.",
		"Add the address to allow_from, or take it out of deny_from, and reload. Behind a load balancer, is it the balancer's address that is refused?",
	},
	BadHeader: {
		"A connection from a load balancer brought no header of the PROXY protocol, a faulty one, or not all of it within proxy_protocol_timeout. The log line's fault= says which.",
		"Have the load balancer send it (HAProxy: send-proxy or send-proxy-v2, also for its checks: check-send-proxy), or take its address out of proxy_protocol_from.",
	},
	StrangeHeader: {
		"A client began with a header of the PROXY protocol, and its address is none of the load balancers'; or the header of a load balancer had another one behind it.",
		"Add the load balancer to proxy_protocol_from. Of several in a row, have one send it. On a port with TLS the log says it in fault=.",
	},
	LoginTimedout: {
		"The client has connected and not logged in.",
		"Does the client have the password, and does it log in at once? Otherwise it is no client of yours: see the address in the log.",
	},
	TooManyTries: {
		"The client sent more than 256 requests in a row without a login, such as wrong passwords.",
		"As for NOAUTH.",
	},
	NoPermission: {
		"A reload has changed the rights of the client's user, or allow_monitor. Its EXEC has a command that the user may no longer send, and nothing of it was carried out; or the client listened to a channel that it may no longer listen to, or monitored, and is closed.",
		"See USERS.md.",
	},
	UserRemoved: {
		"A reload has removed the client's user. The client is closed.",
		"Log in as another user.",
	},
	RequestRate: {
		"The pool's clients send more requests than limits.requests_per_second, and this one has waited for limits.max_wait. It was not sent to a server.",
		"Raise the limit, or limits.max_wait. nuthatch_client_limit_waiting shows how many clients wait.",
	},
	ByteRate: {
		"The same, for bytes of requests and replies. A very large one makes those behind it wait.",
		"As above.",
	},
	InFlightLimit: {
		"The same, for requests that are not answered.",
		"Are the servers slow? Otherwise as above.",
	},
	PoolReadOnly: {
		"A reload has set read_only, and a command of the transaction may write.",
		"Send it to a pool that takes writes.",
	},
	NotServed: {
		"No node of the cluster has the slot of the key, as far as nuthatch knows.",
		"Look at CLUSTER INFO of a node, and at the page. nuthatch asks for the map until the slot has a node. See CLUSTER.md.",
	},
	NotPrimary: {
		"Sentinel named a server that says (ROLE) that it is a replica, and named no other within the time that requests have.",
		"Wait for the end of the failover. If it lasts, compare what the sentinels say: SENTINEL MASTER name. See SENTINEL.md.",
	},
	UserRefused: {
		"With auth_mode: passthrough a new connection to a server could not log in as the client's user, whose password has changed there, or which that server does not have.",
		"Log in again. Give all servers the same users.",
	},
	TooManyUsers: {
		"With auth_mode: passthrough too many different users, or passwords, are in use at one time.",
		"Raise max_server_users, or find out who logs in under so many names.",
	},
	UserRequestRate: {
		"The clients of a user together send more requests than user_limits allows, and this one has waited for max_wait.",
		"Send less, or raise the limit.",
	},
	UserByteRate: {
		"The clients of a user together send and read more bytes than user_limits allows, and this request has waited for max_wait.",
		"Send less, or raise the limit.",
	},
	UserInFlightLimit: {
		"The clients of a user together have as many requests in flight as user_limits allows, and this one has waited for max_wait.",
		"Send less at a time, or raise the limit.",
	},
	UserClientLimit: {
		"The user has as many clients as its clients in user_limits allows. The client was closed when it logged in.",
		"Close idle clients of the user, or raise the limit.",
	},
	NoMap: {
		"No server in servers has answered as a node of a Redis Cluster since the start, within the time that requests have.",
		"nuthatch ctl cluster says what each of them has answered. See CLUSTER.md.",
	},
	ServerClosed: {
		"The same as unknown (server_eof), in a pool whose servers are found by cluster or Sentinel. The request may have been carried out, unless it says nothing of that.",
		"Did the server restart, or close the connection as idle? After a failover this ends when the new primary is known.",
	},
	NoReplica: {
		"With read_policy: replica all replicas of the key's primary are away, load their data, or are too far behind.",
		"The page, nuthatch ctl events and /api/v1/pools say why each of them is not used. With prefer_replica the primary is read from meanwhile. See REPLICAS.md.",
	},
}

// Meaning says in a sentence or two what the reason means; empty for OK.
func (r Reason) Meaning() string { return reasonHelp[r].meaning }

// Advice says what to do about it.
func (r Reason) Advice() string { return reasonHelp[r].advice }

// ReasonNamed is the reason of that name in the statistics.
func ReasonNamed(name string) (r Reason, ok bool) {
	for r := range Reason(NumReasons) {
		if reasonNames[r] == name {
			return r, true
		}
	}
	return OK, false
}
