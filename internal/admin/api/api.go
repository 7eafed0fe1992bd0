// Package api has the bodies of admin's HTTP API as Go types: the server writes
// them and clients read them. docs/API.md tells which path answers with which.
//
// An empty field is left out where it would say nothing. Times are RFC 3339,
// durations are seconds, sizes are bytes, shares are 0 to 1. Fields are added as
// time goes by and never change their meaning.
package api

import "time"

// Info is GET /api/v1/info: the program and its process.
type Info struct {
	Program string `json:"program"`
	Version string `json:"version"`
	// Revision is the commit that the program was built from; left out if it is not
	// known.
	Revision string    `json:"revision,omitempty"`
	Go       string    `json:"go"`
	Host     string    `json:"host"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Time     time.Time `json:"time"` // of this answer
	Uptime   float64   `json:"uptime"`
	// ConfigFile is an absolute path, and empty if the configuration was not read from
	// a file.
	ConfigFile string `json:"config_file,omitempty"`
	// Engine is what the event loops run on, "epoll" or "io_uring", and EngineReason
	// why.
	Engine       string `json:"engine"`
	EngineReason string `json:"engine_reason"`
	// State is "serving", or "draining" from the moment when the end was asked for.
	State string `json:"state"`
	// Ready is what /readyz says, and NotReady why it does not.
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready,omitempty"`
	// LastReload is how the last reload went; left out if there was none.
	LastReload *Reload     `json:"last_reload,omitempty"`
	Process    ProcessInfo `json:"process"`
	Loops      []LoopInfo  `json:"loops"`
}

// ProcessInfo is what the process uses.
type ProcessInfo struct {
	// Connections is how many connections of clients and servers are open now, and
	// TotalConnections how many there ever were.
	Connections      int64 `json:"connections"`
	TotalConnections int64 `json:"total_connections"`
	// Descriptors are in use, and MaxDescriptors is their limit; 0 is not known.
	Descriptors    int `json:"descriptors"`
	MaxDescriptors int `json:"max_descriptors"`
	// ResidentMemory is what the kernel counts, HeapMemory what Go's heap holds.
	ResidentMemory int64 `json:"resident_memory"`
	HeapMemory     int64 `json:"heap_memory"`
	// MaxMemory is max_memory, HeldMemory what the event loops hold for clients. Above
	// SoftMemory clients wait, above HardMemory almost nothing is read. 0 is no bound.
	MaxMemory  int64 `json:"max_memory"`
	HeldMemory int64 `json:"held_memory"`
	SoftMemory int64 `json:"soft_memory"`
	HardMemory int64 `json:"hard_memory"`
	RingMemory int64 `json:"ring_memory"` // what rings of io_uring may take beside HeldMemory
	// MaxClients is the most clients that there are descriptors for; 0 is not known.
	MaxClients int `json:"max_clients"`
	// HistoryMemory is what the history takes, MaxHistoryMemory is history_memory.
	HistoryMemory    int64 `json:"history_memory"`
	MaxHistoryMemory int64 `json:"max_history_memory"`
	// CPU is the time that all threads have run.
	CPU        float64 `json:"cpu"`
	Goroutines int     `json:"goroutines"`
	// Certificates are those that the proxy shows, to clients, servers and sentinels.
	Certificates []Certificate `json:"certificates,omitempty"`
}

// LoopInfo is one event loop.
type LoopInfo struct {
	ID int `json:"id"`
	// CPU is the time that the loop's thread has run; it only grows. Busy is the
	// share of the time in which it ran, in the last ten seconds or so.
	CPU  float64 `json:"cpu"`
	Busy float64 `json:"busy"`
	// Counters are the loop's statistics by name.
	Counters map[string]int64 `json:"counters"`
}

// Pools is GET /api/v1/pools.
type Pools struct {
	// Time is when the counters were read. Rates are the difference of two
	// answers' counters, divided by that of their times.
	Time   time.Time `json:"time"`
	Window *Window   `json:"window,omitempty"`
	Pools  []Pool    `json:"pools"`
}

// Window says which seconds rates and percentiles are of: those that were asked for, or fewer, if
// the process is younger.
type Window struct {
	Seconds float64   `json:"seconds"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
}

// Pool is one pool.
type Pool struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // "redis" or "memcached"
	// Listen is the address as the file has it.
	Listen       string `json:"listen"`
	Hash         string `json:"hash"`
	HashTag      string `json:"hash_tag,omitempty"`
	Distribution string `json:"distribution"`
	// ReadPolicy is read_policy, left out if all reads go to primaries.
	ReadPolicy string `json:"read_policy,omitempty"`
	// Clients are those that are connected now, and MaxClients is client_connections,
	// left out if there is no bound.
	Clients    int `json:"clients"`
	MaxClients int `json:"max_clients,omitempty"`
	// Paused: requests wait. The pause ends by itself at PausedUntil; PausedBy is
	// who asked for it.
	Paused      bool       `json:"paused"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
	// PausedSince is when it began.
	PausedSince *time.Time `json:"paused_since,omitempty"`
	PausedBy    string     `json:"paused_by,omitempty"`
	// Counters are the pool's statistics by name; GET /api/v1/fields tells what
	// each is.
	Counters map[string]int64 `json:"counters"`
	// Reasons are the pool's statistics that are counted by reason: by name, and
	// within it by reason. What is 0 is left out.
	Reasons map[string]map[string]int64 `json:"reasons"`
	// Latency is the time from a request to its reply as the clients see it; left
	// out as long as nothing was measured.
	Latency *Latency `json:"latency,omitempty"`
	// Recent are the rates of the window.
	Recent *Rates `json:"recent,omitempty"`
	// Cluster is what is known of the Redis Cluster behind the pool; left out if there is
	// none.
	Cluster *Cluster `json:"cluster,omitempty"`
	// Emulated is the Redis Cluster that the pool looks like to its clients; left out if it
	// looks like one server.
	Emulated *Emulated `json:"emulated,omitempty"`
	// Sentinels are those that say where its primaries are; left out if there are none.
	Sentinels *Sentinels `json:"sentinels,omitempty"`
	// Servers are in the order of the statistics, shorter names first. Those of a cluster are
	// in the order of their addresses, nodes that have left it behind the others.
	Servers []Server `json:"servers"`
}

// Servers is GET /api/v1/servers.
type Servers struct {
	Time    time.Time `json:"time"`
	Window  *Window   `json:"window,omitempty"`
	Servers []Server  `json:"servers"`
}

// Server is one server of a pool.
type Server struct {
	Pool    string `json:"pool"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Weight  int    `json:"weight"`
	// LoginKey names what decides which password it is told, empty if it is told none. KeepsKeys:
	// if it is ejected, no other server gets its keys.
	LoginKey  string `json:"-"`
	KeepsKeys bool   `json:"-"`
	// Share is the part of the pool's keys that it owns now.
	Share float64 `json:"share"`
	// State is "up", "failing" (and requests are still sent to it), "ejected" (its
	// keys go elsewhere, or get an error), "probing" (it was ejected and is tried
	// again, and nothing has answered yet) or "disabled" (an operator took it out of
	// service).
	State string `json:"state"`
	// Since is when it ceased to be up or, if it is up, when it came up again; left out
	// if it always was up. For a disabled server it is when it was taken out of
	// service.
	Since *time.Time `json:"since,omitempty"`
	// Reason is why it is not up: its latest failure. Cause says it in words.
	Reason string `json:"reason,omitempty"`
	Cause  string `json:"cause,omitempty"`
	// Failures is how often it failed since it last answered.
	Failures int64 `json:"failures"`
	// Service is "in service" or, if an operator has disabled it, "off the ring" or
	// "refused".
	Service string `json:"service"`
	// Until is when an ejected server is tried again.
	Until *time.Time `json:"until,omitempty"`
	// Node is what it is in its cluster; left out if it belongs to none.
	Node *ClusterNode `json:"node,omitempty"`
	// Replication is what it said of itself when it was last asked; left out unless the pool
	// reads from replicas.
	Replication *Replication `json:"replication,omitempty"`
	// MaxPrivate is how many connections to it clients may have to themselves:
	// private_connections. How many they have is in Counters.
	MaxPrivate int `json:"max_private"`
	// Counters are the server's statistics by name, queue depths among them.
	Counters map[string]int64 `json:"counters"`
	// Reasons are the server's statistics that are counted by reason.
	Reasons map[string]map[string]int64 `json:"reasons"`
	// ErrorReplies are the error replies that the server gave, by the word that they
	// begin with ("OOM", "NOAUTH"); left out if there were none.
	ErrorReplies map[string]int64 `json:"error_replies,omitempty"`
	// Latency is the time from when a request is sent to the server to its reply.
	Latency *Latency `json:"latency,omitempty"`
	// Recent are the rates of the window.
	Recent *Rates `json:"recent,omitempty"`
	// Falls is how often it has begun to fail in the last minute.
	Falls int `json:"-"`
	// LastFall is when it began to fail last, if it did in that minute.
	LastFall time.Time `json:"-"`
	// Slow is set if its requests take much longer than they should now, whatever the window is.
	Slow *Slow `json:"-"`
}

// Latency is a distribution of times, in seconds, since the start. Where Count is 0
// the others are null, but for Sum.
type Latency struct {
	Count int64   `json:"count"`
	Sum   float64 `json:"sum"`
	P50   Seconds `json:"p50"`
	P90   Seconds `json:"p90"`
	P99   Seconds `json:"p99"`
	P999  Seconds `json:"p999"`
	Max   Seconds `json:"max"`
	// Recent is the same of the window.
	Recent *RecentLatency `json:"recent,omitempty"`
}

// Rates are what happened in a window of so many seconds, for each second.
type Rates struct {
	Window float64 `json:"window"`
	// Requests is the rate of requests: for a pool those that clients sent, for a
	// server those that were sent to it. Failed is the rate of those that failed, for
	// any reason.
	Requests float64 `json:"requests"`
	Failed   float64 `json:"failed"`
	// FailedReasons has a pool's failed requests by reason; what is 0 is left out.
	FailedReasons map[string]float64 `json:"failed_reasons,omitempty"`
	// InvalidClients is the rate of a pool's clients that were closed for what they sent.
	InvalidClients float64 `json:"invalid_clients,omitempty"`
	// FailedLogins is the rate of logins of a pool's clients with a wrong name or password.
	FailedLogins float64 `json:"failed_logins,omitempty"`
	// DeniedStrangers is the rate of a pool's requests of clients that have not logged in.
	DeniedStrangers float64 `json:"denied_strangers,omitempty"`
	// RequestBytes went to servers, ResponseBytes came from them.
	RequestBytes  float64 `json:"request_bytes"`
	ResponseBytes float64 `json:"response_bytes"`
	// ErrorReplies has a server's error replies by prefix; what is 0 is left out.
	ErrorReplies map[string]float64 `json:"error_replies,omitempty"`
	// Refusals is the rate of refusals_passed.
	Refusals float64 `json:"-"`
}

// RecentLatency is a distribution of times within a window of so many seconds.
type RecentLatency struct {
	Window float64 `json:"window"`
	Latency
}

// Latencies is GET /api/v1/latency: the times in detail, since the start.
type Latencies struct {
	Pools []PoolLatency `json:"pools"`
}

// PoolLatency is how long a pool's requests took.
type PoolLatency struct {
	Pool string `json:"pool"`
	// Commands are those in use: the times as clients see them.
	Commands []CommandLatency `json:"commands"`
	// Servers are the times from when a request is sent to its reply.
	Servers []ServerLatency `json:"servers"`
}

// CommandLatency is how long requests with a command took.
type CommandLatency struct {
	Command string `json:"command"`
	Family  string `json:"family"` // "read", "write", "multi", "script" or "other"
	Latency
}

// ServerLatency is how long a server took for requests of each family.
type ServerLatency struct {
	Server   string             `json:"server"`
	Families map[string]Latency `json:"families"`
}

// SlowLog is GET /api/v1/slowlog: the slowest requests, the latest first.
type SlowLog struct {
	Entries []SlowEntry `json:"entries"`
}

// SlowEntry is one slow request. Its duration is the sum of Connect (it waited for
// a connection to be made), Queue (for its last byte to be sent), ServerTime (for the reply)
// and Turn (for the replies of earlier requests of its client).
type SlowEntry struct {
	ID   int64     `json:"id"` // counts the entries of a pool
	Time time.Time `json:"time"`
	Pool string    `json:"pool"`
	// Server is empty if the request went to none; of several it is the one that
	// answered last.
	Server     string  `json:"server,omitempty"`
	Command    string  `json:"command"`
	Duration   float64 `json:"duration"`
	Connect    float64 `json:"connect"`
	Queue      float64 `json:"queue"`
	ServerTime float64 `json:"server_time"`
	Turn       float64 `json:"turn"`
	// Key is the beginning of the first key, of KeyLength bytes, if keys are kept;
	// Keys is how many there are, if the request was split.
	Key          string `json:"key,omitempty"`
	KeyLength    int    `json:"key_length,omitempty"`
	Keys         int    `json:"keys,omitempty"`
	RequestBytes int    `json:"request_bytes"`
	ClientID     uint64 `json:"client_id"`
	Client       string `json:"client"`
	ClientName   string `json:"client_name,omitempty"`
	// Error is why the proxy answered with an error of its own.
	Error string `json:"error,omitempty"`
}

// Events is GET /api/v1/events: what has happened, the oldest first.
type Events struct {
	// Started is when the program was started: IDs begin at 1 with each program. Events of the one
	// before an upgrade have IDs up to 0.
	Started time.Time `json:"started"`
	// Last is the ID to continue from, with since=Last. Missed is how many of the
	// requested events are no longer kept.
	Last   int64   `json:"last"`
	Missed int64   `json:"missed,omitempty"`
	Events []Event `json:"events"`
}

// Event is something that has happened, to a server, to a pool or, without either, to
// the process.
type Event struct {
	ID   int64     `json:"id"` // counts the events since the start, from 1; up to 0: of the program before
	Time time.Time `json:"time"`
	// Kind is one of GET /api/v1/fields, and Severity its own: "failure" if requests
	// fail for it, or clients are turned away, else "notice".
	Kind     string `json:"kind"`
	Severity string `json:"severity"`
	Pool     string `json:"pool,omitempty"`
	Server   string `json:"server,omitempty"`
	// Reason is why, by its name in the statistics; Text says it in words.
	Reason string `json:"reason,omitempty"`
	Text   string `json:"text"`
	// By is who asked for it.
	By string `json:"by,omitempty"`
	// Duration is how long it lasts at most or, if it is over, how long it lasted.
	Duration float64 `json:"duration,omitempty"`
}

// EventKind is what an event can say.
type EventKind struct {
	Name     string `json:"name"`
	Severity string `json:"severity"`
	Help     string `json:"help"`
}

// Reload is how a reload went.
type Reload struct {
	Time time.Time `json:"time"`
	// Refused: the old configuration stays in force.
	Refused bool   `json:"refused"`
	Text    string `json:"text"`
	By      string `json:"by"`
}

// HotKeys is GET /api/v1/hotkeys.
type HotKeys struct {
	Pools []PoolKeys `json:"pools"`
}

// PoolKeys are the most requested keys of a pool, and the largest requests and replies
// of the last hour. The hottest, or largest, come first.
type PoolKeys struct {
	Pool        string     `json:"pool"`
	Keys        []HotKey   `json:"keys"`
	BigRequests []LargeKey `json:"big_requests"`
	BigReplies  []LargeKey `json:"big_replies"`
}

// HotKey is a key that is asked for often.
type HotKey struct {
	// Key is its beginning, KeyLength the length of the whole.
	Key       string `json:"key"`
	KeyLength int    `json:"key_length"`
	// Server owns the key now; left out if it is not known, as of a key of which only the
	// beginning is kept.
	Server string `json:"server,omitempty"`
	// Rate is about how often it is asked for in a second; Error is by how much that
	// may be wrong, in 19 cases of 20.
	Rate  float64 `json:"rate"`
	Error float64 `json:"error"`
	// Share is about its part of the pool's requests; left out if not known.
	Share float64 `json:"share,omitempty"`
}

// LargeKey is a key with a large request or reply.
type LargeKey struct {
	Key       string    `json:"key"`
	KeyLength int       `json:"key_length"`
	Server    string    `json:"server,omitempty"` // as of a HotKey
	Size      int       `json:"size"`
	Command   string    `json:"command"`
	Time      time.Time `json:"time"`
}

// Fields is GET /api/v1/fields: what the counters mean.
type Fields struct {
	Pool   []Field `json:"pool"`
	Server []Field `json:"server"`
	Loop   []Field `json:"loop"`
	// PoolReasons and ServerReasons are those that are counted by reason.
	PoolReasons   []Field `json:"pool_reasons"`
	ServerReasons []Field `json:"server_reasons"`
	// ServerErrors are those that are counted by the prefix of an error reply.
	ServerErrors []Field `json:"server_errors"`
	// Events are the kinds of events.
	Events []EventKind `json:"events"`
	// Findings are the kinds of findings, and Reasons what the reasons mean.
	Findings []Explained `json:"findings"`
	Reasons  []Explained `json:"reasons"`
	// Errors are the prefixes of error replies that mean a fault of the server.
	Errors []Explained `json:"errors"`
}

// Field is one statistic.
type Field struct {
	Name string `json:"name"`
	// Kind is "counter" (only grows), "gauge" (goes up and down) or "timestamp"
	// (microseconds since the Unix epoch, 0 for never).
	Kind string `json:"kind"`
	// Unit is what is counted: "bytes", "nanoseconds", "microseconds"; left out if
	// it is things.
	Unit string `json:"unit,omitempty"`
	// Metric is its name in /metrics.
	Metric string `json:"metric"`
	Help   string `json:"help"`
}

// Clients is GET /api/v1/clients.
type Clients struct {
	Time time.Time `json:"time"`
	// Total is how many there are; at most "limit" of them are listed, the newest
	// of each event loop.
	Total   int      `json:"total"`
	Clients []Client `json:"clients"`
}

// Client is one client connection.
type Client struct {
	ID      uint64 `json:"id"`
	Pool    string `json:"pool"`
	Loop    int    `json:"loop"`
	Address string `json:"address"`
	// User is who the client has logged in as, "default" before that; left out in a Memcached
	// pool.
	User string `json:"user,omitempty"`
	// Name, Library and LibraryVersion are what the client says of itself
	// (CLIENT SETNAME and SETINFO).
	Name           string `json:"name,omitempty"`
	Library        string `json:"library,omitempty"`
	LibraryVersion string `json:"library_version,omitempty"`
	// Age and Idle are the seconds since it came, and since it last sent something.
	Age  int64 `json:"age"`
	Idle int64 `json:"idle"`
	// Protocol is the version of RESP, 0 in a Memcached pool.
	Protocol int `json:"protocol,omitempty"`
	// InFlight are its requests without a reply. Received are the bytes that wait
	// to become requests, Held what is held of requests and replies, Unsent the
	// bytes of replies that wait to be sent.
	InFlight int  `json:"in_flight"`
	Received int  `json:"received"`
	Held     int  `json:"held"`
	Unsent   int  `json:"unsent"`
	Closing  bool `json:"closing,omitempty"`
	// Blocked: it waits at a server, as with BLPOP or WAIT. Multi is how many commands of
	// a transaction it has sent so far, left out if it is in none. Watched is how many keys it
	// watches, Listens to how many channels and patterns it listens. Private is how many
	// connections to servers it has to itself.
	Blocked bool `json:"blocked,omitempty"`
	Multi   *int `json:"multi,omitempty"`
	Watched int  `json:"watched,omitempty"`
	Listens int  `json:"listens,omitempty"`
	Private int  `json:"private,omitempty"`
	// Tracks: it is told when keys change (CLIENT TRACKING). Monitors: it sees every command.
	Tracks   bool `json:"tracks,omitempty"`
	Monitors bool `json:"monitors,omitempty"`
}

// Where is GET /api/v1/where: for each pool asked about, and each key, who owns
// it and why.
type Where struct {
	Placements []Placement `json:"placements"`
}

// Placement is where a key is.
type Placement struct {
	Pool string `json:"pool"`
	Key  string `json:"key"`
	// Hashed is the part of the key that was hashed. Tagged: that is the part in its
	// hash tag.
	Hashed string `json:"hashed"`
	Tagged bool   `json:"tagged,omitempty"`
	// Function is the hash's name, Hash its value, and Point the first point of the
	// ring that is not below it (for modula, the slot's end).
	Function     string  `json:"hash_function"`
	Hash         uint32  `json:"hash"`
	Distribution string  `json:"distribution"`
	Point        *uint32 `json:"point,omitempty"`
	// Server owns the key now; empty if no server is live, or any may (random).
	Server  string `json:"server,omitempty"`
	Address string `json:"address,omitempty"`
	State   string `json:"state,omitempty"`
	// Home owns it when no server is off the ring; left out if that is Server.
	Home string `json:"home,omitempty"`
	// Why is a sentence that explains it.
	Why string `json:"why"`
}

// Configuration is GET /api/v1/config: what is in force, without secrets.
type Configuration struct {
	File    string              `json:"file,omitempty"`
	Process []Setting           `json:"process"`
	Pools   []PoolConfiguration `json:"pools"`
	// Text is the same as a file would have it.
	Text string `json:"text"`
}

// PoolConfiguration is what is in force of one pool.
type PoolConfiguration struct {
	Name     string    `json:"name"`
	Settings []Setting `json:"settings"`
	// Servers are the lines of "servers".
	Servers []string `json:"servers"`
}

// Setting is a key, its value in force and its default, as a file would write
// them; empty is the lack of a value.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default"`
	// From is where the value was written, "FILE:LINE", with " (pool_defaults)" behind it if
	// that is below pool_defaults; empty if it is the default.
	From string `json:"from"`
}

// Done is the answer to an action without a result of its own.
type Done struct {
	Done string `json:"done"`
	// PID, Host and ConfigFile identify the proxy that has done it.
	PID        int    `json:"pid"`
	Host       string `json:"host"`
	ConfigFile string `json:"config_file,omitempty"`
}

// Health is the body of the answer to a health check if all is well.
type Health struct {
	// Done is "alive" or "ready".
	Done string `json:"done"`
}

// Fault is the body of every answer with a status of 400 or more.
type Fault struct {
	Error string `json:"error"`
	// Reasons are its parts, if there are several: the faults of a configuration.
	Reasons []string `json:"reasons,omitempty"`
	// Socket is the unix socket that accepts the action that was refused here.
	Socket string `json:"socket,omitempty"`
}

// PauseOrder is the body of POST /api/v1/pools/{pool}/pause. It may be left out.
type PauseOrder struct {
	// Limit is after how many seconds the pool is resumed if nobody resumes it before;
	// 0 is 30.
	Limit float64 `json:"limit,omitempty"`
}

// DisableOrder is the body of POST /api/v1/pools/{pool}/servers/{server}/disable. It
// may be left out.
type DisableOrder struct {
	// Keys is KeysMove or KeysFail; if it is empty the server's keys are treated as
	// those of a failing one: they move if the pool ejects servers, and fail if not.
	Keys string `json:"keys,omitempty"`
}

// What happens to a disabled server's keys.
const (
	KeysMove = "move" // the other servers get them
	KeysFail = "fail" // requests for them get an error
)
