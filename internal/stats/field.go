package stats

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
)

// String gives the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Counter:
		return "counter"
	case Gauge:
		return "gauge"
	case Timestamp:
		return "timestamp"
	}
	return "unknown"
}

// combine merges the values of two shards.
func (k Kind) combine(a, b int64) int64 {
	switch k {
	case Timestamp:
		return max(a, b)
	case Counter, Gauge:
	}
	return a + b
}

// Field is one row of a field table: all that is known about a statistic. The
// JSON document, the -D listing and every other form of a statistic are made
// from its row.
type Field struct {
	// Name is the key in the JSON document. It is nutcracker's and never changes.
	Name string
	// Kind says how the values of shards are merged.
	Kind Kind
	// Help is one line of text without quotes, for people.
	Help string
}

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

	numPoolFields
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

	numServerFields
)

// PoolFields describes the statistics of a pool. It is read-only.
var PoolFields = [numPoolFields]Field{
	ClientEOF:         {"client_eof", Counter, "client connections closed by the client"},
	ClientErr:         {"client_err", Counter, "client connections ended by an error"},
	ClientConnections: {"client_connections", Gauge, "client connections open now"},
	ServerEjects:      {"server_ejects", Counter, "ejections of servers from the pool"},
	ForwardError:      {"forward_error", Counter, "requests that could not be forwarded"},
	Fragments:         {"fragments", Counter, "sub-requests made from requests of several keys"},
}

// ServerFields describes the statistics of a server. It is read-only.
var ServerFields = [numServerFields]Field{
	ServerEOF:         {"server_eof", Counter, "server connections closed by the server"},
	ServerErr:         {"server_err", Counter, "server connections ended by an error"},
	ServerTimedout:    {"server_timedout", Counter, "server connections given up after the timeout"},
	ServerConnections: {"server_connections", Gauge, "server connections open now"},
	ServerEjectedAt:   {"server_ejected_at", Timestamp, "last ejection, in microseconds since the epoch"},
	Requests:          {"requests", Counter, "requests sent to the server"},
	RequestBytes:      {"request_bytes", Counter, "bytes of requests sent to the server"},
	Responses:         {"responses", Counter, "responses received from the server"},
	ResponseBytes:     {"response_bytes", Counter, "bytes of responses received from the server"},
	InQueue:           {"in_queue", Gauge, "requests waiting to be sent"},
	InQueueBytes:      {"in_queue_bytes", Gauge, "bytes of requests waiting to be sent"},
	OutQueue:          {"out_queue", Gauge, "requests waiting for their response"},
	OutQueueBytes:     {"out_queue_bytes", Gauge, "bytes of requests waiting for their response"},
}
