package stats

// To add a statistic of our own, add one constant to the group of its level
// (PoolField, ServerField, LoopField, PoolVector or ServerVector) and one row to
// the table of that level; then count where it happens:
//
//	p.stats.Values[stats.MyField]++                 // a pool's
//	s.stats.Values[stats.MyField]++                 // a server's
//	ctx.shard.Values[stats.MyField]++               // an event loop's
//	p.stats.Vectors[stats.MyVector][reason]++       // a pool's, one value for each msg.Reason
//
// That is all: the JSON API, Prometheus, INFO and docs/METRICS.md (`go test
// ./internal/stats -run Metrics -update`) come from the tables. nutcracker's
// document and -D show nutcracker's own rows alone.

// Kind says how a statistic's values behave over time, and with that how the
// values of several shards become one.
type Kind uint8

const (
	// Counter only grows; shards add up.
	Counter Kind = iota
	// Gauge goes up and down; shards add up.
	Gauge
	// Timestamp is a moment in microseconds since the Unix epoch, 0 for never;
	// the latest of the shards counts.
	Timestamp
	// Longest is a gauge of how long something takes; the longest of the shards counts.
	Longest
)

// String gives the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Counter:
		return "counter"
	case Gauge, Longest:
		return "gauge"
	case Timestamp:
		return "timestamp"
	}
	return "unknown"
}

// combine merges the values of two shards.
func (k Kind) combine(a, b int64) int64 {
	switch k {
	case Timestamp, Longest:
		return max(a, b)
	case Counter, Gauge:
	}
	return a + b
}

// Unit is what a statistic's values count.
type Unit uint8

const (
	// Things is no unit: requests, connections.
	Things Unit = iota
	// Bytes are bytes.
	Bytes
	// Nanoseconds are counted as such, and shown as seconds.
	Nanoseconds
	// Microseconds likewise.
	Microseconds
)

// String is the unit that a value is counted in.
func (u Unit) String() string {
	switch u {
	case Things:
		return ""
	case Bytes:
		return "bytes"
	case Nanoseconds:
		return "nanoseconds"
	case Microseconds:
		return "microseconds"
	}
	return "unknown"
}

// Base gives a value in the unit that Prometheus wants: bytes, seconds, or none.
func (u Unit) Base(v int64) float64 {
	switch u {
	case Nanoseconds:
		return float64(v) / 1e9
	case Microseconds:
		return float64(v) / 1e6
	case Things, Bytes:
	}
	return float64(v)
}

// Field is one row of a field table: all that is known about a statistic. The
// JSON document, the -D listing and every other form of a statistic are made
// from its row.
type Field struct {
	// Name is the key in JSON. Of nutcracker's statistics it is nutcracker's and
	// never changes.
	Name string
	// Prom is the name in Prometheus. Values there are in Unit.Base.
	Prom string
	// Kind says how the values of shards are merged.
	Kind Kind
	// Unit is what the values count.
	Unit Unit
	// Help is one line of text without quotes, for people.
	Help string
}

// Reasons are the values of a vector: one for each msg.Reason, by its number. A
// reason without a name has no value.
type Reasons [MaxReasons]int64

// MaxReasons is how many reasons there may be.
const MaxReasons = 80

// PoolField is the index of a statistic that a pool keeps once.
type PoolField uint8

// The statistics of a pool, in the order of nutcracker's document.
const (
	// ClientEOF counts client connections that the client closed.
	ClientEOF PoolField = iota
	// ClientErr counts client connections that ended with an error.
	ClientErr
	// ClientConnections is the number of client connections open now.
	ClientConnections
	// ServerEjects counts ejections of any of the pool's servers.
	ServerEjects
	// ForwardError counts requests that could not be forwarded to a server.
	ForwardError
	// Fragments counts the sub-requests that requests of several keys were split into.
	Fragments

	// NutcrackerPoolFields is how many of a pool's statistics are nutcracker's.
	NutcrackerPoolFields = iota
)

// The statistics of a pool that nutcracker does not have. Their rows in
// PoolFields say what they are.
const (
	ClientRequests PoolField = iota + NutcrackerPoolFields
	ClientsRefused
	SlowRequests
	TracesLeftOut
	// AdminRequests counts requests that administer all servers, such as CONFIG SET.
	AdminRequests
	// Transactions counts transactions that servers carried out, TransactionsAborted those
	// that ended without a result.
	Transactions
	TransactionsAborted
	// ReadsOwnWrites counts reads that went to a primary since their client had written there.
	ReadsOwnWrites
	// Subscribers is how many clients listen to channels, Subscriptions to how many, and
	// Messages counts what they were told.
	Subscribers
	Subscriptions
	Messages
	MessageBytes
	// SubscribersLost counts clients that lost what they listened to with a connection.
	// SubscribersSlow counts those that were closed because they did not read.
	SubscribersLost
	SubscribersSlow
	// TLSHandshakes counts handshakes with clients, TLSResumed those of them that resumed
	// a session, TLS12Handshakes those that agreed on TLS 1.2. TLSFailures counts those that
	// failed, TLSPlain those of them whose client does not speak TLS, TLSLate those that took
	// too long.
	TLSHandshakes
	TLSResumed
	TLS12Handshakes
	TLSFailures
	TLSPlain
	TLSLate
	// CertificateUntil is when the certificate that clients are shown ends.
	CertificateUntil
	// TransactionsSpread counts those that were sent to several servers, TransactionsPartial
	// those of which some servers carried out their part and others did not.
	TransactionsSpread
	TransactionsPartial
	// TrackingClients is how many clients are told when keys change, Invalidations of how
	// many keys they were told, and TrackingResets how often one was to forget all.
	TrackingClients
	Invalidations
	TrackingResets
	// Monitors is how many clients see every command, and MonitorLines counts what they saw.
	Monitors
	MonitorLines
	// ProxyHeaders counts PROXY headers that were read, ProxyHeadersWaiting is how many
	// connections have yet to bring one.
	ProxyHeaders
	ProxyHeadersWaiting
	// ClientsAccepted counts the clients that came. ClientBytesReceived and ClientBytesSent
	// are what clients sent and got.
	ClientsAccepted
	ClientBytesReceived
	ClientBytesSent
	// FailedLogins counts logins with a wrong name or password. DeniedCommands,
	// DeniedKeys, DeniedChannels and DeniedDatabases count requests that the client's user
	// had no right to.
	FailedLogins
	DeniedCommands
	DeniedKeys
	DeniedChannels
	DeniedDatabases
	// DeniedStrangers counts requests of clients that have not logged in, and DeniedPings PING of
	// such ones.
	DeniedStrangers
	DeniedPings
	// DeniedWrites counts requests that were refused because the pool is for reading alone.
	DeniedWrites
	// LimitWaits counts requests that waited for a limit, LimitWaiting is how many clients do.
	LimitWaits
	LimitWaiting
	// ServerWaiting is how many clients wait for a server that takes their request.
	ServerWaiting
	// CertificateLogins counts clients that their certificates have logged in.
	CertificateLogins

	numPoolFields = iota + NutcrackerPoolFields
)

// ServerField is the index of a statistic that every server of a pool keeps.
type ServerField uint8

// The statistics of a server, in the order of nutcracker's document.
const (
	// ServerEOF counts server connections that the server closed.
	ServerEOF ServerField = iota
	// ServerErr counts server connections that ended with an error.
	ServerErr
	// ServerTimedout counts server connections that were given up after the pool's timeout.
	ServerTimedout
	// ServerConnections is the number of connections to the server open now.
	ServerConnections
	// ServerEjectedAt is when the server was last ejected, in microseconds since the epoch.
	ServerEjectedAt
	// Requests counts the requests sent to the server.
	Requests
	// RequestBytes counts the bytes of those requests.
	RequestBytes
	// Responses counts the responses received from the server.
	Responses
	// ResponseBytes counts the bytes of those responses.
	ResponseBytes
	// InQueue is the number of requests that wait to be sent.
	InQueue
	// InQueueBytes is the number of bytes of the requests that wait to be sent.
	InQueueBytes
	// OutQueue is the number of requests that were sent and wait for their response.
	OutQueue
	// OutQueueBytes is the number of bytes of the requests that wait for their response.
	OutQueueBytes

	// NutcrackerServerFields is how many of a server's statistics are nutcracker's.
	NutcrackerServerFields = iota
)

// The statistics of a server that nutcracker does not have. Their rows in
// ServerFields say what they are.
const (
	Dials ServerField = iota + NutcrackerServerFields
	Ejections
	Returns
	Probes
	FailedChecks
	Retries
	RetriesRefused
	// PrivateConnections is how many connections to the server single clients have to
	// themselves.
	PrivateConnections
	// PrivateWaiting is on how many of them a request waits for as long as it likes.
	PrivateWaiting
	// ServerTLSHandshakes counts handshakes with the server, ServerTLSResumed those of them
	// that resumed a session, ServerTLS12Handshakes those that agreed on TLS 1.2,
	// ServerTLSFailures those that failed.
	ServerTLSHandshakes
	ServerTLSResumed
	ServerTLS12Handshakes
	ServerTLSFailures
	// Moves counts how often the server got other addresses, AskedAgain its requests that
	// it did not carry out, as a replica, and that were asked again.
	Moves
	AskedAgain
	// RedirectsMoved, RedirectsAsked, RedirectsTryAgain and RedirectsUnready count the
	// requests that the server, a node of a cluster, did not carry out, by what it said.
	RedirectsMoved
	RedirectsAsked
	RedirectsTryAgain
	RedirectsUnready
	// RefusalsPassed counts those of such errors that clients got.
	RefusalsPassed
	// Reads counts the reads that were sent to the server by its pool's read_policy,
	// ReadsReturned those that it did not answer, as a replica, and that were sent elsewhere.
	Reads
	ReadsReturned
	// Silent is how long the server has sent nothing while a request waits for it on a
	// connection that clients share; of its connections the longest.
	Silent

	numServerFields = iota + NutcrackerServerFields
)

// LoopField is the index of a statistic that every event loop keeps.
type LoopField uint8

// The statistics of an event loop. nutcracker has none. Their rows in LoopFields
// say what they are.
const (
	Turns LoopField = iota
	LoopClients
	LiveMessages
	LiveChunks
	FreeMessages
	FreeParsers
	ChunkBytes
	FreeBytes
	AcceptErrors
	MemoryHeld
	MemoryPauses
	LongestTurn
	RingEnters
	RingSubmissions
	RingCompletions
	RingOverflows
	RingBytes

	numLoopFields = iota
)

// PoolVector is the index of a statistic that a pool keeps for each reason.
type PoolVector uint8

// The vectors of a pool. Their rows in PoolVectors say what they are.
const (
	FailedRequests PoolVector = iota
	ClosedClients
	RefusedClients

	numPoolVectors = iota
)

// ServerVector is the index of a statistic that a server keeps for each reason.
type ServerVector uint8

// The vectors of a server. Their rows in ServerVectors say what they are.
const (
	ServerFailedRequests ServerVector = iota
	ClosedConnections

	numServerVectors = iota
)

// PoolFields describes the statistics of a pool, nutcracker's first. It is
// read-only.
var PoolFields = [numPoolFields]Field{
	ClientEOF:         {"client_eof", "nuthatch_client_connection_eof_total", Counter, Things, "client connections closed by the client"},
	ClientErr:         {"client_err", "nuthatch_client_connection_errors_total", Counter, Things, "client connections ended by an error"},
	ClientConnections: {"client_connections", "nuthatch_client_connections", Gauge, Things, "client connections open now"},
	ServerEjects:      {"server_ejects", "nuthatch_pool_server_ejections_total", Counter, Things, "ejections of servers from the pool"},
	ForwardError:      {"forward_error", "nuthatch_client_request_forward_errors_total", Counter, Things, "requests that could not be forwarded"},
	Fragments:         {"fragments", "nuthatch_client_request_fragments_total", Counter, Things, "sub-requests made from requests of several keys"},

	ClientRequests:      {"client_requests", "nuthatch_client_requests_total", Counter, Things, "requests taken from clients"},
	ClientsRefused:      {"clients_refused", "nuthatch_client_connection_refusals_total", Counter, Things, "client connections refused"},
	ClientsAccepted:     {"clients_accepted", "nuthatch_client_connections_accepted_total", Counter, Things, "client connections accepted; one that chooses its pool by name counts in both"},
	ClientBytesReceived: {"bytes_received", "nuthatch_client_received_bytes_total", Counter, Bytes, "bytes that clients sent, without TLS"},
	ClientBytesSent:     {"bytes_sent", "nuthatch_client_sent_bytes_total", Counter, Bytes, "bytes that were sent to clients, without TLS"},

	TracesLeftOut: {"traces_left_out", "nuthatch_client_traces_left_out_total", Counter, Things, "requests that did not become traces, since too many were to at once"},
	SlowRequests:  {"slow_requests", "nuthatch_client_slow_requests_total", Counter, Things, "requests that took at least slowlog_slower_than"},
	AdminRequests: {"admin_requests", "nuthatch_client_admin_requests_total", Counter, Things, "requests that were sent to all servers to administer them, such as CONFIG SET"},

	Transactions:        {"transactions", "nuthatch_client_transactions_total", Counter, Things, "transactions that servers carried out"},
	TrackingClients:     {"tracking_clients", "nuthatch_client_tracking_clients", Gauge, Things, "clients that are told when keys change (CLIENT TRACKING)"},
	Invalidations:       {"invalidations", "nuthatch_client_invalidations_total", Counter, Things, "keys that clients were told have changed"},
	TrackingResets:      {"tracking_resets", "nuthatch_client_tracking_resets_total", Counter, Things, "times a client was told to forget all that it has read"},
	Monitors:            {"monitors", "nuthatch_client_monitors", Gauge, Things, "clients that see every command (MONITOR)"},
	MonitorLines:        {"monitor_lines", "nuthatch_client_monitor_lines_total", Counter, Things, "commands shown to clients that see every command (MONITOR)"},
	TransactionsAborted: {"transactions_aborted", "nuthatch_client_transactions_aborted_total", Counter, Things, "transactions that ended without a result: DISCARD, EXECABORT, or another failure"},
	ReadsOwnWrites:      {"reads_own_writes", "nuthatch_client_reads_own_writes_total", Counter, Things, "reads that went to a primary, and to no replica, since their client had written there shortly before"},
	Subscribers:         {"subscribers", "nuthatch_client_subscribers", Gauge, Things, "clients that listen to channels or patterns"},
	Subscriptions:       {"subscriptions", "nuthatch_client_subscriptions", Gauge, Things, "channels and patterns that clients listen to, each counted once for each client"},
	Messages:            {"messages", "nuthatch_client_messages_total", Counter, Things, "messages of channels passed on to clients"},
	MessageBytes:        {"message_bytes", "nuthatch_client_message_bytes_total", Counter, Bytes, "bytes of the messages of channels passed on to clients"},
	SubscribersSlow:     {"subscribers_slow", "nuthatch_client_subscribers_slow_total", Counter, Things, "clients that listened and were closed since they did not read their messages fast enough; those messages were dropped"},
	SubscribersLost:     {"subscribers_lost", "nuthatch_client_subscribers_lost_total", Counter, Things, "how often a client that listened may have missed messages, since a connection to a server had ended"},
	TransactionsSpread:  {"transactions_spread", "nuthatch_client_transactions_spread_total", Counter, Things, "transactions that were sent to several servers (transactions: per_server), atomic at each only"},
	TransactionsPartial: {"transactions_partial", "nuthatch_client_transactions_partial_total", Counter, Things, "transactions sent to several servers that some of these carried out, and others did not"},

	ProxyHeaders:        {"proxy_headers", "nuthatch_client_proxy_headers_total", Counter, Things, "PROXY headers of load balancers that were read (proxy_protocol_from)"},
	ProxyHeadersWaiting: {"proxy_headers_waiting", "nuthatch_client_proxy_headers_waiting", Gauge, Things, "connections of load balancers whose PROXY header has not come"},
	FailedLogins:        {"failed_logins", "nuthatch_client_failed_logins_total", Counter, Things, "logins of clients with a wrong name or password (AUTH, HELLO)"},
	DeniedCommands:      {"denied_commands", "nuthatch_client_denied_commands_total", Counter, Things, "requests refused because the client's user may not use the command"},
	DeniedKeys:          {"denied_keys", "nuthatch_client_denied_keys_total", Counter, Things, "requests refused because the client's user may not use one of the keys"},
	DeniedChannels:      {"denied_channels", "nuthatch_client_denied_channels_total", Counter, Things, "requests refused because the client's user may not use one of the channels"},
	DeniedDatabases:     {"denied_databases", "nuthatch_client_denied_databases_total", Counter, Things, "requests refused because the client's user may not use the database"},
	DeniedStrangers:     {"denied_strangers", "nuthatch_client_denied_strangers_total", Counter, Things, "requests but PING that are refused because their client has not logged in (NOAUTH)"},
	DeniedPings:         {"denied_pings", "nuthatch_client_denied_pings_total", Counter, Things, "PING refused because its client has not logged in, as health checks send it"},
	DeniedWrites:        {"denied_writes", "nuthatch_client_denied_writes_total", Counter, Things, "requests refused because the pool is for reading alone (read_only)"},
	CertificateLogins:   {"certificate_logins", "nuthatch_client_certificate_logins_total", Counter, Things, "clients that their certificates have logged in (tls.user_from)"},

	LimitWaits:   {"limit_waits", "nuthatch_client_limit_waits_total", Counter, Things, "times that a client was not read from since a limit of the pool was reached (limits)"},
	LimitWaiting: {"limit_waiting", "nuthatch_client_limit_waiting", Gauge, Things, "clients that are not read from since a limit of the pool is reached (limits)"},

	ServerWaiting: {"server_waiting", "nuthatch_client_server_waiting", Gauge, Things, "clients whose request waits for a server that takes it: the node of a cluster, or the primary, is away, is not ready or is not known yet"},

	TLSHandshakes:    {"tls_handshakes", "nuthatch_client_tls_handshakes_total", Counter, Things, "TLS handshakes with clients"},
	TLSResumed:       {"tls_resumed", "nuthatch_client_tls_handshakes_resumed_total", Counter, Things, "TLS handshakes with clients that resumed a session"},
	TLS12Handshakes:  {"tls12_handshakes", "nuthatch_client_tls12_handshakes_total", Counter, Things, "TLS handshakes with clients that agreed on TLS 1.2; the others agreed on TLS 1.3"},
	TLSFailures:      {"tls_failures", "nuthatch_client_tls_failures_total", Counter, Things, "clients whose TLS handshake failed, or that sent bytes that are not TLS"},
	TLSPlain:         {"tls_plain", "nuthatch_client_tls_plain_total", Counter, Things, "clients without TLS on a port with TLS; they also count as TLS failures"},
	TLSLate:          {"tls_late", "nuthatch_client_tls_late_total", Counter, Things, "clients that were closed at tls_handshake_timeout, because too many handshakes waited, or because theirs kept others waiting; they also count as TLS failures"},
	CertificateUntil: {"certificate_until", "nuthatch_client_tls_certificate_expiry_timestamp_seconds", Timestamp, Microseconds, "end of the certificate that clients are shown, in microseconds since the epoch; 0 without TLS"},
}

// ServerFields describes the statistics of a server, nutcracker's first. It is
// read-only.
var ServerFields = [numServerFields]Field{
	ServerEOF:         {"server_eof", "nuthatch_server_connection_eof_total", Counter, Things, "server connections closed by the server"},
	ServerErr:         {"server_err", "nuthatch_server_connection_errors_total", Counter, Things, "server connections ended by an error"},
	ServerTimedout:    {"server_timedout", "nuthatch_server_connection_timeouts_total", Counter, Things, "server connections given up after the timeout"},
	ServerConnections: {"server_connections", "nuthatch_server_connections", Gauge, Things, "server connections open now"},
	ServerEjectedAt:   {"server_ejected_at", "nuthatch_server_ejected_timestamp_seconds", Timestamp, Microseconds, "last ejection, in microseconds since the epoch"},
	Requests:          {"requests", "nuthatch_server_requests_total", Counter, Things, "requests sent to the server"},
	RequestBytes:      {"request_bytes", "nuthatch_server_request_bytes_total", Counter, Bytes, "bytes of requests sent to the server"},
	Responses:         {"responses", "nuthatch_server_responses_total", Counter, Things, "responses received from the server"},
	ResponseBytes:     {"response_bytes", "nuthatch_server_response_bytes_total", Counter, Bytes, "bytes of responses received from the server"},
	InQueue:           {"in_queue", "nuthatch_server_unsent_requests", Gauge, Things, "requests waiting to be sent"},
	InQueueBytes:      {"in_queue_bytes", "nuthatch_server_unsent_request_bytes", Gauge, Bytes, "bytes of requests waiting to be sent"},
	OutQueue:          {"out_queue", "nuthatch_server_unanswered_requests", Gauge, Things, "requests waiting for their response"},
	OutQueueBytes:     {"out_queue_bytes", "nuthatch_server_unanswered_request_bytes", Gauge, Bytes, "bytes of requests waiting for their response"},

	Dials:     {"dials", "nuthatch_server_connection_attempts_total", Counter, Things, "connections to the server that were tried"},
	Ejections: {"ejections", "nuthatch_server_ejections_total", Counter, Things, "ejections of the server"},
	Returns:   {"returns", "nuthatch_server_ejection_ends_total", Counter, Things, "ends of an ejection of the server"},
	Probes:    {"probes", "nuthatch_server_probe_requests_total", Counter, Things, "requests let through to the ejected server, to see whether it answers"},

	Retries:        {"retries", "nuthatch_server_request_retries_total", Counter, Things, "requests sent to the server again, on a fresh connection"},
	RetriesRefused: {"retries_refused", "nuthatch_server_request_retries_refused_total", Counter, Things, "requests not sent again because too many were recently"},

	PrivateConnections: {"private_connections", "nuthatch_server_private_connections", Gauge, Things, "connections to the server that single clients have to themselves: after WATCH, for commands that block, and to listen to channels"},
	PrivateWaiting:     {"private_waiting", "nuthatch_server_private_waiting", Gauge, Things, "private connections to the server on which a command that blocks waits"},

	ServerTLSHandshakes:   {"tls_handshakes", "nuthatch_server_tls_handshakes_total", Counter, Things, "TLS handshakes with the server"},
	ServerTLSResumed:      {"tls_resumed", "nuthatch_server_tls_handshakes_resumed_total", Counter, Things, "TLS handshakes with the server that resumed a session"},
	ServerTLS12Handshakes: {"tls12_handshakes", "nuthatch_server_tls12_handshakes_total", Counter, Things, "TLS handshakes with the server that agreed on TLS 1.2; the others agreed on TLS 1.3"},
	ServerTLSFailures:     {"tls_failures", "nuthatch_server_tls_failures_total", Counter, Things, "connections to the server whose TLS handshake failed, or on which bytes came that are not TLS"},

	Moves:      {"moves", "nuthatch_server_address_changes_total", Counter, Things, "times that the server's name, or Sentinel, had other addresses for it"},
	AskedAgain: {"asked_again", "nuthatch_server_requests_asked_again_total", Counter, Things, "requests that the server did not carry out, as a replica, and that were asked again (on_readonly, a cluster)"},

	RedirectsMoved:    {"redirects_moved", "nuthatch_server_redirects_moved_total", Counter, Things, "requests that the node did not carry out because another one has the slot (MOVED)"},
	RedirectsAsked:    {"redirects_ask", "nuthatch_server_redirects_ask_total", Counter, Things, "requests that the node did not carry out because the key may have moved already (ASK)"},
	RedirectsTryAgain: {"redirects_tryagain", "nuthatch_server_redirects_tryagain_total", Counter, Things, "requests for several keys, some of which had moved (TRYAGAIN)"},
	RedirectsUnready:  {"redirects_unready", "nuthatch_server_redirects_unready_total", Counter, Things, "requests that the node did not carry out because it, or the cluster, was not ready (CLUSTERDOWN, LOADING, READONLY, MASTERDOWN)"},
	RefusalsPassed:    {"refusals_passed", "nuthatch_server_refusals_passed_total", Counter, Things, "requests that the server did not carry out, saying MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, READONLY or MASTERDOWN, and whose clients got such an error; of the others they got another answer"},
	Reads:             {"reads", "nuthatch_server_reads_total", Counter, Things, "reads that were sent to the server by the pool's read_policy, other than primary"},
	ReadsReturned:     {"reads_returned", "nuthatch_server_reads_returned_total", Counter, Things, "reads that the server, a replica, did not answer, and that were sent to another server"},

	Silent: {"silent", "nuthatch_server_silent_seconds", Longest, Nanoseconds, "how long the server has sent nothing while a request waits for it, on a connection that clients share; the longest of these connections"},

	FailedChecks: {"failed_checks", "nuthatch_server_failed_health_checks_total", Counter, Things, "health checks that the server failed"},
}

// LoopFields describes the statistics of an event loop. In Prometheus they have the
// label loop. It is read-only.
var LoopFields = [numLoopFields]Field{
	Turns:           {"turns", "nuthatch_loop_turns_total", Counter, Things, "turns of the event loop"},
	LoopClients:     {"clients", "nuthatch_loop_clients", Gauge, Things, "clients of the event loop"},
	LiveMessages:    {"live_messages", "nuthatch_loop_live_messages", Gauge, Things, "requests in flight, and parts of them, that the event loop holds"},
	LiveChunks:      {"live_chunks", "nuthatch_loop_live_chunks", Gauge, Things, "pieces of buffer memory that the event loop has in use"},
	FreeMessages:    {"free_messages", "nuthatch_loop_free_messages", Gauge, Things, "messages on the event loop's free list"},
	FreeParsers:     {"free_parsers", "nuthatch_loop_free_parsers", Gauge, Things, "parsers of half sent requests on the event loop's free lists"},
	ChunkBytes:      {"chunk_bytes", "nuthatch_loop_live_chunk_bytes", Gauge, Bytes, "buffer memory that the event loop has in use"},
	FreeBytes:       {"free_bytes", "nuthatch_loop_free_chunk_bytes", Gauge, Bytes, "buffer memory on the event loop's free lists"},
	MemoryHeld:      {"memory_held", "nuthatch_loop_memory_held_bytes", Gauge, Bytes, "memory that the event loop holds for clients and what they have in flight"},
	MemoryPauses:    {"memory_pauses", "nuthatch_loop_memory_read_pauses_total", Counter, Things, "times that a connection was not read from, for lack of memory"},
	LongestTurn:     {"longest_turn", "nuthatch_loop_longest_turn_seconds", Gauge, Nanoseconds, "most processor time that a turn of the event loop has taken, with `turn_times`"},
	RingEnters:      {"ring_enters", "nuthatch_loop_ring_enters_total", Counter, Things, "calls of io_uring_enter by the event loop; 0 on epoll, as all of its ring's numbers"},
	RingSubmissions: {"ring_submissions", "nuthatch_loop_ring_submissions_total", Counter, Things, "operations that the event loop has given to the kernel by its ring"},
	RingCompletions: {"ring_completions", "nuthatch_loop_ring_completions_total", Counter, Things, "completions that the event loop has taken from its ring"},
	RingOverflows:   {"ring_overflows", "nuthatch_loop_ring_overflows_total", Counter, Things, "times that the ring had no room for a completion, which the kernel kept aside"},
	RingBytes:       {"ring_bytes", "nuthatch_loop_ring_bytes", Gauge, Bytes, "memory of the event loop's ring, and of the buffers that it receives into"},
	AcceptErrors:    {"accept_errors", "nuthatch_loop_accept_errors_total", Counter, Things, "times that no client could be accepted, for lack of a descriptor or of memory"},
}

// PoolVectors describes the statistics that a pool keeps by reason. In Prometheus
// they have the label reason. It is read-only.
var PoolVectors = [numPoolVectors]Field{
	FailedRequests: {"failed_requests", "nuthatch_client_failed_requests_total", Counter, Things, "requests that the proxy answered with an error of its own, by reason"},
	ClosedClients:  {"closed_clients", "nuthatch_client_connection_closes_total", Counter, Things, "client connections that ended, by reason"},
	RefusedClients: {"refused_clients", "nuthatch_client_connection_refusals_by_reason_total", Counter, Things, "client connections refused, by reason"},
}

// ServerVectors describes the statistics that a server keeps by reason. In
// Prometheus they have the label reason. It is read-only.
var ServerVectors = [numServerVectors]Field{
	ServerFailedRequests: {"failed_requests", "nuthatch_server_failed_requests_total", Counter, Things, "requests to the server, or parts of requests, that got no response, by reason"},
	ClosedConnections:    {"closed_connections", "nuthatch_server_connection_closes_total", Counter, Things, "connections to the server that ended or could not be made, by reason"},
}
