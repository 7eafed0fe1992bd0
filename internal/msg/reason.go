package msg

// Reason is why a request was not answered by its server, or why a connection
// was closed. One enum feeds the client's error text, the log and the
// statistics.
type Reason uint8

// The reasons. The texts of those that nutcracker knows are its own: what the
// operating system calls the error.
const (
	// OK is no reason at all.
	OK Reason = iota
	// ConnRefused: the server refused the connection, or no server is left.
	ConnRefused
	// Timedout: no answer within the pool's timeout.
	Timedout
	// ConnReset: the connection broke.
	ConnReset
	// ServerEOF: the server closed the connection.
	ServerEOF
	// HostUnreachable and NetUnreachable: there is no way to the server.
	HostUnreachable
	NetUnreachable
	// HostDown: the server's machine does not answer.
	HostDown
	// Unresolved: the server's name cannot be resolved.
	Unresolved
	// BrokenPipe: the connection was closed while it was written to.
	BrokenPipe
	// BadReply: the server sent an invalid reply, or one without a request.
	BadReply
	// NoDescriptors: the process, or the system, has no descriptor left.
	NoDescriptors
	// SocketMissing: the server's unix socket does not exist.
	SocketMissing
	// AccessDenied: the server's unix socket may not be opened.
	AccessDenied
	// ServerRemoved: a reload removed the server, before the request was sent there.
	ServerRemoved
	// ConnReplaced: the connection was given up, for a newer one, with requests on it.
	ConnReplaced
	// NoRESP3: the server does not speak RESP3, which the client asked for.
	NoRESP3
	// LoginRefused: the server refused the pool's password.
	LoginRefused
	// NoDatabase: the server refused the database that the request is for.
	NoDatabase
	// Disabled: an operator has taken the server out of service.
	Disabled
	// ServerBusy: as many requests wait for the server as are allowed to.
	ServerBusy
	// CircuitOpen: the server has failed, and is left alone until it answers.
	CircuitOpen
	// RequestTimedout: no answer within the time that a client's request may take.
	RequestTimedout
	// Loading: the server is reading its data in.
	Loading
	// MasterDown: the server is a replica that has lost its master.
	MasterDown
	// ReadOnly: the server takes no writes.
	ReadOnly
	// ScriptBusy: the server runs a script that does not end.
	ScriptBusy
	// OtherError is any other error of the operating system.
	OtherError
	// CrossServer: the keys of a request that cannot be split have different
	// owners.
	CrossServer
	// Asked: the client asked for the end of its connection.
	Asked
	// ClientEOF: the client closed its connection.
	ClientEOF
	// NotProtocol: the client sent bytes that are not a request.
	NotProtocol
	// Killed: another client or an operator closed the client.
	Killed
	// Dismissed: the client was made to leave, by a reload or the proxy's end.
	Dismissed
	// TooManyClients: the pool has as many clients as client_connections allows.
	TooManyClients
	// ClientIdle: the client sent nothing for client_idle_timeout.
	ClientIdle
	// OutputLimit: the client does not read its replies.
	OutputLimit
	// NoMemory: the proxy holds as much as max_memory allows.
	NoMemory
	// SlowRequest: memory was short, and the client's request came too slowly.
	SlowRequest
	// TooManyKeys: the request has more keys than max_keys allows.
	TooManyKeys
	// TooManyReports: too many requests about the whole process wait for an answer.
	TooManyReports
	// ReplyTooLarge: the reply is larger than server_max_reply allows.
	ReplyTooLarge
	// TransactionTooLarge: a transaction has more commands, or more bytes, than
	// allowed.
	TransactionTooLarge
	// NoTransactions: the server does not let the user of the connection to it send MULTI.
	NoTransactions
	// MultiRefused: the server refused the MULTI of a transaction that was sent to it.
	MultiRefused
	// NoPrivate: there are as many private connections to the server as are allowed.
	NoPrivate
	// TooManySubscriptions: a client listens to as many channels as it may.
	TooManySubscriptions
	// SubscriptionLost: the connection on which a server's messages came has ended.
	SubscriptionLost
	// TLSFailed: a handshake of TLS failed, or what came behind it is no TLS.
	TLSFailed
	// TLSUnanswered: nothing came in answer to the first message of a handshake of TLS.
	TLSUnanswered
	// Unpublished: the server refuses what has to be published before a WAIT.
	Unpublished
	// Replaced: a server that a WAIT asks about is another one now, or gone.
	Replaced
	// NoTracking: the server refused CLIENT TRACKING on a private connection.
	NoTracking
	// MonitorLost: a connection has ended on which a server showed its commands
	// (MONITOR).
	MonitorLost
	// AddressRefused: the lists of addresses do not let the client in.
	AddressRefused
	// BadHeader: a load balancer sent no PROXY header, a faulty one, or one that came too
	// late.
	BadHeader
	// StrangeHeader: a client sent a PROXY header that is no load balancer.
	StrangeHeader
	// LoginTimedout: the client has not logged in within client_login_timeout.
	LoginTimedout
	// TooManyTries: the client has sent too many requests without a login.
	TooManyTries
	// NoPermission: a reload has changed the rules of the client's user, which no longer
	// allow what it does.
	NoPermission
	// UserRemoved: a reload has removed the client's user.
	UserRemoved
	// RequestRate, ByteRate and InFlightLimit: the request has waited too long for a limit of
	// its pool.
	RequestRate
	ByteRate
	InFlightLimit
	// NotPrimary: the server of this key is a replica, and no other is known to be the
	// primary.
	NotPrimary
	// UserRefused: the server refused the name and password that a client has said.
	UserRefused
	// TooManyUsers: as many users as are allowed have connections to the servers.
	TooManyUsers
	// PoolReadOnly: a reload has made the pool one for reading alone.
	PoolReadOnly
	// UserRequestRate, UserByteRate and UserInFlightLimit: the request has waited too long for
	// a limit of its client's user.
	UserRequestRate
	UserByteRate
	UserInFlightLimit
	// UserClientLimit: the user has as many clients as user_limits allows.
	UserClientLimit
	// NotServed: no node of the cluster has the slot of the key.
	NotServed
	// NoMap: no node of the cluster has said yet which slots it has.
	NoMap
	// NoReplica: reads go to replicas alone, and none of this key's may be used.
	NoReplica
	// TransactionTimedout: the EXEC of a transaction has not come within the time that a
	// client's request may take.
	TransactionTimedout
	// ServerClosed: the server closed the connection. It is in place of ServerEOF where
	// nutcracker has no text that must be kept: in pools of a cluster and of Sentinel.
	ServerClosed
	// NumReasons is how many there are.
	NumReasons = iota
)

var reasonTexts = [NumReasons]string{
	OK:              "unknown",
	ConnRefused:     "Connection refused",
	Timedout:        "Connection timed out",
	ConnReset:       "Connection reset by peer",
	ServerEOF:       "unknown",
	HostUnreachable: "No route to host",
	NetUnreachable:  "Network is unreachable",
	HostDown:        "Host is down",
	Unresolved:      "the name of this key's server cannot be resolved",
	BrokenPipe:      "Broken pipe",
	BadReply:        "Invalid argument",
	NoDescriptors:   "Too many open files",
	SocketMissing:   "No such file or directory",
	AccessDenied:    "Permission denied",
	ServerRemoved:   "a reload removed the server of this key; the request was not sent to it",
	ConnReplaced:    "the connection to the server of this key was replaced, and ended before the server answered",
	NoRESP3:         "the server of this key does not speak RESP3",
	LoginRefused:    "the server of this key refused the pool's password",
	NoDatabase:      "the server of this key refused the database",
	Disabled:        "the server of this key is disabled",
	ServerBusy:      "server busy",
	CircuitOpen:     "the server of this key is ejected; requests for it fail until it answers again",
	RequestTimedout: "request timed out",
	Loading:         "the server of this key is loading its data",
	MasterDown:      "the server of this key has lost its master",
	ReadOnly:        "the server of this key takes no writes",
	ScriptBusy:      "the server of this key is busy with a script",
	OtherError:      "Input/output error",
	CrossServer:     "keys of several servers",
	Asked:           "quit",
	ClientEOF:       "eof",
	NotProtocol:     "protocol error",
	Killed:          "killed",
	Dismissed:       "told to leave",
	TooManyClients:  "max number of clients reached",
	ClientIdle:      "idle",
	OutputLimit:     "replies not read",
	NoMemory:        "the proxy is out of memory",
	SlowRequest:     "the proxy is short of memory, and the request came too slowly",
	TooManyKeys:     "too many keys in one request",
	TooManyReports:  "too many questions about the proxy at one time",
	ReplyTooLarge:   "the server of this key sent a reply larger than server_max_reply",

	TransactionTimedout: "the transaction took longer than request_timeout; nothing of it is carried out",
	TransactionTooLarge: "the transaction has more commands than max_transaction_commands allows, or more bytes than max_transaction_size",
	NoTransactions:      "the server of these keys does not let the connection's user send MULTI",
	MultiRefused:        "the server of these keys refused MULTI; the commands behind it may have been carried out one by one",

	NoPrivate: "the server of this key has as many private connections as private_connections allows",

	TooManySubscriptions: "the client would listen to more channels and patterns than max_subscriptions allows",
	SubscriptionLost:     "the connection to a server whose messages the client listens to has ended",
	TLSFailed:            "TLS failed",
	TLSUnanswered:        "no answer to the TLS handshake",

	Unpublished: "a server does not let the pool's user publish to __redis__:wait, which WAIT and WAITAOF need",
	Replaced:    "a server that the client has written to has been replaced: nobody knows whether replicas have what was written there",
	NoTracking:  "the server of this key refused CLIENT TRACKING",
	MonitorLost: "a connection to a server that the client monitors has ended",

	AddressRefused: "connections from this address are not allowed",
	BadHeader:      "a valid PROXY header is expected first from this address (proxy_protocol_from)",
	StrangeHeader:  "a PROXY header from an address that is not in proxy_protocol_from, or a second one",
	LoginTimedout:  "no login within client_login_timeout",
	TooManyTries:   "too many requests without a login",
	NoPermission:   "the user's rules have changed, and no longer allow this",
	UserRemoved:    "the client's user was removed",

	RequestRate:   "the limit on requests a second is reached (limits.requests_per_second)",
	ByteRate:      "the limit on bytes a second is reached (limits.bytes_per_second)",
	InFlightLimit: "the limit on requests in flight is reached (limits.in_flight)",
	PoolReadOnly:  "the pool is for reading alone now (read_only)",
	NotPrimary:    "the server of this key is a replica, and its primary is not known yet",
	UserRefused:   "the server of this key refused the name or the password that the client logged in with",
	TooManyUsers:  "as many users have connections to the servers as max_server_users allows",

	UserRequestRate:   "the user's limit on requests a second is reached (user_limits)",
	UserByteRate:      "the user's limit on bytes a second is reached (user_limits)",
	UserInFlightLimit: "the user's limit on requests in flight is reached (user_limits)",
	UserClientLimit:   "max number of clients of this user reached (user_limits)",
	NotServed:         "CLUSTERDOWN Hash slot not served",
	NoMap:             "no node of the cluster has said yet which slots it has",
	NoReplica:         "no replica of this key may be read from now (read_policy: replica)",
	ServerClosed:      "the server closed the connection",
}

// reasonNames are what the statistics call the reasons.
var reasonNames = [NumReasons]string{
	OK:              "none",
	ConnRefused:     "conn_refused",
	Timedout:        "timed_out",
	ConnReset:       "conn_reset",
	ServerEOF:       "server_eof",
	HostUnreachable: "host_unreachable",
	NetUnreachable:  "net_unreachable",
	HostDown:        "host_down",
	Unresolved:      "unresolved",
	BrokenPipe:      "broken_pipe",
	BadReply:        "bad_reply",
	NoDescriptors:   "no_descriptors",
	SocketMissing:   "socket_missing",
	AccessDenied:    "access_denied",
	ServerRemoved:   "server_removed",
	ConnReplaced:    "conn_replaced",
	NoRESP3:         "no_resp3",
	LoginRefused:    "login_refused",
	NoDatabase:      "no_database",
	Disabled:        "disabled",
	ServerBusy:      "server_busy",
	CircuitOpen:     "circuit_open",
	RequestTimedout: "request_timed_out",
	Loading:         "loading",
	MasterDown:      "master_down",
	ReadOnly:        "read_only",
	ScriptBusy:      "script_busy",
	OtherError:      "other_error",
	CrossServer:     "cross_server",
	Asked:           "quit",
	ClientEOF:       "client_eof",
	NotProtocol:     "not_protocol",
	Killed:          "killed",
	Dismissed:       "dismissed",
	TooManyClients:  "too_many_clients",
	ClientIdle:      "client_idle",
	OutputLimit:     "output_limit",
	NoMemory:        "no_memory",
	SlowRequest:     "slow_request",
	TooManyKeys:     "too_many_keys",
	TooManyReports:  "too_many_reports",
	ReplyTooLarge:   "reply_too_large",

	TransactionTimedout: "transaction_timed_out",
	TransactionTooLarge: "transaction_too_large",
	NoTransactions:      "no_transactions",
	MultiRefused:        "multi_refused",

	NoPrivate: "no_private_connection",

	TooManySubscriptions: "too_many_subscriptions",
	SubscriptionLost:     "subscription_lost",
	TLSFailed:            "tls_failed",
	TLSUnanswered:        "tls_unanswered",
	Unpublished:          "unpublished",
	Replaced:             "server_replaced",
	NoTracking:           "no_tracking",
	MonitorLost:          "monitor_lost",
	AddressRefused:       "address_refused",
	BadHeader:            "bad_header",
	StrangeHeader:        "strange_header",
	LoginTimedout:        "login_timed_out",
	TooManyTries:         "too_many_tries",
	NoPermission:         "no_permission",
	UserRemoved:          "user_removed",
	RequestRate:          "request_rate",
	ByteRate:             "byte_rate",
	InFlightLimit:        "in_flight_limit",
	NotPrimary:           "not_primary",
	UserRefused:          "user_refused",
	TooManyUsers:         "too_many_users",
	PoolReadOnly:         "pool_read_only",
	UserRequestRate:      "user_request_rate",
	UserByteRate:         "user_byte_rate",
	UserInFlightLimit:    "user_in_flight_limit",
	UserClientLimit:      "user_client_limit",
	NotServed:            "slot_not_served",
	NoMap:                "no_map",
	NoReplica:            "no_replica",
	ServerClosed:         "server_closed",
}

// Name is what the statistics call the reason: lower case, with underscores.
func (r Reason) Name() string { return reasonNames[r] }

// String is the text that clients see behind "-ERR " or "SERVER_ERROR ".
func (r Reason) String() string { return reasonTexts[r] }
