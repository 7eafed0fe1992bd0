// Package config reads nuthatch's configuration: nutcracker's YAML file,
// unchanged, plus keys of nuthatch's own.
//
//	file ──yaml──▶ nodes ──table of keys──▶ Process, []Pool ──checks──▶ *Config
//	                 │            │                             │
//	                 └────────────┴── every fault, with its line ──▶ Errors
//
// One table holds what is known of a key: how its value is written, its range, its
// default and its description (keytable.go; its rows are in poolkeys.go and processkeys.go).
// Parsing, the defaults, the suggestions for misspelt keys, docs/CONFIGURATION.md and
// the JSON Schema all come from it.
//
// The package looks up no names and opens only the file. Host names stay text;
// whoever connects or listens resolves them.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/regularfile"
)

// maxFileSize bounds what Load reads, so that a wrong path (a device, a log)
// cannot fill the memory.
const maxFileSize = 16 << 20

// maxDefaultThreads is the most event loops that are started without being
// asked for.
const maxDefaultThreads = 4

// processCPUs is how many CPUs the process may use. It is read once, since a
// running proxy raises GOMAXPROCS and the default must not follow.
var processCPUs = runtime.GOMAXPROCS(0)

// memcachedMaxRequest is the default of max_request_size in a Memcached pool, in
// bytes. A value is kept until all of it has come, and no server accepts half a
// gigabyte.
const memcachedMaxRequest = 32 << 20

// Config is one configuration file, read and checked. It is immutable: it is
// shared between threads, and a changed file makes a new Config.
type Config struct {
	// File is the path as it was given to Load or Parse.
	File string
	// Warnings are settings that are valid and probably not meant, by line.
	Warnings Errors
	// Process is the top-level block "nuthatch:".
	Process Process
	// Pools are in nutcracker's order, which is that of its statistics: by
	// name, shorter names first, names of one length by their bytes.
	// Invariant: at least one, no two of one name or one listen address.
	Pools []Pool
	// Includes are the files and patterns, as absolute paths, that the file includes, and those
	// that these include.
	Includes []string
	// sources says where values were written: by the pool's name and the key's.
	sources map[settingAt]Source
}

// Process is what concerns the whole process and not one pool.
type Process struct {
	// Threads is the number of event loops, 1 to 64, never 0.
	Threads int
	// Engine is what the event loops run on.
	Engine Engine
	// Watch reloads the file when it changes.
	Watch bool
	// DrainTimeout is how long clients and connections that are to end may take to
	// finish.
	DrainTimeout time.Duration
	// ResolveInterval is how often names of servers are looked up.
	ResolveInterval time.Duration
	// DrainDelay is how long it takes before draining begins.
	DrainDelay time.Duration
	// LogFormat is the form of the log's lines.
	LogFormat LogFormat
	// Latency measures how long requests take.
	Latency bool
	// SlowlogSlowerThan is how long a request takes that is kept in the slow log;
	// 0 keeps all. SlowlogMaxLen is how many are kept; 0 keeps none. SlowlogKeys
	// keeps the first key of each with it.
	SlowlogSlowerThan time.Duration
	SlowlogMaxLen     int
	SlowlogKeys       bool
	// Tracing is how requests become traces.
	Tracing Tracing
	// TurnTimes measures the processor time of the event loops' turns.
	TurnTimes bool
	// HotKeys looks for the keys that are asked for most, and the largest.
	HotKeys bool
	// TLSHandshakes is how many handshakes with clients are under way at the most, and
	// TLSHandshakeTimeout how long one may take.
	TLSHandshakes       int
	TLSHandshakeTimeout time.Duration
	// TLSTicketKeysFile is the file of the keys of session tickets; empty: they are the
	// process's own.
	TLSTicketKeysFile string
	// CoreDumps lets others than root read the process's memory, dead or alive.
	CoreDumps bool
	// MaxMemory is the most memory of the process; 0: the default, which the daemon
	// computes.
	MaxMemory int64

	// Admin is where the admin listener is; the zero Address if there is none.
	Admin Address
	// AdminWritten is true if the file has Admin, and false if it is the default.
	AdminWritten bool
	// AdminSocket is the unix socket on which actions are taken without a token; the
	// zero Address if there is none.
	AdminSocket Address
	// AdminTLS is how the admin listener is connected to on TCP.
	AdminTLS TLS
	// AdminToken is required of requests to the admin listener; empty if there is
	// none.
	AdminToken Secret
	// AdminTokenFile is the file that holds the token, or empty.
	AdminTokenFile string
	// AdminTokenEnv is the environment variable that holds it, or empty.
	AdminTokenEnv string
	// AdminReadToken is a token that is for reading alone; empty if there is none.
	AdminReadToken Secret
	// AdminReadTokenFile is the file that holds one, or empty.
	AdminReadTokenFile string
	// AdminReadTokenEnv is the environment variable that holds one, or empty.
	AdminReadTokenEnv string
	// AdminInsecure allows an admin listener that other hosts can reach without a
	// token.
	AdminInsecure bool
	// HistoryMemory is how many bytes the history of the last hour may take; 0: none is
	// kept.
	HistoryMemory int64
	// MetricsOldNames exposes renamed metrics under their old names too.
	MetricsOldNames bool
	// AdminPprof adds Go's profiles to the admin listener.
	AdminPprof bool
	// Zone is where the proxy is; empty: nowhere.
	Zone string
	// ReadyServers is the share, in percent, of each pool's servers that must be
	// up for the proxy to be ready.
	ReadyServers int
}

// Pool is one server pool: a listener, and the servers that its keys are
// spread over.
type Pool struct {
	// Name is the pool's key in the file.
	Name string
	// Listen is where clients connect.
	Listen Address

	// TLS is how clients connect, ServerTLS how servers are connected to.
	TLS       TLS
	ServerTLS ServerTLS

	// Hash turns a key into a number.
	Hash hashkit.Hash
	// HashTag is empty, or two bytes that enclose the part of a key to be hashed.
	HashTag string
	// Distribution turns that number into a server.
	Distribution hashkit.Distribution

	// Timeout is how long a server may take to connect or to reply; 0 is for ever.
	Timeout time.Duration
	// ConnectTimeout is how long a server may take to connect; 0: as Timeout.
	ConnectTimeout time.Duration
	// RequestTimeout is how long a client's request may take; 0 is for ever.
	RequestTimeout time.Duration
	// ServerIdleTimeout closes a server connection that has had no request for so
	// long; 0 never does.
	ServerIdleTimeout time.Duration
	// Backlog is listen(2)'s argument.
	Backlog int
	// ClientConnections is the most clients at one time; 0 is no limit.
	ClientConnections int

	// AllowFrom are the addresses that clients may come from; empty: any. DenyFrom are those
	// that they may not come from in any case.
	AllowFrom, DenyFrom NetworkList
	// ProxyProtocolFrom are the load balancers, whose connections begin with a PROXY header;
	// empty: there are none. ProxyProtocolTimeout is how long the header may take.
	ProxyProtocolFrom    NetworkList
	ProxyProtocolTimeout time.Duration

	// TCPKeepalive sets SO_KEEPALIVE, and the other three how; 0 leaves what the
	// kernel has.
	TCPKeepalive                           bool
	TCPKeepaliveIdle, TCPKeepaliveInterval time.Duration
	TCPKeepaliveCount                      int
	// ReusePort sets SO_REUSEPORT on the listener.
	ReusePort bool
	// Preconnect connects to every server at the start.
	Preconnect bool
	// Protocol is what the pool's clients and servers speak.
	Protocol Protocol
	// RedisAuth is sent to servers, unless they have a ServerPassword, and required of clients; empty if there is no
	// password. Invariant: empty unless the protocol is Redis.
	RedisAuth Secret
	// RedisAuthPrevious is what clients may send too; empty if there is none.
	RedisAuthPrevious Secret
	// ServerUser and ServerPassword are what servers are told in place of RedisAuth; empty
	// if there is none.
	ServerUser     string
	ServerPassword Secret
	// Where those passwords come from that the file does not have itself.
	RedisAuthFrom, RedisAuthPreviousFrom, ServerPasswordFrom SecretSource
	// ACLFile is Redis's own file of users, empty if there is none. Users are those that
	// the configuration has itself. Invariant: not both.
	ACLFile string
	Users   []User
	// AuthMode is who decides which clients may log in. MaxServerUsers is how many users may
	// have connections to the servers, if these do.
	AuthMode       AuthMode
	MaxServerUsers int
	// RedisDB is the database of clients that have not chosen one.
	RedisDB int
	// Databases is how many databases clients may choose from; 1: they may not.
	// Invariant: greater than RedisDB, or 1.
	Databases int

	// FailedSelect is what happens to the requests of a client whose SELECT failed.
	FailedSelect FailedSelect
	// Transactions is what a Redis pool does with MULTI.
	Transactions Transactions
	// MaxTransactionCommands is the most commands of one transaction, and
	// MaxTransactionSize the most bytes of them.
	MaxTransactionCommands int
	MaxTransactionSize     int64
	// PrivateConnections is the most private connections to each server.
	// PrivateIdleTimeout is how long an unused one is kept.
	PrivateConnections int
	PrivateIdleTimeout time.Duration
	// Tracking is whether clients are told when keys change that they have read, and
	// MaxTrackedKeys how many keys that may be of one client.
	Tracking       Tracking
	MaxTrackedKeys int
	// UnknownCommands is what a Redis pool does with commands that nuthatch does
	// not know.
	UnknownCommands UnknownCommands

	// ReadOnly refuses what may write.
	ReadOnly bool
	// AllowMonitor lets a Redis pool's clients see every command of all clients.
	AllowMonitor bool
	// AllowFlush lets clients empty all servers, with Memcached's flush_all.
	AllowFlush bool
	// AllowAdmin lets a Redis pool's clients administer all servers, and pause the pool.
	AllowAdmin bool

	// AllowKeys lets the clients of a Redis pool send KEYS to all servers.
	AllowKeys bool
	// PartialResults is what a Redis pool answers if some of a request's servers
	// failed.
	PartialResults PartialResults

	// KeylessScripts is what a Redis pool of several servers does with scripts and
	// functions that name no key.
	KeylessScripts KeylessScripts

	// ServerConnections is the most connections to one server, at least 1.
	ServerConnections int
	// AutoEjectHosts takes a failing server off the ring for a while.
	AutoEjectHosts bool
	// Eject is whether an ejected server's keys go to the others.
	Eject Eject
	// ServerRetryTimeout is how long.
	ServerRetryTimeout time.Duration
	// ServerMaxQueued is the most requests on one connection to a server.
	// ServerMaxQueuedBytes is the number of unsent bytes at which a connection
	// takes no more requests.
	ServerMaxQueued      int
	ServerMaxQueuedBytes int64
	// Retry is which requests are sent again after their connection was lost.
	Retry Retry
	// HealthCheck is how servers are checked.
	HealthCheck HealthCheck
	// ReconnectBackoff is the longest first pause before another attempt to
	// connect to a server; 0 is no pause. ReconnectBackoffMax is the longest of
	// all pauses.
	ReconnectBackoff, ReconnectBackoffMax time.Duration
	// ServerFailureLimit is how many failures in a row eject a server. 0 means 1.
	ServerFailureLimit int

	// Sentinel is who knows the primaries of servers that are named sentinel://.
	Sentinel Sentinel
	// OnReadOnly is what becomes of requests at a server that takes no writes any more.
	OnReadOnly OnReadOnly

	// Cluster says whether the servers are a Redis Cluster.
	Cluster Cluster

	// Emulate is what the pool looks like to its clients.
	Emulate Emulate
	// Reads are which servers are read from. Replicas are those of servers, by their names,
	// and ServerZones the zones of servers, by their networks.
	Reads       Reads
	Replicas    []ReplicaList
	ServerZones []ServerZone

	// Servers are in nutcracker's order, which "modula" and "random" index and
	// its statistics follow: by NodeName, shorter names first, names of one
	// length by their bytes. The order in the file means nothing.
	// Invariant: at least one, no two of one NodeName.
	Servers []Server

	// MaxRequestSize is the most bytes of one request, its arguments together;
	// a larger one is refused.
	MaxRequestSize int64
	// ServerMaxReply is the most bytes of the reply to one request.
	ServerMaxReply int64
	// ClientMaxPipeline is the most requests of one client in flight; at that
	// number the client is not read from.
	ClientMaxPipeline int
	// ClientMaxQueued is the most bytes, requests and replies together, held
	// for one client; at that number the client is not read from. It never
	// stops a single request or reply that is larger by itself.
	ClientMaxQueued int64
	// MaxKeys is the most keys of one request.
	MaxKeys int
	// ClientLoginTimeout is how long a client may take to log in, where there is a password; 0
	// is for ever.
	ClientLoginTimeout time.Duration
	// ClientIdleTimeout is how long a client may be idle; 0 is for ever.
	ClientIdleTimeout time.Duration
	// ClientOutputLimit is the most bytes of replies that may wait for a client to
	// read them; 0 is no limit.
	ClientOutputLimit int64
	// More than ClientOutputSoftLimit bytes may wait only if the client reads as
	// many within ClientOutputSoftTime; 0 is no limit.
	ClientOutputSoftLimit int64
	ClientOutputSoftTime  time.Duration
	// Limits are how much the pool's clients may do together, and UserLimits how much those
	// of a user may.
	Limits     Limits
	UserLimits []UserLimit
	// PubSub is how messages of channels are carried.
	PubSub PubSub
}

// A HealthCheck is how the servers of a pool are checked.
type HealthCheck struct {
	// Interval is the time between two checks of a server; 0: there are none.
	Interval time.Duration
	// Timeout is how long an answer may take.
	Timeout time.Duration
	// Rise is how many checks in a row must succeed for a server to be well, and
	// Fall how many must fail for it not to be.
	Rise, Fall int
}

// DefaultPool returns a pool with every default, and without a name, a listen
// address and servers. Its MaxRequestSize is that of a Redis pool.
func DefaultPool() Pool {
	var p Pool
	setDefaults(&p, poolKeys)
	return p
}

// DefaultProcess returns the process-wide settings of a file without a block
// "nuthatch:". Threads is the number of CPUs that the process may use, at most 4.
func DefaultProcess() Process {
	p := Process{Threads: min(processCPUs, maxDefaultThreads)}
	setDefaults(&p, processKeys)
	return p
}

// Load reads and checks the file at path. The error is an Errors if the file
// was read and is at fault, and wraps the cause if it could not be read.
func Load(path string) (*Config, error) {
	text, err := readMain(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text, newInclusion(path))
}

// ProcessOf is what the file at path says of the process, as far as it can be read: the file may
// have faults. What cannot be read is as by default.
func ProcessOf(path string) (*Process, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	root, fault := decode(path, text)
	if fault != nil {
		root, fault = decode(path, processLines(text))
	}
	if fault == nil {
		r := &reader{file: path, included: newInclusion(path)}
		if cfg := r.readFile(root); cfg != nil {
			return &cfg.Process, nil
		}
	}
	p := DefaultProcess()
	return &p, nil
}

// processLines are the lines of the block of the process in a text that is no YAML as a whole.
func processLines(text []byte) []byte {
	var block []byte
	within := false
	for line := range bytes.Lines(text) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if len(indent) == 0 && len(bytes.TrimSpace(line)) > 0 && line[0] != '#' {
			within = bytes.HasPrefix(line, []byte(processBlock+":"))
		}
		if within && bytes.IndexByte(indent, '\t') < 0 {
			block = append(block, line...)
		}
	}
	return block
}

// pipeTimeout is how long it may take to read a configuration from a pipe.
const pipeTimeout = 10 * time.Second

// readMain reads the file at path, as readFile does. It may be a pipe, or a terminal, too, such
// as /dev/stdin.
func readMain(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	_ = f.SetReadDeadline(time.Now().Add(pipeTimeout)) // of a regular file there is none
	return readAll(path, f)
}

// readFile reads the regular file at path, which is not larger than maxFileSize.
func readFile(path string) ([]byte, error) {
	f, err := regularfile.Open(path)
	if err != nil {
		return nil, err
	}
	return readAll(path, f)
}

// readAll reads the file, and closes it.
func readAll(path string, f *os.File) ([]byte, error) {
	text, err := readStable(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileSize)
	}
	return text, err
}

// ErrChanging means that the file was written to while it was read, so the text
// may be incomplete.
var ErrChanging = errors.New("the file changed while it was read")

// A file is what readStable needs of an *os.File.
type file interface {
	io.Reader
	Name() string
	Stat() (fs.FileInfo, error)
}

// readStable reads a file, up to one byte more than maxFileSize, and fails if
// it changes meanwhile.
func readStable(f file) ([]byte, error) {
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil || !before.Mode().IsRegular() {
		return text, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	grown := len(text) <= maxFileSize && after.Size() != int64(len(text))
	if grown || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return nil, fmt.Errorf("%s: %w", f.Name(), ErrChanging)
	}
	return text, nil
}

// Parse checks text as the content of a configuration file; file is its name
// for error messages and is not opened. An error is always an Errors, with
// every fault found, by line. The result holds no part of text. A text from elsewhere
// includes no files.
func Parse(file string, text []byte) (*Config, error) { return parse(file, text, nil) }

func parse(file string, text []byte, included *inclusion) (*Config, error) {
	r := &reader{file: file, included: included, keys: ownKeys()}
	root, err := decode(file, text)
	if err != nil {
		return nil, Errors{err}
	}
	cfg := r.readFile(root)
	if len(r.errs) > 0 {
		return nil, r.errs.sorted(file)
	}
	return cfg, nil
}

// compareNames orders pools and servers as nutcracker does.
func compareNames(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// sortPools puts pools, and the servers within them, in nutcracker's order.
func sortPools(pools []Pool) {
	slices.SortFunc(pools, func(a, b Pool) int { return compareNames(a.Name, b.Name) })
	for i := range pools {
		slices.SortFunc(pools[i].Servers, func(a, b Server) int {
			return compareNames(a.NodeName(), b.NodeName())
		})
	}
}
